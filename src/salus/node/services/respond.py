"""Respond: one response of this node's own interfaces, under a session permit (R1, R3, R4, R5).

One commit opens a permit for a login, a relationship and a verb; each response checks it again against current state,
puts every record that it would show to the rules, and leaves one receipt. Whatever an interface shows of a person, be
it a hit, a total or a page, it has from here.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.contracts.residuals import Scope
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import Pseudonym
from salus.ledger.receipts import Standing
from salus.ledger.state import Reader
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.people import OpenSession
from salus.node.services.judge import Hearing, hear_residual, height_of, judge_versions, now_s, require_live
from salus.node.services.own_care import hear_in_continuity, is_own_direct_care, open_judged
from salus.node.services.release import keep_request
from salus.node.services.request import Denied, Granted, Wish, request
from salus.vault.rows import RecordKey

HELD_MAX = 4096
"""How many permits one worker holds; the least used is let go, and asked for again."""


@dataclass(frozen=True)
class Login:
    """Who uses this node's interfaces, in which role and for what purpose; `ticket` is a bearer ticket's key.

    `justification` is why, in words, where somebody was asked for it; each has permits of its own. `classes` are those
    of which records are asked for at all; none for all.
    """

    session: OpenSession
    role_class: RoleClass
    purpose: Purpose
    ticket: SigningKey | None = field(default=None, repr=False)
    justification: str = field(default="", repr=False)
    classes: tuple[str, ...] = ()

    @property
    def is_feeding(self) -> bool:
        """Whether a system of the custodian's own asks, which writes records and need not be able to read them."""
        return self.role_class is RoleClass.SYSTEM


@dataclass(frozen=True)
class Response:
    """What may be shown of the records that were asked for.

    Args:
        released: content by record version, in the order asked for.
        withheld_count: how many were kept back; it is for the receipt, and never for whoever asked.
    """

    released: dict[RecordKey, bytes] = field(repr=False)
    withheld_count: int


@dataclass
class _Held:
    """A permit, how many parts were written under it, and what was last heard of it, by height and second."""

    granted: Granted
    part_count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    heard: tuple[tuple[int, int], Hearing] | None = None

    def reserve(self, count: int) -> int:
        """Return the number of the first of so many new parts."""
        with self.lock:
            self.part_count += count
            return self.part_count - count + 1


NOTHING = Response({}, 0)
_Key = tuple[bytes, Purpose, str, tuple[str, ...], Pseudonym, Verb]
T = TypeVar("T")


