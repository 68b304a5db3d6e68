"""Whatever the language accepts can meet some record: a deny that no record meets would keep nothing back.

A criterion is accepted or refused by `check`; what it accepts is written into a FHIR resource, read as at a deposit,
committed and opened again, and the criterion must hold.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.clinical.fhir.metadata import RecordMetadata, derive
from salus.contracts.provisions import (
    DataMeaning,
    DataReference,
    Effect,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    Record,
    Request,
    RoleClass,
    Verb,
    check,
    outcome,
)
from salus.contracts.record_metadata import Facts, commit_facts, record_of
from salus.ledger.identifiers import OrganisationId, RecordId

RECORD = RecordId(b"r" * 16)
PERSON = b"p" * 32
PIECES = st.sampled_from(
    ["s", "P", "|", " ", ":", "http://loinc.org", "http://unitsofmeasure.org", "\u0301", "\n", "é"]
)
TEXTS = st.lists(PIECES, max_size=5).map("".join)


def coding(token: str) -> dict[str, str]:
    system, _, code = token.rpartition("|")
    return {"system": system, "code": code}


def deposited(content: dict[str, object]) -> Record:
    """What the rules know of a resource: derived, committed, opened."""
    read: RecordMetadata = derive(content)
    facts = Facts(classes=(read.resource_type,), codes=read.codes, labels=read.labels)
    return record_of(RECORD, commit_facts(facts, secret=bytes(32)).values)


def is_met(criterion: Provision, content: dict[str, object]) -> bool:
    request = Request(OrganisationId("RX1"), RoleClass.CLINICAL, Purpose.TREAT, Verb.READ, day=20_000, person=PERSON)
    return outcome(criterion, request, deposited(content)) is Effect.DENY


def is_accepted(criterion: Provision) -> bool:
    try:
        check(criterion)
    except ProvisionInvalid:
        return False
    return True


def deny(**criteria: object) -> Provision:
    return Provision(ProvisionType.DENY, **criteria)


def holder(token: str, kind: str) -> dict[str, object]:
    """A resource that carries a token as a label or as a code."""
    if kind == "labels":
        return {"resourceType": "Observation", "meta": {"security": [coding(token)]}}
    return {"resourceType": "Observation", "code": {"coding": [coding(token)]}}


@pytest.mark.promise("R1")
@settings(max_examples=400, deadline=None)
@given(TEXTS, st.sampled_from(["labels", "codes"]))
def test_an_accepted_token_is_met_by_the_record_that_carries_it(text: str, kind: str) -> None:
    criterion = deny(**{kind: (text,)})
    assert not is_accepted(criterion) or is_met(criterion, holder(text, kind))


@pytest.mark.promise("R1")
@given(st.text("AObserv ati|:é\n", max_size=6))
def test_an_accepted_class_is_met_by_a_resource_of_that_type(text: str) -> None:
    criterion = deny(classes=(text,))
    assert not is_accepted(criterion) or is_met(criterion, {"resourceType": text})


@pytest.mark.promise("R1")
@given(st.sampled_from(DataMeaning), st.sampled_from([0, 15, 16, 17, 32]))
def test_an_accepted_reference_is_met_by_the_record_that_it_names(meaning: DataMeaning, length: int) -> None:
    criterion = deny(data=(DataReference(meaning, b"r" * length),))
    assert is_accepted(criterion) is (meaning is DataMeaning.INSTANCE and length == len(RECORD))
    assert not is_accepted(criterion) or is_met(criterion, {"resourceType": "Observation"})


@pytest.mark.promise("R1")
@given(st.integers(0, 64))
def test_an_accepted_person_is_met_by_a_certificate(length: int) -> None:
    criterion = deny(persons=(b"p" * length,))
    assert is_accepted(criterion) is (length == len(PERSON))
    assert not is_accepted(criterion) or is_met(criterion, {"resourceType": "Observation"})


@pytest.mark.parametrize("kind", ["labels", "codes"])
def test_tokens_of_both_kinds_are_among_those_tried(kind: str) -> None:
    said = {
        is_accepted(deny(**{kind: (text,)}))
        for text in ("http://loinc.org|s", "s|P", "P", "http://unitsofmeasure.org|s")
    }
    assert said == {True, False}
    assert not is_met(deny(**{kind: ("P",)}), holder("s|P", kind))
