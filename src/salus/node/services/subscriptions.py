"""Subscriptions: what clients are told of when it changes; for all workers of a node, across restarts.

Promises: a subscription is its owner's alone, and what it says is sealed; of two workers one tells it at a time, and
when that one dies another goes on. One that is told over a websocket is told by the worker that has it, while one has
(services/subscription_bindings). What is told when, and of whom, is decided at that moment, by others.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, update

from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows, row_decoder

OWNED_MAX: Final = 100
"""How many subscriptions one app may have for one account."""
LASTS_S: Final = 90 * 86_400
"""How long a subscription is kept when nobody renews it."""
LEASE_S: Final = 60
KEPT_S: Final = 7 * 86_400
"""How long told events and the log of deliveries are kept."""
NEVER_S: Final = 1 << 40
_TABLE: Final = "subscription"
_COLUMNS = schema.subscriptions.c
_BINDINGS = schema.subscription_bindings.c
_OF_ONE: Final = (
    schema.subscription_bindings,
    schema.subscription_events,
    schema.subscription_attempts,
    schema.subscriptions,
)


class State(IntEnum):
    """How a subscription is. Numbers are permanent: they are in the database."""

    REQUESTED = 0
    ACTIVE = 1
    ERROR = 2
    OFF = schema.OFF

    @property
    def code(self) -> str:
        """As FHIR has it (value set subscription-status)."""
        return self.name.lower()


class Tenure(msgspec.Struct, frozen=True, array_like=True):
    """On what something rests that outlives a token: the token's grant, and the scopes that it had."""

    grant: bytes
    scopes: tuple[str, ...]


NO_TENURE: Final = Tenure(b"", ())
"""Of what ends at once."""


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """What a subscription says: the resource as it came, and on what it rests."""

    body: bytes
    tenure: Tenure

    def __repr__(self) -> str:
        """Hide what it is about."""
        return "Terms(…)"


_decode_terms = row_decoder(Terms).decode


@dataclass(frozen=True)
class Subscription:
    """A subscription as it stands; times in Unix seconds.

    Args:
        told: how many events have a number.
        tries: how often in a row it could not be told.
    """

    id: bytes
    pseudonym: bytes
    state: State
    version: int
    updated_s: int
    until_s: int
    told: int
    tries: int
    error: str
    terms: Terms = field(repr=False)


