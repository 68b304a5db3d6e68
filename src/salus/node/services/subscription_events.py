"""The events of subscriptions: from changes of resources to what is told, in numbers, and the log of deliveries.

Promises: a change is noted in the step in which its resource is stored, and goes when the events that follow from it
are kept, so that none is lost by a crash; an event has its number before anything of it leaves, and keeps it until it
was received. An event that may not be told when it would be is forgotten, and leaves no gap in the numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update

from salus.contracts.provisions import Verb
from salus.ledger.identifiers import Pseudonym, RecordId
from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections.changes import forget
from salus.node.projections.resources import DIRECTORY, Found, found
from salus.node.services.respond import Login, Responder
from salus.node.services.show import Shown, Wanted, hidden_rosters, show
from salus.node.services.subscriptions import Subscription
from salus.vault.rows import RecordKey

WAITING_MAX: Final = 10_000
"""How many events may wait for one subscription; one whose endpoint takes no more is switched off."""
LATEST: Final = (1 << 31) - 1
_EVENTS = schema.subscription_events.c


@dataclass(frozen=True)
class Waiting:
    """An event of a subscription; `number` is 0 until it is first sent. Unix seconds."""

    place: int
    pseudonym: Pseudonym
    record: RecordId
    version: int
    at_s: int
    number: int


@dataclass(frozen=True)
class Attempt:
    """One delivery: when, what, the numbers of its events (0 for none), and what came of it."""

    at_s: int
    kind: str
    first: int
    last: int
    outcome: str


@dataclass(frozen=True)
class Delivery:
    """A delivery as it is in the log, under the name of its subscription."""

    number: int
    subscription: bytes
    attempt: Attempt


class Events:
    """The events of one node's subscriptions."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def begin(self, changes: Sequence[int], events: Sequence[tuple[Subscription, Found]]) -> None:
        """Keep the events that follow from changes, by the numbers of these, and forget them; all or none.

        Raises:
            NotNow: another worker has kept some of them meanwhile.
        """
        now_s = self._node.clock()
        rows = [
            {
                "subscription": subscription.id,
                "pseudonym": each.pseudonym,
                "record_id": each.record,
                "version": each.version,
                "at_s": now_s,
                "number": 0,
                "told_s": 0,
            }
            for subscription, each in events
        ]
        with self._node.vault.database.writing() as connection:
            forget(connection, changes)
            if rows:
                connection.execute(insert(schema.subscription_events), rows)

    def waiting(self, subscription: Subscription, *, limit: int) -> list[Waiting]:
        """Return events that were not received yet: those that were sent before, else the oldest others."""
        mine = (_EVENTS.subscription == subscription.id) & (_EVENTS.told_s == 0)
        sent = self._events(mine & (_EVENTS.number > 0), limit=limit)
        return sent or self._events(mine, limit=limit)

    def is_overfull(self, subscription: Subscription) -> bool:
        """Tell whether more waits than may."""
        mine = (_EVENTS.subscription == subscription.id) & (_EVENTS.told_s == 0)
        with self._node.vault.database.reading() as connection:
            count = connection.scalar(select(func.count()).select_from(schema.subscription_events).where(mine))
        return (count or 0) > WAITING_MAX

    def between(self, subscription: Subscription, first: int, last: int, *, limit: int) -> list[Waiting]:
        """Return events by their numbers, both ends included."""
        mine = (_EVENTS.subscription == subscription.id) & (_EVENTS.number >= max(first, 1)) & (_EVENTS.number <= last)
        return self._events(mine, limit=limit)

    def number(self, subscription: Subscription, places: Sequence[int]) -> dict[int, int]:
        """Give events their numbers, durably, in the order of their places; return the number of each."""
        columns = schema.subscriptions.c
        this = columns.subscription == subscription.id
        with self._node.vault.database.writing() as connection:
            count = update(schema.subscriptions).where(this).values(told=columns.told + len(places))
            connection.execute(count)
            last = connection.scalar(select(columns.told).where(this)) or 0
            numbers = dict(zip(places, range(last - len(places) + 1, last + 1), strict=True))
            for place, number in numbers.items():
                event = update(schema.subscription_events).where(_EVENTS.place == place)
                connection.execute(event.values(number=number))
        return numbers

    def received(self, places: Sequence[int]) -> None:
        """Note that events were received."""
        now_s = self._node.clock()
        self._on(places, lambda these: update(schema.subscription_events).where(these).values(told_s=now_s))

    def forget(self, places: Sequence[int]) -> None:
        """Forget events that may not be told."""
        self._on(places, delete(schema.subscription_events).where)

    def log(self, subscription: Subscription, attempt: Attempt) -> None:
        """Note a delivery."""
        row = {"subscription": subscription.id, "at_s": attempt.at_s, "kind": attempt.kind}
        row |= {"first": attempt.first, "last": attempt.last, "outcome": attempt.outcome}
        with self._node.vault.database.writing() as connection:
            connection.execute(insert(schema.subscription_attempts).values(row))

    def deliveries(self, *, of: bytes = b"", before: int = LATEST, limit: int) -> list[Delivery]:
        """Return what was delivered and tried, the newest first; to be gone through by their numbers.

        Args:
            of: the name of a subscription; empty for all.
            before: a delivery's number, whose earlier ones are returned.
        """
        columns = schema.subscription_attempts.c
        these = select(schema.subscription_attempts).where(columns.attempt < before)
        mine = these.where(columns.subscription == of) if of else these
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(mine.order_by(columns.attempt.desc()).limit(limit)).all()
        return [
            Delivery(row.attempt, row.subscription, Attempt(row.at_s, row.kind, row.first, row.last, row.outcome))
            for row in rows
        ]

    def _events(self, where: Any, *, limit: int) -> list[Waiting]:
        statement = select(schema.subscription_events).where(where).order_by(_EVENTS.number, _EVENTS.place).limit(limit)
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            Waiting(row.place, Pseudonym(row.pseudonym), RecordId(row.record_id), row.version, row.at_s, row.number)
            for row in rows
        ]

    def _on(self, places: Sequence[int], statement: Any) -> None:
        if places:
            with self._node.vault.database.writing() as connection:
                connection.execute(statement(_EVENTS.place.in_(places)))


