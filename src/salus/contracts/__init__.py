"""The rules of the network, one contract each, lowest first; a contract asks only those below it.

`provisions` beside them is the language in which choices and policies are written; `genesis` the first state.
"""

from salus.contracts import access, consent, membership, patients, records, tickets
from salus.contracts.access import CommitReleases, End, RequestAccess
from salus.contracts.membership import KeyUse
from salus.contracts.patients import Enrol
from salus.ledger.identifiers import OrganisationId
from salus.ledger.state import Reader
from salus.ledger.transactions import Message, PatientMessage, Transaction

CONTRACTS = (
    membership.CONTRACT,
    patients.CONTRACT,
    records.CONTRACT,
    consent.CONTRACT,
    tickets.CONTRACT,
    access.CONTRACT,
)
"""Every contract, lowest first: what a machine of Salus runs."""


def payer(reader: Reader, transaction: Transaction) -> OrganisationId | None:
    """Return whose quota a transaction uses: a member that signs it, else who enrolled the patient (DESIGN §4).

    Quotas count per member and never per key, since anybody can make many keys.

    1. The first member that a message names and whose transaction key is among the signers.
    2. Else the custodian of the first relationship that a message names and for which a signer acts or recovers, or a
       signer is the ticket's key.

    Returns:
        None when there is neither: such a transaction can only be rejected.
    """
    signers = transaction.body.signers
    for message in transaction.messages:
        member = _member(reader, message)  # 1
        if member is not None and membership.current_key(reader, member, KeyUse.TRANSACTION) in signers:
            return member
    for message in transaction.messages:
        if isinstance(message, PatientMessage) and any(key in signers for key in _patient_keys(reader, message)):  # 2
            return patients.require_relationship(reader, message.pseudonym).custodian
    return None


def _member(reader: Reader, message: Message) -> OrganisationId | None:
    """The member that has to sign a message, or who may; None when the message names none that the ledger knows."""
    if isinstance(message, RequestAccess):
        return message.requester
    if isinstance(message, CommitReleases) and message.end is End.REQUESTER:
        permit = access.permit(reader, message.permit)
        return None if permit is None else permit.requester
    if not isinstance(message, PatientMessage):
        named: OrganisationId = message.organisation  # type: ignore[attr-defined]  # every message of membership has it
        return named
    if isinstance(message, Enrol):
        return message.custodian
    relationship = patients.relationship_of(reader, message.pseudonym)
    return None if relationship is None else relationship.custodian


def _patient_keys(reader: Reader, message: PatientMessage) -> tuple[bytes, ...]:
    relationship = patients.relationship_of(reader, message.pseudonym)
    if relationship is None:
        return ()
    further = (row.key for row in relationship.keys)
    keys = (relationship.key, *further, *patients.recovery_keys(reader, message.pseudonym))
    ticket = tickets.ticket_of(reader, message)
    return keys if ticket is None else (*keys, ticket)
