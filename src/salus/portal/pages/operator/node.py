"""This node: what it keeps, what it has to do, its backups, jobs and certificates; counts and times only."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.node.errors import NotNow
from salus.node.services import overview
from salus.node.services.overview import CertificateSeen, FileSeen, JobSeen, NodeSeen
from salus.portal.call import Call, Page, Person

BACKUP_S: Final = 86_400
"""An epoch root lives so long: keys that were backed up before are wrapped under one that is gone (DESIGN §6)."""


GIGABYTE: Final = 10**9
LITTLE_PERCENT: Final = 10


@dataclass(frozen=True)
class CertificateRow:
    """A certificate that ends soon, or just has; whose it is, only the person's own file says."""

    kind: str
    until: str
    is_over: bool = False


@dataclass(frozen=True)
class JobRow:
    """An export or import."""

    steps: str
    files: str
    until: str


def show(call: Call) -> Response:
    """The page; while the ledger is away too, since then somebody looks at it."""
    node, words, files = overview.see_node(call.portal.node), call.words, call.portal.settings.certificates
    certificates = _certificates(call)
    return call.page(
        "pages/operator/node.html",
        title=words("This node"),
        patients=f"{node.patient_count:,}",
        records=f"{node.record_count:,}",
        room=_room(call, node),
        data_backed_up=_when(call, node.data_backed_up_s),
        keys_backed_up=_when(call, node.keys_backed_up_s),
        waiting=_waiting(call, node),
        jobs=[_job(call, each) for each in node.jobs],
        certificates=certificates,
        files=[_file(call, each) for each in overview.see_files(files)],
    )


def _when(call: Call, at_s: int) -> str:
    """When there was a backup last; one that is older than a day is said to be."""
    words = call.words
    if not at_s:
        return words("Never: make a backup")
    is_old = call.portal.node.clock() - at_s > BACKUP_S
    return (
        words("%(when)s, more than a day ago: make a backup") % {"when": words.moment(at_s)}
        if is_old
        else words.moment(at_s)
    )


def _waiting(call: Call, node: NodeSeen) -> list[tuple[str, str]]:
    """What is still to be done, in words; upkeep does all of it."""
    words, waiting = call.words, node.waiting
    return [
        (words("Records that are not registered yet"), f"{waiting.orphans:,}"),
        (words("Registrations that are not on the ledger yet"), f"{waiting.batches:,}"),
        (words("Receipts that are not on the ledger yet"), f"{waiting.anchors:,}"),
        (words("Erasures that others have not confirmed"), f"{waiting.erasures:,}"),
        (words("New patients who were cut off half way"), f"{waiting.enrolments:,}"),
        (words("Keys that were taken over half way"), f"{waiting.take_overs:,}"),
    ]


def _job(call: Call, job: JobSeen) -> JobRow:
    return JobRow(f"{job.step_count:,}", f"{job.part_count:,}", call.words.moment(job.until_s))


def _room(call: Call, node: NodeSeen) -> str:
    """How much room the disk has; that little is left is said."""
    words, percent = call.words, 100 * node.free_bytes // max(node.disk_bytes, 1)
    said = words("%(free)d GB free, %(percent)d%% of the disk")
    if percent < LITTLE_PERCENT:
        said = words("%(free)d GB free, %(percent)d%% of the disk: make room now, since a full disk stops the node")
    return said % {"free": node.free_bytes // GIGABYTE, "percent": percent}


def _certificates(call: Call) -> list[CertificateRow] | None:
    """Those of people and devices; None while the ledger, which has them, is away."""
    try:
        return [_certificate(call, each) for each in overview.see_certificates(call.portal.node)]
    except NotNow:
        return None


def _certificate(call: Call, certificate: CertificateSeen) -> CertificateRow:
    roles, ends_s = ", ".join(certificate.role_classes).replace("_", " "), certificate.expires_at_s
    return CertificateRow(f"{certificate.kind}: {roles}", call.words.moment(ends_s), _is_over(call, ends_s))


def _file(call: Call, file: FileSeen) -> CertificateRow:
    if file.ends_at_s is None:
        return CertificateRow(call.words(file.use), "")
    return CertificateRow(call.words(file.use), call.words.moment(file.ends_at_s), _is_over(call, file.ends_at_s))


def _is_over(call: Call, ends_s: int) -> bool:
    return ends_s <= call.portal.node.clock()


PAGE = Page("/node", Person.OPERATOR, show, listed="This node")
