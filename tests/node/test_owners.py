"""Whose a resource is that names no patient: what it belongs to, what it is attached to, or nobody."""

import itertools
import json
from collections.abc import Iterator

import pytest

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.resources import parse
from salus.clinical.fhir.subjects import SHARED
from salus.contracts.record_metadata import facts_of
from salus.node.assemble import Node
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY
from salus.node.services.deposit import METADATA
from salus.node.services.store import Write, store
from salus.testing.world import HOSPITAL, world
from tests.node.test_store import ANN, BEN, write

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
FILE = {"resourceType": "Binary", "id": "file-0", "contentType": "text/plain", "data": "eA=="}
IN_LETTER = FILE | {"securityContext": {"reference": "DocumentReference/letter-0"}}
LETTER = {
    "resourceType": "DocumentReference",
    "id": "letter-0",
    "meta": {"security": [PSY]},
    "subject": {"reference": "Patient/ann"},
    "date": "2020-02-03T04:05:06Z",
}
WITH_FILE = LETTER | {"content": [{"attachment": {"url": "Binary/file-0"}}]}
DIARY = {"resourceType": "Schedule", "id": "diary-0", "actor": [{"reference": "Patient/ann"}]}
SLOT = {"resourceType": "Slot", "id": "slot-0", "schedule": {"reference": "Schedule/diary-0"}}
METER = {"resourceType": "Device", "id": "meter-0", "patient": {"reference": "Patient/ann"}}
METRIC = {"resourceType": "DeviceMetric", "id": "metric-0", "source": {"reference": "Device/meter-0"}}


RUNS = itertools.count(1)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with world(tmp_path_factory.mktemp("world"), organisations=(HOSPITAL,), has_index=True) as made:
        store(made.hospital, write(ANN, BEN))
        yield made.hospital


def written(run: int, *contents: dict) -> list[Write]:
    """Write resources under ids of this run's own."""
    return write(*(json.dumps(each).replace('-0"', f'-{run}"').encode() for each in contents))


def without(content: dict, *names: str) -> dict:
    return {name: value for name, value in content.items() if name not in names}


ANNS = {
    "a file whose context is beside it": [IN_LETTER, LETTER],
    "a file that is attached to what is beside it": [FILE, WITH_FILE],
    "a slot in a diary": [SLOT, DIARY],
    "a part of a device": [METRIC, METER],
}


@pytest.mark.parametrize("contents", ANNS.values(), ids=ANNS)
def test_it_is_the_patients_to_whose_record_it_belongs(node: Node, contents: list[dict]) -> None:
    ann = resources.find(node, "Patient", "ann")
    assert ann is not None
    assert {each.found.pseudonym for each in store(node, written(next(RUNS), *contents))} == {ann.pseudonym}


@pytest.mark.parametrize(
    "contents", [[DIARY, SLOT], [METER, METRIC], [LETTER, IN_LETTER]], ids=["a diary", "a device", "a letter"]
)
def test_what_it_belongs_to_may_be_there_already(node: Node, contents: list[dict]) -> None:
    run = next(RUNS)
    there, belonging = (store(node, written(run, each))[0].found for each in contents)
    assert there.pseudonym == belonging.pseudonym != DIRECTORY


NOBODYS = {
    "a device in a store room": [without(METER, "patient")],
    "a diary of a place": [DIARY | {"actor": [{"reference": "Location/1"}]}, SLOT],
    "a study": [{"resourceType": "ResearchStudy", "id": "study-0"}],
    "a product": [{"resourceType": "MedicinalProductIngredient", "id": "part-0"}],
}


@pytest.mark.parametrize("contents", NOBODYS.values(), ids=NOBODYS)
def test_it_is_nobodys(node: Node, contents: list[dict]) -> None:
    assert {each.found.pseudonym for each in store(node, written(next(RUNS), *contents))} == {DIRECTORY}


OF_BEN = {"subject": {"reference": "Patient/ben"}}
OF_NOBODY = {
    "a file by itself": ([FILE], Fault.NO_PATIENT),
    "a file in what never was": ([IN_LETTER], Fault.WRONG_PATIENT),
    "a file in something without an id": (
        [FILE | {"securityContext": {"reference": "letter"}}],
        Fault.WRONG_PATIENT,
    ),
    "a file that is attached to two people's": (
        [FILE, WITH_FILE, WITH_FILE | {"id": "bens-0"} | OF_BEN],
        Fault.SEVERAL_PATIENTS,
    ),
    "a slot in no diary": ([SLOT], Fault.WRONG_PATIENT),
    "a list of nothing": ([{"resourceType": "List", "id": "list-0"}], Fault.NO_PATIENT),
}


@pytest.mark.parametrize(("contents", "fault"), OF_NOBODY.values(), ids=OF_NOBODY)
def test_it_is_refused_where_nobody_can_tell(node: Node, contents: list[dict], fault: Fault) -> None:
    with pytest.raises(FhirRejected) as refused:
        store(node, written(next(RUNS), *contents))
    assert refused.value.fault == fault


@pytest.mark.promise("R4")
@pytest.mark.parametrize("contents", [[FILE, WITH_FILE], [IN_LETTER, LETTER]], ids=["attached", "in its context"])
def test_rules_read_of_a_file_what_they_read_of_its_document(node: Node, contents: list[dict]) -> None:
    run = next(RUNS)
    file, letter = (each.found for each in store(node, written(run, *contents)))

    def facts(version: int) -> tuple:
        read = facts_of(METADATA.decode(node.vault.record(file.key[0], version).metadata))
        return read.labels, read.period_from_s

    of_letter = facts_of(METADATA.decode(node.vault.record(*letter.key).metadata))
    assert (
        facts(1) == (of_letter.labels, of_letter.period_from_s) == ((f"{PSY['system']}|PSY",), of_letter.period_from_s)
    )
    changed = contents[0] | {"data": "eXk="}
    assert store(node, written(run, changed))[0].found.version == 2
    assert facts(2) == facts(1)


def test_no_reference_of_a_shared_type_leads_to_a_person() -> None:
    persons = {"Patient", "RelatedPerson", "Person"}
    leading = {
        (name, element.path)
        for name in SHARED
        for element in r4().structure(name).elements  # type: ignore[union-attr]
        for kind in element.types
        if persons & {each.rpartition("/")[2] for each in kind.targets}
    }
    assert leading == set()


def test_what_a_resource_belongs_to_is_read_without_a_version() -> None:
    versioned = IN_LETTER | {"securityContext": {"reference": "DocumentReference/letter-0/_history/2"}}
    assert parse(json.dumps(versioned).encode()).hosts == ("DocumentReference/letter-0",)
