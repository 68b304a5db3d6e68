"""Choices are counted by what they say openly, rounded, and small numbers are not told (P4, P7)."""

import dataclasses
from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, day_of
from salus.ledger.identifiers import Pseudonym
from salus.node.services import choice_counts
from salus.node.services.choice_counts import Does, Shape, Told, Whom, told
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.enrol import enrol
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, unix_now_s, world

TODAY = day_of(unix_now_s())
NO_RESEARCH = Provision(ProvisionType.DENY, purposes=(Purpose.HRESCH,))
PRACTICE_MAY = Provision(ProvisionType.PERMIT, organisations=(PRACTICE,), role_classes=(RoleClass.CLINICAL,))
NOT_HERE = Provision(ProvisionType.DENY, organisations=(HOSPITAL,))
NO_PSYCHIATRY = Provision(ProvisionType.DENY, labels=("http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY",))
OVER = Provision(ProvisionType.DENY, purposes=(Purpose.HPAYMT,), valid_to_day=TODAY - 2)

FILED = {NO_RESEARCH: 7, PRACTICE_MAY: 6, NOT_HERE: 3, NO_PSYCHIATRY: 1, OVER: 1}
"""How many patients file what; one more of the first, that is withdrawn or kept elsewhere, would be told as 10."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as here:
        patients = [enrol(here.hospital, kept_nhs_number(number), "1980-02-29") for number in range(20)]
        queue = iter(patients)
        for tree, count in FILED.items():
            for _ in range(count):
                file_by_custodian(here.hospital, next(queue), tree)
        elsewhere = enrol(here.practice, kept_nhs_number(0), "1980-02-29")
        file_by_custodian(here.practice, elsewhere, NO_RESEARCH)
        withdrawn = next(queue)
        choice = file_by_custodian(here.hospital, withdrawn, NO_RESEARCH)
        withdraw_by_custodian(here.hospital, Pseudonym(withdrawn), choice)
        yield here


@pytest.mark.promise("P4")
def test_what_choices_do_is_counted_without_anybody(made: World) -> None:
    counts = choice_counts.choice_counts(made.hospital)
    assert counts.patients == counts.choices == Told(20, is_few=False)
    assert counts.of_records == Told(0, is_few=True)
    assert dict(counts.shapes) == {
        Shape(Does.DENIES, Whom.ANYBODY, (), (Purpose.HRESCH,), ()): Told(5, is_few=False),
        Shape(Does.PERMITS, Whom.OTHERS, (RoleClass.CLINICAL,), (), ()): Told(5, is_few=False),
        Shape(Does.DENIES, Whom.CUSTODIAN, (), (), ()): Told(0, is_few=True),
    }
    assert PRACTICE not in repr(counts)


def test_pages_of_patients_make_one_count(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = choice_counts.choice_counts(made.hospital)
    monkeypatch.setattr(choice_counts, "PAGE_ROWS", 3)
    assert choice_counts.choice_counts(made.hospital) == whole


def test_a_slow_clock_revives_nothing(made: World) -> None:
    before = dataclasses.replace(made.hospital, clock=lambda: unix_now_s() - 3 * 86_400)
    assert choice_counts.choice_counts(before) == choice_counts.choice_counts(made.hospital), "block time counts, too"


TOLD = {0: (0, False), 1: (0, True), 4: (0, True), 5: (5, False), 7: (5, False), 8: (10, False), 12: (10, False)}


@pytest.mark.promise("P4")
@pytest.mark.parametrize("count", TOLD)
def test_a_number_is_told_to_the_nearest_five_and_a_small_one_is_not(count: int) -> None:
    assert told(count) == Told(*TOLD[count])
