"""Collect: one person's records at the other custodians, all asked at the same time, each shown as its answer comes.

Promises: nobody is asked for records but through a permit (R1); one custodian that is slow or silent keeps no other's
answer back; what has come is kept sealed while somebody looks, for all workers of this node, and is gone with the time
box, at the end of the look, and with an erasure (P3, P5).
"""

import secrets
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

import msgspec
import structlog
from sqlalchemy import delete, insert, select, update

from salus.clinical.nhs_number import NhsNumber
from salus.contracts import access
from salus.contracts.provisions import Purpose, RoleClass
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.state import Reader
from salus.node import schema
from salus.node.answer import plainly
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import HistoryAnswer, HistoryAsk, Peers
from salus.node.http_peers import device_peers
from salus.node.members import read_time_s
from salus.node.people import HeldSession, OpenSession
from salus.node.sealed_rows import SealedRows, row_decoder
from salus.node.services import ledger_reads
from salus.node.services.choices_elsewhere import ask_rules
from salus.node.services.match import match
from salus.node.services.receive import receive
from salus.node.services.request import DURATION_S, Denied, Granted, Wish, request

CUSTODIANS_MAX: Final = 50
"""How many custodians one look asks."""
AT_ONCE: Final = 4
"""How many looks ask one custodian at the same moment; each custodian has its own, so that none waits for another."""
BYTES_MAX: Final = 64_000_000
"""Of one custodian's records; what is beyond is left out, and said."""
SILENT_S: Final = 60
"""After so long without an answer, a custodian counts as silent."""
_TABLE: Final = "collected"

log = structlog.get_logger("salus.collect")


class Answered(IntEnum):
    """What has come of asking one custodian. Numbers are permanent: they are in the database."""

    ASKING = 1
    CAME = 2
    NOTHING_THERE = 3
    DENIED = 4
    REFUSED = 5
    SILENT = 6
    ENDED = 7


class Sought(Enum):
    """What a custodian is asked for."""

    RECORDS = "records"
    HISTORY = "history"
    CHOICES = "choices"


class Collected(msgspec.Struct, frozen=True, array_like=True):
    """What one custodian has answered.

    Args:
        reason: the ledger's or the custodian's number where the answer is no; else 0.
        records: FHIR resources as bytes, each whole; or what else was sought.
        asked_s: when it was asked last, Unix seconds.
        is_cut: whether there was more than is kept here.
        emergency: the permit of emergency access under which it came, which an officer may end; else empty.
    """

    state: Answered
    asked_s: int
    reason: int = 0
    records: tuple[bytes, ...] = ()
    is_cut: bool = False
    emergency: bytes = b""

    def __repr__(self) -> str:
        """Hide the records."""
        return f"Collected({self.state.name})"

    def state_at(self, now_s: int) -> Answered:
        """Return what has come of it by now; whoever takes too long is silent, also where its worker has died."""
        is_late = self.state is Answered.ASKING and now_s - self.asked_s > SILENT_S
        return Answered.SILENT if is_late else self.state


@dataclass(frozen=True)
class Custodian:
    """A member that may hold records."""

    organisation: OrganisationId
    name: str


@dataclass(frozen=True)
class Asking:
    """One custodian that is asked, and how.

    Args:
        session: with this custodian.
        pseudonym: of the person there; empty where it is to be found by number and date of birth.
        born: YYYY-MM-DD.
        ticket: the key of a ticket that is shown, if there is one.
        sought: records; or, for a patient, the file of their history there or what opens the rules of their choices.
    """

    session: HeldSession = field(repr=False)
    role_class: RoleClass
    purpose: Purpose
    pseudonym: bytes = field(default=b"", repr=False)
    number: NhsNumber | None = field(default=None, repr=False)
    born: str = field(default="", repr=False)
    justification: str = field(default="", repr=False)
    duration_s: int = DURATION_S
    ticket: SigningKey | None = field(default=None, repr=False)
    sought: Sought = Sought.RECORDS

    @property
    def custodian(self) -> OrganisationId:
        """Who is asked."""
        return OrganisationId(self.session.custodian)


_COLLECTED = row_decoder(Collected)


def sweep(node: Node) -> int:
    """Forget what was collected in time boxes that are over; return how many answers."""
    with node.vault.database.writing() as connection:
        return connection.execute(delete(schema.collected).where(schema.collected.c.until_s <= node.clock())).rowcount


