"""Tickets: a ticket arrives signed, with its rules; both are kept, or neither. Then somebody shows it.

The ledger gets the condition and the commitment, this node the rules (DESIGN §5.1). A ticket made from another comes
with its own rules, and permits what all of them permit.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from salus.contracts import patients, records, residuals, tickets
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Provision, gate
from salus.contracts.ticket_bearers import (
    ISSUER_PREFIX,
    TICKET_TYPE,
    BearerUnfit,
    Resources,
    TicketBearer,
    read_bearer,
)
from salus.contracts.tickets import AttenuateTicket, IssueTicket, RevokeTicket, Ticket
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.ledger.outcomes import TransactionResult
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.members import read_time_s
from salus.node.services import delegations, deliveries

NewTicket = IssueTicket | AttenuateTicket

TICKET_TYPES = (TICKET_TYPE,)
"""What is taken at the token endpoint, as SMART's configuration names it."""
SLACK_S = 30
"""How far the clock of whoever made a ticket may be ahead of this node's."""


@dataclass(frozen=True)
class ShownTicket:
    """A ticket that somebody showed, and that is good at this moment.

    Args:
        until_s: when it ends, Unix seconds.
        resources: what it may be exchanged for; its rules and the choices decide what of that is let go.
    """

    pseudonym: Pseudonym
    key: SigningKey = field(repr=False)
    until_s: int
    resources: tuple[Resources, ...]


def take_ticket(node: Node, raw: bytes, message: NewTicket, residual: CommittedFields) -> TransactionResult:
    """Keep a ticket's rules and submit the transaction that puts it in force.

    1. It is for a patient here, and signed by a key that acts for them or, when it is made from a ticket in force, by
       that one: nobody else's fills the vault.
    2. The rules open the commitment, and may permit just what the condition may.
    3. Keep the rules, durably, before the ledger knows of them, and no longer if it says no.
    4. Submit what was signed.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
    """
    _require_wanted(node, raw, message)  # 1
    _check_ticket(message, residual)  # 2
    with deliveries.kept_before(node, message.pseudonym, Kind.TICKET, message.commitment, residual):  # 3
        return node.submit_raw(raw)  # 4


def take_revocation(node: Node, raw: bytes, message: RevokeTicket, residual: CommittedFields) -> TransactionResult:
    """Submit what ends a ticket, and keep why.

    1. It is for a patient here, signed by a key that acts for them; the words open the commitment.
    2. Submit what the patient signed: the end of a ticket waits for nothing (R3).
    3. Keep the words. Who hears that this failed sends the same again: it has one outcome.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
    """
    deliveries.require_acting(node, raw, message.pseudonym)  # 1
    deliveries.require_reason_behind(message.commitment, residual)
    result = node.submit_raw(raw)  # 2
    deliveries.keep(node, message.pseudonym, Kind.REASON, message.commitment, residual)  # 3
    return result


def _require_wanted(node: Node, raw: bytes, message: NewTicket) -> None:
    signers = deliveries.signers_of(node, raw)
    with node.engine.snapshot() as reader:
        relationship = deliveries.relationship_here(node, reader, message.pseudonym)
        time_s = read_time_s(reader, node.clock)
        if isinstance(message, AttenuateTicket):
            wider = tickets.TICKETS.get(reader, message.ticket)
            is_ours = wider is not None and wider.pseudonym == message.pseudonym
            keys = [message.ticket] if is_ours and tickets.is_in_force(reader, message.ticket, time_s=time_s) else []
        else:
            keys = list(patients.acting_keys(relationship, time_s=time_s))
        known = tickets.TICKETS.get(reader, _key_of(message))
        if known is None:
            delegations.require_may_share(node, reader, message.pseudonym, signers, time_s=time_s)
    # A ticket that the ledger has is wanted again after a restore, whoever delivers it.
    is_known = known is not None and known.commitment == message.commitment
    if not is_known and not any(key in signers for key in keys):
        raise Refused(Refusal.CHOICE_UNFIT, "expected the signature of a key that may give this ticket")


def _key_of(message: NewTicket) -> PublicKey:
    return message.narrower if isinstance(message, AttenuateTicket) else message.ticket


def _check_ticket(message: NewTicket, residual: CommittedFields) -> None:
    """Raise Refused unless a ticket's rules fit what was signed."""
    if gate(deliveries.rules_behind(message.commitment, residual)).may_permit != (message.condition,):
        raise Refused(Refusal.CHOICE_UNFIT, "expected the one condition of these rules: sign the one that they have")


