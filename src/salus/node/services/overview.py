"""Overview: where ledger, members and this node stand, in one look, for whoever operates the node.

`salus status`, `salus network status`, the figures at /metrics and the operator's page say what is found here.
Promises: nothing is of a person (P4); everything is read when it is asked for, and nothing is decided.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, Table, func, select

from salus.contracts.membership import CERTIFICATES, owner_of, rules_version
from salus.crypto.tls_certificates import CertificateUnfit, ends_at_s
from salus.engines.attendance import attendance
from salus.engines.base import Engine, Snapshot, Status, Unavailable
from salus.engines.headers import newest_header
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId
from salus.ledger.readers import ReadOnce
from salus.node import schema
from salus.node.assemble import HEADER_AGE_MS_MAX, Node
from salus.node.errors import NotNow
from salus.node.services import backup, govern
from salus.node.services.govern import Members

SKEW_MS_MAX: Final = 30_000
"""Clocks further apart are said to be wrong: half a minute is what nodes assume of each other (SECURITY.md)."""
ORPHAN_AGE_S: Final = 60
"""What was staged so long ago should be registered by now."""
SOON_S: Final = 30 * 86_400
"""A certificate that ends within so long has to be made anew before."""
ENDED_S: Final = 7 * 86_400
"""One that ended so lately may be missed by somebody."""
_MS: Final = 1000
_ID_BYTES: Final = 32


@dataclass(frozen=True)
class LedgerSeen:
    """Where a ledger stands.

    Args:
        is_fresh: whether it moves; while it does not, nothing is released to others (R3).
        clock_behind_ms: how far this machine's clock is behind the newest block.
    """

    status: Status
    is_fresh: bool
    clock_behind_ms: int


@dataclass(frozen=True)
class ValidatorSeen:
    """How a validator took part in the newest blocks.

    Args:
        name: its organisation, or the beginning of its key in hexadecimal where it is no member's any more.
        signed: how many of the last `of` blocks have its vote; ahead_ms: how far its clock is ahead of the others'.
        power: with which it signs the newest block.
    """

    name: str
    signed: int
    of: int
    ahead_ms: int
    power: int

    @property
    def is_off(self) -> bool:
        """Whether its clock is wrong."""
        return abs(self.ahead_ms) > SKEW_MS_MAX

    @property
    def is_away(self) -> bool:
        """Whether it signed none of the newest blocks."""
        return self.of > 0 and self.signed == 0


@dataclass(frozen=True)
class CertificateSeen:
    """A certificate of this organisation's that ends soon, or just has; whose it is, the ledger does not know."""

    certificate: bytes
    kind: str
    role_classes: tuple[str, ...]
    expires_at_s: int


@dataclass(frozen=True)
class FileSeen:
    """A file with a TLS certificate: for what, and when it ends, Unix seconds; None where none can be read."""

    use: str
    ends_at_s: int | None


@dataclass(frozen=True)
class JobSeen:
    """An export or import of some client's: how many steps were done, how many files it has, when it ends."""

    step_count: int
    part_count: int
    until_s: int


@dataclass(frozen=True)
class Waiting:
    """What a node has still to do by itself.

    Args:
        orphans: record versions staged and not registered for a minute, at most 1,000; upkeep registers them.
        batches: registrations not yet known to be on the ledger.
        anchors: ends of permits that are not closed on the ledger.
        erasures: holders that have not stated an erasure.
        enrolments, take_overs: begun and cut off; upkeep finishes them.
    """

    orphans: int
    batches: int
    anchors: int
    erasures: int
    enrolments: int
    take_overs: int


@dataclass(frozen=True)
class NodeSeen:
    """What a node keeps, and what it has to do.

    Args:
        data_backed_up_s, keys_backed_up_s: Unix seconds; 0 for never.
        free_bytes, disk_bytes: of the disk that has its journals, and its records where these are files.
    """

    patient_count: int
    record_count: int
    waiting: Waiting
    jobs: tuple[JobSeen, ...]
    data_backed_up_s: int
    keys_backed_up_s: int
    free_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class Overview:
    """All of it; `release` is the version of this software, `rules_version` that of the rules of the next block."""

    organisation: OrganisationId
    release: str
    rules_version: int
    ledger: LedgerSeen
    validators: tuple[ValidatorSeen, ...]
    members: Members
    certificates: tuple[CertificateSeen, ...]
    node: NodeSeen


def overview(node: Node) -> Overview:
    """Return where everything stands.

    Raises:
        NotNow: the ledger does not answer.
        Unavailable: the database does not (vault).
    """
    now_s = node.clock()
    try:
        ledger = see_ledger(node.engine, now_ms=(now_s + 1) * _MS)  # the clock is in whole seconds
        with node.engine.snapshot() as snapshot:
            height = ledger.status.height
            return Overview(
                organisation=node.organisation,
                release=version("salus"),
                rules_version=rules_version(snapshot, height=height + 1),
                ledger=ledger,
                validators=tuple(see_validators(snapshot, height)),
                members=govern.read_members(snapshot, now_s=now_s),
                certificates=tuple(_ending_soon(snapshot, node.organisation, now_s)),
                node=see_node(node),
            )
    except Unavailable as error:
        raise NotNow(f"the ledger does not answer ({error}): try later") from error


