"""What each message answers and writes, field by field, and how many steps it takes: the formats that are frozen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from salus.contracts import CONTRACTS, access, membership, patients, records, tickets
from salus.contracts.membership import KeyUse
from salus.crypto.hashing import sha256
from salus.ledger.contract import Context
from salus.ledger.encoding import encode
from salus.ledger.state import Table
from tests.contracts.network import MemoryLedger, digest, public
from tests.contracts.outcome_cases import ANN, CASES, HOSPITAL, Case
from tests.contracts.scenario import OUTCOMES, Row, Run, Scenario, run


@dataclass(frozen=True)
class Done:
    """A case that was run."""

    state: Run
    steps: int


def play(case: Case, monkeypatch: pytest.MonkeyPatch) -> Done:
    """Run a case; count the steps of its last transaction."""
    counted: list[Context] = []
    original = Context.__init__

    def watched(context: Context, *arguments: Any, **named: Any) -> None:
        original(context, *arguments, **named)
        if context.signers:  # of a transaction, and not of the block's end
            counted.append(context)

    monkeypatch.setattr(Context, "__init__", watched)
    state = run(Scenario("case", "case", list(rows_of(case))), MemoryLedger)
    return Done(state, counted[-1].steps)


def rows_of(case: Case) -> Iterator[Row]:
    for text in case.before:
        step, arrow, expected = text.partition(" -> ")
        yield Row(0, step, expected if arrow else None)
    *together, last = case.step.split(" + ")
    yield from (Row(0, text, None) for text in together)
    yield Row(0, last, expected_of(case))


def expected_of(case: Case) -> str:
    if isinstance(case.outcome, access.AccessPermitted):
        return f"permitted: {''.join(word.capitalize() for word in case.outcome.basis.name.split('_'))}"
    if isinstance(case.outcome, membership.Proposed | membership.VoteCast):
        return "carried" if case.outcome.is_carried else "waits"
    if isinstance(case.outcome, membership.Accused):
        return "suspended" if case.outcome.suspended_until_s else "accused"
    return "denied: NothingPermits" if isinstance(case.outcome, access.AccessDenied) else "done"


def with_ids(value: Any, state: Run) -> Any:
    """A value with the id of the permit or the proposal in the place of its label."""
    return {"p1": state.places.permits, "v1": state.places.proposals}[value][value] if value in ("p1", "v1") else value


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_outcome_and_the_rows_of_a_message(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    state = play(case, monkeypatch).state
    outcome = OUTCOMES.decode(state.events[-1].leaf.data)
    fields = {name: with_ids(getattr(case.outcome, name), state) for name in case.outcome.__struct_fields__}
    assert outcome == type(case.outcome)(**fields)
    reader = state.ledger.reader()
    for table, place, row in case.rows:
        assert table.get(reader, with_ids(place, state)) == row


@pytest.mark.promise("L6")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_steps_that_a_message_takes_in_this_rules_version(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(case, monkeypatch).steps == case.steps


def test_every_outcome_has_a_case() -> None:
    declared = {kind for contract in CONTRACTS for kinds in contract.outcomes.values() for kind in kinds}
    assert declared == {type(case.outcome) for case in CASES.values()}


def test_every_table_has_a_case() -> None:
    written = {table.name for case in CASES.values() for table, _, _ in case.rows}
    declared = {table.name for contract in CONTRACTS for table in contract.tables.values()}
    assert declared - written == {"membership.network", "membership.cases"}, "genesis and the end of blocks write those"


def test_the_last_eight_retired_keys_stay() -> None:
    rows = [Row(0, f"hospital rotates its http key to http-{number}", "done") for number in range(12)]
    row = membership.KEYS.get(
        run(Scenario("keys", "keys", rows), MemoryLedger).ledger.reader(), (HOSPITAL, KeyUse.HTTP)
    )
    assert row is not None
    assert [retired.key for retired in row.retired] == [public(f"http-{number}") for number in range(3, 11)]


def test_a_permit_s_id_and_a_use_are_the_hashes_that_the_page_says() -> None:
    transaction, key = digest("transaction"), public("okafor")
    size = (32).to_bytes(8, "big")
    place = (4).to_bytes(8, "big") + b"\x00\x00\x00\x07"
    want = sha256(b"\x0esalus/permit/1" + size + transaction + place)
    assert access.permit_id(transaction, 7) == want[:16]
    want = sha256(b"\x12salus/ticket-use/1" + size + transaction + place + size + key)
    assert tickets.use_hash(transaction, 7, key) == want


@pytest.mark.parametrize(
    ("table", "place", "want"),
    [
        (membership.NETWORK, membership.NETWORK_KEY, b"membership.network\x00\x00"),
        (membership.POLICIES, membership.NETWORK_POLICY, b"membership.policies\x00\xa0"),
        (membership.POLICIES, HOSPITAL, b"membership.policies\x00\xa3RX1"),
        (membership.KEYS, (HOSPITAL, KeyUse.HTTP), b"membership.keys\x00\x92\xa3RX1\x02"),
        (membership.FILES, (HOSPITAL, "a"), b"membership.files\x00\x92\xa3RX1\xa1a"),
        (patients.RELATIONSHIPS, ANN, b"patients.relationships\x00\xc4\x10" + ANN),
        (records.MARKS, (ANN, digest("e")), b"records.marks\x00\x92\xc4\x10" + ANN + b"\xc4\x20" + digest("e")),
        (access.UNREVIEWED, HOSPITAL, b"access.unreviewed\x00\xa3RX1"),
        (access.UNREVIEWED, public("okafor"), b"access.unreviewed\x00\xc4\x20" + public("okafor")),
    ],
)
def test_the_key_of_a_row(table: Table[Any, Any], place: object, want: bytes) -> None:
    assert table.key(place) == want


def test_the_bytes_of_a_row() -> None:
    assert encode(records.EntryMark(0, 7, b"")) == b"\x93\x00\x07\xc4\x00"
