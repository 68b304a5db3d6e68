"""Wishes: what a patient wants of the portal: by which ways they are told that something happened, and what pages hide.

Promises: addresses are sealed, and go with an erasure (P3, P5); two who change something at one moment undo nothing of
each other.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select, update

from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.sealed_rows import SealedRows, row_decoder

NEVER_S: Final = schema.NEVER_S
_TABLE: Final = "wishes"
_COLUMNS: Final = schema.wishes.c


class MailWay(msgspec.Struct, frozen=True, array_like=True):
    """An e-mail address; `code` is the keyed hash of what confirms it until then, empty once it is confirmed."""

    address: str
    code: bytes = b""
    code_until_s: int = 0
    tries: int = 0

    def __repr__(self) -> str:
        """Hide the address."""
        return "MailWay(…)"


class PushWay(msgspec.Struct, frozen=True, array_like=True):
    """A browser that may be told: where its maker's service is, its keys in base64url, and what it says that it is."""

    endpoint: str
    p256dh: str
    auth: str
    device: str
    since_s: int

    def __repr__(self) -> str:
        """Hide the address."""
        return "PushWay(…)"


class HiddenSet(msgspec.Struct, frozen=True, array_like=True):
    """What pages do not show until somebody enters a word.

    Args:
        word: as scrypt leaves it, with the patient's own salt.
        areas: of the portal, as the beginnings of addresses; types: of FHIR; records: names of own records.
    """

    word: bytes
    areas: tuple[str, ...]
    types: tuple[str, ...]
    records: tuple[str, ...]

    def __repr__(self) -> str:
        """Hide all of it."""
        return "HiddenSet(…)"


class Wishes(msgspec.Struct, frozen=True, array_like=True):
    """What a patient wants.

    Args:
        language: in which they are told.
        unwanted: kinds of notices that they are not told of outside of the portal.
        mail: an address, or none; pushes: browsers.
        number: how often there was something to tell.
        waiting: ways by which that was not told yet; tries: how often that failed.
        hidden: what is hidden; while anything is, nothing is told outside of the portal.
    """

    language: str = "en"
    unwanted: tuple[int, ...] = ()
    mail: tuple[MailWay, ...] = ()
    pushes: tuple[PushWay, ...] = ()
    number: int = 0
    waiting: tuple[bytes, ...] = ()
    tries: int = 0
    hidden: tuple[HiddenSet, ...] = ()

    @property
    def confirmed(self) -> str:
        """The address at which mail may be sent; empty for none."""
        return next((each.address for each in self.mail if not each.code), "")

    @property
    def pending(self) -> str:
        """The address that waits for its code; empty for none."""
        return next((each.address for each in self.mail if each.code), "")

    def __repr__(self) -> str:
        """Hide all of it."""
        return "Wishes(…)"


Change = Callable[[Wishes], Wishes]
Due = Callable[[Wishes], int]
"""When somebody who wants this is to be told, Unix seconds."""


def wishes_of(node: Node, rows: SealedRows, pseudonym: bytes) -> Wishes:
    """Return what a patient wants; who never said anything wants what is usual."""
    with node.vault.database.reading() as connection:
        sealed = connection.scalar(select(_COLUMNS.sealed).where(_COLUMNS.pseudonym == pseudonym))
    return Wishes() if sealed is None else _opened(rows, pseudonym, sealed)


def change(
    node: Node,
    rows: SealedRows,
    pseudonym: bytes,
    to: Change,
    *,
    due: Due | None = None,
    within: Connection | None = None,
) -> Wishes:
    """Change what a patient wants, beside what others change at this moment; return what it is then.

    Args:
        due: None leaves it.
        within: a transaction of the caller's; None begins one.
    """
    rows.lookup(_TABLE, pseudonym)  # may be the first thing that needs the secret, and makes it
    with nullcontext(within) if within is not None else node.vault.database.writing() as connection:
        this = _COLUMNS.pseudonym == pseudonym
        row = connection.execute(select(schema.wishes).where(this).with_for_update()).one_or_none()
        changed = to(Wishes() if row is None else _opened(rows, pseudonym, row.sealed))
        values: dict[str, object] = {"sealed": rows.seal(_TABLE, pseudonym, changed)}
        if due is not None:
            values["due_s"] = due(changed)
        if row is None:
            connection.execute(insert(schema.wishes).values({"pseudonym": pseudonym, "due_s": NEVER_S} | values))
        else:
            connection.execute(update(schema.wishes).where(this).values(values))
    return changed


def lease_due(node: Node, *, limit: int, until_s: int) -> list[Pseudonym]:
    """Return patients who are to be told now, and are due again at another time: nobody else has them till then."""
    with node.vault.database.writing() as connection:
        is_due = _COLUMNS.due_s <= node.clock()
        wanted = select(_COLUMNS.pseudonym).where(is_due).order_by(_COLUMNS.due_s).limit(limit)
        found = connection.scalars(wanted.with_for_update(skip_locked=True)).all()
        connection.execute(update(schema.wishes).where(_COLUMNS.pseudonym.in_(found)).values(due_s=until_s))
    return [Pseudonym(each) for each in found]


def _opened(rows: SealedRows, pseudonym: bytes, sealed: bytes) -> Wishes:
    found: Wishes = rows.open(_TABLE, pseudonym, sealed, row_decoder(Wishes).decode)
    return found
