"""Tickets: temporary tokens that say what may be asked, how often and until when; they hold no data.

The ledger stores a public key derived from the bearer secret, so whoever sees a use cannot use the ticket (DESIGN §5).
A ticket cannot exceed its issuer's right, and one made from another only narrows it.
"""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import membership, patients, provisions
from salus.contracts.provisions import Condition, Gate, ProvisionInvalid, Purpose, Request, RoleClass
from salus.crypto.signing import KeyInvalid, check_public_key
from salus.ledger.contract import Context, Contract, Rejected
from salus.ledger.identifiers import (
    Digest,
    DigestField,
    Pseudonym,
    PseudonymField,
    PublicKey,
    PublicKeyField,
    SecondsField,
)
from salus.ledger.outcomes import PatientOutcome
from salus.ledger.state import Reader
from salus.ledger.transactions import PatientMessage

# State

CONTRACT = Contract("tickets", 5, below=(membership.CONTRACT, patients.CONTRACT))
TICKET_S_MAX = 400 * 86_400
USES_MAX = 10_000
ANCESTORS_MAX = 4

CUSTODIAN_PURPOSES = (Purpose.TREAT, Purpose.ETREAT)
CUSTODIAN_ROLE_CLASSES = (RoleClass.CLINICAL, RoleClass.PHARMACY, RoleClass.ADMINISTRATIVE)

UsesField = Annotated[int, Meta(ge=1, le=USES_MAX)]


class Issuer(IntEnum):
    """Whose right a ticket carries."""

    PATIENT = 1
    CUSTODIAN = 2


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """A ticket in force.

    Args:
        conditions: all must hold: its own last, those of its ancestors before.
        ancestors: keys of the tickets it was made from, oldest first; one that is gone takes this one with it.
        used: uses spent, and uses given to tickets made from it.
        used_in: the transaction of the last use; empty before the first.
        used_by: the session key of the last use; empty before the first.
    """

    pseudonym: PseudonymField
    issuer: Issuer
    conditions: tuple[Condition, ...]
    ancestors: tuple[PublicKeyField, ...]
    uses_max: int
    used: int
    expires_at_s: int
    commitment: DigestField
    used_in: bytes
    used_by: bytes


TICKETS = CONTRACT.table("tickets", Ticket, expires_at_s=lambda ticket: ticket.expires_at_s)

# Messages


class IssueTicket(PatientMessage, frozen=True, array_like=True, tag=501):
    """Issue a ticket. Signed by a key that acts for the pseudonym, or by the custodian; then by the ticket's key."""

    ticket: PublicKeyField
    condition: Condition
    uses_max: UsesField
    expires_at_s: SecondsField
    commitment: DigestField


class RevokeTicket(PatientMessage, frozen=True, array_like=True, tag=502):
    """End a ticket. Signed by a key that acts for the pseudonym, or by the custodian."""

    ticket: PublicKeyField


class UseTicket(PatientMessage, frozen=True, array_like=True, tag=503):
    """Spend one use, for the RequestAccess that follows. Signed by the ticket's key, then by the session key."""

    ticket: PublicKeyField
    session_key: PublicKeyField


class AttenuateTicket(PatientMessage, frozen=True, array_like=True, tag=504):
    """Make a narrower ticket out of one. Signed by the ticket's key, then by the new ticket's key."""

    ticket: PublicKeyField
    narrower: PublicKeyField
    condition: Condition
    uses_max: UsesField
    expires_at_s: SecondsField


class TicketIssued(PatientOutcome, frozen=True, array_like=True, tag=501):
    """The ticket is in force."""

    ticket: PublicKeyField
    issuer: Issuer
    condition: Condition
    uses_max: int
    expires_at_s: SecondsField
    commitment: DigestField


class TicketRevoked(PatientOutcome, frozen=True, array_like=True, tag=502):
    """The ticket is no longer in force, nor is any made from it."""

    ticket: PublicKeyField


class TicketUsed(PatientOutcome, frozen=True, array_like=True, tag=503):
    """One use is spent."""

    ticket: PublicKeyField
    session_key: PublicKeyField
    uses_left: int