def see_ledger(engine: Engine, *, now_ms: int) -> LedgerSeen:
    """Return where a ledger stands. Raises Unavailable."""
    status = engine.status()
    return LedgerSeen(status, status.header_age_ms <= HEADER_AGE_MS_MAX, max(0, status.header_time_ms - now_ms))


def see_validators(snapshot: Snapshot, height: int) -> list[ValidatorSeen]:
    """Return how each validator of a height took part lately, in their order."""
    sealed = newest_header(snapshot, height)
    powers = {each.public_key: each.power for each in sealed.validators} if sealed else {}
    found = []
    for each in attendance(snapshot, height=height):
        owner = owner_of(snapshot, each.public_key)
        name = str(owner.organisation) if owner else each.public_key.hex()[:16]
        found.append(ValidatorSeen(name, each.signed, each.of, each.ahead_ms, powers.get(each.public_key, 0)))
    return found


def can_lose_another(validators: Sequence[ValidatorSeen]) -> bool:
    """Tell whether blocks are still signed when one more validator stops: by more than two thirds of the power (L3)."""
    present = [each.power for each in validators if not each.is_away]
    return 3 * (sum(present) - max(present, default=0)) > 2 * sum(each.power for each in validators)


def see_certificates(node: Node) -> tuple[CertificateSeen, ...]:
    """Return this organisation's certificates that end soon, or just have. Raises NotNow."""
    try:
        with node.engine.snapshot() as snapshot:
            return tuple(_ending_soon(snapshot, node.organisation, node.clock()))
    except Unavailable as error:
        raise NotNow(f"the ledger does not answer ({error}): try later") from error


def see_files(files: Mapping[str, Path]) -> list[FileSeen]:
    """Return when TLS certificates end; `files` by what they are for."""
    return [FileSeen(use, _ends_at_s(path)) for use, path in files.items()]


def see_node(node: Node) -> NodeSeen:
    """Return what a node keeps, and what it has to do; no ledger is asked. Raises Unavailable (vault)."""
    disk = shutil.disk_usage(node.custodian_journal.folder)
    return NodeSeen(
        patient_count=_count(node, schema.identities),
        record_count=_count(node, schema.entries),
        waiting=waiting(node),
        jobs=_jobs(node),
        data_backed_up_s=backup.backed_up_s(node, backup.DATA),
        keys_backed_up_s=backup.backed_up_s(node, backup.KEYS),
        free_bytes=disk.free,
        disk_bytes=disk.total,
    )


def waiting(node: Node) -> Waiting:
    """Return what a node has still to do by itself. Raises Unavailable (vault)."""
    erasures = schema.erasures.c
    return Waiting(
        orphans=len(node.vault.orphans(node.clock() - ORPHAN_AGE_S)),
        batches=_count(node, schema.batches, schema.batches.c.committed == 0),
        anchors=_count(node, schema.permits, schema.permits.c.closed != schema.CLOSED),
        erasures=_count(node, schema.erasures, erasures.statement == b"", erasures.holder != node.organisation),
        enrolments=_count(node, schema.enrolments),
        take_overs=_count(node, schema.take_overs),
    )


def _ends_at_s(path: Path) -> int | None:
    try:
        return ends_at_s(path.read_bytes())
    except (OSError, CertificateUnfit):
        return None


def _count(node: Node, table: Table, *conditions: ColumnElement[bool]) -> int:
    with node.vault.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


def _jobs(node: Node) -> tuple[JobSeen, ...]:
    jobs, parts = schema.jobs.c, schema.job_parts.c
    made = select(func.count()).where(parts.job == jobs.job).scalar_subquery()
    living = select(jobs.round, made.label("made"), jobs.until_s).where(jobs.until_s > node.clock())
    with node.vault.database.reading() as connection:
        rows = connection.execute(living.order_by(jobs.until_s)).all()
    return tuple(JobSeen(row.round, row.made, row.until_s) for row in rows)


def _ending_soon(snapshot: Snapshot, organisation: OrganisationId, now_s: int) -> Sequence[CertificateSeen]:
    begins = encode((organisation, bytes(_ID_BYTES)))[:-_ID_BYTES]  # the key is the encoding of code and id
    found = [
        CertificateSeen(
            certificate=key[-_ID_BYTES:],
            kind=row.kind.name.lower(),
            role_classes=tuple(each.name.lower() for each in row.role_classes),
            expires_at_s=row.expires_at_s,
        )
        for key, row in CERTIFICATES.under(ReadOnce(snapshot), begins)
        if now_s - ENDED_S < row.expires_at_s <= now_s + SOON_S
    ]
    return sorted(found, key=lambda each: each.expires_at_s)
