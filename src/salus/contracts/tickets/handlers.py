"""How tickets answers: whoever shows a ticket signs with its key, and attenuation only narrows."""

import msgspec

from salus.contracts import membership, patients, provisions
from salus.contracts.patients import Actor
from salus.contracts.provisions import Condition, Gate, ProvisionInvalid
from salus.contracts.tickets.messages import (
    AttenuateTicket,
    IssueTicket,
    RevokeTicket,
    TicketAttenuated,
    TicketIssued,
    TicketRevoked,
    TicketUsed,
    UseTicket,
)
from salus.contracts.tickets.queries import is_revoked, use_hash
from salus.contracts.tickets.rejections import Rejection
from salus.contracts.tickets.state import ANCESTORS_MAX, CONTRACT, TICKET_S_MAX, TICKETS, Ticket
from salus.crypto.signing import KeyInvalid, check_public_key
from salus.ledger.contract import Context, Rejected
from salus.ledger.identifiers import (
    Pseudonym,
    PublicKey,
)
from salus.ledger.state import Reader


@CONTRACT.handles(IssueTicket, TicketIssued)
def issue_ticket(context: Context, message: IssueTicket) -> TicketIssued:
    """Put a ticket in force, with the right of whoever signed.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by a key that acts for the pseudonym; if none of them is among the signers, by the custodian, who then is
       the issuer. An acting key that acts by custodian makes the custodian the issuer, too.
    3. The ticket's key has no row, else TicketKnown: revoked or expired, a row counts until the sweep removes it, which
       is from one day, 86,400 s, after `expires_at_s` on.
    4. `condition` is within its bounds and canonical (provisions, `check_gate` of a gate with this one entry), else
       ConditionUnfit.
    5. The ticket's key is a fit Ed25519 key (see RotateKey) that no member registered, now or ever, else KeyUnfit.
    6. `expires_at_s` is after the block's time and at most 400 days (34,560,000 s) after it, else ExpiryUnfit.
    7. Signed by the ticket's key.
    8. Write `tickets.tickets`: its one condition, no ancestors, no use.
    """
    issuer = _sign_as_issuer(context, message.pseudonym)  # 1, 2
    _check_new(context, message.ticket, message.condition)  # 3, 4, 5
    if not context.time_s < message.expires_at_s <= context.time_s + TICKET_S_MAX:  # 6
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected expiry within {TICKET_S_MAX} s of {context.time_s}")
    context.signed_by((message.ticket,), who="the ticket's key")  # 7
    row = Ticket(
        pseudonym=message.pseudonym,
        issuer=issuer,
        conditions=(message.condition,),
        ancestors=(),
        uses_max=message.uses_max,
        used=0,
        expires_at_s=message.expires_at_s,
        is_revoked=False,
        commitment=message.commitment,
        used_for=b"",
    )
    TICKETS.put(context, message.ticket, row)  # 8
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
    """Revoke a ticket, and with it all that were made from it.

    1. and 2. as IssueTicket: by whom it was issued does not matter.
    3. The ticket's key has a row, else TicketUnknown.
    4. It is a ticket of this pseudonym, else TicketOfOther.
    5. It is not revoked, else TicketRevoked.
    6. Write the row as revoked.
    """
    actor = _sign_as_issuer(context, message.pseudonym)  # 1, 2
    ticket = _require(context, message.ticket, message.pseudonym)  # 3, 4
    if ticket.is_revoked:  # 5
        raise Rejected(Rejection.TICKET_REVOKED, "the ticket was revoked already")
    TICKETS.put(context, message.ticket, msgspec.structs.replace(ticket, is_revoked=True))  # 6
    return TicketRevoked(message.pseudonym, message.ticket, actor, message.commitment)


@CONTRACT.handles(UseTicket, TicketUsed)
def use_ticket(context: Context, message: UseTicket) -> TicketUsed:
    """Spend a use; a request that is then denied has spent it all the same.

    1. The ticket's key has a row, else TicketUnknown.
    2. It is a ticket of this pseudonym, else TicketOfOther.
    3. Signed by the ticket's key.
    4. The block's time is before `expires_at_s` of the row, else TicketExpired.
    5. Neither it nor an ancestor is revoked, else TicketRevoked. An ancestor's row is there as long as this one is in
       force: it expires no earlier.
    6. Fewer uses are spent than it has, else TicketUsedUp.
    7. Signed by the key at place `session` among the signers, which no member registered, now or ever: else
       SignatureMissing, SessionKeyUnfit.
    8. Write the row: one more use spent; `used_for` is the tagged hash ("salus/ticket-use/1") of the transaction's
       hash, the place of the next message as 4 bytes big-endian, and the session key.
    """
    ticket = _require(context, message.ticket, message.pseudonym)  # 1, 2
    context.signed_by((message.ticket,), who="the ticket's key")  # 3
    _check_usable(context, ticket)  # 4, 5, 6
    session_key = membership.sign_as_session(context, message.session)  # 7
    used_for = use_hash(context.transaction, context.message_index + 1, session_key)
    used = msgspec.structs.replace(ticket, used=ticket.used + 1, used_for=used_for)
    TICKETS.put(context, message.ticket, used)  # 8
    return TicketUsed(message.pseudonym, message.ticket, ticket.uses_max - used.used)


