"""Exports: many people's records as files, each record through the one decision point, twice (R3, R4).

1. A client begins an export: a job, with what is wanted.
2. Each time it asks how far the job is, a step is done under the login with which it asks: some relationships more, of
   which what may be exported at that moment is listed. So nothing is done for whoever may ask no more, and a node that
   was killed goes on where it was.
3. A file is a sealed list of record versions; no content is in it. When it is fetched, every record is decided on
   anew and each relationship's leaves a receipt: what was withdrawn, erased or deleted since is left out.

Whoever says no to export is absent: in no file, no count, no error. What is made from the ledger is listed by its name,
and made anew when its file is fetched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from salus.clinical.fhir.search import parse_query
from salus.clinical.fhir.search.queries import Filter, Query
from salus.contracts.provisions import Verb
from salus.ledger.identifiers import Pseudonym, RecordId
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY, Found
from salus.node.services.derived import Derived
from salus.node.services.jobs import Job, Jobs
from salus.node.services.made import EXPORTING, Made, is_met, with_charts
from salus.node.services.respond import Login, Responder
from salus.node.services.search import Search
from salus.node.services.show import Shown, Wanted, hidden_rosters, newest, show
from salus.vault.rows import RecordKey

PEOPLE_PER_STEP: Final = 50
RECORDS_PER_STEP: Final = 2_000
"""When so many are listed, a step ends with the relationship that it is at."""
RECORDS_PER_LOOK: Final = 1_000
FILE_RECORDS_MAX: Final = 1_000
FILE_PEOPLE_MAX: Final = 200
"""Each relationship of a file takes a permit and a receipt when it is fetched, before its first byte goes."""
FILE_BYTES_MAX: Final = 16_000_000
"""A file is read whole before it goes, for its checksum; a larger record is a file of its own."""
GONE: Final = "Bundle"
"""The type of a file that names what was deleted: a transaction that deletes it in each line."""
MIXED: Final = ""
"""Stands for the type of a file that holds one patient's records after the other's."""


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """What an export is to have.

    Args:
        has_directory: whether what is about nobody comes along.
        is_for_all: of all relationships; else of those in `only`, in order.
        types: none for all that may be read.
        filters: searches of a type, `Type?…` in UTF-8; a resource of a type that is in one meets one of them.
        members: searches all of which a relationship meets by what may be exported of it; none lets all in.
        times: parameters that all types have, in UTF-8: `_lastUpdated=ge…`; tells_gone: what was deleted since, too.
        elements: names of the only elements wanted; none for all.
        is_organised: one patient after the other instead of one type after the other.
        is_paged: whether the manifest may come in pages.
        address: of the request that began it, without what names people.
        at_s: when it began, Unix seconds.
        notes: what was passed over, for its error file.
    """

    has_directory: bool
    is_for_all: bool
    only: tuple[bytes, ...]
    types: tuple[str, ...]
    filters: tuple[bytes, ...]
    members: tuple[bytes, ...]
    times: tuple[bytes, ...]
    tells_gone: bool
    elements: tuple[str, ...]
    is_organised: bool
    is_paged: bool
    address: str
    at_s: int
    notes: tuple[str, ...]


class FileHead(msgspec.Struct, frozen=True, array_like=True):
    """A file, as the manifest tells of it.

    Args:
        type: of all its resources; MIXED for several.
        is_gone: whether it names what was deleted.
        last: the relationship of its last record; `goes_on` the number of the file that goes on with it, or 0.
    """

    type: str
    is_gone: bool
    count: int
    people: int
    size_bytes: int
    last: bytes
    goes_on: int


class Export(msgspec.Struct, frozen=True, array_like=True):
    """How far an export is.

    Args:
        directory: types of the directory that are still to be listed; `directory_row` up to where the first one was.
        after: the relationship that was done last; `done` of `total`.
        files: the first is number 1.
    """

    asked: Asked
    directory: tuple[str, ...]
    directory_row: int
    after: bytes
    done: int
    total: int
    files: tuple[FileHead, ...]
    is_complete: bool


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """A record version in a file: by what it is found and opened, and nothing that it says.

    Args:
        record: empty for what is made from the ledger.
        is_gone: whether this version says that the resource was deleted.
    """

    type: str
    logical_id: str
    record: bytes
    version: int
    pseudonym: bytes
    updated_s: int
    row: int
    is_gone: bool

    @property
    def is_made(self) -> bool:
        """Whether it is made anew when the file is fetched."""
        return not self.record


class FileList(msgspec.Struct, frozen=True, array_like=True):
    """The record versions of one file."""

    listed: tuple[Listed, ...]


@dataclass(frozen=True)
class Exported:
    """A record as it goes: whose it is, and its content."""

    pseudonym: Pseudonym
    shown: Shown = field(repr=False)


class Exports:
    """The exports of one node."""

    def __init__(self, node: Node, responder: Responder, jobs: Jobs) -> None:
        self._node = node
        self._responder = responder
        self._jobs = jobs

    def begin(self, owner: str, asked: Asked, search: Search, *, until_s: int, jobs_max: int) -> str:
        """Begin an export and return its name. Raises Refused: TOO_MANY."""
        total = resources.count_patients(self._node) if asked.is_for_all else len(asked.only)
        directory = tuple(search.types_of(DIRECTORY, asked.types)) if asked.has_directory else ()
        export = Export(asked, directory, 0, b"", 0, total, (), is_complete=not total and not directory)
        return self._jobs.begin(owner, export, {}, until_s=until_s, jobs_max=jobs_max)

    def find(self, owner: str, name: str) -> Job[Export] | None:
        """Return an owner's export; None for one that is unknown, somebody else's or past its time."""
        return self._jobs.find(owner, name, Export)

    def go_on(self, job: Job[Export], search: Search, login: Login) -> Export:
        """Do one step of an export, unless it is complete; return how far it is then.

        Args:
            search: bound to what whoever asks may read.

        Raises:
            Refused: the person or the session does not fit.
            NotNow: the ledger is out of reach; what was done before stays.
        """
        if job.state.is_complete:
            return job.state
        files = _Files(self._jobs, job)
        export = _Step(self._node, self._responder, search, login, job.state.asked, files).done(job.state)
        return export if self._jobs.keep(job, export, files.parts()) else job.state

    def records(self, job: Job[Export], number: int, search: Search, login: Login) -> list[Exported] | None:
        """Return what may be exported of a file at this moment, each relationship's with a receipt; None for no file.

        Raises:
            Refused, NotNow: as `show`.
        """
        found = self._jobs.part(job, number, FileList) if job.state.is_complete else None
        if found is None:
            return None
        stored = [each for each in found.listed if not each.is_made]
        here = resources.find_records(self._node, [RecordId(each.record) for each in stored])
        versions = [_version(each) for each in stored if _stands(each, here)]
        wanted = [each for each in versions if search.meets(each.found)]
        shown = show(self._node, self._responder, login, wanted, Verb.EXPORT, within=search.meets)
        exported = [Exported(each.found.pseudonym, shown[each.key]) for each in wanted if each.key in shown]
        made = Made(self._node, self._responder, login, search, EXPORTING)
        exported += _made_again(made, [each for each in found.listed if each.is_made])
        return sorted(exported, key=lambda each: each.pseudonym)

    def cancel(self, job: Job[Export]) -> None:
        """Forget an export and its files."""
        self._jobs.drop(job)


def _stands(listed: Listed, here: dict[RecordId, Found]) -> bool:
    """Tell whether a resource is still what it was listed as: there, or gone."""
    now = here.get(RecordId(listed.record))
    return now is not None and now.is_deleted == listed.is_gone


def _version(listed: Listed) -> Wanted:
    found = Found(
        row=listed.row,
        record=RecordId(listed.record),
        version=listed.version,
        pseudonym=Pseudonym(listed.pseudonym),
        type=listed.type,
        logical_id=listed.logical_id,
        updated_s=listed.updated_s,
        is_deleted=listed.is_gone,
    )
    return Wanted(found, listed.version)


def _made_again(made: Made, listed: Sequence[Listed]) -> list[Exported]:
    """What was listed of what is made, as it is now, as far as it may be exported at this moment."""
    groups: dict[tuple[bytes, str], set[str]] = {}
    for each in listed:
        groups.setdefault((each.pseudonym, each.type), set()).add(each.logical_id)
    exported = []
    for (pseudonym, kind), names in groups.items():
        there = [each for each in _visible(made, kind, pseudonym) if each.shown.logical_id in names]
        exported += [Exported(Pseudonym(pseudonym), each.shown) for each in made.released(there)]
    return exported


def _visible(made: Made, kind: str, pseudonym: bytes) -> list[Derived]:
    """What is made of a relationship and may be seen; nothing where the rules of a choice are not held here."""
    try:
        return made.visible(kind, pseudonym)
    except Refused as refused:
        if refused.refusal is not Refusal.RULES_MISSING:
            raise
        return []


class _Step:
    """One step: what is listed of a few relationships, into which files."""

    def __init__(
        self, node: Node, responder: Responder, search: Search, login: Login, asked: Asked, files: "_Files"
    ) -> None:
        self._node, self._responder, self._search, self._login = node, responder, search, login
        self._asked, self._files = asked, files
        self._made = Made(node, responder, login, search, EXPORTING)
        self._count = 0
        self._times = [
            each for time in asked.times for each in parse_query("Patient", [_pair(time)], is_strict=True).filters
        ]
        self._members = [query_of(each) for each in asked.members]
        self._filters: dict[str, list[Query]] = {}
        for each in asked.filters:
            query = query_of(each)
            self._filters.setdefault(query.type, []).append(query)

    def done(self, export: Export) -> Export:
        """Do it; return how far the export is then."""
        if export.directory:
            return self._with_directory(export)
        people = self._next(export.after)
        after, count = export.after, 0
        for pseudonym in people:
            if self._count >= RECORDS_PER_STEP:
                break
            if self._is_member(pseudonym):
                self._take(pseudonym)
            after, count = pseudonym, count + 1
        is_last = count == len(people) < PEOPLE_PER_STEP
        return msgspec.structs.replace(
            export, after=after, done=export.done + count, files=self._files.heads, is_complete=is_last
        )

    def _with_directory(self, export: Export) -> Export:
        kind = export.directory[0]
        rows = self._some(DIRECTORY, kind, export.directory_row)
        self._list(self._without_hidden(rows if export.directory_row else [*rows, *self._gone(DIRECTORY, kind)]))
        is_through = len(rows) < RECORDS_PER_LOOK
        return msgspec.structs.replace(
            export,
            directory=export.directory[1:] if is_through else export.directory,
            directory_row=0 if is_through else rows[-1].row,
            files=self._files.heads,
            is_complete=is_through and len(export.directory) == 1 and not export.total,
        )

    def _without_hidden(self, rows: Sequence[Found]) -> list[Found]:
        """What may be exported of the directory: a roster goes only with somebody on it who may."""
        wanted = [newest(each) for each in rows]
        of = (self._node, self._responder, self._login)
        hidden = hidden_rosters(*of, wanted, Verb.EXPORT, within=self._search.meets)
        return [each.found for each in wanted if each.key not in hidden]

    def _next(self, after: bytes) -> Sequence[Pseudonym]:
        if self._asked.is_for_all:
            return resources.patients_after(self._node, after, PEOPLE_PER_STEP)
        return [Pseudonym(each) for each in self._asked.only if each > after][:PEOPLE_PER_STEP]

    def _is_member(self, pseudonym: Pseudonym) -> bool:
        """Tell whether a relationship meets the searches of a group, by what may be exported of it."""
        for each in self._members:
            rows = self._search.some_of(pseudonym, each.type, each.filters, after=0, limit=RECORDS_PER_LOOK)
            if not self._allowed(pseudonym, rows):
                return False
        return True

    def _take(self, pseudonym: Pseudonym) -> None:
        rows: list[Found] = []
        for kind in self._search.types_of(pseudonym, self._asked.types):
            row = 0
            while some := self._some(pseudonym, kind, row):
                rows += some
                row = some[-1].row
            rows += self._gone(pseudonym, kind)
        for part in range(0, len(rows), RECORDS_PER_LOOK):
            self._list(self._allowed(pseudonym, rows[part : part + RECORDS_PER_LOOK]))
        made = [
            each
            for kind in with_charts(self._login, self._asked.types)
            for each in _visible(self._made, kind, pseudonym)
            if self._is_wanted(each)
        ]
        for each in made:
            self._files.append(_listed_made(pseudonym, each), len(each.shown.body))
        self._count += len(made)

    def _is_wanted(self, made: Derived) -> bool:
        """Tell whether something that is made is of the time that is asked for, and meets a filter of its type."""
        alternatives: list[tuple[Filter, ...]] = [each.filters for each in self._filters.get(made.shown.type, ())]
        return any(is_met(made, [*self._times, *filters]) for filters in alternatives or [()])

    def _some(self, pseudonym: Pseudonym, kind: str, after: int) -> list[Found]:
        """The next resources of a type that are wanted, in order: of each of its filters so many, or of the type."""
        rows: dict[int, Found] = {}
        alternatives: list[tuple[Filter, ...]] = [each.filters for each in self._filters.get(kind, ())] or [()]
        for filters in alternatives:
            wanted = [*self._times, *filters]
            found = self._search.some_of(pseudonym, kind, wanted, after=after, limit=RECORDS_PER_LOOK)
            rows |= {each.row: each for each in found}
        return [rows[row] for row in sorted(rows)][:RECORDS_PER_LOOK]

    def _gone(self, pseudonym: Pseudonym, kind: str) -> list[Found]:
        """What was deleted since the time that is asked for; of a type with filters nobody can tell any more."""
        if not self._asked.tells_gone or kind in self._filters:
            return []
        gone: list[Found] = []
        row, look = 0, partial(self._search.some_of, limit=RECORDS_PER_LOOK, is_deleted=True)
        while rows := look(pseudonym, kind, self._times, after=row):
            gone += rows
            row = rows[-1].row
        return gone

    def _allowed(self, pseudonym: Pseudonym, rows: Sequence[Found]) -> list[Found]:
        """What may be exported at this moment; nothing where the rules of a choice are not held here."""
        if not rows:
            return []
        try:
            allowed = self._responder.allowed(self._login, pseudonym, Verb.EXPORT, [each.key for each in rows])
        except Refused as refused:
            if refused.refusal is not Refusal.RULES_MISSING:
                raise
            return []
        return [each for each in rows if each.key in allowed]

    def _list(self, rows: Sequence[Found]) -> None:
        sizes = self._sizes([each.key for each in rows])
        for each in rows:
            self._files.append(_listed(each), sizes[each.key])
        self._count += len(rows)

    def _sizes(self, keys: Sequence[RecordKey]) -> dict[RecordKey, int]:
        return {(each.record_id, each.version): each.size_bytes for each in self._node.vault.record_many(keys)}


class _Files:
    """The files of an export, as far as they are made; one of a type is written to until it is full."""

    def __init__(self, jobs: Jobs, job: Job[Export]) -> None:
        self._jobs, self._job = jobs, job
        self._heads = list(job.state.files)
        self._lists: dict[int, list[Listed]] = {}

    @property
    def heads(self) -> tuple[FileHead, ...]:
        """All files, the first is number 1."""
        return tuple(self._heads)

    def parts(self) -> dict[int, FileList]:
        """Return the lists of the files that were written to."""
        return {number: FileList(tuple(listed)) for number, listed in self._lists.items()}

    def append(self, listed: Listed, size_bytes: int) -> None:
        """List one record version in the file of its type, or in the one for all."""
        kind = GONE if listed.is_gone else MIXED if self._job.state.asked.is_organised else listed.type
        place = self._place(kind, is_gone=listed.is_gone)
        if place is None or not _has_room(self._heads[place], listed.pseudonym, size_bytes):
            place = self._begin(kind, listed, before=place)
        head = self._heads[place]
        self._heads[place] = msgspec.structs.replace(
            head,
            count=head.count + 1,
            people=head.people + (not head.count or head.last != listed.pseudonym),
            size_bytes=head.size_bytes + size_bytes,
            last=listed.pseudonym,
        )
        self._listed(place + 1).append(listed)

    def _place(self, kind: str, *, is_gone: bool) -> int | None:
        """Where the newest file of a kind is; None where there is none."""
        places = reversed(range(len(self._heads)))
        return next((at for at in places if (self._heads[at].type, self._heads[at].is_gone) == (kind, is_gone)), None)

    def _begin(self, kind: str, listed: Listed, *, before: int | None) -> int:
        self._heads.append(FileHead(kind, listed.is_gone, 0, 0, 0, b"", goes_on=0))
        number = len(self._heads)
        self._lists[number] = []
        if before is not None and kind == MIXED and self._heads[before].last == listed.pseudonym:
            self._heads[before] = msgspec.structs.replace(self._heads[before], goes_on=number)
        return number - 1

    def _listed(self, number: int) -> list[Listed]:
        if number not in self._lists:
            kept = self._jobs.part(self._job, number, FileList)
            assert kept is not None, "a file that is told of is there"
            self._lists[number] = list(kept.listed)
        return self._lists[number]


def query_of(wanted: bytes) -> Query:
    """Return a search of a type, `Type?…` in UTF-8. Raises FhirRejected."""
    kind, _, query = wanted.decode().partition("?")
    return parse_query(kind, parse_qsl(query, keep_blank_values=True), is_strict=True)


def _pair(time: bytes) -> tuple[str, str]:
    name, _, value = time.decode().partition("=")
    return name, value


def _has_room(head: FileHead, pseudonym: bytes, size_bytes: int) -> bool:
    if head.count >= FILE_RECORDS_MAX or head.size_bytes + size_bytes > FILE_BYTES_MAX:
        return False
    return head.last == pseudonym or head.people < FILE_PEOPLE_MAX


def _listed_made(pseudonym: Pseudonym, made: Derived) -> Listed:
    return Listed(
        type=made.shown.type,
        logical_id=made.shown.logical_id,
        record=b"",
        version=made.shown.version,
        pseudonym=pseudonym,
        updated_s=made.shown.updated_s,
        row=0,
        is_gone=False,
    )


def _listed(found: Found) -> Listed:
    return Listed(
        type=found.type,
        logical_id=found.logical_id,
        record=found.record,
        version=found.version,
        pseudonym=found.pseudonym,
        updated_s=found.updated_s,
        row=found.row,
        is_gone=found.is_deleted,
    )