def issue_by_custodian(
    node: Node, pseudonym: Pseudonym, tree: Provision, *, key: SigningKey, uses_max: int, expires_at_s: int
) -> None:
    """Issue a ticket with the custodian's right, which is direct care and no more.

    Args:
        key: the ticket's own, which whoever holds the ticket signs with.
        expires_at_s: block time, in seconds since 1970.

    Raises:
        Refused: CHOICE_UNFIT when the rules do not come down to one condition, or what the ledger says.
    """
    residual = residuals.commit_choice(tree, secret=new_key())
    conditions = gate(tree).may_permit
    if len(conditions) != 1:
        raise Refused(Refusal.CHOICE_UNFIT, f"expected rules with one condition, came {len(conditions)}: divide them")
    message = IssueTicket(
        pseudonym=pseudonym,
        ticket=PublicKey(key.public),
        condition=conditions[0],
        uses_max=uses_max,
        expires_at_s=expires_at_s,
        commitment=residual.root(),
    )
    documents.keep(node.vault, node.chain, pseudonym, Kind.TICKET, message.commitment, encode(residual))
    node.submit_signed((message,), (node.signing(KeyUse.TRANSACTION), key))


def revoke_by_custodian(node: Node, pseudonym: Pseudonym, ticket: PublicKey) -> None:
    """Revoke a ticket, and with it all that were made from it. Raises Refused: what the ledger says."""
    why = residuals.reason("revoked at the custodian", new_key())
    documents.keep(node.vault, node.chain, pseudonym, Kind.REASON, why.root(), encode(why))
    message = RevokeTicket(pseudonym=pseudonym, ticket=ticket, commitment=why.root())
    node.submit_signed((message,), (node.signing(KeyUse.TRANSACTION),))


def accept_shown(node: Node, text: str, *, audiences: Collection[str], thumbprints: Collection[str]) -> ShownTicket:
    """Return the ticket that a program shows, for its relationship here.

    1. It is a ticket, signed by the key that it stands for.
    2. It is of this ledger, for this server and this moment.
    3. Where it is bound to a program, it is this one.
    4. The ledger has it in force, with a use left, for a relationship here that was not erased.

    Args:
        audiences: the addresses of this server.
        thumbprints: of the keys of the program that shows it (RFC 7638).

    Raises:
        Refused: GRANT_UNFIT.
    """
    try:
        bearer = read_bearer(text)  # 1
    except BearerUnfit as error:
        raise Refused(Refusal.GRANT_UNFIT, str(error)) from error
    _require_for_here(node, bearer, audiences, thumbprints)  # 2, 3
    ticket = _require_usable(node, bearer)  # 4
    until_s = min(bearer.claims.exp, ticket.expires_at_s)
    return ShownTicket(ticket.pseudonym, bearer.key, until_s, bearer.claims.access.fhir_resources)


def require_in_force(node: Node, key: SigningKey) -> None:
    """Raise Refused (GRANT_UNFIT) unless a ticket is in force at this moment, and all that it was made from (R3)."""
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        if not tickets.is_in_force(reader, PublicKey(key.public), time_s=time_s):
            raise Refused(Refusal.GRANT_UNFIT, "the ticket has ended, or was revoked: ask for a new one")


def is_spent(error: Refused) -> bool:
    """Tell whether the ledger said no because all uses of a ticket are spent."""
    return error.refusal is Refusal.LEDGER_REJECTED and error.number == tickets.Rejection.TICKET_USED_UP


def _require_for_here(
    node: Node, bearer: TicketBearer, audiences: Collection[str], thumbprints: Collection[str]
) -> None:
    claims, now_s = bearer.claims, node.clock()
    if claims.iss != ISSUER_PREFIX + node.chain or claims.aud not in audiences:
        raise Refused(Refusal.GRANT_UNFIT, "expected a ticket of this ledger, for this server")
    if not claims.iat <= now_s + SLACK_S or now_s >= claims.exp:
        raise Refused(Refusal.GRANT_UNFIT, "the ticket has ended, or has not begun: ask for a new one")
    if claims.presenter_binding is not None and claims.presenter_binding.jkt not in thumbprints:
        raise Refused(Refusal.GRANT_UNFIT, "expected a ticket that is bound to no program, or to this one")


def _require_usable(node: Node, bearer: TicketBearer) -> Ticket:
    key = PublicKey(bearer.key.public)
    with node.engine.snapshot() as reader:
        ticket = tickets.TICKETS.get(reader, key)
        if ticket is None or ticket.pseudonym != bearer.pseudonym:
            raise Refused(Refusal.GRANT_UNFIT, "expected a ticket that the ledger has: it was never issued, or is over")
        relationship = patients.relationship_of(reader, ticket.pseudonym)
        is_here = relationship is not None and relationship.custodian == node.organisation
        if not is_here or records.is_erased(reader, ticket.pseudonym):
            raise Refused(Refusal.GRANT_UNFIT, "expected a ticket about records that are kept here")
    require_in_force(node, bearer.key)
    if ticket.used >= ticket.uses_max:
        raise Refused(Refusal.GRANT_UNFIT, f"all {ticket.uses_max} uses of the ticket are spent: ask for a new one")
    return ticket