class TicketAttenuated(PatientOutcome, frozen=True, array_like=True, tag=504):
    """The narrower ticket is in force; its uses are taken from the wider one."""

    ticket: PublicKeyField
    narrower: PublicKeyField
    condition: Condition
    uses_max: int
    expires_at_s: SecondsField


# Rejections, in order of precedence


class Rejection(IntEnum):
    """Why tickets says no."""

    TICKET_UNKNOWN = 501
    TICKET_OF_OTHER = 502
    TICKET_KNOWN = 503
    TICKET_EXPIRED = 504
    TICKET_USED_UP = 505
    CONDITION_UNFIT = 506
    EXPIRY_UNFIT = 507
    KEY_UNFIT = 508
    ANCESTORS_FULL = 509


# Handlers


@CONTRACT.handles(IssueTicket, TicketIssued)
def issue_ticket(context: Context, message: IssueTicket) -> TicketIssued:
    """Put a ticket in force, with the right of whoever signed."""
    issuer = _sign_as_issuer(context, message.pseudonym)
    _check_new(context, message.ticket, message.condition)
    if not context.time_s < message.expires_at_s <= context.time_s + TICKET_S_MAX:
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected expiry within {TICKET_S_MAX} s of {context.time_s}")
    context.signed_by((message.ticket,), who="the ticket's key")
    row = Ticket(
        pseudonym=message.pseudonym,
        issuer=issuer,
        conditions=(message.condition,),
        ancestors=(),
        uses_max=message.uses_max,
        used=0,
        expires_at_s=message.expires_at_s,
        commitment=message.commitment,
        used_in=b"",
        used_by=b"",
    )
    TICKETS.put(context, message.ticket, row)
    return TicketIssued(
        message.pseudonym,
        message.ticket,
        issuer,
        message.condition,
        message.uses_max,
        message.expires_at_s,
        message.commitment,
    )


@CONTRACT.handles(RevokeTicket, TicketRevoked)
def revoke_ticket(context: Context, message: RevokeTicket) -> TicketRevoked:
    """Remove a ticket."""
    _sign_as_issuer(context, message.pseudonym)
    _require(context, message.ticket, message.pseudonym)
    TICKETS.delete(context, message.ticket)
    return TicketRevoked(message.pseudonym, message.ticket)


@CONTRACT.handles(UseTicket, TicketUsed)
def use_ticket(context: Context, message: UseTicket) -> TicketUsed:
    """Spend a use; a request that is then denied has spent it all the same."""
    ticket = _require_usable(context, message.ticket, message.pseudonym)
    context.signed_by((message.ticket,), who="the ticket's key")
    context.signed_by((message.session_key,), who="the session key")
    used = msgspec.structs.replace(
        ticket, used=ticket.used + 1, used_in=context.transaction, used_by=message.session_key
    )
    TICKETS.put(context, message.ticket, used)
    return TicketUsed(message.pseudonym, message.ticket, message.session_key, ticket.uses_max - used.used)


@CONTRACT.handles(AttenuateTicket, TicketAttenuated)
def attenuate_ticket(context: Context, message: AttenuateTicket) -> TicketAttenuated:
    """Make a ticket whose every condition is one more, whose uses and time are no more than the wider one has left."""
    ticket = _require_usable(context, message.ticket, message.pseudonym)
    context.signed_by((message.ticket,), who="the ticket's key")
    _check_new(context, message.narrower, message.condition)
    if message.uses_max > ticket.uses_max - ticket.used:
        raise Rejected(Rejection.TICKET_USED_UP, f"expected at most {ticket.uses_max - ticket.used} uses")
    if not context.time_s < message.expires_at_s <= ticket.expires_at_s:
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected an expiry no later than {ticket.expires_at_s}")
    if len(ticket.ancestors) >= ANCESTORS_MAX:
        raise Rejected(Rejection.ANCESTORS_FULL, f"expected at most {ANCESTORS_MAX} steps from the first ticket")
    context.signed_by((message.narrower,), who="the new ticket's key")
    _put_narrower(context, message, ticket)
    return TicketAttenuated(
        message.pseudonym, message.ticket, message.narrower, message.condition, message.uses_max, message.expires_at_s
    )


