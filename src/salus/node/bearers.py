"""Bearers: codes, tokens and cookies, by which whoever has one is let in; for all workers of a node, across restarts.

Promises: what is kept is a keyed hash, so the database lets nobody in; of two who use a single-use one at the same
moment, one is first; one that is past its time is as if it never was. What two change of one at the same moment both
holds, and of two that are to be the only one of their kind and grant, the later is.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum, unique
from typing import Final, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from salus.crypto.hashing import sha256
from salus.node import schema
from salus.node.assemble import Node
from salus.node.sealed_rows import SealedRows, row_decoder

TOKEN_BYTES: Final = 32
TOKEN_CHARACTERS_MAX: Final = 64
SWEPT_AFTER_S: Final = 86_400
"""A used one is kept for so long after its time, so that a second use is still known for what it is."""


@unique
class BearerKind(IntEnum):
    """What a bearer is for. Numbers are permanent: they are in the database."""

    BROWSER = 1
    CODE = 2
    ACCESS = 3
    REFRESH = 4
    LAUNCH = 5
    PAGE = 6
    HISTORY_PAGE = 7
    BINDING = 8
    PORTAL = 9
    HELPER = 11
    LINK_FILE = 12
    TAKE_OVER = 13


V = TypeVar("V", bound=msgspec.Struct)
_BY_LOOKUP = select(schema.bearers).where(schema.bearers.c.lookup == bindparam("name"))


@dataclass(frozen=True)
class Bearer(Generic[V]):
    """What is known of a bearer.

    Args:
        lookup: its keyed hash.
        grant: the grant that it belongs to, or the account that is signed in by a cookie; empty for launches.
        is_first: False when it was taken before.
    """

    lookup: bytes
    grant: bytes
    until_s: int
    is_first: bool
    value: V


class Bearers:
    """The bearers of one node."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._rows = rows

    def issue(
        self,
        kind: BearerKind,
        value: msgspec.Struct,
        *,
        until_s: int,
        grant: bytes = b"",
        pseudonym: bytes = b"",
        token: str = "",
        is_only: bool = False,
    ) -> str:
        """Make a new bearer and return it; it is nowhere else.

        Args:
            until_s: Unix seconds.
            pseudonym: of the patient that it is about, so that an erasure takes it along.
            token: a random one that people can type; empty draws one.
            is_only: whether it ends those before it of its kind and grant.
        """
        assert grant or not is_only, "one without a grant would end everybody's"
        token = token or secrets.token_urlsafe(TOKEN_BYTES)
        lookup = self.lookup(kind, token)
        row = {
            "lookup": lookup,
            "kind": kind,
            "grant": grant,
            "pseudonym": pseudonym,
            "used": 0,
            "until_s": until_s,
            "sealed": self._rows.seal("bearer", lookup, value),
        }
        columns, now_s = schema.bearers.c, self._node.clock()
        is_over = (columns.until_s < now_s) & ((columns.used == 0) | (columns.until_s < now_s - SWEPT_AFTER_S))
        with self._node.vault.database.writing() as connection:
            if is_only:  # before a row is held that somebody may want who is waited for
                _wait_for_others(connection, kind, grant)
            connection.execute(delete(schema.bearers).where(is_over))
            if is_only:
                connection.execute(delete(schema.bearers).where((columns.kind == kind) & (columns.grant == grant)))
            connection.execute(insert(schema.bearers).values(row))
        return token

    def find(self, kind: BearerKind, token: str, value: type[V]) -> Bearer[V] | None:
        """Return a bearer as it is; None for one that is unknown or past its time."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            return None
        lookup = self.lookup(kind, token)  # may be the first thing that needs the secret, and makes it
        with self._node.vault.database.reading() as connection:
            row = connection.execute(_BY_LOOKUP, {"name": lookup}).one_or_none()
        if row is None or row.until_s <= self._node.clock():
            return None
        return Bearer(row.lookup, row.grant, row.until_s, row.used == 0, self.opened(row.lookup, row.sealed, value))

    def take(self, kind: BearerKind, token: str, value: type[V]) -> Bearer[V] | None:
        """Use a single-use bearer, durably, and tell who was first; None as for `find`."""
        found = self.find(kind, token, value)
        if found is None:
            return None
        columns = schema.bearers.c
        with self._node.vault.database.writing() as connection:
            unused = (columns.lookup == found.lookup) & (columns.used == 0)
            is_first = connection.execute(update(schema.bearers).where(unused).values(used=1)).rowcount == 1
        return Bearer(found.lookup, found.grant, found.until_s, is_first, found.value)

    def of(self, kind: BearerKind, grant: bytes, value: type[V]) -> list[Bearer[V]]:
        """Return all of a kind that belong to a grant and are not past their time."""
        columns = schema.bearers.c
        theirs = (columns.grant == grant) & (columns.kind == kind) & (columns.until_s > self._node.clock())
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(select(schema.bearers).where(theirs)).all()
        return [
            Bearer(row.lookup, row.grant, row.until_s, row.used == 0, self.opened(row.lookup, row.sealed, value))
            for row in rows
        ]

    def change(self, bearer: Bearer[V], value: type[V], to: Callable[[V], V]) -> Bearer[V] | None:
        """Change the value of a bearer, beside what others change at this moment; None for one that was dropped."""
        this = schema.bearers.c.lookup == bearer.lookup
        with self._node.vault.database.writing() as connection:
            sealed = connection.scalar(select(schema.bearers.c.sealed).where(this).with_for_update())
            if sealed is None:
                return None
            changed = to(self.opened(bearer.lookup, sealed, value))
            again = self._rows.seal("bearer", bearer.lookup, changed)
            connection.execute(update(schema.bearers).where(this).values(sealed=again))
        return replace(bearer, value=changed)

    def drop(self, lookup: bytes) -> None:
        """Forget a bearer."""
        with self._node.vault.database.writing() as connection:
            connection.execute(delete(schema.bearers).where(schema.bearers.c.lookup == lookup))

    def opened(self, lookup: bytes, sealed: bytes, value: type[V]) -> V:
        """Return the value of a row."""
        found: V = self._rows.open("bearer", lookup, sealed, row_decoder(value).decode)
        return found

    def lookup(self, kind: BearerKind, token: str) -> bytes:
        """Return the keyed hash under which a bearer is kept."""
        return self._rows.lookup("bearer", kind.name, token)


def _wait_for_others(connection: Connection, kind: BearerKind, grant: bytes) -> None:
    """Wait for whoever makes the only one of the same at this moment; writers of SQLite wait for each other anyway."""
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(sha256(bytes([kind]) + grant)[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
