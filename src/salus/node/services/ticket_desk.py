"""The ticket desk: a patient's tickets as programs see them: which there are, a new one, the end of one.

A patient whose key the custodian holds, and staff that gives care, act with the custodian's right, which is direct
care and no more; what a patient's own device signed is passed on as it is, with the patient's right.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from salus.contracts import tickets
from salus.contracts.evidence import ticket_made
from salus.contracts.gathering import read_trail
from salus.contracts.patients import Actor
from salus.contracts.provisions import Condition, Provision, ProvisionInvalid, ProvisionType, Purpose, RoleClass, as_set
from salus.contracts.residuals import ResidualInvalid
from salus.contracts.ticket_bearers import Resources, new_claims, write_bearer
from salus.contracts.tickets import Ticket, UsesField
from salus.crypto.sealing import new_key
from salus.engines.base import Unavailable
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey, SecondsField
from salus.ledger.state import Reader
from salus.ledger.transactions import NotATransaction
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.members import read_time_s
from salus.node.services.choices import RESIDUAL
from salus.node.services.respond import Login
from salus.node.services.tickets import NewTicket, issue_by_custodian, revoke_by_custodian, take_ticket

GIVERS: Final = (RoleClass.CLINICAL, RoleClass.PHARMACY, RoleClass.ADMINISTRATIVE, RoleClass.PATIENT_SIDE)
"""Who may issue and end tickets here: the patient, and those who give or arrange care."""

TicketName = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
"""The public key of a ticket in hexadecimal: by it nobody can use it."""
Code = Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,12}$")]


class ConditionRead(msgspec.Struct, frozen=True):
    """Who may use a ticket and for what; a list that is empty means any."""

    organisations: tuple[str, ...]
    role_classes: tuple[str, ...]
    purposes: tuple[str, ...]
    verbs: tuple[str, ...]


class TicketRead(msgspec.Struct, frozen=True):
    """A ticket that the ledger has.

    Args:
        issuer: whose right it carries, `patient` or `custodian`.
        conditions: all must hold.
        expires_at_s: Unix seconds.
    """

    ticket: TicketName
    state: Literal["in force", "spent", "revoked", "over"]
    issuer: Literal["patient", "custodian"]
    conditions: tuple[ConditionRead, ...]
    uses_max: int
    uses_left: int
    expires_at_s: int


class TicketsRead(msgspec.Struct, frozen=True):
    """A patient's tickets, the newest first; one is forgotten a day after its end."""

    tickets: tuple[TicketRead, ...]


class SignedTicketAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="signed"):
    """A ticket that the patient's own device signed: the transaction, and the rules in canonical MessagePack."""

    transaction: bytes
    rules: bytes


class CareTicketAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="care"):
    """A ticket for direct care, with the custodian's right.

    Args:
        organisations: ODS codes of whom it is for.
        resources: what it is about.
        uses_max: how many permits may be asked for with it.
        expires_at_s: Unix seconds, at most 400 days ahead.
        thumbprint: of a key of the one program that may show it (RFC 7638); empty for whoever has it.
    """

    organisations: Annotated[tuple[Code, ...], Meta(min_length=1, max_length=16)]
    role_class: Literal["clinical", "pharmacy", "administrative"]
    resources: Annotated[tuple[Resources, ...], Meta(min_length=1, max_length=64)]
    uses_max: UsesField
    expires_at_s: SecondsField
    purpose: Literal["treat", "etreat"] = "treat"
    thumbprint: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{43})?$")] = ""


TicketAsk = SignedTicketAsk | CareTicketAsk


class TicketGiven(msgspec.Struct, frozen=True):
    """A ticket in force; `bearer` is what its holder has, and empty where the patient's device made it."""

    ticket: TicketName
    bearer: str

    def __repr__(self) -> str:
        """Hide the bearer."""
        return "TicketGiven(…)"


def give(node: Node, login: Login, pseudonym: bytes, ask: TicketAsk, *, audience: str) -> TicketGiven:
    """Put a ticket in force.

    Args:
        audience: the base of this custodian's FHIR server.

    Raises:
        Refused: PERSON_UNFIT, CHOICE_UNFIT, or what the ledger says.
        NotNow: the ledger is away.
    """
    _require_giver(login)
    if isinstance(ask, SignedTicketAsk):
        return TicketGiven(_take_signed(node, pseudonym, ask).hex(), "")
    claims = new_claims(
        chain=node.chain,
        audience=audience,
        pseudonym=pseudonym,
        resources=ask.resources,
        time_s=node.clock(),
        expires_at_s=ask.expires_at_s,
        secret=new_key(),
        thumbprint=ask.thumbprint,
    )
    bearer, key = write_bearer(claims)
    try:
        issue_by_custodian(
            node,
            Pseudonym(pseudonym),
            _rules(ask),
            key=key,
            uses_max=ask.uses_max,
            expires_at_s=ask.expires_at_s,
        )
    except ProvisionInvalid as error:
        raise Refused(Refusal.CHOICE_UNFIT, str(error)) from error
    return TicketGiven(key.public.hex(), bearer)


