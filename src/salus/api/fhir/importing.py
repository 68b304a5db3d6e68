"""Bulk import: NDJSON that a feeding system sends, stored as far as it can be, with a report of what cannot.

What came is kept sealed until it is stored; each poll of the status stores some of it, patients first, as the same
writes that the feed could send one by one. A line that is refused is in the report, with its number and nothing of
what it says. The same lines again change nothing, so whatever was cut off is sent, or polled for, again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from salus.api.fhir.bulk import NDJSON, owner_of, status_reply
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, failure_of, not_found, outcome
from salus.api.fhir.writing import named, require_scope
from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.renaming import instant
from salus.clinical.fhir.resources import LOGICAL_ID
from salus.node.errors import Refused
from salus.node.services.jobs import Job
from salus.node.services.store import Write, store
from salus.node.shapes import DERIVED

STATUS: Final = "$import-status"
FILES: Final = "$import-files"
LINES_PER_STEP: Final = 200
BYTES_PER_STEP: Final = 2_000_000
REPORTS_FROM: Final = 1 << 32
"""Numbers of parts: what came is below, reports are from here on."""
NEWLINES: Final = b"\r\n"
_ORDER: Final = {"Patient": 0, "Provenance": 2}
"""Whoever names a patient finds them; a Provenance is its targets'."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A line that came, by its number from 1."""

    number: int
    body: bytes


class Lines(msgspec.Struct, frozen=True, array_like=True):
    """Lines that are stored in one step."""

    lines: tuple[Line, ...]


class Report(msgspec.Struct, frozen=True, array_like=True):
    """OperationOutcomes of lines that were refused, each in JSON."""

    outcomes: tuple[bytes, ...]


class Import(msgspec.Struct, frozen=True, array_like=True):
    """How far an import is.

    Args:
        at_s: when it began, Unix seconds.
        steps: how many there are; `done` of them; `reports` of them refused something.
        stored, unchanged, refused: lines.
    """

    at_s: int
    steps: int
    done: int
    stored: int
    unchanged: int
    refused: int
    reports: tuple[int, ...]


class _Head(msgspec.Struct):
    resourceType: str = ""  # noqa: N815
    id: str = ""


def begin(server: Server, call: Call) -> Reply:
    """Take NDJSON. Raises Failure: 403 for who does not feed the record; Refused: TOO_MANY."""
    if not call.access.login.is_feeding:
        words = "expected a system that feeds the record, certified with the role class system: write one by one"
        raise Failure(403, Issue("forbidden", "MSG_AUTH_REQUIRED", words))
    settings, at_s = server.settings, server.node.clock()
    parts = dict(enumerate(_steps(call.body)))
    state = Import(at_s, len(parts), 0, 0, 0, 0, ())
    until_s = at_s + settings.export_s
    name = server.imports.begin(owner_of(call), state, parts, until_s=until_s, jobs_max=settings.exports_max)
    return Reply(202, headers={"content-location": f"{settings.base}/{STATUS}/{name}"})


def status(server: Server, call: Call) -> Reply:
    """Store some more, and tell how far it is: 202, or 200 with what became of it. Raises Failure: 404."""
    job = _require_job(server, call)
    state = job.state if job.state.done == job.state.steps else _go_on(server, call, job)
    if state.done < state.steps:
        return status_reply(state.done, state.steps)
    report = {"type": "OperationOutcome", "url": f"{server.settings.base}/{FILES}/{call.at['job']}/1"}
    said = {
        "transactionTime": instant(state.at_s),
        "request": f"{server.settings.base}/$import",
        "requiresAccessToken": True,
        "output": [],
        "error": [report | {"count": state.refused}] if state.refused else [],
        "extension": {"stored": state.stored, "unchanged": state.unchanged, "refused": state.refused},
    }
    return Reply(200, msgspec.json.encode(said), media_type="application/json")


def cancel(server: Server, call: Call) -> Reply:
    """Forget an import; what was stored stays. Raises Failure: 404."""
    server.imports.drop(_require_job(server, call))
    return Reply(202)


