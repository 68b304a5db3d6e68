"""NDJSON: whose each line is, however lines and files are mixed; what cannot be attributed is named with its place."""

from pathlib import Path

import pytest

from salus.clinical import labels
from salus.clinical.fhir import Fault, FhirRejected
from salus.importers import Chart, NdjsonFiles
from tests.importers.conftest import about, patient, write_lines

PSY = labels.label("PSY")


def charts(*paths: Path) -> list[Chart]:
    found = []
    for each in NdjsonFiles(paths).charts():
        assert isinstance(each, Chart), each
        found.append(each)
    return found


def kinds(chart: Chart) -> list[str]:
    return [each.type for each in chart.resources]


def test_lines_of_two_people_are_sorted_apart(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "all.ndjson",
        about("Observation", "o1", "a"),
        patient("b"),
        patient("a"),
        about("Condition", "c1", "b"),
        about("Observation", "o2", "a"),
    )
    first, second = charts(path)
    assert (first.patient.id, kinds(first)) == ("a", ["Patient", "Observation", "Observation"])
    assert (second.patient.id, kinds(second)) == ("b", ["Patient", "Condition"])


def test_files_by_type_are_read_as_one(tmp_path: Path) -> None:
    people = write_lines(tmp_path / "Patient.ndjson", patient("a"), patient("b"))
    observations = write_lines(tmp_path / "Observation.ndjson", about("Observation", "o", "b"))
    first, second = charts(observations, people)
    assert (first.patient.id, kinds(first)) == ("b", ["Patient", "Observation"])
    assert (second.patient.id, kinds(second)) == ("a", ["Patient"])


def test_a_file_belongs_to_whoever_its_document_is_about_and_carries_its_labels(tmp_path: Path) -> None:
    letter = about(
        "DocumentReference",
        "d",
        "a",
        meta={"security": [{"system": labels.ACT_CODE, "code": "PSY"}]},
        content=[{"attachment": {"url": "Binary/f"}}],
    )
    path = write_lines(
        tmp_path / "all.ndjson", {"resourceType": "Binary", "id": "f", "data": "AA=="}, letter, patient("a")
    )
    (chart,) = charts(path)
    assert sorted(kinds(chart)) == ["Binary", "DocumentReference", "Patient"]
    (binary,) = [each for each in chart.resources if each.type == "Binary"]
    assert binary.metadata.labels == (PSY,)


def test_what_says_where_a_record_came_from_goes_with_the_record(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "all.ndjson",
        {"resourceType": "Provenance", "id": "p", "target": [{"reference": "Observation/o"}]},
        patient("a"),
        about("Observation", "o", "a"),
    )
    (chart,) = charts(path)
    assert sorted(kinds(chart)) == ["Observation", "Patient", "Provenance"]


def test_what_is_about_nobody_is_counted_and_left_out(tmp_path: Path) -> None:
    files = NdjsonFiles(
        [
            write_lines(
                tmp_path / "all.ndjson",
                {"resourceType": "Organization", "id": "h"},
                {"resourceType": "Practitioner", "id": "d"},
                patient("a"),
            )
        ]
    )
    assert (files.shared_count, len(files), files.rejected) == (2, 1, [])


@pytest.mark.parametrize(
    ("line", "fault", "place"),
    [
        ('{"resourceType": ', Fault.NOT_JSON, "all.ndjson, line 3"),
        ('{"id": "x"}', Fault.NO_RESOURCE_TYPE, "all.ndjson, line 3"),
        ('{"resourceType": "Observation", "id": "o"}', Fault.NO_PATIENT, "all.ndjson line 3"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(line: str, fault: Fault, place: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "all.ndjson", patient("a"), "", line, about("Observation", "o2", "a"))
    files = NdjsonFiles([path])
    (rejected,) = files.rejected
    assert (rejected.fault, rejected.place) == (fault, place)
    (chart,) = files.charts()
    assert isinstance(chart, Chart)
    assert kinds(chart) == ["Patient", "Observation"]


def test_records_of_somebody_whose_patient_is_missing(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "all.ndjson", patient("a"), about("Observation", "o", "stranger"))
    first, second = NdjsonFiles([path]).charts()
    assert isinstance(first, Chart)
    assert isinstance(second, FhirRejected)
    assert second.fault is Fault.WRONG_PATIENT
    assert "import the file with the Patient resources together with this one" in str(second)


def test_a_record_of_two_people_is_nobodys(tmp_path: Path) -> None:
    appointment = {
        "resourceType": "Appointment",
        "id": "x",
        "participant": [{"actor": {"reference": "Patient/a"}}, {"actor": {"reference": "Patient/b"}}],
    }
    path = write_lines(tmp_path / "all.ndjson", patient("a"), patient("b"), appointment)
    first, second = NdjsonFiles([path]).charts()
    assert isinstance(first, FhirRejected)
    assert first.fault is Fault.WRONG_PATIENT
    assert isinstance(second, Chart)
