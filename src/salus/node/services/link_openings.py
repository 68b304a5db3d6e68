"""Link openings: whoever has a link and its passcode gets what the link shows, by a permit of the ledger (R1, R4).

Promises: tries are counted before a passcode is looked at, so that no number of requests at one moment has more; a link
that never was, has ended or was used up has one answer, which costs as much time as a wrong passcode; each opening is a
request of its own that spends a use of the ticket, and both are asked again at each file (R3).
"""

import asyncio
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import Row, select, update

from salus.clinical.fhir.exact_json import read_exact
from salus.clinical.fhir.patient_summary import Part, document
from salus.clinical.fhir.plain import Content
from salus.clinical.fhir.renaming import instant
from salus.contracts import provisions
from salus.contracts.provisions import Effect, Request, RoleClass, Verb, day_of, decode_tree
from salus.contracts.record_metadata import record_of
from salus.crypto.jwe import write_jwe
from salus.crypto.sealing import SealBroken
from salus.crypto.signing import SigningKey
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, Pseudonym, RecordId
from salus.node import schema
from salus.node.assemble import Node
from salus.node.bearers import BearerKind, Bearers
from salus.node.caller_networks import network_of
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.people import HeldSession, held, open_session
from salus.node.projections.resources import Found
from salus.node.sealed_rows import SealedRows
from salus.node.services import ledger_reads
from salus.node.services.accounts import new_cost
from salus.node.services.collect import Answered, Asking, Collections
from salus.node.services.deposit import METADATA
from salus.node.services.health_links import (
    Ended,
    HealthLinks,
    Use,
    clean,
)
from salus.node.services.link_secrets import Kept, LinkSecrets, LinkTicket, unseal
from salus.node.services.own_chart import COPY_BYTES_MAX
from salus.node.services.respond import Login, Responder
from salus.node.services.search import Reach, Search
from salus.node.services.show import newest, show
from salus.node.services.tickets import require_in_force
from salus.node.tallies import Counted, Tally, count

CONTENT_TYPE: Final = "application/fhir+json;fhirVersion=4.0.1"
RECIPIENT_MAX: Final = 120
SESSION_S: Final = 900
FILE_S: Final = 600
"""How long the address of a file is good; an hour at the most (SMART Health Links, file location)."""
TRIES_FROM_MAX: Final = 60
TRIES_S: Final = 900
NO_LINK: Final = "this link was never there, has ended, or was used up: ask whoever gave it to you"
LOOKS: Final = 10
LOOK_S: Final = 0.5
"""So often and so long apart it is looked whether those have answered whom another worker asks; so long all wait."""


class PasscodeWrong(Exception):
    """The passcode is not the link's."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"expected the passcode of this link; {tries_left} more tries")
        self.tries_left = tries_left


class Opened(msgspec.Struct, frozen=True, array_like=True):
    """A link that somebody has opened, for as long as the addresses of its files are good; kept sealed.

    Args:
        link: its name.
        key: under which files are encrypted.
        ticket: that of the relationship here; others: the custodians of the others, as far as they were asked.
        session: with this organisation; said: why, for the request.
        tree: the rules of each ticket, encoded.
        collection: what the other custodians answer.
    """

    link: bytes
    key: bytes
    ticket: LinkTicket
    session: HeldSession
    said: str
    tree: bytes
    others: tuple[str, ...]
    collection: bytes

    def __repr__(self) -> str:
        """Hide all of it."""
        return "Opened(…)"

    @property
    def login(self) -> Login:
        """As whom the records are asked for."""
        (purpose,) = decode_tree(self.tree).purposes
        return Login(self.session.opened, RoleClass.ADMINISTRATIVE, purpose, self.ticket.key, self.said)

    @property
    def pseudonym(self) -> Pseudonym:
        """The patient's, here."""
        return Pseudonym(self.ticket.pseudonym)


@dataclass(frozen=True)
class Ask:
    """What whoever has a link sends (SMART Health Links, manifest request); `address` is where it came from."""

    recipient: str = field(repr=False)
    passcode: str = field(repr=False)
    address: str


