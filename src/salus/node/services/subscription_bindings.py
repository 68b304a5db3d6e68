"""Bindings: over which socket a subscription is told; for all workers of a node.

Promises: a subscription is told over one socket at a time, the one that it was bound to last. A binding that is not
renewed ends within seconds, so a worker that was killed holds nothing. A binding token is good once, for a minute, for
the subscriptions of one app and account, and for no longer than what it rests on, which is for others to ask.
"""

from typing import Final

import msgspec
from sqlalchemy import select, update

from salus.node import schema
from salus.node.assemble import Node
from salus.node.bearers import BearerKind, Bearers
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services.subscriptions import Tenure

TOKEN_S: Final = 60
HELD_S: Final = 15
"""How long a binding lasts that is not renewed."""
_COLUMNS: Final = schema.subscription_bindings.c


class BindingTerms(msgspec.Struct, frozen=True, array_like=True):
    """For what a binding token is good: which subscriptions of whom, and on what that rests."""

    owner: bytes
    subscriptions: tuple[bytes, ...]
    tenure: Tenure


class Bindings:
    """The bindings of one node."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._bearers = Bearers(node, rows)

    def issue(self, terms: BindingTerms, *, pseudonym: bytes) -> tuple[str, int]:
        """Return a new binding token, and until when it is good in Unix seconds.

        Args:
            pseudonym: of the only patient whose records it may be about; empty for any.
        """
        until_s = self._node.clock() + TOKEN_S
        kind, grant = BearerKind.BINDING, terms.tenure.grant
        return self._bearers.issue(kind, terms, until_s=until_s, grant=grant, pseudonym=pseudonym), until_s

    def take(self, token: str) -> BindingTerms:
        """Use a binding token up. Raises Refused: GRANT_UNFIT."""
        taken = self._bearers.take(BearerKind.BINDING, token, BindingTerms)
        if taken is None or not taken.is_first:
            raise Refused(Refusal.GRANT_UNFIT, "expected a binding token that has not ended and was not used")
        return taken.value

    def hold(self, subscription: bytes, socket: bytes) -> None:
        """Bind a subscription to a socket, from any other; what waits for it is due at once.

        Raises:
            Refused: GRANT_UNFIT: it is gone, is off, or is not told over sockets.
        """
        now_s, subscriptions = self._node.clock(), schema.subscriptions.c
        is_on = (subscriptions.subscription == subscription) & (subscriptions.status != schema.OFF)
        this = update(schema.subscription_bindings).where(_COLUMNS.subscription == subscription)
        with self._node.vault.database.writing() as connection:
            due = update(schema.subscriptions).where(is_on).values(tries=0, next_s=now_s)
            is_there = connection.execute(due).rowcount == 1
            bound = connection.execute(this.values(socket=socket, until_s=now_s + HELD_S)).rowcount
            if not is_there or not bound:
                raise Refused(Refusal.GRANT_UNFIT, "expected a subscription over websockets that is not off")

    def renew(self, socket: bytes) -> frozenset[bytes]:
        """Keep what is bound to a socket for a while longer, and return which subscriptions these are."""
        until_s, subscriptions = self._node.clock() + HELD_S, schema.subscriptions.c
        is_on = select(subscriptions.subscription).where(subscriptions.status != schema.OFF)
        mine = (_COLUMNS.socket == socket) & _COLUMNS.subscription.in_(is_on)
        with self._node.vault.database.writing() as connection:
            connection.execute(update(schema.subscription_bindings).where(mine).values(until_s=until_s))
            return frozenset(connection.scalars(select(_COLUMNS.subscription).where(mine)))

    def let_go(self, socket: bytes, *subscriptions: bytes) -> None:
        """Unbind subscriptions that are bound to a socket; those that are bound to another by now stay so."""
        mine = (_COLUMNS.socket == socket) & _COLUMNS.subscription.in_(subscriptions)
        with self._node.vault.database.writing() as connection:
            connection.execute(update(schema.subscription_bindings).where(mine).values(until_s=0))

    def socket_of(self, subscription: bytes) -> bytes:
        """Return the name of the socket that a subscription is bound to; empty for none."""
        this = (_COLUMNS.subscription == subscription) & (_COLUMNS.until_s > self._node.clock())
        with self._node.vault.database.reading() as connection:
            return connection.scalar(select(_COLUMNS.socket).where(this)) or b""
