"""Notices: what patients who can sign in here are told of, read from their own events on the ledger.

Promises: nothing of it is called by whoever does something: what is on the ledger is seen, whoever put it there, also
after a crash; a notice says a kind and a time, and nothing of a record.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from salus.contracts.access import AccessPermitted, Basis, Challenged, EmergencyReviewed
from salus.contracts.consent import ConsentFiled, ConsentWithdrawn
from salus.contracts.evidence import decode_outcome
from salus.contracts.patients import (
    KeyAdded,
    KeyRemoved,
    KeyTakenOver,
    RecoveryCancelled,
    RecoveryFinished,
    RecoveryKeyChanged,
    RecoveryKeyUndone,
    RecoveryStarted,
)
from salus.contracts.provisions import Purpose
from salus.ledger.identifiers import Pseudonym
from salus.ledger.machine import read_leaf, read_meta
from salus.ledger.outcomes import DONE, PatientOutcome, decode_leaf
from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections import cursors

CURSOR: Final = "patient_notices"
LEAVES_MAX: Final = 20_000
TOGETHER_S: Final = 900
"""Openings of links within a quarter of an hour are one notice."""
_COLUMNS: Final = schema.patient_notices.c


class PatientNoticeKind(IntEnum):
    """What happened. Numbers are permanent: they are in the database."""

    EMERGENCY = 1
    CHOICE_MADE = 2
    CHOICE_STOPPED = 3
    CHALLENGED = 4
    REVIEWED = 5
    RECOVERY = 6
    DEVICE_ADDED = 7
    DEVICE_REMOVED = 8
    LINK = 9


ALWAYS: Final = frozenset({PatientNoticeKind.RECOVERY})
"""What nobody can ask not to be told of: somebody may be taking their place."""
_KINDS: Final[dict[type[object], PatientNoticeKind]] = {
    ConsentFiled: PatientNoticeKind.CHOICE_MADE,
    ConsentWithdrawn: PatientNoticeKind.CHOICE_STOPPED,
    Challenged: PatientNoticeKind.CHALLENGED,
    EmergencyReviewed: PatientNoticeKind.REVIEWED,
    RecoveryStarted: PatientNoticeKind.RECOVERY,
    RecoveryFinished: PatientNoticeKind.RECOVERY,
    RecoveryCancelled: PatientNoticeKind.RECOVERY,
    RecoveryKeyChanged: PatientNoticeKind.RECOVERY,
    RecoveryKeyUndone: PatientNoticeKind.RECOVERY,
    KeyTakenOver: PatientNoticeKind.DEVICE_ADDED,
    KeyAdded: PatientNoticeKind.DEVICE_ADDED,
    KeyRemoved: PatientNoticeKind.DEVICE_REMOVED,
}


@dataclass(frozen=True)
class PatientNotice:
    """One notice. Unix seconds."""

    kind: PatientNoticeKind
    at_s: int
    pseudonym: Pseudonym
    is_read: bool = False


Hear = Callable[[Connection, PatientNotice], object]
"""What is done for a notice in the transaction that takes it in: both are, or neither."""


def follow(node: Node, hear: Hear) -> None:
    """Take in what the ledger has that was not seen yet; what is new is heard of once, whoever else follows."""
    while True:
        with node.engine.snapshot() as reader:
            meta = read_meta(reader)
            assert meta is not None, "a node reads a ledger that has begun"
            start = cursors.position(node, CURSOR)
            end = min(meta.log_size, start + LEAVES_MAX)
            happened = []
            for index in range(start, end):
                encoded = read_leaf(reader, index)
                assert encoded is not None, "leaves are kept as long as the ledger"
                leaf = decode_leaf(encoded)
                outcome = decode_outcome(leaf) if leaf.code == DONE else None
                kind = _kind(node, outcome)
                if kind is not None and isinstance(outcome, PatientOutcome):
                    happened.append((index, PatientNotice(kind, leaf.time_s, outcome.pseudonym)))
        if end > start:
            with node.vault.database.writing() as connection:
                for index, each in happened:
                    if _take_in(connection, index, each):
                        hear(connection, each)
                cursors.move(connection, CURSOR, end)
        if end == meta.log_size:
            return


def newest(
    node: Node, pseudonym: bytes, *, start: int, count: int, without: Collection[int] = ()
) -> list[PatientNotice]:
    """Return notices of a patient, the newest first, beginning at a place in the list.

    Args:
        without: kinds that are left out.
    """
    wanted = select(schema.patient_notices).where(_theirs(pseudonym, without)).order_by(_COLUMNS.leaf.desc())
    with node.vault.database.reading() as connection:
        rows = connection.execute(wanted.offset(start).limit(count)).all()
    return [PatientNotice(PatientNoticeKind(row.kind), row.at_s, row.pseudonym, bool(row.read)) for row in rows]


def unread_count(node: Node, pseudonym: bytes, *, without: Collection[int] = ()) -> int:
    """Return how many notices a patient has not read. Args as `newest`."""
    unread = _theirs(pseudonym, without) & (_COLUMNS.read == 0)
    with node.vault.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(schema.patient_notices).where(unread)) or 0


def mark_read(node: Node, pseudonym: bytes, *, without: Collection[int] = ()) -> None:
    """Note that a patient has read all their notices. Args as `newest`."""
    with node.vault.database.writing() as connection:
        connection.execute(update(schema.patient_notices).where(_theirs(pseudonym, without)).values(read=1))


def _theirs(pseudonym: bytes, without: Collection[int]) -> ColumnElement[bool]:
    return (_COLUMNS.pseudonym == pseudonym) & _COLUMNS.kind.not_in(list(without))


def _kind(node: Node, outcome: object) -> PatientNoticeKind | None:
    if not isinstance(outcome, AccessPermitted):
        return _KINDS.get(type(outcome))
    if outcome.custodian != node.organisation:
        return None
    if outcome.purpose is Purpose.BTG or outcome.basis is Basis.EMERGENCY:
        return PatientNoticeKind.EMERGENCY
    return PatientNoticeKind.LINK if outcome.basis is Basis.TICKET else None


def _take_in(connection: Connection, leaf: int, notice: PatientNotice) -> bool:
    """Note something; False where it is about nobody who can sign in here, or was noted before."""
    accounts = schema.accounts.c
    if connection.scalar(select(accounts.account).where(accounts.pseudonym == notice.pseudonym).limit(1)) is None:
        return False
    recent = (
        (_COLUMNS.pseudonym == notice.pseudonym)
        & (_COLUMNS.kind == notice.kind)
        & (_COLUMNS.at_s > notice.at_s - TOGETHER_S)
    )
    is_again = notice.kind is PatientNoticeKind.LINK
    known = (_COLUMNS.leaf == leaf) | recent if is_again else _COLUMNS.leaf == leaf
    if connection.scalar(select(_COLUMNS.leaf).where(known).limit(1)) is not None:
        return False
    row = {"leaf": leaf, "pseudonym": notice.pseudonym, "kind": notice.kind, "at_s": notice.at_s, "read": 0}
    connection.execute(insert(schema.patient_notices).values(row))
    return True