def told_of(node: Node, responder: Responder, login: Login, events: Sequence[Waiting]) -> dict[int, Shown]:
    """Return what may be told of events at this moment, by their places; each relationship's leaves one receipt.

    Raises:
        Refused, NotNow: as `show`.
    """
    wanted = _wanted(node, events)
    found = show(node, responder, login, list(wanted.values()), Verb.SUBSCRIBE)
    return {place: found[each.key] for place, each in wanted.items() if each.key in found}


def tellable(node: Node, responder: Responder, login: Login, events: Sequence[Waiting]) -> frozenset[int]:
    """Return the places of events of which something may be told at this moment, and show nothing.

    Raises:
        Refused, NotNow: as `Responder.allowed`.
    """
    wanted = _wanted(node, events)
    keys: dict[Pseudonym, list[RecordKey]] = {}
    for each in wanted.values():
        keys.setdefault(each.found.pseudonym, []).append(each.key)
    rosters = hidden_rosters(node, responder, login, list(wanted.values()), Verb.SUBSCRIBE)  # nobody is told of them
    allowed = set(keys.pop(DIRECTORY, [])) - rosters
    for pseudonym, theirs in keys.items():
        allowed |= responder.allowed(login, pseudonym, Verb.SUBSCRIBE, theirs)
    return frozenset(place for place, each in wanted.items() if each.key in allowed)


def _wanted(node: Node, events: Sequence[Waiting]) -> dict[int, Wanted]:
    """The versions that events are about, of resources that are still there."""
    columns = schema.resources.c
    these = select(schema.resources).where(columns.record_id.in_({each.record for each in events}))
    with node.vault.database.reading() as connection:
        known = {row.record_id: found(row) for row in connection.execute(these.where(columns.deleted == 0))}
    return {each.place: Wanted(known[each.record], each.version) for each in events if each.record in known}
