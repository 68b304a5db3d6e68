"""Bulk export: kick-off, status, files (FHIR Bulk Data Access 2.0.0, and the manifest of 3.0.0).

Each poll of the status does a step of the work, as whoever polls; each fetch of a file decides on every record anew.
A file comes whole or in ranges; its checksum is that of the whole, so that a client that was cut off can go on, and
sees when something was withdrawn meanwhile.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import msgspec

from salus.api.fhir import export_requests
from salus.api.fhir.bulk import NDJSON, owner_of, status_reply
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found, outcome
from salus.api.fhir.ranges import ranged
from salus.api.fhir.reach import search_within
from salus.api.fhir.rendering import rendered
from salus.clinical.fhir.renaming import instant
from salus.clinical.fhir.summaries import with_elements
from salus.node.projections import resources
from salus.node.services.exports import MIXED, Asked, Export, Exported, FileHead
from salus.node.services.jobs import Job
from salus.node.services.search import Search

STATUS: Final = "$export-status"
FILES: Final = "$export-files"
NOTES: Final = "notes"
"""Stands where a file's number would, for what the server has to say of the export."""
OUTPUTS_PER_PAGE: Final = 100
PAGE: Final = "page"


def system(server: Server, call: Call) -> Reply:
    """Begin an export of the whole server. Raises Failure, FhirRejected, Refused."""
    return _begun(server, call, export_requests.of_system(server, call))


def patients(server: Server, call: Call) -> Reply:
    """Begin an export of all patients. Raises Failure, FhirRejected, Refused."""
    return _begun(server, call, export_requests.of_patients(server, call))


def group(server: Server, call: Call) -> Reply:
    """Begin an export of a group's patients. Raises Failure, FhirRejected, Refused."""
    return _begun(server, call, export_requests.of_group(server, call))


def status(server: Server, call: Call) -> Reply:
    """Go on with an export, and tell how far it is: 202, or 200 with the manifest. Raises Failure: 404."""
    job = _require_job(server, call)
    export = server.exports.go_on(job, _search(server, call), call.access.login)
    if not export.is_complete:
        return status_reply(export.done, export.total)
    headers = {"expires": format_datetime(datetime.fromtimestamp(job.until_s, UTC), usegmt=True)}
    return Reply(200, _manifest(server, call, export), headers, media_type="application/json")


def cancel(server: Server, call: Call) -> Reply:
    """Forget an export and its files. Raises Failure: 404."""
    server.exports.cancel(_require_job(server, call))
    return Reply(202)


def file(server: Server, call: Call) -> Reply:
    """Answer with a file, or a range of it. Raises Failure: 404, 416."""
    job, number = _require_job(server, call), call.at["number"]
    if number == NOTES and job.state.asked.notes:
        return _as_file(call, b"".join(_line(_note(each)) for each in job.state.asked.notes))
    if not number.isascii() or not number.isdecimal():
        raise not_found()
    records = server.exports.records(job, int(number[:9]), _search(server, call), call.access.login)
    if records is None:
        raise not_found()
    return _as_file(call, b"".join(_lines(server, job.state.asked, records)))


def _begun(server: Server, call: Call, asked: Asked) -> Reply:
    if "respond-async" not in call.headers.get("prefer", ""):  # 2.0.0, Bulk Data Kick-off Request: headers
        words = "expected Prefer: respond-async, since an export is never answered at once: send it"
        raise Failure(400, Issue("required", "MSG_PARAM_INVALID", words))
    settings = server.settings
    until_s = server.node.clock() + settings.export_s
    owner, search = owner_of(call), _search(server, call)
    name = server.exports.begin(owner, asked, search, until_s=until_s, jobs_max=settings.exports_max)
    return Reply(202, headers={"content-location": f"{settings.base}/{STATUS}/{name}"})


def _search(server: Server, call: Call) -> Search:
    return search_within(server, call.access, "r", patient=call.access.patient)


def _require_job(server: Server, call: Call) -> Job[Export]:
    """Return the export of an address; somebody else's is as one that never was. Raises Failure: 404."""
    job = server.exports.find(owner_of(call), call.at["job"])
    if job is None:
        raise not_found()
    return job


