"""The table of R4's definitions: what is in it, what is looked up how, what is said when it is not there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from salus.clinical.fhir.definitions import UNBOUNDED, DefinitionsMissing, Element, r4, reading, table

CORE = "http://hl7.org/fhir/StructureDefinition/"


def element(name: str, path: str) -> Element:
    """An element of a structure by its id."""
    structure = r4().structure(name)
    assert structure is not None
    return next(each for each in structure.elements if each.id == path)


def test_everything_in_it_can_be_decoded() -> None:
    found = r4()
    structures = [found.structure(url) for url in found.structure_urls]
    systems = [found.code_system(url) for url in found.code_system_urls]
    sets = [found.value_set(url) for url in found.value_set_urls]
    counts = [len(each) for each in (structures, systems, sets, found.search_parameters, found.compartments)]
    assert counts == [650, 1062, 1317, 1378, 5]  # of HL7's 4.0.1
    assert (None in structures, None in systems, None in sets) == (False, False, False)
    assert all(each and each.has_snapshot and each.elements for each in structures)
    assert (len(found.resource_types), len(found.primitive_types), len(found.data_types)) == (146, 20, 41)


LOOKED_UP = {
    "a type by its name": "Observation",
    "a type by its address": CORE + "Observation",
    "with a version": CORE + "Observation|4.0.1",
}


@pytest.mark.parametrize("name", LOOKED_UP.values(), ids=LOOKED_UP)
def test_a_structure_is_found(name: str) -> None:
    structure = r4().structure(name)
    assert structure is not None
    assert (structure.type, structure.kind, structure.is_profile) == ("Observation", "resource", False)


def test_what_is_not_defined_is_none() -> None:
    found = r4()
    assert (found.structure("Nonsense"), found.value_set("urn:none"), found.code_system("urn:none")) == (None,) * 3


def test_an_element_of_each_kind() -> None:
    status = element("Observation", "Observation.status")
    assert (status.min, status.max, status.types[0].code) == (1, 1, "code")
    assert status.binding is not None
    assert (status.binding.strength, status.binding.value_set.partition("|")[0]) == (
        "required",
        "http://hl7.org/fhir/ValueSet/observation-status",
    )
    assert element("Observation", "Observation.subject").types[0].targets[0] == CORE + "Patient"
    assert element("Observation", "Observation.component.referenceRange").content_reference == (
        "Observation.referenceRange"
    )
    assert element("Observation", "Observation.category").max == UNBOUNDED
    assert [each.code for each in element("Observation", "Observation.effective[x]").types][:2] == [
        "dateTime",
        "Period",
    ]
    assert element("Observation", "Observation.id").types[0].code == "id"
    assert element("Element", "Element.id").types[0].code == "string"
    assert element("Extension", "Extension.url").is_attribute
    assert element("positiveInt", "positiveInt.value").types[0].regex == "[1-9][0-9]*"
    assert element("bodyweight", "Observation.code.coding:BodyWeightCode.code").fixed == "29463-7"
    slicing = element("bp", "Observation.component").slicing
    assert slicing is not None
    assert [each.path for each in slicing.discriminators] == ["code.coding.code", "code.coding.system"]
    assert "obs-6" in [each.key for each in element("Observation", "Observation").invariants]


def test_a_search_parameter_of_each_shape() -> None:
    found = {each.url.rpartition("/")[2]: each for each in r4().search_parameters}
    assert found["Observation-subject"].targets == ("Group", "Device", "Patient", "Location")
    assert found["clinical-patient"].bases[:2] == ("AllergyIntolerance", "CarePlan")
    assert [each.expression for each in found["Observation-code-value-quantity"].components] == [
        "code",
        "value.ofType(Quantity)",
    ]
    assert (found["DomainResource-text"].expression, found["Resource-id"].bases) == ("", ("Resource",))


def test_compartments() -> None:
    found = r4().compartments
    assert sorted(found) == ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"]
    patient = found["Patient"].parameters
    assert (patient["Observation"], patient["Patient"], patient["Medication"]) == (
        ("subject", "performer"),
        ("link",),
        (),
    )


def test_a_code_system_keeps_its_hierarchy() -> None:
    system = r4().code_system("http://terminology.hl7.org/CodeSystem/v3-ActCode")
    assert system is not None
    by_code = {each.code: each for each in system.concepts}
    assert system.is_complete
    assert by_code["PSY"].parents == ("SPI",)
    assert (by_code["_ActInformationSensitivityPolicy"].is_abstract, by_code["PSY"].is_abstract) == (True, False)


def test_of_a_differential_what_is_unstated_stays_unstated() -> None:
    source = {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}
    read = reading.element(source, "resource")
    assert (read.min, read.max) == (1, -2)


REFUSED = {
    "not there": None,
    "another format": msgspec.msgpack.encode({"format": 0, "stamp": ""}),
    "no table": b"{}",
    "cut off": msgspec.msgpack.encode({"format": table.FORMAT, "stamp": ""})[:-1],
    "without content": msgspec.msgpack.encode({"format": table.FORMAT, "stamp": ""}),
}


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED)
def test_a_table_that_cannot_be_used_says_what_to_do(source: bytes | None, tmp_path: Path) -> None:
    place = tmp_path / "r4.table"
    if source is not None:
        place.write_bytes(source)
    with pytest.raises(DefinitionsMissing, match=r"^expected .*: run `make setup`$"):
        table.opened(place)


def test_it_is_open_in_a_moment() -> None:
    began = time.process_time()
    table.opened(table.PLACE)
    assert time.process_time() - began < 0.5  # 30 ms here


def test_nothing_is_opened_before_it_is_asked_for() -> None:
    code = "import salus.clinical.fhir.definitions.table as t; print(t.r4.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
