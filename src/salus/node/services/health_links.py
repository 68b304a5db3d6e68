"""Health links: what a patient lets whoever has a link and its passcode see, for how long, and who opened it.

A SMART Health Link stands on a ticket (`contracts/tickets`), which the ledger has by its public key alone. Promises:
what opens a link, the ticket's key among it, is sealed under its address and its passcode together, and this node keeps
neither; a link that was stopped has nothing left to open, and its ticket is revoked (R3); who opened it, or tried, is
written down before they get an answer. What whoever opened it calls themself is theirs to say, and so marked.
"""

import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

import msgspec
import structlog
from sqlalchemy import delete, insert, select, update

from salus.clinical.fhir.kinds import whole
from salus.clinical.labels import label
from salus.contracts import patients, tickets
from salus.contracts.provisions import (
    Provision,
    ProvisionType,
    Purpose,
    RoleClass,
    as_set,
    check,
    encode_tree,
)
from salus.contracts.ticket_bearers import Resources, read_bearer
from salus.crypto.derive import ticket_key
from salus.crypto.sealing import new_key
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey
from salus.ledger.state import Reader
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Delivery, Done, Peers
from salus.node.people import certify_person
from salus.node.sealed_rows import SealedRows, row_decoder
from salus.node.services import delegations, derived, sharing
from salus.node.services.accounts import new_cost
from salus.node.services.link_secrets import Kept, KeptTicket, LinkSecrets, LinkTicket, seal
from salus.node.services.respond import Login
from salus.node.services.signer_answers import Signed
from salus.node.services.signer_requests import EndTicket, NewTicket
from salus.node.services.tickets import issue_by_custodian, revoke_by_custodian, take_ticket

LABEL_MAX: Final = 80
"""Characters (SMART Health Links, payload)."""
DAYS_MAX: Final = 365
PASSCODE_LENGTH_MIN: Final = 6
PASSCODE_LENGTH_MAX: Final = 128
TRIES_MAX: Final = 10
OPENINGS_MAX: Final = 100
LINKS_MAX: Final = 20
"""Of one patient, in force at one time."""
FORGOTTEN_S: Final = 90 * 86_400
"""So long after its end a link, and who opened it, are still listed."""
ROLE: Final = "Link that the patient gave out"
_TABLE: Final = "health-link"
_USE: Final = "health-link-use"

log = structlog.get_logger("salus.health_links")


class Ended(IntEnum):
    """Who ended a link. Numbers are permanent: they are in the database."""

    NOT_YET = 0
    STOPPED = 1
    GUESSED = 2


class LinkState(StrEnum):
    """How it stands with a link."""

    OPEN = "open"
    OVER = "over"
    STOPPED = "stopped"
    GUESSED = "guessed"
    SPENT = "spent"


class WantedLink(msgspec.Struct, frozen=True, array_like=True):
    """What a patient wants to give out.

    Args:
        label: what they call it; whoever has the link reads it.
        lasts_s: seconds from when it is made.
        tries: wrong passcodes that it bears in all.
        labels, classes: what is left out of everything or, of classes alone and with `is_only`, all that it is about.
    """

    label: str
    passcode: str
    lasts_s: int
    tries: int
    labels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    is_only: bool = False

    def __repr__(self) -> str:
        """Hide all of it."""
        return "WantedLink(…)"


class Use(msgspec.Struct, frozen=True, array_like=True):
    """Somebody opened a link, or was refused; `recipient` is what they said of themself."""

    recipient: str
    is_refused: bool

    def __repr__(self) -> str:
        """Hide who it was."""
        return "Use(…)"


@dataclass(frozen=True)
class Used:
    """A use and when it was."""

    at_s: int
    use: Use


@dataclass(frozen=True)
class Link:
    """A link of a patient's; `uses` are the newest first."""

    name: bytes
    kept: Kept = field(repr=False)
    state: LinkState
    until_s: int
    tries_left: int
    uses: tuple[Used, ...] = field(repr=False)


@dataclass(frozen=True)
class MadeLink:
    """What the patient's link says, and nobody here knows any more: secret of the address, key of the files.

    Args:
        custodians: whose records it is about.
    """

    name: bytes
    secret: bytes = field(repr=False)
    key: bytes = field(repr=False)
    until_s: int
    custodians: tuple[str, ...]


KEPT: Final = row_decoder(Kept)
_USED: Final = row_decoder(Use)