def _manifest(server: Server, call: Call, export: Export) -> bytes:
    asked, base, name = export.asked, server.settings.base, call.at["job"]
    said = dict(call.query).get(PAGE, "1")
    page = int(said) if said.isascii() and said.isdecimal() and len(said) < 7 else 0
    size = OUTPUTS_PER_PAGE if asked.is_paged else max(len(export.files), 1)
    first = (page - 1) * size
    if page < 1 or (page > 1 and (first >= len(export.files) or not asked.is_paged)):
        raise not_found()
    files = f"{base}/{FILES}/{name}"
    shown = list(enumerate(export.files[first : first + size], start=first + 1))
    gone = [_output(files, number, head) for number, head in shown if head.is_gone]
    manifest: dict[str, object] = {
        "transactionTime": instant(asked.at_s),
        "request": asked.address,
        "requiresAccessToken": True,
        "output": [_output(files, number, head) for number, head in shown if not head.is_gone],
        "error": [{"type": "OperationOutcome", "url": f"{files}/{NOTES}"}] if asked.notes else [],
    }
    if gone:
        manifest["deleted"] = gone
    if asked.is_organised:
        manifest["outputOrganizedBy"] = "Patient"
    if first + size < len(export.files):
        manifest["link"] = [{"relation": "next", "url": f"{base}/{STATUS}/{name}?{PAGE}={page + 1}"}]
    return msgspec.json.encode(manifest)


def _output(files: str, number: int, head: FileHead) -> dict[str, object]:
    said: dict[str, object] = {} if head.type == MIXED else {"type": head.type}
    said |= {"url": f"{files}/{number}", "count": head.count}
    return said | ({"continuesInFile": f"{files}/{head.goes_on}"} if head.goes_on else {})


def _as_file(call: Call, content: bytes) -> Reply:
    digest = hashlib.sha256(content).digest()
    checksum = {"repr-digest": f"sha-256=:{b64encode(digest).decode()}:", "etag": f'"{digest.hex()[:32]}"'}  # RFC 9530
    part = ranged(content, call.headers, etag=checksum["etag"])
    return Reply(part.status, part.content, {**checksum, **part.headers}, media_type=NDJSON)


def _lines(server: Server, asked: Asked, records: Sequence[Exported]) -> list[bytes]:
    lines, patient = [], b""
    for each in records:
        if each.shown.is_deleted:
            lines.append(_line(_deletion(each)))
            continue
        content = rendered(each.shown)
        names = _elements_of(asked, each.shown.type)
        if names:
            content = with_elements(content, each.shown.type, names)
        if asked.is_organised and each.pseudonym != patient:
            lines.append(_line(_header(server, each)))
            patient = each.pseudonym
        lines.append(_line(content))
    return lines


def _elements_of(asked: Asked, kind: str) -> list[str]:
    names = [each.rpartition(".") for each in asked.elements]
    return [name for of, _, name in names if of in ("", kind)]


def _header(server: Server, first: Exported) -> bytes:
    """What stands before a patient's records, the first of which is theirs (3.0.0, output file organization)."""
    is_patient = first.shown.type == "Patient"
    name = first.shown.logical_id if is_patient else resources.patient_id(server.node, first.pseudonym)
    reference = {"reference": f"Patient/{name}"}
    said = {"resourceType": "Parameters", "parameter": [{"name": "header", "valueReference": reference}]}
    return msgspec.json.encode(said)


def _deletion(exported: Exported) -> bytes:
    """What says that a resource was deleted (2.0.0, `deleted`)."""
    url = f"{exported.shown.type}/{exported.shown.logical_id}"
    said = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE", "url": url}}]}
    return msgspec.json.encode(said)


def _note(words: str) -> bytes:
    return outcome(Issue("not-supported", "MSG_PARAM_UNKNOWN", words, severity="warning"))


def _line(content: bytes) -> bytes:
    """A resource on one line; no number and no string of it is touched."""
    return msgspec.json.format(content, indent=-1) + b"\n"
