"""What is made from the ledger in bulk exports: decided on when it is listed and when its file goes, as records are."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.contracts.provisions import Verb
from tests.api.fhir.fhir_world import Hospital
from tests.api.fhir.ledger_people import assisted
from tests.api.fhir.test_bulk import begun, deny, exported, fetched, manifest_of, receipts_of, ward

DEPOSITS = "/Patient/$export?_type=Provenance"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Hospital]:
    with ward(tmp_path) as made:
        yield made


def lines(here: Hospital, path: str, who: str = "nurse") -> list[dict]:
    """Every resource of an export, file after file."""
    return lines_of(here, begun(here, path, who), who)


def lines_of(here: Hospital, status: str, who: str = "nurse") -> list[dict]:
    files = [fetched(here, each["url"], who) for each in manifest_of(here, status, who)["output"]]
    return [json.loads(line) for file in files for line in file.text.splitlines()]


def targets(found: list[dict]) -> list[str]:
    return sorted(each["target"][0]["reference"].split("/")[1] for each in found)


VISIBLE = ["o-ann", "o-ben", "o-cat", "o-dan", "o-eve"]


@pytest.mark.promise("R4", "R5")
def test_provenance_is_exported_where_it_is_named_with_the_records_receipts(here: Hospital) -> None:
    before = receipts_of(here, "ann")
    assert targets(lines(here, DEPOSITS)) == VISIBLE  # what Eve withholds is told of by nothing
    assert receipts_of(here, "ann") == before + 1
    deny(here, "ben", verbs=(Verb.EXPORT,))
    assert targets(lines(here, DEPOSITS)) == [each for each in VISIBLE if each != "o-ben"]
    assert "Provenance" not in exported(here, "/Patient/$export")


@pytest.mark.promise("R3")
def test_what_is_withdrawn_before_the_file_is_fetched_is_left_out(here: Hospital) -> None:
    status = begun(here, DEPOSITS)
    manifest_of(here, status)
    deny(here, "ann", classes=("Observation",))
    assert targets(lines_of(here, status)) == [each for each in VISIBLE if each != "o-ann"]


def test_the_patient_takes_choices_and_trail_along_and_nobody_else_does(here: Hospital) -> None:
    assisted(here, "eve")
    kinds = {each["resourceType"] for each in lines(here, "/Patient/$export", "eve")}
    assert kinds == {"Patient", "Observation", "Consent", "AuditEvent"}
    (choice,) = lines(here, "/Patient/$export?_type=Consent", "eve")
    assert (choice["status"], choice["patient"]) == ("active", {"reference": "Patient/eve"})
    for who in ("nurse", "feed"):
        assert lines(here, "/Patient/$export?_type=Consent,AuditEvent,RelatedPerson", who) == []


def test_it_is_filtered_and_organised_as_records_are(here: Hospital) -> None:
    assert lines(here, f"{DEPOSITS}&_since=2100-01-01T00:00:00Z") == []
    assert targets(lines(here, f"{DEPOSITS}&_typeFilter=Provenance%3Ftarget%3DObservation/o-cat")) == ["o-cat"]
    path = "/Patient/$export?_type=Observation,Provenance&organizeOutputBy=Patient"
    kinds = [each["resourceType"] for each in lines(here, path)]
    assert kinds == ["Parameters", "Observation", "Provenance"] * 5
