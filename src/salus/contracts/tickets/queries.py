"""What contracts and readers ask about tickets."""

from salus.contracts import provisions
from salus.contracts.patients import Actor
from salus.contracts.provisions import Gate, Request
from salus.contracts.tickets.messages import AttenuateTicket, UseTicket
from salus.contracts.tickets.state import CUSTODIAN_PURPOSES, CUSTODIAN_ROLE_CLASSES, TICKETS, USE_TAG, Ticket
from salus.crypto.hashing import tagged
from salus.ledger.identifiers import (
    Digest,
    Pseudonym,
    PublicKey,
)
from salus.ledger.state import Reader


def use_hash(transaction: Digest, message_index: int, session_key: PublicKey) -> Digest:
    """Return what a use is for: one message of one transaction, and the session key that signs it."""
    return Digest(tagged(USE_TAG, transaction, message_index.to_bytes(4, "big"), session_key))


def used_for(
    reader: Reader,
    ticket: PublicKey,
    *,
    pseudonym: Pseudonym,
    transaction: Digest,
    message_index: int,
    session_key: PublicKey,
) -> Ticket | None:
    """Return the ticket if the message before this one spent a use of it for this session key; else None."""
    row = TICKETS.get(reader, ticket)
    if row is None or row.pseudonym != pseudonym:
        return None
    return row if row.used_for == use_hash(transaction, message_index, session_key) else None


def commitments(reader: Reader, ticket: PublicKey) -> tuple[Digest, ...]:
    """Return what a ticket in force committed to, then the tickets that it was made from, the newest first."""
    own = TICKETS.get(reader, ticket)
    assert own is not None, "a ticket in force has a row"
    rows = [own, *(TICKETS.get(reader, key) for key in reversed(own.ancestors))]
    assert all(rows), "an ancestor expires no earlier, so the sweep has left it"
    return tuple(row.commitment for row in rows if row is not None)


def is_in_force(reader: Reader, ticket: PublicKey, *, time_s: int) -> bool:
    """Tell whether a ticket has neither expired nor been revoked, nor any that it was made from (R3)."""
    row = TICKETS.get(reader, ticket)
    return row is not None and time_s < row.expires_at_s and not is_revoked(reader, row)


def may_permit(ticket: Ticket, request: Request) -> bool:
    """Tell whether every condition of the ticket holds, within the right of its issuer."""
    if ticket.issuer is Actor.CUSTODIAN and not is_direct_care(request):
        return False
    return all(provisions.may_permit(Gate(may_permit=(condition,)), request) for condition in ticket.conditions)


def is_direct_care(request: Request) -> bool:
    """Tell whether a request is within a custodian's own right: direct care, by those who give or arrange it."""
    return request.purpose in CUSTODIAN_PURPOSES and request.role_class in CUSTODIAN_ROLE_CLASSES


def is_revoked(reader: Reader, ticket: Ticket) -> bool:
    """Tell whether a ticket that has not expired was revoked, or one that it was made from."""
    for key in ticket.ancestors:
        ancestor = TICKETS.get(reader, key)
        assert ancestor is not None, "an ancestor expires no earlier, so the sweep has left it"
        if ancestor.is_revoked:
            return True
    return ticket.is_revoked


def ticket_of(reader: Reader, message: object) -> PublicKey | None:
    """Return the key of the ticket that a message uses or narrows; None when there is no such ticket."""
    if not isinstance(message, UseTicket | AttenuateTicket):
        return None
    row = TICKETS.get(reader, message.ticket)
    return message.ticket if row is not None and row.pseudonym == message.pseudonym else None
