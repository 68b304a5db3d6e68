"""Charts out of NDJSON files that belong together, such as a bulk export with one file for each type of resource.

The files are read twice: once to learn whose each line is, once to collect the lines of one patient after the other.
So memory holds three numbers for each line and the resources of one chart, however the lines are mixed.
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from salus.clinical.fhir import Bundle, Entry, Fault, FhirRejected, Resource, parse, patient_chart
from salus.clinical.fhir.ndjson import NEWLINES, read_ndjson
from salus.clinical.fhir.subjects import PERSONAL
from salus.importers.charts import Chart, chart_of

NOBODY = -1
PATIENT = "Patient/"


class NdjsonFiles:
    """NDJSON files read as one: what belongs to one patient may be in several of them, in any order.

    Attributes:
        rejected: lines that are no resource, or a personal record that names nobody, as faults with their places.
        shared_count: how many lines are about nobody: organisations, staff, places.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read all files once. Raises OSError."""
        self.rejected: list[FhirRejected] = []
        self.shared_count = 0
        self._paths = paths
        self._patients: dict[str, int] = {}
        self._has_patient: set[int] = set()
        self._owners = array("q")
        self._offsets = array("Q")
        self._files = array("H")
        self._loose: dict[str, int] = {}
        self._pointed_at: dict[str, int] = {}
        self._provenances: list[tuple[int, tuple[str, ...]]] = []
        for number in range(len(paths)):
            self._sort_file(number)
        self._settle()

    def __len__(self) -> int:
        """How many patients there are."""
        return len(self._patients)

    def charts(self) -> Iterator[Chart | FhirRejected]:
        """Yield each patient's chart, in the order in which they first appear; a fault in place of a bad one."""
        lines = self._lines_of_patients()
        with ExitStack() as stack:
            streams = [stack.enter_context(path.open("rb")) for path in self._paths]
            for number in range(len(self)):
                try:
                    yield self._chart(streams, number, lines[number])
                except FhirRejected as fault:
                    yield fault

    def _chart(self, streams: Sequence[BinaryIO], number: int, lines: Sequence[int]) -> Chart:
        if number not in self._has_patient:
            raise FhirRejected(
                Fault.WRONG_PATIENT,
                expected="the Patient of every record among the files",
                came=f"{len(lines)} records of somebody who is not",
                hint="import the file with the Patient resources together with this one",
                place=self._place(lines[0]),
            )
        entries = tuple(self._entry(streams, line) for line in lines)
        return chart_of(entries[0].place, patient_chart(Bundle("collection", entries)))

    def _entry(self, streams: Sequence[BinaryIO], line: int) -> Entry:
        stream = streams[self._files[line]]
        stream.seek(self._offsets[line])
        while not (body := stream.readline().rstrip(NEWLINES)).strip():
            pass  # empty lines before it
        return Entry(None, parse(body), self._place(line))

    def _place(self, line: int) -> str:
        return f"{self._paths[self._files[line]].name} at byte {self._offsets[line]}"

    # The first reading

    def _sort_file(self, number: int) -> None:
        with self._paths[number].open("rb") as stream:
            line, is_done = 1, False
            while not is_done:
                try:
                    self._sort_lines(number, stream, line)
                    is_done = True
                except FhirRejected as fault:
                    self.rejected.append(fault.at(self._paths[number].name))
                    line = int(fault.place.removeprefix("line ")) + 1

    def _sort_lines(self, number: int, stream: BinaryIO, start_line: int) -> None:
        offset = stream.tell()
        for line, resource in read_ndjson(stream, start_line=start_line):
            self._take(number, offset, resource, f"{self._paths[number].name} line {line}")
            offset = stream.tell()

    def _take(self, number: int, offset: int, resource: Resource, place: str) -> None:
        owner = self._owner(resource)
        if owner == NOBODY:
            self._take_loose(resource, place)
        else:
            self._pointed_at.update(dict.fromkeys(resource.attachments, owner))
        self._owners.append(owner)
        self._offsets.append(offset)
        self._files.append(number)

    def _take_loose(self, resource: Resource, place: str) -> None:
        line = len(self._owners)
        if resource.type in PERSONAL:
            self.rejected.append(_names_nobody(resource, place))
        elif resource.type == "Provenance":
            self._provenances.append((line, resource.subjects))
        else:
            self.shared_count += 1
            if resource.id is not None:
                self._loose[f"{resource.type}/{resource.id}"] = line

    def _owner(self, resource: Resource) -> int:
        for subject in resource.subjects:
            if subject.startswith(PATIENT):
                owner = self._patients.setdefault(subject, len(self._patients))
                if resource.type == "Patient":
                    self._has_patient.add(owner)
                return owner
        return NOBODY

    # After it

    def _settle(self) -> None:
        """Give to patients the files that their documents point to, and what says where their records came from."""
        for name, owner in self._pointed_at.items():
            if (line := self._loose.get(name)) is not None and self._owners[line] == NOBODY:
                self._owners[line] = owner
                self.shared_count -= 1
        owners = self._owners_of({target for _, targets in self._provenances for target in targets})
        for line, targets in self._provenances:
            self._owners[line] = next((owners[each] for each in targets if each in owners), NOBODY)
            self.shared_count += self._owners[line] == NOBODY
        self._loose.clear()
        self._pointed_at.clear()
        self._provenances.clear()

    def _owners_of(self, names: set[str]) -> dict[str, int]:
        """Find whose the named resources are; reads the files again, and only when there is something to find."""
        owners: dict[str, int] = {}
        if not names:
            return owners
        with ExitStack() as stack:
            streams = [stack.enter_context(path.open("rb")) for path in self._paths]
            for line, owner in enumerate(self._owners):
                if owner != NOBODY:
                    resource = self._entry(streams, line).resource
                    if f"{resource.type}/{resource.id}" in names:
                        owners[f"{resource.type}/{resource.id}"] = owner
        return owners

    def _lines_of_patients(self) -> "list[array[int]]":  # in quotes: Python 3.11 cannot subscript an array
        lines = [array("Q") for _ in range(len(self))]
        for line, owner in enumerate(self._owners):
            if owner != NOBODY:
                lines[owner].append(line)
        return lines


def _names_nobody(resource: Resource, place: str) -> FhirRejected:
    return FhirRejected(
        Fault.NO_PATIENT,
        expected=f"a {resource.type} that names its patient as Patient/ID",
        came="one that does not",
        hint="add the reference at its source",
        place=place,
    )