class HealthLinks:
    """The links of one node's patients."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._rows = rows

    def make(self, login: Login, pseudonym: bytes, wanted: WantedLink) -> MadeLink:
        """Put a link in force, with the key that this organisation holds for the patient, visibly so.

        1. What is wanted can be had.
        2. Draw the ticket's key.
        3. The ledger has the ticket before the link is there.

        Raises:
            Refused: PERSON_UNFIT, SESSION_UNFIT for anybody but the patient, CHOICE_UNFIT, TOO_MANY; or what the ledger
                says.
            NotNow: the ledger is away.
        """
        self._require_patient(login, pseudonym)
        self.require_fit(pseudonym, wanted)  # 1
        node, ticket = self._node, ticket_key(new_key())  # 2
        tree, until_s = tree_of(wanted, node.organisation), node.clock() + wanted.lasts_s
        uses_max = OPENINGS_MAX
        issue_by_custodian(node, Pseudonym(pseudonym), tree, key=ticket, uses_max=uses_max, expires_at_s=until_s)  # 3
        return self._keep(wanted, [LinkTicket(node.organisation, pseudonym, ticket.seed)], tree, until_s)

    def to_sign(
        self, login: Login, of: Sequence[tuple[str, bytes]], wanted: WantedLink, *, audience: str
    ) -> list[NewTicket]:
        """Return what the patient's own device is asked to sign for a link: a ticket for each relationship.

        Args:
            of: custodians and the patient's pseudonyms there, this organisation first.
            audience: where the link is; a ticket for there is good at no other server.

        Raises:
            Refused: as `make`.
        """
        self._require_patient(login, of[0][1])
        self.require_fit(of[0][1], wanted)
        types = (*whole(wanted.classes), "Patient") if wanted.is_only else ("*",)
        resources = tuple(Resources(each, ("read", "search")) for each in types)
        tree = tree_of(wanted, self._node.organisation, purpose=Purpose.PATRQT)
        until_s = self._node.clock() + wanted.lasts_s
        return [
            NewTicket(OrganisationId(custodian), Pseudonym(theirs), tree, audience, resources, OPENINGS_MAX, until_s)
            for custodian, theirs in of
        ]

    def take(
        self, login: Login, pseudonym: bytes, wanted: WantedLink, signed: Sequence[Signed], *, peers: Peers
    ) -> MadeLink:
        """Put a link in force whose tickets the patient's own device signed, the one here first.

        Each custodian gets its own ticket with the rules; of whom does not take it the link has no records.

        Raises:
            Refused, NotNow: as `make`, for the ticket here.
        """
        self._require_patient(login, pseudonym)
        self.require_fit(pseudonym, wanted)
        mine = signed[0].message
        if not isinstance(mine, tickets.IssueTicket) or mine.pseudonym != pseudonym:
            raise Refused(Refusal.CHOICE_UNFIT, "expected a ticket of this patient: make the link once more")
        take_ticket(self._node, signed[0].raw, mine, signed[0].residual)
        taken = [LinkTicket(self._node.organisation, pseudonym, read_bearer(signed[0].bearer).key.seed)]
        for each in signed[1:]:
            bearer = read_bearer(each.bearer)
            custodian = self._custodian(bearer.pseudonym)
            if _delivered(peers, custodian, each):
                taken.append(LinkTicket(custodian, bearer.pseudonym, bearer.key.seed))
        tree = tree_of(wanted, self._node.organisation, purpose=Purpose.PATRQT)
        return self._keep(wanted, taken, tree, mine.expires_at_s)

    def of(self, pseudonym: bytes) -> list[Link]:
        """Return a patient's links, the newest first. Raises NotNow."""
        columns, uses = schema.health_links.c, self._uses(pseudonym)
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(select(schema.health_links).where(columns.pseudonym == pseudonym)).all()
        links = []
        with self._node.engine.snapshot() as reader:
            for row in rows:
                kept: Kept = self._rows.open(_TABLE, row.link, row.sealed, KEPT.decode)
                state = self._state(reader, kept, Ended(row.ended), row.until_s)
                theirs = tuple(uses.get(row.link, ()))
                links.append(Link(row.link, kept, state, row.until_s, row.tries_left, theirs))
        return sorted(links, key=lambda each: (-each.kept.made_at_s, each.name))

    def stop(self, login: Login, pseudonym: bytes, name: bytes) -> list[EndTicket]:
        """End one of a patient's links; whatever becomes of the ledger's answer, nobody opens it here any more.

        Returns:
            What the patient's own device may sign as well: the ends of the tickets at other custodians. Their keys
            are destroyed, so that nobody can use them.

        Raises:
            Refused: PERSON_UNFIT, SESSION_UNFIT, NOT_YOURS.
            NotNow: the ledger is away; the same once more revokes the ticket.
        """
        self._require_patient(login, pseudonym)
        found = next((each for each in self.of(pseudonym) if each.name == name), None)
        if found is None:
            raise Refused(Refusal.NOT_YOURS, "expected a link of this patient: it was forgotten, or never was")
        self.end(name, found.kept, Ended.STOPPED)
        with self._node.engine.snapshot() as reader:
            now_s = self._node.clock()
            theirs = [
                each for each in found.kept.tickets if tickets.is_in_force(reader, PublicKey(each.ticket), time_s=now_s)
            ]
        here = self._node.organisation
        for each in theirs:
            if each.custodian == here:
                revoke_by_custodian(self._node, Pseudonym(each.pseudonym), PublicKey(each.ticket))
        return [
            EndTicket(OrganisationId(each.custodian), Pseudonym(each.pseudonym), PublicKey(each.ticket))
            for each in theirs
            if each.custodian != here
        ]

    def take_ends(self, signed: Sequence[Signed], *, peers: Peers) -> None:
        """Give other custodians the ends of their tickets; of one that does not answer nobody can use the ticket."""
        for each in signed:
            if isinstance(each.message, tickets.RevokeTicket):
                _delivered(peers, self._custodian(each.message.pseudonym), each)

    def end(self, name: bytes, kept: Kept, how: Ended) -> None:
        """End a link here and destroy what opens it, durably; one that has ended before stays as it ended."""
        columns = schema.health_links.c
        sealed = self._rows.seal(_TABLE, name, msgspec.structs.replace(kept, secrets=b""))
        still = (columns.link == name) & (columns.ended == Ended.NOT_YET)
        with self._node.vault.database.writing() as connection:
            connection.execute(update(schema.health_links).where(still).values(ended=how, sealed=sealed))

    def note(self, link: bytes, pseudonym: bytes, use: Use) -> None:
        """Write down that somebody opened a link or was refused, durably."""
        name = secrets.token_bytes(16)
        row = {
            "name": name,
            "link": link,
            "pseudonym": pseudonym,
            "at_s": self._node.clock(),
            "sealed": self._rows.seal(_USE, name, use),
        }
        with self._node.vault.database.writing() as connection:
            connection.execute(insert(schema.health_link_uses).values(row))

    def lookup(self, secret: bytes) -> bytes:
        """Return the keyed hash under which a link is found by the secret of its address."""
        return self._rows.lookup(_TABLE, secret)

    def kept(self, name: bytes, sealed: bytes) -> Kept:
        """Return what is known of a link, of its row."""
        found: Kept = self._rows.open(_TABLE, name, sealed, KEPT.decode)
        return found

    def _require_patient(self, login: Login, pseudonym: bytes) -> None:
        """Raise Refused (PERSON_UNFIT, SESSION_UNFIT) for anybody but the patient; a helper gives out no link."""
        if not derived.is_patient(login) or login.ticket is not None:
            raise Refused(Refusal.PERSON_UNFIT, "expected the patient: a link is theirs to give out")
        delegations.require_own(self._node, Pseudonym(pseudonym), login.session)

    def require_fit(self, pseudonym: bytes, wanted: WantedLink) -> None:
        """Raise Refused (CHOICE_UNFIT, TOO_MANY) for a link that cannot be made."""
        if not 1 <= len(wanted.label) <= LABEL_MAX or clean(wanted.label) != wanted.label:
            raise Refused(Refusal.CHOICE_UNFIT, f"expected a name for the link of 1 to {LABEL_MAX} characters")
        if not PASSCODE_LENGTH_MIN <= len(wanted.passcode) <= PASSCODE_LENGTH_MAX:
            raise Refused(Refusal.CHOICE_UNFIT, f"expected a passcode of at least {PASSCODE_LENGTH_MIN} characters")
        if not 0 < wanted.lasts_s <= DAYS_MAX * 86_400 or not 0 < wanted.tries <= TRIES_MAX:
            raise Refused(Refusal.CHOICE_UNFIT, f"expected at most {DAYS_MAX} days and {TRIES_MAX} tries")
        if sum(each.state is LinkState.OPEN for each in self.of(pseudonym)) >= LINKS_MAX:
            raise Refused(Refusal.TOO_MANY, f"expected at most {LINKS_MAX} links at one time: stop one first")

    def _custodian(self, pseudonym: bytes) -> OrganisationId:
        with self._node.engine.snapshot() as reader:
            return patients.require_relationship(reader, Pseudonym(pseudonym)).custodian

    def _keep(self, wanted: WantedLink, taken: Sequence[LinkTicket], tree: Provision, until_s: int) -> MadeLink:
        """Draw the rest of a link's secrets, certify as whom it is opened, and keep it as far as it is kept."""
        person = certify_person(
            self._node, name=wanted.label, role=ROLE, registration="", role_class=RoleClass.ADMINISTRATIVE
        )
        opens = LinkSecrets(new_key(), tuple(taken), person.key.seed, person.certificate, encode_tree(tree))
        custodians = tuple(each.custodian for each in taken)
        made = MadeLink(secrets.token_bytes(16), new_key(), opens.key, until_s, custodians)
        self._insert(made, wanted, opens)
        return made

    def _insert(self, made: MadeLink, wanted: WantedLink, opens: LinkSecrets) -> None:
        cost, now_s = new_cost(), self._node.clock()
        kept = Kept(
            label=wanted.label,
            labels=wanted.labels,
            classes=wanted.classes,
            is_only=wanted.is_only,
            made_at_s=now_s,
            tickets=tuple(KeptTicket(each.custodian, each.pseudonym, each.key.public) for each in opens.tickets),
            cost=cost,
            secrets=seal(opens, link=made.name, secret=made.secret, passcode=wanted.passcode, cost=cost),
        )
        row = {
            "link": made.name,
            "lookup": self.lookup(made.secret),
            "pseudonym": opens.tickets[0].pseudonym,
            "tries_left": wanted.tries,
            "ended": Ended.NOT_YET,
            "until_s": made.until_s,
            "sealed": self._rows.seal(_TABLE, made.name, kept),
        }
        columns, uses = schema.health_links.c, schema.health_link_uses.c
        is_old = columns.until_s < now_s - FORGOTTEN_S
        with self._node.vault.database.writing() as connection:
            old = select(columns.link).where(is_old)
            connection.execute(delete(schema.health_link_uses).where(uses.link.in_(old)))
            connection.execute(delete(schema.health_links).where(is_old))
            connection.execute(insert(schema.health_links).values(row))

    def _uses(self, pseudonym: bytes) -> dict[bytes, list[Used]]:
        columns = schema.health_link_uses.c
        wanted = select(schema.health_link_uses).where(columns.pseudonym == pseudonym).order_by(columns.at_s.desc())
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(wanted).all()
        found: dict[bytes, list[Used]] = {}
        for row in rows:
            use: Use = self._rows.open(_USE, row.name, row.sealed, _USED.decode)
            found.setdefault(row.link, []).append(Used(row.at_s, use))
        return found

    def _state(self, reader: Reader, kept: Kept, ended: Ended, until_s: int) -> LinkState:
        ticket, now_s = PublicKey(kept.tickets[0].ticket), self._node.clock()
        row = tickets.TICKETS.get(reader, ticket)
        if ended is Ended.GUESSED:
            return LinkState.GUESSED
        if now_s >= until_s:
            return LinkState.STOPPED if ended is Ended.STOPPED else LinkState.OVER
        if ended is Ended.STOPPED or row is None or not tickets.is_in_force(reader, ticket, time_s=now_s):
            return LinkState.STOPPED
        return LinkState.SPENT if row.used >= row.uses_max else LinkState.OPEN


