"""Notices: what a node notes for its privacy officer, since nobody else would come to see it.

Promises: one thing is noted once, durably; a row holds ids only, and goes with the relationship that it is about (P5).
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from salus.ledger.identifiers import CertificateId, Pseudonym
from salus.node import schema
from salus.node.assemble import Node


class NoticeKind(IntEnum):
    """What happened. Numbers are permanent: they are in the database."""

    EMERGENCY_REFUSED = 1
    SESSION_REFUSED = 2


@dataclass(frozen=True)
class Notice:
    """One notice; `pseudonym` is empty where it is about no patient. Unix seconds."""

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


def notices(node: Node) -> list[Notice]:
    """Return what was noted, oldest first."""
    columns = schema.notices.c
    with node.vault.database.reading() as connection:
        rows = connection.execute(select(schema.notices).order_by(columns.at_s, columns.name)).all()
    return [
        Notice(NoticeKind(row.notice), row.at_s, CertificateId(row.certificate), Pseudonym(row.pseudonym))
        for row in rows
    ]