class Responder:
    """The session permits of one worker, and the responses under them; used by any number of threads."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._held: OrderedDict[_Key, _Held] = OrderedDict()

    def respond(self, login: Login, pseudonym: Pseudonym, verb: Verb, versions: Sequence[RecordKey]) -> Response:
        """Return what may be shown of record versions of one relationship; nothing where the ledger says no.

        1. Take the session permit; where there is none, ask the ledger for one (R1). Its "no" is committed (R2).
        2. Check it against current state, and judge each record (R3); a permit that has died is asked for again, once.
        3. Write one receipt over what goes and what does not, log it, and open what may go (R5).

        Raises:
            Refused: the person, the session or the rules do not fit.
            NotNow: the ledger is out of reach, and this is not direct care of an own patient.
        """
        if not versions:
            return NOTHING
        wish = self._wish(login, pseudonym, verb)
        try:
            self._node.require_fresh()
        except NotNow:
            if not is_own_direct_care(self._node, wish):
                raise
            return self._continue(login, wish, versions)
        return self._under(login, wish, lambda held: self._respond_under(held, versions), NOTHING)

    def allowed(
        self, login: Login, pseudonym: Pseudonym, verb: Verb, versions: Sequence[RecordKey]
    ) -> frozenset[RecordKey]:
        """Return which record versions of one relationship may be shown, without showing any: for totals.

        Raises:
            Refused, NotNow: as `respond`; nothing is counted without the ledger.
        """
        wish = self._wish(login, pseudonym, verb)
        self._node.require_fresh()
        return self._under(login, wish, lambda held: self._allowed_under(held, versions), frozenset())

    def _wish(self, login: Login, pseudonym: Pseudonym, verb: Verb) -> Wish:
        here = self._node.organisation
        return Wish(
            pseudonym,
            here,
            login.role_class,
            login.purpose,
            verb,
            Scope(classes=login.classes),
            justification=login.justification,
            ticket=login.ticket,
        )

    def _under(self, login: Login, wish: Wish, work: Callable[[_Held], T], otherwise: T) -> T:
        """Do something under the session permit, once more under a new one when it has died; else, without one."""
        asked = (wish.purpose, wish.justification, wish.scope.classes, wish.pseudonym, wish.verb)
        key = (login.session.key.public, *asked)
        for _ in range(2):
            held = self._take(key, login, wish)  # 1
            if held is None:
                return otherwise
            try:
                return work(held)
            except Refused as refused:
                if refused.refusal is not Refusal.PERMIT_DEAD:
                    raise
                self._forget(key)
        raise NotNow("the permit dies as soon as it is given: choices or policies are changing, try again")

    def _respond_under(self, held: _Held, versions: Sequence[RecordKey]) -> Response:
        node = self._node
        with node.engine.snapshot() as reader:
            hearing = self._hear(reader, held)  # 2
            return _opened(node, reader, hearing, versions, Standing.LEDGER, reserve=held.reserve)  # 3

    def _allowed_under(self, held: _Held, versions: Sequence[RecordKey]) -> frozenset[RecordKey]:
        with self._node.engine.snapshot() as reader:
            judgement = judge_versions(self._node, reader, self._hear(reader, held), versions)
        placed = [each.placed.entry for each in judgement.records if each.decision.may_go]
        return frozenset((each.record, each.version) for each in placed)

    def _hear(self, reader: Reader, held: _Held) -> Hearing:
        """Hear the request against current state: the same state in the same second gives the same hearing (R3)."""
        node, granted = self._node, held.granted
        moment = height_of(reader), now_s(node, reader)
        heard = held.heard
        if heard is not None and heard[0] == moment:
            return heard[1]
        terms = require_live(node, reader, granted.permit, node.organisation)
        hearing = hear_residual(node, reader, granted.permit, terms, granted.residual)
        held.heard = moment, hearing
        return hearing

    def _continue(self, login: Login, wish: Wish, versions: Sequence[RecordKey]) -> Response:
        with self._node.engine.snapshot() as reader:
            hearing = hear_in_continuity(self._node, reader, login.session, wish)
            keep_request(self._node, hearing.permit, wish.pseudonym, hearing.committed)
            return _opened(self._node, reader, hearing, versions, Standing.CONTINUITY)

    def _take(self, key: _Key, login: Login, wish: Wish) -> _Held | None:
        """Return the permit that is held, or a new one; None when the ledger says no."""
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                self._held.move_to_end(key)
                return held
        granted = request(self._node, login.session, wish)
        if isinstance(granted, Denied):
            return None
        keep_request(self._node, granted.permit, wish.pseudonym, granted.residual)
        with self._lock:
            held = self._held.setdefault(key, _Held(granted))  # another thread may have been first: then it is its
            if len(self._held) > HELD_MAX:
                self._held.popitem(last=False)
        return held

    def _forget(self, key: _Key) -> None:
        with self._lock:
            self._held.pop(key, None)


def _opened(
    node: Node,
    reader: Reader,
    hearing: Hearing,
    versions: Sequence[RecordKey],
    standing: Standing,
    *,
    reserve: Callable[[int], int] = lambda _count: 1,
) -> Response:
    judgement = judge_versions(node, reader, hearing, versions)
    if not judgement.records:
        return NOTHING
    opened = open_judged(node, reader, hearing, judgement, standing, reserve=reserve)
    released: dict[RecordKey, bytes] = {
        (each.placed.entry.record, each.placed.entry.version): each.content for each in opened
    }
    return Response(released, len(judgement.records) - len(released))
