"""Deposits of several threads that are done as one: each has its own answer."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.new_records import new_record
from salus.node.services import deposit_together
from salus.node.services.deposit import ChartDeposit, Filed, deposit_charts, mark_committed, placed_entries
from salus.node.services.deposit_together import Depositor
from salus.node.services.enrol import enrol
from salus.testing.world import HOSPITAL, world

Asked = list[ChartDeposit]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        yield made.hospital


def chart(whose: Pseudonym, name: str, *, note: str = "", after: int | None = None) -> Asked:
    body = {"resourceType": "Observation", "id": name, "status": "final", "note": [{"text": note}]}
    return [ChartDeposit(whose, [new_record(parse(json.dumps(body).encode()), after=after)])]


@pytest.fixture
def together(node: Node, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[Asked]], list]:
    """Ask in threads while the first is held up; return what each was told, and note what was done at one time."""
    sizes: list[int] = []

    def run(asked: Sequence[Asked]) -> list:
        depositor, told = Depositor(node), [None] * len(asked)
        held = threading.Event()

        def slowly(on: Node, charts: Sequence[ChartDeposit], *, marks: bool) -> list[list[Filed]]:
            sizes.append(len(charts))
            held.wait(60)
            return deposit_charts(on, charts, marks=marks)

        monkeypatch.setattr(deposit_together, "deposit_charts", slowly)

        def ask(place: int) -> None:
            try:
                told[place] = depositor.deposit_charts(asked[place])
            except (Refused, NotNow) as error:
                told[place] = error

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(asked))]
        threads[0].start()
        while not sizes:
            pass
        for each in threads[1:]:
            each.start()
        while len(depositor._waiting) < len(asked) - 1:
            pass
        held.set()
        for each in threads:
            each.join()
        return told

    run.sizes = sizes  # type: ignore[attr-defined]
    return run


def test_all_that_wait_are_one_batch(node: Node, together: Callable) -> None:
    whose = enrol(node, NhsNumber("9990000018"), "1980-02-29")
    told = together([chart(whose, f"o{number}") for number in range(6)])
    assert together.sizes == [1, 5]  # type: ignore[attr-defined]
    assert [filed.is_new for ((filed,),) in told] == [True] * 6
    assert len({filed.record for ((filed,),) in told}) == 6
    assert len({placed.batch_root for placed in placed_entries(node, whose)}) == 2


def test_that_the_ledger_has_them_is_noted_later_for_all_at_once(node: Node, together: Callable) -> None:
    whose = enrol(node, NhsNumber("9990000018"), "1980-02-29")
    told = together([chart(whose, f"o{number}") for number in range(6)])
    keys = [(filed.record, filed.version) for ((filed,),) in told]
    assert len(node.vault.orphans(node.clock() + 1)) == 6
    assert [mark_committed(node), mark_committed(node)] == [2, 0]
    assert node.vault.orphans(node.clock() + 1) == []
    assert all(each.registered for each in node.vault.record_many(keys))


def test_two_versions_of_one_record_are_made_one_after_the_other(node: Node, together: Callable) -> None:
    whose = enrol(node, NhsNumber("9990000018"), "1980-02-29")
    told = together([chart(whose, "first"), *(chart(whose, "same", note=str(number)) for number in range(3))])
    assert together.sizes == [1, 1, 1, 1]  # type: ignore[attr-defined]
    assert sorted(filed.version for ((filed,),) in told) == [1, 1, 2, 3]


def test_who_has_it_wrong_is_told_alone(node: Node, together: Callable) -> None:
    whose = enrol(node, NhsNumber("9990000018"), "1980-02-29")
    nobody = Pseudonym(b"n" * 16)
    wrong = [chart(whose, "third", after=7), chart(nobody, "fourth")]
    first, second, third, fourth = together([chart(whose, "first"), chart(whose, "second"), *wrong])
    assert [first[0][0].version, second[0][0].version] == [1, 1]
    assert third.refusal is Refusal.VERSION_UNFIT
    assert fourth.refusal is Refusal.PATIENT_UNKNOWN


def test_a_failure_of_ours_lets_nobody_wait_for_ever(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    depositor = Depositor(node)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(deposit_together, "deposit_charts", broken)
    with pytest.raises(ZeroDivisionError):
        depositor.deposit_charts([])
    monkeypatch.setattr(deposit_together, "deposit_charts", deposit_charts)
    whose = enrol(node, NhsNumber("9990000018"), "1980-02-29")
    assert depositor.deposit_charts(chart(whose, "after"))[0][0].version == 1