def report(server: Server, call: Call) -> Reply:
    """Answer with what is to be said of the lines that were refused. Raises Failure: 404."""
    job = _require_job(server, call)
    if call.at["number"] != "1" or not job.state.reports or job.state.done < job.state.steps:
        raise not_found()
    found = [server.imports.part(job, REPORTS_FROM + number, Report) for number in job.state.reports]
    lines = [line + b"\n" for each in found if each is not None for line in each.outcomes]
    return Reply(200, b"".join(lines), media_type=NDJSON)


def _require_job(server: Server, call: Call) -> Job[Import]:
    job = server.imports.find(owner_of(call), call.at["job"], Import)
    if job is None:
        raise not_found()
    return job


def _steps(body: bytes) -> Iterator[Lines]:
    """The lines of a body, patients first, in steps that are not large; of two of one name the later one is later."""
    lines = [Line(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    lines.sort(key=lambda line: _ORDER.get(_head(line).resourceType, 1))
    step: list[Line] = []
    size_bytes = 0
    for line in lines:
        if step and (len(step) == LINES_PER_STEP or size_bytes + len(line.body) > BYTES_PER_STEP):
            yield Lines(tuple(step))
            step, size_bytes = [], 0
        step.append(line)
        size_bytes += len(line.body)
    if step:
        yield Lines(tuple(step))


def _head(line: Line) -> _Head:
    try:
        return msgspec.json.decode(line.body, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Head()  # it is refused when it is read in full


def _go_on(server: Server, call: Call, job: Job[Import]) -> Import:
    number, state = job.state.done, job.state
    step = server.imports.part(job, number, Lines)
    assert step is not None, "a step that is not done is there"
    refused: dict[int, Failure] = {}
    writes: list[tuple[int, Write]] = []
    for line in step.lines:
        try:
            writes.append((line.number, _write(server, call, line)))
        except FhirRejected as error:
            refused[line.number] = failure_of(error)
        except Failure as failure:
            refused[line.number] = failure
    kept = list(_stored(server, call, writes, refused))
    following = msgspec.structs.replace(
        state,
        done=number + 1,
        stored=state.stored + sum(kept),
        unchanged=state.unchanged + len(kept) - sum(kept),
        refused=state.refused + len(refused),
        reports=(*state.reports, number) if refused else state.reports,
    )
    report = Report(tuple(_outcome(line, refused[line]) for line in sorted(refused)))
    parts = {REPORTS_FROM + number: report} if refused else {}
    return following if server.imports.keep(job, following, parts, done_with=[number]) else state


def _write(server: Server, call: Call, line: Line) -> Write:
    """Return what stores a line. Raises FhirRejected, Failure."""
    body = line.body.rstrip(NEWLINES)
    head = _head(line)
    if head.resourceType in DERIVED:
        words = f"expected records, came a {head.resourceType}, which is made from the ledger: see /metadata"
        raise Failure(422, Issue("not-supported", "MSG_OP_NOT_ALLOWED", words))
    if not LOGICAL_ID.fullmatch(head.id):
        words = "expected a resource with a type and an id of 1 to 64 letters, digits, '-' and '.': name it so"
        raise Failure(400, Issue("value", "MSG_ID_INVALID", words))
    for interaction in "cu":
        require_scope(call.access, interaction, head.resourceType)
    return Write(named(server, body, head.resourceType, head.id))


def _stored(
    server: Server, call: Call, writes: Sequence[tuple[int, Write]], refused: dict[int, Failure]
) -> Iterator[bool]:
    """Store writes together, or in halves where one of them is refused; tell of each that is stored if it is new."""
    if not writes:
        return
    try:
        done = store(server.node, [write for _, write in writes], only=call.access.patient)
        yield from (each.is_new for each in done)
    except (FhirRejected, Refused) as error:
        if len(writes) == 1:
            refused[writes[0][0]] = failure_of(error)
            return
        middle = len(writes) // 2
        yield from _stored(server, call, writes[:middle], refused)
        yield from _stored(server, call, writes[middle:], refused)


def _outcome(line: int, failure: Failure) -> bytes:
    return outcome(*(replace(each, words=f"line {line}: {each.words}") for each in failure.issues))
