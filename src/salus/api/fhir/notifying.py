"""Notifying: find out to whom changes matter, and tell them; in a thread of each worker, one subscription at a time.

    1. Take the oldest changes, and find by each subscription's search which of them are its events.
    2. Take a subscription that has something to tell; ask on what it rests, and what may be told now (R3, R4).
    3. Connect; only then decide once more, write the receipts, and give the events their numbers.
    4. Send; what was not received is sent again: to an endpoint later and later, and at last not at all; over a socket
       when it is bound to one again.

Before anything may be told nobody is connected to: also that somebody knocks would say that something is withheld.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import structlog

from salus.api.fhir.call import Access, Gate, Server
from salus.api.fhir.channels import Channel, HookChannel, Notice, SocketChannel
from salus.api.fhir.reach import search_within
from salus.api.fhir.rendering import rendered
from salus.api.fhir.sockets import SocketAway, Sockets
from salus.api.fhir.subscribing import asked_of, event, notice_of, query_of
from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.subscriptions import Asked
from salus.node.answer import plainly
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.hooks import HookAway, HookUnfit, Sign
from salus.node.projections import changes
from salus.node.projections.changes import Change
from salus.node.projections.resources import Found
from salus.node.services.show import Shown
from salus.node.services.subscription_events import Attempt, Events, Waiting, tellable, told_of
from salus.node.services.subscriptions import NEVER_S, State, Subscription

PERIOD_S: Final = 0.25
DELIVERIES: Final = 4
POSTPONED_S: Final = 5
RETRY_S_MAX: Final = 600
TRIES_MAX: Final = 20
ENDED: Final = (Refusal.GRANT_UNFIT, Refusal.PERSON_UNFIT, Refusal.SESSION_UNFIT, Refusal.ACCOUNT_UNFIT)
"""Why whoever subscribed may be told nothing any more."""
GONE: Final = 410

log = structlog.get_logger("salus.subscriptions")


class Notifier:
    """The notifications of one worker, from when it is made until it is closed.

    Args:
        on_failure: called when notifying fails for a reason that is ours; the thread has ended then.
    """

    def __init__(
        self, server: Server, gate: Gate, sign: Sign, sockets: Sockets, *, on_failure: Callable[[], None]
    ) -> None:
        self._server = server
        self._gate = gate
        self._sign = sign
        self._sockets = sockets
        self._on_failure = on_failure
        self._events = Events(server.node)
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(DELIVERIES, thread_name_prefix="notifying")
        self._thread = threading.Thread(target=self._run, name="subscriptions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let what is being sent finish, and send nothing more."""
        self._stop.set()
        self._thread.join()
        self._pool.shutdown()

    def _run(self) -> None:
        running: set[Future[None]] = set()
        try:
            while not self._stop.wait(PERIOD_S):
                done = {each for each in running if each.done()}
                for each in done:
                    each.result()
                running -= done
                with _later(), plainly():
                    self._find_events()
                    limit, sockets = DELIVERIES - len(running), self._sockets.names()
                    due = self._server.subscriptions.lease_due(limit=limit, sockets=sockets)
                    running |= {self._pool.submit(self._deliver, each) for each in due}
        except BaseException as error:
            log.error("subscriptions.failed", error=type(error).__name__)
            self._on_failure()
            raise

    # From changes to events

    def _find_events(self) -> None:
        """Find out to whom the oldest changes matter. Raises NotNow: they stay as they are."""
        with self._server.node.vault.database.reading() as connection:
            numbers, changed = changes.oldest(connection)
        if numbers:
            told = [(each, found) for each in self._server.subscriptions.telling() for found in self._of(each, changed)]
            self._events.begin(numbers, told)

    def _of(self, subscription: Subscription, changed: Sequence[Change]) -> list[Found]:
        """The changed resources that are a subscription's events."""
        asked = asked_of(self._server.settings.base, subscription)
        fit = [each for each in changed if each.found.type == asked.type and _is_asked_for(asked, each)]
        if not fit:
            return []
        try:
            with plainly():
                access = self._gate.again(subscription.terms.tenure)
                search = search_within(self._server, access, "s", patient=access.patient)
                query = query_of(self._server.settings.base, asked)
                found = search.among(query, [each.found.row for each in fit])
                if found and asked.is_socket and self._is_overfull(subscription):  # nobody may bind it for long
                    return []
                return found
        except Refused as refused:
            self._refused(subscription, refused)
        except FhirRejected:
            self._settle(subscription, State.OFF, error="criteria")
        return []

    # From events to notifications

    def _deliver(self, subscription: Subscription) -> None:
        """Tell what a subscription has to tell; what cannot even be noted now is so when the lease is over."""
        with _later(), plainly():
            self._try(subscription)

    def _try(self, subscription: Subscription) -> None:
        try:
            with plainly():
                access = self._gate.again(subscription.terms.tenure)
                self._tell(subscription, access, asked_of(self._server.settings.base, subscription))
        except Refused as refused:
            self._refused(subscription, refused)
        except NotNow:
            at_s = self._server.node.clock() + POSTPONED_S
            state, tries, error = subscription.state, max(subscription.tries, 1), subscription.error
            self._server.subscriptions.settle(subscription, state=state, tries=tries, next_s=at_s, error=error)
        except HookUnfit:
            self._settle(subscription, State.OFF, error="endpoint")
        except SocketAway:
            asked = asked_of(self._server.settings.base, subscription)
            self._settle(subscription, State.ACTIVE, asked)  # what waits is due when it is bound again
        except HookAway as error:
            self._failed(subscription, str(error))

    def _tell(self, subscription: Subscription, access: Access, asked: Asked) -> None:
        channel = self._channel(subscription, asked)
        if subscription.state is State.REQUESTED:
            self._say_how(subscription, asked, channel, "handshake")
            return
        if self._is_overfull(subscription):
            return
        waiting = self._events.waiting(subscription, limit=asked.count_max if asked.topic or asked.is_socket else 1)
        may_be_told = tellable(self._server.node, self._server.responder, access.login, waiting)
        self._events.forget([each.place for each in waiting if each.place not in may_be_told])
        left = [each for each in waiting if each.place in may_be_told]
        if left:
            self._say_events(subscription, access, asked, channel, left)
        elif asked.heartbeat_s and not waiting:
            self._say_how(subscription, asked, channel, "heartbeat")
        else:
            self._settle(subscription, State.ACTIVE, asked)

    def _channel(self, subscription: Subscription, asked: Asked) -> Channel:
        if asked.is_socket:
            return SocketChannel(self._sockets, asked, subscription.id)
        return HookChannel(self._server.settings.hooks, asked, self._sign, self._server.node.clock)

    def _is_overfull(self, subscription: Subscription) -> bool:
        """Switch a subscription off for which more waits than may, and tell whether it is one."""
        is_overfull = self._events.is_overfull(subscription)
        if is_overfull:
            self._settle(subscription, State.OFF, error="too many events wait")
        return is_overfull

    def _say_how(self, subscription: Subscription, asked: Asked, channel: Channel, kind: str) -> None:
        """Send what has no events. Raises HookUnfit, HookAway."""
        with channel.connected() as send:
            status = send(Notice(notice_of(self._server, subscription, kind)))
        self._came(subscription, asked, kind, [], status)

    def _say_events(
        self, subscription: Subscription, access: Access, asked: Asked, channel: Channel, waiting: Sequence[Waiting]
    ) -> None:
        """Send events, as far as they may be told at this very moment. Raises HookUnfit, HookAway, Refused, NotNow."""
        with channel.connected() as send:  # 3
            told = told_of(self._server.node, self._server.responder, access.login, waiting)
            self._events.forget([each.place for each in waiting if each.place not in told])
            left = [each for each in waiting if each.place in told]
            if not left:
                self._settle(subscription, State.ACTIVE, asked)
                return
            numbers = {each.place: each.number for each in left}
            if not all(numbers.values()):
                numbers = self._events.number(subscription, [each.place for each in left])
            notice = self._notice(subscription, asked, left, numbers, told)
            try:
                status = send(notice)  # 4
            except HookAway as error:
                self._note(subscription, "event-notification", list(numbers.values()), str(error))
                raise
        if 200 <= status < 300:
            self._events.received(list(numbers))
        self._came(subscription, asked, "event-notification", list(numbers.values()), status)

    def _notice(
        self,
        subscription: Subscription,
        asked: Asked,
        events: Sequence[Waiting],
        numbers: dict[int, int],
        told: dict[int, Shown],
    ) -> Notice:
        """What is sent; in R4's own form nothing, or the resource as an update."""
        if asked.topic:
            base, last = self._server.settings.base, max(numbers.values())
            said = [event(base, each, numbers[each.place], told[each.place], asked.level) for each in events]
            return Notice(notice_of(self._server, subscription, "event-notification", said, count=last))
        if not asked.format:
            return Notice()
        (shown,) = told.values()
        return Notice(rendered(shown), update_of=f"{shown.type}/{shown.logical_id}")

    # What came of it

    def _came(self, subscription: Subscription, asked: Asked, kind: str, numbers: list[int], status: int) -> None:
        self._note(subscription, kind, numbers, "received" if 200 <= status < 300 else f"status {status}")
        if 200 <= status < 300:
            self._settle(subscription, State.ACTIVE, asked)
        elif status == GONE:
            self._settle(subscription, State.OFF, error="gone")
        else:
            self._failed(subscription, f"status {status}", noted=True)

    def _failed(self, subscription: Subscription, outcome: str, *, noted: bool = False) -> None:
        tries = subscription.tries + 1
        if not noted:
            self._note(subscription, "connection", [], outcome)
        if tries > TRIES_MAX:
            self._settle(subscription, State.OFF, error=outcome)
            return
        state = State.REQUESTED if subscription.state is State.REQUESTED else State.ERROR
        next_s = self._server.node.clock() + min(2**tries, RETRY_S_MAX)
        self._server.subscriptions.settle(subscription, state=state, tries=tries, next_s=next_s, error=outcome)

    def _refused(self, subscription: Subscription, refused: Refused) -> None:
        if refused.refusal in ENDED:
            self._settle(subscription, State.OFF, error="access ended")
        else:
            self._failed(subscription, "refused")

    def _settle(self, subscription: Subscription, state: State, asked: Asked | None = None, *, error: str = "") -> None:
        silence_s = asked.heartbeat_s if asked is not None else 0
        next_s = self._server.node.clock() + silence_s if silence_s else NEVER_S
        self._server.subscriptions.settle(subscription, state=state, next_s=next_s, error=error)
        if state is State.OFF:
            log.info("subscriptions.off", subscription=subscription.id.hex(), reason=error)

    def _note(self, subscription: Subscription, kind: str, numbers: list[int], outcome: str) -> None:
        first, last = (min(numbers), max(numbers)) if numbers else (0, 0)
        self._events.log(subscription, Attempt(self._server.node.clock(), kind, first, last, outcome))
        name = subscription.id.hex()
        log.info("subscriptions.told", subscription=name, kind=kind, count=len(numbers), outcome=outcome)


@contextmanager
def _later() -> Iterator[None]:
    """Leave what cannot be done now, since the database or the ledger is away, for the next time."""
    try:
        yield
    except NotNow as error:
        log.warning("subscriptions.postponed", error=type(error).__name__)


def _is_asked_for(asked: Asked, change: Change) -> bool:
    return (asked.on_create and change.is_created) or (asked.on_update and change.is_updated)