def _put_narrower(context: Context, message: AttenuateTicket, ticket: Ticket) -> None:
    spent = msgspec.structs.replace(ticket, used=ticket.used + message.uses_max)
    narrower = msgspec.structs.replace(
        ticket,
        conditions=(*ticket.conditions, message.condition),
        ancestors=(*ticket.ancestors, message.ticket),
        uses_max=message.uses_max,
        used=0,
        expires_at_s=message.expires_at_s,
        used_in=b"",
        used_by=b"",
    )
    TICKETS.put(context, message.ticket, spent)
    TICKETS.put(context, message.narrower, narrower)


def _sign_as_issuer(context: Context, pseudonym: Pseudonym) -> Issuer:
    relationship = patients.require_open(context, pseudonym)
    keys = patients.acting_keys(relationship, time_s=context.time_s)
    if not context.has_signed(keys):
        membership.sign_as(context, relationship.custodian)
        return Issuer.CUSTODIAN
    signer = context.signed_by(keys, who="a key that acts for the pseudonym")
    return Issuer.CUSTODIAN if patients.acts_by_custodian(relationship, signer) else Issuer.PATIENT


def _check_new(context: Context, ticket: PublicKey, condition: Condition) -> None:
    if TICKETS.get(context, ticket) is not None:
        raise Rejected(Rejection.TICKET_KNOWN, "expected a new ticket key: draw another bearer secret")
    try:
        provisions.check_gate(Gate(may_permit=(condition,)))
    except ProvisionInvalid as error:
        raise Rejected(Rejection.CONDITION_UNFIT, str(error)) from error
    try:
        check_public_key(ticket)
    except KeyInvalid as error:
        raise Rejected(Rejection.KEY_UNFIT, str(error)) from error


def _require(reader: Reader, ticket: PublicKey, pseudonym: Pseudonym) -> Ticket:
    row = TICKETS.get(reader, ticket)
    if row is None:
        raise Rejected(Rejection.TICKET_UNKNOWN, "expected a ticket in force: it was revoked or has expired")
    if row.pseudonym != pseudonym:
        raise Rejected(Rejection.TICKET_OF_OTHER, "expected a ticket of this pseudonym")
    return row


def _require_usable(context: Context, ticket: PublicKey, pseudonym: Pseudonym) -> Ticket:
    row = _require(context, ticket, pseudonym)
    if context.time_s >= row.expires_at_s:
        raise Rejected(Rejection.TICKET_EXPIRED, f"ticket ended at {row.expires_at_s}, now {context.time_s}")
    for ancestor in row.ancestors:
        _require(context, ancestor, pseudonym)
    if row.used >= row.uses_max:
        raise Rejected(Rejection.TICKET_USED_UP, f"all {row.uses_max} uses are spent: ask for a new ticket")
    return row


# Queries


def used_in(
    reader: Reader, ticket: PublicKey, *, pseudonym: Pseudonym, transaction: Digest, session_key: PublicKey
) -> Ticket | None:
    """Return the ticket if this transaction spent a use of it for this session key and pseudonym; else None."""
    row = TICKETS.get(reader, ticket)
    if row is None or row.pseudonym != pseudonym:
        return None
    return row if row.used_in == transaction and row.used_by == session_key else None


def may_permit(ticket: Ticket, request: Request) -> bool:
    """Tell whether every condition of the ticket holds, within the right of its issuer."""
    if ticket.issuer is Issuer.CUSTODIAN and not is_direct_care(request):
        return False
    return all(provisions.may_permit(Gate(may_permit=(condition,)), request) for condition in ticket.conditions)


def is_direct_care(request: Request) -> bool:
    """Tell whether a request is within a custodian's own right: direct care, by those who give or arrange it."""
    return request.purpose in CUSTODIAN_PURPOSES and request.role_class in CUSTODIAN_ROLE_CLASSES
