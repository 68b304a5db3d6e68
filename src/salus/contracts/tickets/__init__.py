"""Tickets: temporary tokens that say what may be asked, how often and until when; they hold no data.

The ledger stores a public key derived from the bearer secret, so whoever sees a use cannot use the ticket (DESIGN §5).
A ticket cannot exceed its issuer's right, and one made from another only narrows it.
"""

from salus.contracts.tickets.handlers import attenuate_ticket, issue_ticket, revoke_ticket, use_ticket
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
from salus.contracts.tickets.queries import (
    commitments,
    is_direct_care,
    is_in_force,
    is_revoked,
    may_permit,
    ticket_of,
    use_hash,
    used_for,
)
from salus.contracts.tickets.rejections import Rejection
from salus.contracts.tickets.state import (
    ANCESTORS_MAX,
    CONTRACT,
    CUSTODIAN_PURPOSES,
    CUSTODIAN_ROLE_CLASSES,
    TICKET_S_MAX,
    TICKETS,
    USE_TAG,
    USES_MAX,
    Ticket,
    UsesField,
)

__all__ = [
    "ANCESTORS_MAX",
    "CONTRACT",
    "CUSTODIAN_PURPOSES",
    "CUSTODIAN_ROLE_CLASSES",
    "TICKETS",
    "TICKET_S_MAX",
    "USES_MAX",
    "USE_TAG",
    "AttenuateTicket",
    "IssueTicket",
    "Rejection",
    "RevokeTicket",
    "Ticket",
    "TicketAttenuated",
    "TicketIssued",
    "TicketRevoked",
    "TicketUsed",
    "UseTicket",
    "UsesField",
    "attenuate_ticket",
    "commitments",
    "is_direct_care",
    "is_in_force",
    "is_revoked",
    "issue_ticket",
    "may_permit",
    "revoke_ticket",
    "ticket_of",
    "use_hash",
    "use_ticket",
    "used_for",
]
