"""The population as files: what is in them, that they are whole or not there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from salus.clinical.fhir import read_ndjson
from salus.testing.population import CUSTODIANS, FolderInUse, people, shared_resources, write

NAMES = ["RZ1.ndjson", "Z99001.ndjson", "RZ2.ndjson", "FZ901.ndjson", "people.ndjson"]


def test_files_and_manifest_agree(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    written = write(folder, seed=7, count=30)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert sorted(file.name for file in folder.iterdir()) == sorted([*NAMES, "manifest.json"])
    assert [file["name"] for file in manifest["files"]] == [file.name for file in written.files] == NAMES
    assert (manifest["format"], manifest["seed"], manifest["people"]) == ("salus-population/1", 7, 30)
    assert [each["ods"] for each in manifest["custodians"]] == [each.ods for each in CUSTODIANS]
    for file in manifest["files"]:
        content = (folder / file["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert (len(content), content.count(b"\n")) == (file["sizeBytes"], file["lines"])


def test_files_hold_the_shared_resources_and_the_charts(tmp_path: Path) -> None:
    write(tmp_path, seed=7, count=30)
    for custodian in CUSTODIANS:
        charts = (person.chart_at(custodian.ods) for person in people(7, 30))
        expected = [*shared_resources(custodian), *(body for chart in charts if chart for body in chart.resources)]
        with (tmp_path / f"{custodian.ods}.ndjson").open("rb") as stream:
            assert [resource.body for _, resource in read_ndjson(stream)] == expected


def test_the_index_says_who_is_where(tmp_path: Path) -> None:
    write(tmp_path, seed=7, count=30)
    lines = [json.loads(line) for line in (tmp_path / "people.ndjson").read_bytes().splitlines()]
    for line, person in zip(lines, people(7, 30), strict=True):
        assert line["nhsNumber"] == person.nhs_number.digits
        assert (line["index"], line["household"]) == (person.index, person.household)
        assert line["charts"] == [
            {"custodian": chart.custodian.ods, "patient": chart.patient_id, "resources": len(chart.resources)}
            for chart in person.charts
        ]


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, seed=3, count=12) for name in ("a", "b"))
    assert first.files == second.files
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()


def test_progress_begins_and_ends(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write(tmp_path, seed=1, count=45, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 45), (20, 45), (40, 45), (45, 45)]


def test_nobody_is_a_population_too(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    written = write(tmp_path, seed=1, count=0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 0)]
    assert written.files[-1].lines == 0


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FolderInUse, match="name another folder"):
        write(tmp_path, seed=1, count=5)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


class Stopped(Exception):
    """What interrupts the writing in a test."""


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise Stopped

    with pytest.raises(Stopped):
        write(tmp_path, seed=1, count=40, progress=stop)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path, seed=1, count=5)


def test_too_many_people_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="900,000"):
        write(tmp_path / "new", seed=1, count=900_001)
    assert not (tmp_path / "new").exists()
