"""Tickets: a ticket arrives signed, with its rules; both are kept, or neither.

The ledger gets the condition and the commitment, this node the rules (DESIGN §5.1). A ticket made from another comes
with its own rules, and permits what all of them permit.
"""

from salus.contracts import patients, residuals, tickets
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Provision, gate
from salus.contracts.tickets import AttenuateTicket, IssueTicket, RevokeTicket
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
from salus.node.services import deliveries

NewTicket = IssueTicket | AttenuateTicket


def take_ticket(node: Node, raw: bytes, message: NewTicket, residual: CommittedFields) -> TransactionResult:
    """Keep a ticket's rules and submit the transaction that puts it in force.

    1. It is for a patient here, and signed by a key that acts for them or, when it is made from a ticket in force, by
       that one: nobody else's fills the vault.
    2. The rules open the commitment, and may permit just what the condition may.
    3. Keep the rules, durably, before the ledger knows of them.
    4. Submit what was signed.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
    """
    _require_wanted(node, raw, message)  # 1
    _check_ticket(message, residual)  # 2
    documents.keep(node.vault, node.chain, message.pseudonym, Kind.TICKET, message.commitment, encode(residual))  # 3
    return node.submit_raw(raw)  # 4


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