class LinkOpenings:
    """The openings of one node's links; used by any number of threads."""

    def __init__(
        self,
        node: Node,
        rows: SealedRows,
        responder: Responder,
        links: HealthLinks,
        collections: Collections,
        *,
        base: str,
    ) -> None:
        self._node = node
        self._rows = rows
        self._responder = responder
        self._links = links
        self._collections = collections
        self._bearers = Bearers(node, rows)
        self._base = base

    def open(self, secret: bytes, ask: Ask) -> Opened:
        """Open a link.

        1. Count the try: of the network address, then of the link, if it is there and has not ended.
        2. Make its key of address and passcode, whether or not there is such a link.
        3. A wrong passcode has spent the try, and the last one ends the link; a right one gets its try back.
        4. Ask the ledger, which spends a use of the ticket; then write down who it was.

        Raises:
            PasscodeWrong: with how many tries are left; 0 has ended the link.
            Refused: NOT_YOURS with the same words whatever is amiss with the link, MESSAGE_UNFIT, TOO_MANY.
            NotNow: the ledger is away, or as many as the link has tries left open it at this moment.
        """
        recipient = clean(ask.recipient)
        if not 1 <= len(recipient) <= RECIPIENT_MAX:
            raise Refused(Refusal.MESSAGE_UNFIT, f"expected who you are, in 1 to {RECIPIENT_MAX} characters")
        self._count(ask.address)  # 1
        row = self._reserved(secret)
        kept = self._links.kept(row.link, row.sealed) if row is not None else None
        sealed, cost = (kept.secrets, kept.cost) if kept is not None else (b"", new_cost())
        name = row.link if row is not None else b""
        try:
            opens = unseal(sealed, link=name, secret=secret, passcode=ask.passcode, cost=cost)  # 2
        except SealBroken:
            if row is None or kept is None:
                raise _no_link() from None
            raise PasscodeWrong(self._refuse(row, kept, recipient)) from None  # 3
        assert row is not None, "what opens a link is of a link"
        self._give_back(row.link)
        return self._asked(row, opens, recipient)  # 4

    def address_of(self, opened: Opened) -> str:
        """Return a new token by which a file of an opening is fetched, for ten minutes."""
        until_s = self._node.clock() + FILE_S
        return self._bearers.issue(BearerKind.LINK_FILE, opened, until_s=until_s, pseudonym=opened.pseudonym)

    def at(self, token: str) -> Opened:
        """Return the opening of a token. Raises Refused (NOT_YOURS): none, past its time, or of an ended link."""
        found = self._bearers.find(BearerKind.LINK_FILE, token, Opened)
        if found is None or not self._is_open(found.value.link):
            raise _no_link()
        return found.value

    async def settle(self, opened: Opened) -> None:
        """Wait for the other custodians' answers, five seconds at the most, and keep no thread meanwhile."""
        if running := self._collections.running(opened.collection):
            await asyncio.wait([asyncio.wrap_future(each) for each in running], timeout=LOOKS * LOOK_S)
            return
        for _ in range(LOOKS if opened.others else 0):
            if not await asyncio.to_thread(self._is_asking, opened):
                return
            await asyncio.sleep(LOOK_S)

    def file(self, opened: Opened) -> str:
        """Return what a link shows now, as one encrypted document that leaves one receipt (JWE).

        Who has not answered yet is named in it: `settle` waits for them.

        Raises:
            Refused: NOT_YOURS when the ticket has ended; TOO_MANY above what is put together in memory.
            NotNow: the ledger is away.
        """
        node, login = self._node, opened.login
        try:
            require_in_force(node, opened.ticket.key)
            found = self._within(opened, login)
            shown = show(node, self._responder, login, [newest(each) for each in found])
        except Refused as refused:
            if refused.refusal is Refusal.TOO_MANY:
                raise
            raise _no_link() from refused
        mine = [read_exact(shown[each.key].body) for each in found if each.key in shown]
        parts, silent = self._elsewhere(opened)
        whole = document(
            [self._part(node.organisation, node.title(), mine), *parts],
            silent=silent,
            identifier=f"urn:uuid:{uuid.uuid4()}",
            made=instant(node.clock()),
        )
        return write_jwe(opened.key, whole, content_type=CONTENT_TYPE)

    def _asked(self, row: Row, opens: LinkSecrets, recipient: str) -> Opened:  # type: ignore[type-arg]
        said = f"Opened with a link. Whoever opened it said that they are: {recipient}"
        mine, *others = opens.tickets
        opened = Opened(
            link=row.link,
            key=opens.key,
            ticket=mine,
            session=self._session(opens, mine),
            said=said,
            tree=opens.tree,
            others=tuple(each.custodian for each in others),
            collection=b"",
        )
        try:
            require_in_force(self._node, mine.key)
            keys = [each.key for each in self._within(opened, opened.login)]
            self._responder.allowed(opened.login, opened.pseudonym, Verb.READ, keys)
        except Refused as refused:
            self._links.note(row.link, opened.pseudonym, Use(recipient, is_refused=True))
            raise _no_link() from refused
        self._links.note(row.link, opened.pseudonym, Use(recipient, is_refused=False))
        if not others:
            return opened
        asking = [
            Asking(
                session=self._session(opens, each),
                role_class=RoleClass.ADMINISTRATIVE,
                purpose=opened.login.purpose,
                pseudonym=each.pseudonym,
                justification=said,
                ticket=each.key,
            )
            for each in others
        ]
        return msgspec.structs.replace(opened, collection=self._collections.begin(asking, about=opened.pseudonym))

    def _session(self, opens: LinkSecrets, ticket: LinkTicket) -> HeldSession:
        """Open a session with the custodian of a ticket: another key with each (P7)."""
        signer, custodian = SigningKey.from_seed(opens.seed), OrganisationId(ticket.custodian)
        now_s = self._node.clock()
        session = open_session(signer, opens.certificate, custodian=custodian, from_s=now_s, duration_s=SESSION_S)
        return held(session, custodian, Pseudonym(ticket.pseudonym))

    def _elsewhere(self, opened: Opened) -> tuple[list[Part], list[str]]:
        """Return what the other custodians have, of those who have answered, and the names of those who have not."""
        if not opened.others:
            return [], []
        names = {each.organisation: each.name for each in ledger_reads.members(self._node)}
        came = self._collections.look(opened.collection)
        parts, silent = [], []
        for code in opened.others:
            found, name = came.get(OrganisationId(code)), names.get(OrganisationId(code), code)
            if found is None or found.state is not Answered.CAME or found.is_cut:
                silent.append(name)
            records = [] if found is None else [read_exact(each) for each in found.records]
            if records:
                parts.append(self._part(code, name, records))
        return parts, silent

    def _is_asking(self, opened: Opened) -> bool:
        return any(each.state is Answered.ASKING for each in self._collections.look(opened.collection).values())

    def _part(self, code: str, name: str, records: Sequence[Content]) -> Part:
        return Part(name, code, f"{self._base}/{code}", records)

    def _within(self, opened: Opened, login: Login) -> Sequence[Found]:
        """Return the records that a link is about: the rules of its ticket, put to each (DESIGN §5.1).

        What of them is let go the decision says; with the custodian's right, own care would let go more.
        """
        node, tree = self._node, decode_tree(opened.tree)
        reach = Reach(opened.pseudonym, lambda _type: True, lambda _type: ())
        chart = Search(node, self._responder, login, reach).chart(opened.pseudonym, (), ())
        theirs = [each for each in chart if each.pseudonym == opened.pseudonym]
        asked = Request(node.organisation, login.role_class, login.purpose, Verb.READ, day_of(node.clock()))
        found, size_bytes = [], 0
        for each, record in zip(theirs, node.vault.record_many([each.key for each in theirs]), strict=True):
            metadata: CommittedFields = METADATA.decode(record.metadata)
            facts = record_of(RecordId(record.record_id), metadata.values)
            if provisions.outcome(tree, asked, facts) is Effect.PERMIT:
                found.append(each)
                size_bytes += record.size_bytes
        if size_bytes > COPY_BYTES_MAX:
            words = f"expected at most {COPY_BYTES_MAX // 1_000_000} MB in a link: give out fewer kinds"
            raise Refused(Refusal.TOO_MANY, words)
        return found

    def _reserved(self, secret: bytes) -> Row | None:  # type: ignore[type-arg]
        """Spend a try of a link that is there and has not ended; return its row as it is then.

        Raises:
            NotNow: all its tries are being looked at: whether one is left shows in a moment.
        """
        columns, lookup = schema.health_links.c, self._links.lookup(secret)
        is_open = (columns.ended == Ended.NOT_YET) & (columns.until_s > self._node.clock())
        spendable = (columns.lookup == lookup) & is_open & (columns.tries_left > 0)
        spent = update(schema.health_links).where(spendable).values(tries_left=columns.tries_left - 1)
        with self._node.vault.database.writing() as connection:
            if connection.execute(spent).rowcount != 1:
                if connection.execute(select(columns.link).where((columns.lookup == lookup) & is_open)).first():
                    raise NotNow("others open this link at this moment: try again")
                return None
            return connection.execute(select(schema.health_links).where(columns.lookup == lookup)).one()

    def _give_back(self, link: bytes) -> None:
        columns = schema.health_links.c
        back = update(schema.health_links).where(columns.link == link).values(tries_left=columns.tries_left + 1)
        with self._node.vault.database.writing() as connection:
            connection.execute(back)

    def _refuse(self, row: Row, kept: Kept, recipient: str) -> int:  # type: ignore[type-arg]
        """Write down a wrong passcode, and end a link that bears no more of them; return how many it still bears."""
        self._links.note(row.link, row.pseudonym, Use(recipient, is_refused=True))
        columns = schema.health_links.c
        with self._node.vault.database.reading() as connection:
            left = connection.scalar(select(columns.tries_left).where(columns.link == row.link)) or 0
        if left == 0 and row.tries_left == 0:
            self._links.end(row.link, kept, Ended.GUESSED)
        return int(left)

    def _is_open(self, link: bytes) -> bool:
        columns = schema.health_links.c
        with self._node.vault.database.reading() as connection:
            row = connection.execute(select(schema.health_links).where(columns.link == link)).one_or_none()
        return row is not None and row.ended == Ended.NOT_YET and row.until_s > self._node.clock()

    def _count(self, address: str) -> None:
        who, what = self._rows.lookup("address", network_of(address)), secrets.token_bytes(16)
        now_s, most = self._node.clock(), TRIES_FROM_MAX
        counted = count(self._node, Tally.LINK, who=who, what=what, now_s=now_s, within_s=TRIES_S, most=most)
        if counted is Counted.TOO_MANY:
            raise Refused(Refusal.TOO_MANY, f"expected at most {most} tries in {TRIES_S // 60} minutes: wait")


def _no_link() -> Refused:
    return Refused(Refusal.NOT_YOURS, NO_LINK)
