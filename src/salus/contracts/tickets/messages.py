"""What tickets is asked, and what it answers."""

from salus.contracts.membership import SignerField
from salus.contracts.patients import Actor
from salus.contracts.provisions import Condition
from salus.contracts.tickets.state import UsesField
from salus.ledger.identifiers import (
    CountField,
    DigestField,
    PublicKeyField,
    SecondsField,
)
from salus.ledger.outcomes import PatientOutcome
from salus.ledger.transactions import PatientMessage


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
    commitment: DigestField


class UseTicket(PatientMessage, frozen=True, array_like=True, tag=503):
    """Spend one use, for the RequestAccess that is the next message. Signed by the ticket's key, then the session key.

    `session` is the place of the session key among the signers. Who exactly uses it is in the request's residual.
    """

    ticket: PublicKeyField
    session: SignerField


class AttenuateTicket(PatientMessage, frozen=True, array_like=True, tag=504):
    """Make a narrower ticket out of one. Signed by the ticket's key, then by the new ticket's key."""

    ticket: PublicKeyField
    narrower: PublicKeyField
    condition: Condition
    uses_max: UsesField
    expires_at_s: SecondsField
    commitment: DigestField


class TicketIssued(PatientOutcome, frozen=True, array_like=True, tag=501):
    """The ticket is in force."""

    ticket: PublicKeyField
    issuer: Actor
    condition: Condition
    uses_max: UsesField
    expires_at_s: SecondsField
    commitment: DigestField


class TicketRevoked(PatientOutcome, frozen=True, array_like=True, tag=502):
    """The ticket is no longer in force, nor is any made from it."""

    ticket: PublicKeyField
    actor: Actor
    commitment: DigestField


class TicketUsed(PatientOutcome, frozen=True, array_like=True, tag=503):
    """One use is spent."""

    ticket: PublicKeyField
    uses_left: CountField


class TicketAttenuated(PatientOutcome, frozen=True, array_like=True, tag=504):
    """The narrower ticket is in force; its uses are taken from the wider one."""

    ticket: PublicKeyField
    narrower: PublicKeyField
    condition: Condition
    uses_max: UsesField
    expires_at_s: SecondsField
    commitment: DigestField