def tree_of(wanted: WantedLink, organisation: OrganisationId, *, purpose: Purpose = Purpose.TREAT) -> Provision:
    """Return what a link may show as the rules of its ticket. Raises Refused: CHOICE_UNFIT.

    Whose record it is goes with it whatever is chosen, so that whoever reads it does not take it for somebody else's.

    Args:
        purpose: TREAT, which the custodian's right has; or PATRQT, for which no care but the ticket lets anybody in.
    """
    is_odd = wanted.is_only and (wanted.labels or not wanted.classes)
    if is_odd or not set(wanted.labels) <= set(sharing.SENSITIVE):
        raise Refused(Refusal.CHOICE_UNFIT, "expected kinds of records that the list has: choose some")
    codes, classes = as_set(map(label, wanted.labels)), as_set(whole(wanted.classes))
    tree = Provision(
        type=ProvisionType.PERMIT,
        organisations=(organisation,),
        role_classes=(RoleClass.ADMINISTRATIVE,),
        purposes=(purpose,),
        classes=as_set((*classes, "Patient")) if wanted.is_only else (),
        provisions=() if wanted.is_only else sharing.left_out(codes, classes),
    )
    check(tree)
    return tree


def _delivered(peers: Peers, custodian: OrganisationId, signed: Signed) -> bool:
    """Give a custodian its ticket with the rules; tell whether it is in force."""
    try:
        came = peers.ask(custodian, Delivery(signed.raw, signed.residual))
    except (NotNow, Refused) as error:
        log.info("health_link.not_taken", custodian=custodian, reason=type(error).__name__)
        return False
    return isinstance(came, Done)


def clean(said: str) -> str:
    """Return what somebody typed in one line, without what cannot be seen."""
    seen = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", said))
    return " ".join(seen.split())
