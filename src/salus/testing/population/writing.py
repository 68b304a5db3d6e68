"""The population as files: NDJSON for each custodian, an index of the people, and a manifest that is written last.

Promises: the same seed and count give the same files; memory does not grow with the count; a folder without its
manifest is unfinished. Never writes into a folder that holds anything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from salus.testing.population.calendar import AS_OF
from salus.testing.population.custodians import CUSTODIANS, shared_resources
from salus.testing.population.encoding import Json, json_bytes
from salus.testing.population.people import SyntheticPerson, people

FORMAT = "salus-population/1"
MANIFEST = "manifest.json"
PEOPLE = "people.ndjson"
PROGRESS_EVERY = 20

Progress = Callable[[int, int], None]


class FolderInUse(Exception):
    """The folder holds something already; nothing was written."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of the population; lines are resources, or people in the index."""

    name: str
    lines: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Population:
    """What was written, as the manifest says it."""

    folder: Path
    seed: int
    people: int
    files: tuple[WrittenFile, ...]


def silent(done: int, total: int) -> None:
    """Progress that nobody watches."""


def write(folder: Path, *, seed: int, count: int, progress: Progress = silent) -> Population:
    """Write `count` people of a seed into a folder, which is made if it is absent.

    Args:
        folder: absent or empty.
        seed: which population.
        count: how many people.
        progress: called with people done and people in all, at the start, now and then, and at the end.

    Raises:
        FolderInUse: the folder is not empty.
        OSError: the disk is full or the folder cannot be written; what was begun is removed.
        ValueError: more people than there are test numbers.
    """
    everybody = people(seed, count)
    claim(folder)
    with ExitStack() as stack:
        files = {name: stack.enter_context(growing(folder / name)) for name in file_names()}
        for custodian in CUSTODIANS:
            files[chart_file(custodian.ods)].add(*shared_resources(custodian))
        progress(0, count)
        for done, person in enumerate(everybody, start=1):
            add_person(files, person)
            if done % PROGRESS_EVERY == 0 or done == count:
                progress(done, count)
    population = Population(folder, seed, count, tuple(file.written() for file in files.values()))
    (folder / MANIFEST).write_bytes(json_bytes(manifest(population)) + b"\n")
    return population


def claim(folder: Path) -> None:
    """Make the folder, or make sure that it is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FolderInUse("expected a new or an empty folder, came one with files in it: name another folder")


def file_names() -> tuple[str, ...]:
    """The files in the order of the manifest."""
    return (*(chart_file(custodian.ods) for custodian in CUSTODIANS), PEOPLE)


def chart_file(ods: str) -> str:
    """The file of a custodian's records."""
    return f"{ods}.ndjson"


class GrowingFile:
    """An NDJSON file being written, with its count and digest."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        """Start empty."""
        self._name, self._stream = name, stream
        self._lines = self._size_bytes = 0
        self._digest = hashlib.sha256()

    def add(self, *bodies: bytes) -> None:
        """Append lines."""
        for body in bodies:
            line = body + b"\n"
            self._stream.write(line)
            self._digest.update(line)
            self._size_bytes += len(line)
        self._lines += len(bodies)

    def written(self) -> WrittenFile:
        """What the file holds by now."""
        return WrittenFile(self._name, self._lines, self._size_bytes, self._digest.hexdigest())


@contextmanager
def growing(path: Path) -> Iterator[GrowingFile]:
    """Open a file; when anything fails before the end, it is removed."""
    try:
        with path.open("xb") as stream:
            yield GrowingFile(path.name, stream)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def add_person(files: dict[str, GrowingFile], person: SyntheticPerson) -> None:
    """Append a person's charts to their custodians' files and a line to the index."""
    for chart in person.charts:
        files[chart_file(chart.custodian.ods)].add(*chart.resources)
    files[PEOPLE].add(json_bytes(index_line(person)))


def index_line(person: SyntheticPerson) -> Json:
    """Who somebody is and where there are records, for tests that need to know the truth."""
    return {
        "index": person.index,
        "household": person.household,
        "nhsNumber": person.nhs_number.digits,
        "given": list(person.given),
        "family": person.family,
        "gender": person.gender,
        "birthDate": person.birth_date,
        "postcode": person.postcode,
        "charts": [
            {"custodian": chart.custodian.ods, "patient": chart.patient_id, "resources": len(chart.resources)}
            for chart in person.charts
        ],
    }


def manifest(population: Population) -> Json:
    """The manifest: what was asked for, who the custodians are, and the files with their digests."""
    return {
        "format": FORMAT,
        "seed": population.seed,
        "people": population.people,
        "asOf": AS_OF.isoformat(),
        "custodians": [
            {"ods": each.ods, "kind": each.kind, "name": each.name, "file": chart_file(each.ods)} for each in CUSTODIANS
        ],
        "files": [
            {"name": each.name, "lines": each.lines, "sizeBytes": each.size_bytes, "sha256": each.sha256}
            for each in population.files
        ],
    }