class Collections:
    """What is being collected in one worker, and what all workers have."""

    def __init__(self, node: Node, rows: SealedRows, peers: Peers) -> None:
        self._node = node
        self._rows = rows
        self._peers = peers
        self._threads: dict[OrganisationId, ThreadPoolExecutor] = {}
        self._running: dict[bytes, list[Future[None]]] = {}

    def close(self) -> None:
        """Ask nobody anew, and let answers come that are on their way."""
        threads = list(self._threads.values())
        for each in threads:
            each.shutdown(wait=False, cancel_futures=True)
        for each in threads:
            each.shutdown()

    def others(self) -> list[Custodian]:
        """Return the members that may be asked, by name, without this one. Raises NotNow."""
        found = [
            Custodian(OrganisationId(each.organisation), each.name)
            for each in ledger_reads.members(self._node)
            if each.organisation != self._node.organisation and not each.is_suspended
        ]
        return sorted(found, key=lambda each: each.name)[:CUSTODIANS_MAX]

    def begin(self, asked: Sequence[Asking], *, about: bytes, have: Sequence[tuple[Asking, Collected]] = ()) -> bytes:
        """Ask custodians; return the collection's name, which is for this node's sessions only.

        Args:
            about: the person's pseudonym at this organisation, so that an erasure takes the collection along; or empty.
            have: what has come already, and how it was asked for; it is kept with the rest.
        """
        collection = secrets.token_bytes(16)
        for each, came in have:
            self._put(collection, each, came, about=about)
        for each in asked:
            self._put(collection, each, Collected(Answered.ASKING, self._node.clock()), about=about)
        self._running[collection] = [self._submit(collection, each) for each in asked]
        for name in [name for name, each in list(self._running.items()) if all(one.done() for one in each)]:
            self._running.pop(name, None)
        return collection

    def running(self, collection: bytes) -> list[Future[None]]:
        """Return what this worker still waits for of a collection; nothing where another worker asks."""
        return [each for each in self._running.get(collection, ()) if not each.done()]

    def again(self, collection: bytes, asked: Asking) -> None:
        """Ask one custodian once more."""
        self._replace(collection, asked, Collected(Answered.ASKING, self._node.clock()))
        self._submit(collection, asked)

    def look(self, collection: bytes, *, about: bytes | None = None) -> dict[OrganisationId, Collected]:
        """Return what has come so far, by custodian; nothing of a collection that is over, or that an officer ended.

        Args:
            about: the pseudonym with which it must have begun; None for any.
        """
        columns = schema.collected.c
        theirs = (columns.collection == collection) & (columns.until_s > self._node.clock())
        theirs = theirs if about is None else theirs & (columns.pseudonym == about)
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(select(schema.collected).where(theirs)).all()
        found = {OrganisationId(row.custodian): self._opened(row.collection, row.custodian, row.sealed) for row in rows}
        if not any(each.emergency for each in found.values()):
            return found
        with self._node.engine.snapshot() as reader:
            now_s = read_time_s(reader, self._node.clock)
            return {name: _at_present(reader, each, now_s) for name, each in found.items()}

    def drop(self, collection: bytes) -> None:
        """Forget a collection."""
        with self._node.vault.database.writing() as connection:
            connection.execute(delete(schema.collected).where(schema.collected.c.collection == collection))

    def _submit(self, collection: bytes, asked: Asking) -> Future[None]:
        fresh = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="collecting")  # which starts no thread by itself
        return self._threads.setdefault(asked.custodian, fresh).submit(self._ask, collection, asked)

    def _ask(self, collection: bytes, asked: Asking) -> None:
        """Ask one custodian and keep what it answers; nobody is asked once nobody looks any more."""
        if not self._is_open(collection, asked.custodian):
            return
        try:
            with plainly():
                came = self._came(collection, asked)
        except Refused as refused:
            came = Collected(Answered.REFUSED, self._node.clock(), refused.refusal)
        except NotNow:
            came = Collected(Answered.SILENT, self._node.clock())
        log.info("collect.answered", custodian=asked.custodian, state=came.state.name.lower(), reason=came.reason)
        self._replace(collection, asked, came)

    def _is_open(self, collection: bytes, custodian: str) -> bool:
        columns = schema.collected.c
        this = (columns.collection == collection) & (columns.custodian == custodian)
        with self._node.vault.database.reading() as connection:
            return connection.scalar(select(columns.custodian).where(this)) is not None

    def _came(self, collection: bytes, asked: Asking) -> Collected:
        """Return what a custodian answers.

        1. Who the person is there: known, or found by number and date of birth.
        2. Have the ledger decide (R1), where somebody looks still: no emergency begins after whoever asked signed out.
        3. Fetch what the permit allows.

        Raises:
            Refused, NotNow: as `match`, `request`, `receive` and `choices_elsewhere.ask_rules`.
        """
        now_s, session = self._node.clock(), asked.session.opened
        pseudonym = Pseudonym(asked.pseudonym)
        if asked.sought is Sought.HISTORY:
            file = _history(self._node, asked.custodian, session, pseudonym)
            return Collected(Answered.CAME, now_s, 0, (file,) if len(file) <= BYTES_MAX else (), len(file) > BYTES_MAX)
        if not pseudonym and asked.number is not None:  # 1
            found = match(self._node, self._peers, asked.custodian, session, asked.number, date_of_birth=asked.born)
            pseudonym = found or pseudonym
        if not pseudonym:
            return Collected(Answered.NOTHING_THERE, now_s)
        if not self._is_open(collection, asked.custodian):  # 2
            return Collected(Answered.ENDED, now_s)
        wish = Wish(
            pseudonym=pseudonym,
            custodian=asked.custodian,
            role_class=asked.role_class,
            purpose=asked.purpose,
            justification=asked.justification,
            duration_s=asked.duration_s,
            ticket=asked.ticket,
        )
        granted = request(self._node, session, wish)
        if isinstance(granted, Denied):
            return Collected(Answered.DENIED, now_s, granted.reason)
        if asked.sought is Sought.CHOICES:
            return self._choices(granted, now_s)
        came = self._records(granted, now_s)  # 3
        emergency = granted.permit if asked.purpose is Purpose.BTG else b""
        return msgspec.structs.replace(came, emergency=emergency)

    def _records(self, granted: Granted, now_s: int) -> Collected:
        """Everything that a permit allows, up to a bound."""
        records, room_bytes, is_cut = [], BYTES_MAX, False
        for each in receive(self._node, self._peers, granted):
            room_bytes -= len(each.content)
            is_cut = is_cut or room_bytes < 0
            if not is_cut:
                records.append(each.content)
        return Collected(Answered.CAME, now_s, 0, tuple(records), is_cut)

    def _choices(self, granted: Granted, now_s: int) -> Collected:
        """What opens the rules of a patient's choices."""
        rules = ask_rules(self._peers, granted)
        return Collected(Answered.DENIED, now_s) if rules is None else Collected(Answered.CAME, now_s, 0, rules)

    def _put(self, collection: bytes, asked: Asking, came: Collected, *, about: bytes) -> None:
        now_s = self._node.clock()
        row = {
            "collection": collection,
            "custodian": asked.custodian,
            "pseudonym": about,
            "until_s": now_s + asked.duration_s,
            "sealed": self._sealed(collection, asked.custodian, came),
        }
        with self._node.vault.database.writing() as connection:
            connection.execute(insert(schema.collected).values(row))

    def _replace(self, collection: bytes, asked: Asking, came: Collected) -> None:
        """Keep another answer; where nobody looks any more, nothing."""
        columns = schema.collected.c
        this = (columns.collection == collection) & (columns.custodian == asked.custodian)
        sealed = self._sealed(collection, asked.custodian, came)
        with self._node.vault.database.writing() as connection:
            connection.execute(update(schema.collected).where(this).values(sealed=sealed))

    def _sealed(self, collection: bytes, custodian: str, came: Collected) -> bytes:
        return self._rows.seal(_TABLE, collection + custodian.encode(), came)

    def _opened(self, collection: bytes, custodian: str, sealed: bytes) -> Collected:
        found: Collected = self._rows.open(_TABLE, collection + custodian.encode(), sealed, _COLLECTED.decode)
        return found


def _at_present(reader: Reader, came: Collected, now_s: int) -> Collected:
    """What came by emergency access is gone as soon as its permit is, as an officer ends it who says no."""
    if not came.emergency:
        return came
    permit = access.permit(reader, PermitId(came.emergency))
    return came if permit is not None and now_s < permit.until_s else Collected(Answered.ENDED, came.asked_s)


def _history(node: Node, custodian: OrganisationId, session: OpenSession, pseudonym: Pseudonym) -> bytes:
    """What a custodian gives out to the session's own key alone (L5). Raises Refused, NotNow."""
    with closing(device_peers(node, session.key)) as peers:
        answer = peers.ask(custodian, HistoryAsk(pseudonym, session.certified))
    if not isinstance(answer, HistoryAnswer):
        raise Refused(Refusal.MESSAGE_UNFIT, "expected a history")
    return answer.bundle
