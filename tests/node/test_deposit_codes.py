"""Every code of a record reaches the rules, or the record is refused: one left out would pass a deny that names it."""

import json

import pytest

from salus.clinical.fhir.resources import Resource, parse
from salus.contracts.provisions import Provision, ProvisionType
from salus.contracts.record_metadata import LIST_MAX
from salus.node.errors import Refusal, Refused
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from tests.node.one_day import PRACTICE, SMALL, Day

SYSTEM = "http://loinc.org"


def with_codes(count: int) -> Resource:
    coding = [{"system": SYSTEM, "code": f"{number:05}"} for number in range(count)]
    return parse(json.dumps({"resourceType": "Observation", "id": "many", "code": {"coding": coding}}).encode())


@pytest.mark.promise("R1")
def test_the_last_of_many_codes_keeps_a_record_back(day: Day) -> None:
    deposit(day.hospital, day.ann, [with_codes(LIST_MAX)])
    last = f"{SYSTEM}|{LIST_MAX - 1:05}"
    file_by_custodian(day.hospital, day.ann, Provision(ProvisionType.DENY, organisations=(PRACTICE,), codes=(last,)))
    assert day.receive(day.granted()) == [SMALL]


def test_more_codes_than_rules_can_know_of_are_refused(day: Day) -> None:
    with pytest.raises(Refused, match=f"at most {LIST_MAX} codes in a record, came {LIST_MAX + 1}") as refused:
        deposit(day.hospital, day.ann, [with_codes(LIST_MAX + 1)])
    assert refused.value.refusal is Refusal.RECORD_UNFIT
    assert len(day.receive(day.granted())) == 1