@CONTRACT.handles(AttenuateTicket, TicketAttenuated)
def attenuate_ticket(context: Context, message: AttenuateTicket) -> TicketAttenuated:
    """Make a ticket whose every condition is one more, whose uses and time are no more than the wider one has left.

    1. to 6. as UseTicket, for `ticket`.
    7. `narrower` has no row, revoked or not, else TicketKnown.
    8. `condition` is within its bounds and canonical, else ConditionUnfit.
    9. `narrower` is a fit Ed25519 key that no member registered, now or ever, else KeyUnfit.
    10. `uses_max` is at most what `ticket` has left, else UsesUnfit.
    11. `expires_at_s` is after the block's time and not after that of `ticket`, else ExpiryUnfit.
    12. `ticket` has fewer than 4 ancestors, else AncestorsFull.
    13. Signed by `narrower`.
    14. Write the row of `ticket` with `uses_max` more uses spent. Write the row of `narrower`: the issuer of `ticket`,
        its conditions and then the new one, its ancestors and then `ticket` itself, no use.
    """
    ticket = _require(context, message.ticket, message.pseudonym)  # 1, 2
    context.signed_by((message.ticket,), who="the ticket's key")  # 3
    _check_usable(context, ticket)  # 4, 5, 6
    _check_new(context, message.narrower, message.condition)  # 7, 8, 9
    if message.uses_max > ticket.uses_max - ticket.used:  # 10
        raise Rejected(Rejection.USES_UNFIT, f"expected at most {ticket.uses_max - ticket.used} uses")
    if not context.time_s < message.expires_at_s <= ticket.expires_at_s:  # 11
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected an expiry no later than {ticket.expires_at_s}")
    if len(ticket.ancestors) >= ANCESTORS_MAX:  # 12
        raise Rejected(Rejection.ANCESTORS_FULL, f"expected at most {ANCESTORS_MAX} steps from the first ticket")
    context.signed_by((message.narrower,), who="the new ticket's key")  # 13
    _put_narrower(context, message, ticket)  # 14
    return TicketAttenuated(
        message.pseudonym,
        message.ticket,
        message.narrower,
        message.condition,
        message.uses_max,
        message.expires_at_s,
        message.commitment,
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
        commitment=message.commitment,
        used_for=b"",
    )
    TICKETS.put(context, message.ticket, spent)
    TICKETS.put(context, message.narrower, narrower)


def _sign_as_issuer(context: Context, pseudonym: Pseudonym) -> Actor:
    relationship = patients.require_open(context, pseudonym)
    if context.has_signed(patients.acting_keys(relationship, time_s=context.time_s)):
        return patients.sign_for(context, relationship)
    membership.sign_as(context, relationship.custodian)
    return Actor.CUSTODIAN


def _check_new(context: Context, ticket: PublicKey, condition: Condition) -> None:
    if TICKETS.get(context, ticket) is not None:
        raise Rejected(Rejection.TICKET_KNOWN, "expected a new ticket key: draw another bearer secret")
    context.step(1 + membership.KEY_CHECK_STEPS)
    try:
        provisions.check_gate(Gate(may_permit=(condition,)))
    except ProvisionInvalid as error:
        raise Rejected(Rejection.CONDITION_UNFIT, str(error)) from error
    try:
        check_public_key(ticket)
    except KeyInvalid as error:
        raise Rejected(Rejection.KEY_UNFIT, str(error)) from error
    if membership.owner_of(context, ticket) is not None:
        raise Rejected(Rejection.KEY_UNFIT, "a member registered this key: draw another bearer secret")


def _require(reader: Reader, ticket: PublicKey, pseudonym: Pseudonym) -> Ticket:
    row = TICKETS.get(reader, ticket)
    if row is None:
        raise Rejected(Rejection.TICKET_UNKNOWN, "expected a ticket: it was never issued, or has expired")
    if row.pseudonym != pseudonym:
        raise Rejected(Rejection.TICKET_OF_OTHER, "expected a ticket of this pseudonym")
    return row


def _check_usable(context: Context, ticket: Ticket) -> None:
    if context.time_s >= ticket.expires_at_s:
        raise Rejected(Rejection.TICKET_EXPIRED, f"ticket ended at {ticket.expires_at_s}, now {context.time_s}")
    if is_revoked(context, ticket):
        raise Rejected(Rejection.TICKET_REVOKED, "this ticket, or one that it was made from, was revoked: ask anew")
    if ticket.used >= ticket.uses_max:
        raise Rejected(Rejection.TICKET_USED_UP, f"all {ticket.uses_max} uses are spent: ask for a new ticket")