class Subscriptions:
    """The subscriptions of one node."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._rows = rows

    def owner(self, client: str, person: str) -> bytes:
        """Return the keyed hash that stands for an app and the account for which it acts."""
        return self._rows.lookup("subscriber", client, person)

    def begin(
        self,
        owner: bytes,
        terms: Terms,
        *,
        pseudonym: bytes,
        state: State,
        until_s: int | None,
        is_socket: bool = False,
    ) -> Subscription:
        """Begin a subscription, which is due at once.

        Args:
            pseudonym: of the only patient whose records it may tell of; empty for any.
            until_s: when it ends; at the latest after 90 days.
            is_socket: whether it is told over a websocket, and waits until it is bound to one.

        Raises:
            Refused: TOO_MANY.
        """
        name, now_s = secrets.token_bytes(16), self._node.clock()
        row = {
            "subscription": name,
            "owner": owner,
            "pseudonym": pseudonym,
            "status": state,
            "version": 1,
            "updated_s": now_s,
            "until_s": min(until_s or NEVER_S, now_s + LASTS_S),
            "told": 0,
            "tries": 0,
            "next_s": now_s,
            "leased_until_s": 0,
            "error": "",
            "sealed": self._rows.seal(_TABLE, name, terms),
        }
        with self._node.vault.database.writing() as connection:
            mine = select(func.count()).select_from(schema.subscriptions).where(_COLUMNS.owner == owner)
            count = connection.scalar(mine)
            if count is not None and count >= OWNED_MAX:
                words = f"expected at most {OWNED_MAX} subscriptions of one app, it has as many: delete one"
                raise Refused(Refusal.TOO_MANY, words)
            connection.execute(insert(schema.subscriptions).values(row))
            _note_channel(connection, name, is_socket=is_socket)
        found = self.find(name)
        assert found is not None, "what was kept is there"
        return found

    def find(self, name: bytes, owner: bytes | None = None) -> Subscription | None:
        """Return a subscription; None for one that is not there, is over, or is not this owner's."""
        this = (_COLUMNS.subscription == name) & (_COLUMNS.until_s > self._node.clock())
        if owner is not None:
            this &= _COLUMNS.owner == owner
        with self._node.vault.database.reading() as connection:
            row = connection.execute(select(schema.subscriptions).where(this)).one_or_none()
        return None if row is None else self._opened(row)

    def of(self, owner: bytes) -> list[Subscription]:
        """Return an owner's subscriptions, the newest first."""
        return self._all((_COLUMNS.owner == owner) & (_COLUMNS.until_s > self._node.clock()))

    def telling(self) -> list[Subscription]:
        """Return the subscriptions to which changes matter."""
        is_on = _COLUMNS.status.in_((State.ACTIVE, State.ERROR)) & (_COLUMNS.until_s > self._node.clock())
        return self._all(is_on)

    def replace(
        self, subscription: Subscription, terms: Terms, *, state: State, until_s: int | None, is_socket: bool = False
    ) -> Subscription:
        """Keep other terms, under which it begins anew; its events keep their numbers, and it stays bound."""
        now_s = self._node.clock()
        with self._node.vault.database.writing() as connection:
            _note_channel(connection, subscription.id, is_socket=is_socket)
        self._set(
            subscription,
            version=subscription.version + 1,
            updated_s=now_s,
            until_s=min(until_s or NEVER_S, now_s + LASTS_S),
            status=state,
            tries=0,
            error="",
            next_s=now_s,
            sealed=self._rows.seal(_TABLE, subscription.id, terms),
        )
        found = self.find(subscription.id)
        assert found is not None, "what was kept is there"
        return found

    def drop(self, subscription: Subscription) -> None:
        """Forget a subscription and its events."""
        with self._node.vault.database.writing() as connection:
            for table in _OF_ONE:
                connection.execute(delete(table).where(table.c.subscription == subscription.id))

    # Taking turns

    def lease_due(self, *, limit: int, sockets: Sequence[bytes] = ()) -> list[Subscription]:
        """Return subscriptions that have something to tell, or to try again; no other worker has them for a while.

        Args:
            sockets: names of those that this worker has; what is told over another, or over none yet, is left out.
        """
        now_s, events = self._node.clock(), schema.subscription_events.c
        has_events = (
            select(events.place).where((events.subscription == _COLUMNS.subscription) & (events.told_s == 0)).exists()
        )
        is_due = or_(_COLUMNS.next_s <= now_s, (_COLUMNS.tries == 0) & has_events)
        is_free = (_COLUMNS.leased_until_s < now_s) & (_COLUMNS.status != State.OFF) & (_COLUMNS.until_s > now_s)
        is_here = ~_is_bound_elsewhere(sockets, now_s)
        due = select(_COLUMNS.subscription).where(is_due & is_free & is_here).order_by(_COLUMNS.next_s).limit(limit)
        with self._node.vault.database.reading() as connection:
            names = connection.scalars(due).all()
        return [each for name in names if (each := self._leased(name)) is not None]

    def settle(
        self, subscription: Subscription, *, state: State, tries: int = 0, next_s: int = NEVER_S, error: str = ""
    ) -> None:
        """Note how it went and give the subscription back; one that was dropped or replaced meanwhile stays so.

        Args:
            next_s: when it is due again without an event, in Unix seconds.
        """
        self._set(subscription, status=state, tries=tries, next_s=next_s, error=error)
        this = update(schema.subscriptions).where(_COLUMNS.subscription == subscription.id)
        with self._node.vault.database.writing() as connection:
            connection.execute(this.values(leased_until_s=0))

    def _leased(self, name: bytes) -> Subscription | None:
        now_s = self._node.clock()
        is_free = (_COLUMNS.subscription == name) & (_COLUMNS.leased_until_s < now_s)
        lease = update(schema.subscriptions).where(is_free).values(leased_until_s=now_s + LEASE_S)
        with self._node.vault.database.writing() as connection:
            is_mine = connection.execute(lease).rowcount == 1
        return self.find(name) if is_mine else None

    def _set(self, subscription: Subscription, **values: Any) -> None:
        this = (_COLUMNS.subscription == subscription.id) & (_COLUMNS.version == subscription.version)
        with self._node.vault.database.writing() as connection:
            connection.execute(update(schema.subscriptions).where(this).values(values))

    def _all(self, where: Any) -> list[Subscription]:
        statement = select(schema.subscriptions).where(where).order_by(_COLUMNS.updated_s.desc())
        with self._node.vault.database.reading() as connection:
            return [self._opened(row) for row in connection.execute(statement)]

    def _opened(self, row: Row[*tuple[Any, ...]]) -> Subscription:
        return Subscription(
            id=row.subscription,
            pseudonym=row.pseudonym,
            state=State(row.status),
            version=row.version,
            updated_s=row.updated_s,
            until_s=row.until_s,
            told=row.told,
            tries=row.tries,
            error=row.error,
            terms=self._rows.open(_TABLE, row.subscription, row.sealed, _decode_terms),
        )


def _note_channel(connection: Connection, name: bytes, *, is_socket: bool) -> None:
    """Keep a row for a subscription that is told over a websocket, and none for another."""
    this = _BINDINGS.subscription == name
    if not is_socket:
        connection.execute(delete(schema.subscription_bindings).where(this))
    elif connection.scalar(select(_BINDINGS.subscription).where(this)) is None:
        unbound = {"subscription": name, "socket": b"", "until_s": 0}
        connection.execute(insert(schema.subscription_bindings).values(unbound))


def _is_bound_elsewhere(sockets: Sequence[bytes], now_s: int) -> ColumnElement[bool]:
    """Whether a subscription is told over a websocket that is none of these, or over none at all at the moment."""
    is_elsewhere = _BINDINGS.socket.not_in(sockets) | (_BINDINGS.until_s <= now_s)
    these = (_BINDINGS.subscription == _COLUMNS.subscription) & is_elsewhere
    return select(_BINDINGS.subscription).where(these).exists()


def sweep(node: Node) -> None:
    """Forget subscriptions that are over, events that were told, and what the log says of deliveries, after a week."""
    now_s = node.clock()
    over = select(_COLUMNS.subscription).where(_COLUMNS.until_s <= now_s)
    events, attempts = schema.subscription_events.c, schema.subscription_attempts.c
    was_told = (events.told_s > 0) & (events.told_s < now_s - KEPT_S)
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.subscription_events).where(events.subscription.in_(over) | was_told))
        is_old = attempts.at_s < now_s - KEPT_S
        connection.execute(delete(schema.subscription_attempts).where(attempts.subscription.in_(over) | is_old))
        connection.execute(delete(schema.subscriptions).where(_COLUMNS.until_s <= now_s))
        is_left = select(_COLUMNS.subscription)
        connection.execute(delete(schema.subscription_bindings).where(_BINDINGS.subscription.not_in(is_left)))
