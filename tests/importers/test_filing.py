"""Filing a chart: whole or not at all, twice as once, and never into another person's record."""

import json
from pathlib import Path

import pytest

from salus.clinical import nhs_number
from salus.clinical.fhir import BUNDLE_BYTES_MAX, Fault, FhirRejected
from salus.importers import FiledChart, NdjsonFiles, file_chart, read_bundle_file
from salus.node.services import enrol
from salus.node.services.deposit import placed_entries
from salus.testing.world import World
from tests.importers.conftest import about, patient, write_bundle, write_lines


def filed(made: World, path: Path) -> FiledChart:
    return file_chart(made.hospital, read_bundle_file(path))


def test_a_chart_is_one_batch_and_enrols_its_person(made: World, number: str, tmp_path: Path) -> None:
    path = write_bundle(
        tmp_path / "a.json", patient("a", number), *(about("Observation", f"o{n}", "a") for n in range(9))
    )
    before = made.engine.status().log_size
    result = filed(made, path)
    assert (result.is_enrolled_now, result.new_count, result.known_count) == (True, 10, 0)
    assert made.engine.status().log_size == before + 2  # Enrol, RegisterBatch
    entries = placed_entries(made.hospital, result.pseudonym)  # type: ignore[arg-type]
    assert {(each.batch_root, each.batch_size) for each in entries} == {(entries[0].batch_root, 16)}


def test_the_same_chart_again_adds_nothing(made: World, number: str, tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "a.json", patient("a", number), about("Observation", "o", "a"))
    first = filed(made, path)
    before = made.engine.status().log_size
    again = filed(made, path)
    assert again.pseudonym == first.pseudonym
    assert (again.is_enrolled_now, again.new_count, again.known_count) == (False, 0, 2)
    assert made.engine.status().log_size == before


def test_bundle_and_ndjson_of_one_person_are_one_chart(made: World, number: str, tmp_path: Path) -> None:
    first = filed(made, write_bundle(tmp_path / "a.json", patient("a", number), about("Observation", "o", "a")))
    path = write_lines(tmp_path / "a.ndjson", patient("a", number), about("Condition", "c", "a"))
    (chart,) = NdjsonFiles([path]).charts()
    assert not isinstance(chart, FhirRejected)
    second = file_chart(made.hospital, chart)
    assert second.pseudonym == first.pseudonym
    assert (second.new_count, second.known_count) == (1, 1)


def test_another_date_of_birth_is_another_person(made: World, number: str, tmp_path: Path) -> None:
    filed(made, write_bundle(tmp_path / "a.json", patient("a", number)))
    before = made.engine.status().log_size
    with pytest.raises(FhirRejected) as rejected:
        filed(made, write_bundle(tmp_path / "b.json", patient("a", number, born="1990-01-01")))
    assert rejected.value.fault is Fault.WRONG_PATIENT
    assert "date of birth" in str(rejected.value)
    assert number not in str(rejected.value)
    assert made.engine.status().log_size == before


def test_a_resource_of_somebody_else_stops_the_whole_bundle(made: World, number: str, tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "a.json", patient("a", number), about("Observation", "o", "stranger"))
    with pytest.raises(FhirRejected) as rejected:
        filed(made, path)
    assert (rejected.value.fault, rejected.value.place) == (Fault.WRONG_PATIENT, "a.json, entry 2")
    assert enrol.find(made.hospital, nhs_number.parse(number)) is None


@pytest.mark.parametrize("identifiers", [[{"system": "urn:hospital", "value": "H-17"}], []])
def test_somebody_without_an_nhs_number_is_known_by_the_sources_own(
    identifiers: list[dict[str, str]], made: World, tmp_path: Path
) -> None:
    own_id = f"local-{len(identifiers)}"
    path = write_bundle(tmp_path / "a.json", patient(own_id, identifier=identifiers), about("Observation", "o", own_id))
    first = filed(made, path)
    again = filed(made, path)
    assert (first.is_enrolled_now, again.is_enrolled_now) == (True, False)
    assert again.pseudonym == first.pseudonym


def test_a_bundle_above_the_limit_points_to_ndjson(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(BUNDLE_BYTES_MAX + 1)
    with pytest.raises(FhirRejected) as rejected:
        read_bundle_file(path)
    assert rejected.value.fault is Fault.TOO_LARGE
    assert "salus import NODE FILE.ndjson" in str(rejected.value)


def test_the_bytes_received_are_the_record(made: World, number: str, tmp_path: Path) -> None:
    body = '{ "resourceType":"Observation", "id":"o", "valueDecimal": 1.10, "subject":{"reference":"Patient/a"}}'
    entries = ",".join(f'{{"resource": {each}}}' for each in (json.dumps(patient("a", number)), body))
    bundle = f'{{"resourceType": "Bundle", "type": "collection", "entry": [{entries}]}}'
    (tmp_path / "a.json").write_text(bundle, encoding="utf-8")
    result = filed(made, tmp_path / "a.json")
    vault = made.hospital.vault
    kept = {
        b"".join(vault.open(each.entry.record, 1))
        for each in placed_entries(made.hospital, result.pseudonym)  # type: ignore[arg-type]
    }
    assert body.encode() in kept
