"""Notices: what a node notes for its privacy officer, since nobody else would come to see it.

Promises: one thing is noted once, durably; a row holds ids only, and goes with the relationship that it is about (P5).
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from salus.ledger.identifiers import CertificateId, Pseudonym
from salus.node import schema
from salus.node.assemble import Node


class NoticeKind(IntEnum):
    """What happened. Numbers are permanent: they are in the database."""

    EMERGENCY_REFUSED = 1
    SESSION_REFUSED = 2
    CHALLENGED = 3


_CHALLENGE: Final = b"salus/challenge/"
"""Before the place in the log, in the name of the notice of a challenge."""


@dataclass(frozen=True)
class Notice:
    """One notice; without a certificate it is of nobody, without a pseudonym about no patient. Unix seconds."""

    kind: NoticeKind
    at_s: int
    certificate: CertificateId
    pseudonym: Pseudonym


def note(node: Node, notice: Notice, *, name: bytes) -> None:
    """Note something, durably; what has a name that was noted before is left as it is."""
    row = {
        "name": name,
        "notice": notice.kind,
        "at_s": notice.at_s,
        "certificate": notice.certificate,
        "pseudonym": notice.pseudonym,
    }
    with suppress(IntegrityError), node.vault.database.writing() as connection:
        connection.execute(insert(schema.notices).values(row))


def note_challenge(connection: Connection, pseudonym: Pseudonym, *, leaf: int, at_s: int) -> None:
    """Note that a patient sent a challenge, once; `leaf` is its place in the log."""
    columns, name = schema.notices.c, _CHALLENGE + leaf.to_bytes(8, "big")
    if connection.scalar(select(columns.at_s).where(columns.name == name)) is None:
        row = {"name": name, "notice": NoticeKind.CHALLENGED, "at_s": at_s, "certificate": b"", "pseudonym": pseudonym}
        connection.execute(insert(schema.notices).values(row))


def challenges(node: Node) -> list[int]:
    """Return the places in the log of the challenges that were noted, the oldest first."""
    columns = schema.notices.c
    noted = select(columns.name).where(columns.notice == NoticeKind.CHALLENGED).order_by(columns.name)
    with node.vault.database.reading() as connection:
        return [int.from_bytes(name[len(_CHALLENGE) :], "big") for name in connection.scalars(noted)]


def notices(node: Node) -> list[Notice]:
    """Return what was noted, oldest first."""
    columns = schema.notices.c
    with node.vault.database.reading() as connection:
        rows = connection.execute(select(schema.notices).order_by(columns.at_s, columns.name)).all()
    return [
        Notice(NoticeKind(row.notice), row.at_s, CertificateId(row.certificate), Pseudonym(row.pseudonym))
        for row in rows
    ]