def tickets_of(node: Node, login: Login, pseudonym: bytes) -> TicketsRead:
    """Return a patient's tickets that the ledger has. Raises Refused (PERSON_UNFIT), NotNow."""
    _require_giver(login)
    try:
        with node.engine.snapshot() as reader:
            made = [ticket_made(each.outcome) for each in read_trail(reader, Pseudonym(pseudonym))]
            keys = dict.fromkeys(each[0] for each in reversed(made) if each is not None)
            rows = [(key, row) for key in keys if (row := tickets.TICKETS.get(reader, key)) is not None]
            return TicketsRead(tuple(_read(node, reader, key, row) for key, row in rows))
    except Unavailable as error:
        raise NotNow(f"the ledger does not answer ({error}): try later") from error


def ticket_of(node: Node, login: Login, pseudonym: bytes, ticket: str) -> TicketRead:
    """Return one of a patient's tickets. Raises Refused: NOT_YOURS, PERSON_UNFIT; NotNow."""
    for each in tickets_of(node, login, pseudonym).tickets:
        if each.ticket == ticket:
            return each
    raise Refused(Refusal.NOT_YOURS, "expected the name of a ticket of this patient that the ledger has: list them")


def end(node: Node, login: Login, pseudonym: bytes, ticket: str) -> None:
    """End one of a patient's tickets, and all that were made from it. Raises as `ticket_of`, and as the ledger says."""
    found = ticket_of(node, login, pseudonym, ticket)
    if found.state != "revoked":
        revoke_by_custodian(node, Pseudonym(pseudonym), PublicKey(bytes.fromhex(ticket)))


def _require_giver(login: Login) -> None:
    if login.role_class not in GIVERS or login.ticket is not None:
        raise Refused(Refusal.PERSON_UNFIT, "expected the patient, or somebody who gives them care")


def _take_signed(node: Node, pseudonym: bytes, ask: SignedTicketAsk) -> PublicKey:
    try:
        rules: CommittedFields = RESIDUAL.decode(ask.rules)
        messages = node.decode(ask.transaction).messages
    except (EncodingInvalid, NotATransaction, ResidualInvalid) as error:
        raise Refused(Refusal.CHOICE_UNFIT, f"expected a signed ticket and its rules: {error}") from error
    message = messages[0]
    if len(messages) != 1 or not isinstance(message, NewTicket) or message.pseudonym != pseudonym:
        raise Refused(Refusal.CHOICE_UNFIT, "expected one IssueTicket or AttenuateTicket of this patient")
    take_ticket(node, ask.transaction, message, rules)
    return message.ticket if isinstance(message, tickets.IssueTicket) else message.narrower


def _rules(ask: CareTicketAsk) -> Provision:
    types = [each.type for each in ask.resources]
    return Provision(
        ProvisionType.PERMIT,
        organisations=as_set(OrganisationId(each) for each in ask.organisations),
        role_classes=(RoleClass[ask.role_class.upper()],),
        purposes=(Purpose[ask.purpose.upper()],),
        classes=() if "*" in types else as_set(types),
    )


def _read(node: Node, reader: Reader, key: PublicKey, row: Ticket) -> TicketRead:
    return TicketRead(
        ticket=key.hex(),
        state=_state(node, reader, row),
        issuer="custodian" if row.issuer is Actor.CUSTODIAN else "patient",
        conditions=tuple(_condition(each) for each in row.conditions),
        uses_max=row.uses_max,
        uses_left=row.uses_max - row.used,
        expires_at_s=row.expires_at_s,
    )


def _state(node: Node, reader: Reader, row: Ticket) -> Literal["in force", "spent", "revoked", "over"]:
    if read_time_s(reader, node.clock) >= row.expires_at_s:
        return "over"
    if tickets.is_revoked(reader, row):
        return "revoked"
    return "spent" if row.used >= row.uses_max else "in force"


def _condition(condition: Condition) -> ConditionRead:
    return ConditionRead(
        organisations=tuple(condition.organisations),
        role_classes=tuple(each.name.lower() for each in condition.role_classes),
        purposes=tuple(each.name.lower() for each in condition.purposes),
        verbs=tuple(each.name.lower() for each in condition.verbs),
    )
