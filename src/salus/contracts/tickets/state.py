"""What tickets holds in its proved table: each ticket until it expires."""

from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import membership, patients
from salus.contracts.patients import Actor
from salus.contracts.provisions import Condition, Purpose, RoleClass
from salus.ledger.contract import Contract
from salus.ledger.identifiers import (
    DigestField,
    PseudonymField,
    PublicKeyField,
)

CONTRACT = Contract("tickets", 5, below=(membership.CONTRACT, patients.CONTRACT))
TICKET_S_MAX = 400 * 86_400
KEPT_S = 86_400
"""How long a ticket's row stays after its end, so that whoever comes late is told that it ended."""
USES_MAX = 10_000
ANCESTORS_MAX = 4

USE_TAG = "salus/ticket-use/1"

CUSTODIAN_PURPOSES = (Purpose.TREAT, Purpose.ETREAT)
CUSTODIAN_ROLE_CLASSES = (RoleClass.CLINICAL, RoleClass.PHARMACY, RoleClass.ADMINISTRATIVE)

UsesField = Annotated[int, Meta(ge=1, le=USES_MAX)]


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """A ticket. It stays until a day after its end, also when it was revoked, so that its key does not come back.

    Args:
        issuer: whose right it carries: the custodian's is less than the patient's.
        conditions: all must hold: its own last, those of its ancestors before.
        ancestors: keys of the tickets it was made from, oldest first; one that is revoked takes this one with it.
        used: uses spent, and uses given to tickets made from it.
        commitment: to what it permits beyond the condition, and for whom it is.
        used_for: names the one message that the last use is for (see UseTicket); empty before the first.
    """

    pseudonym: PseudonymField
    issuer: Actor
    conditions: tuple[Condition, ...]
    ancestors: tuple[PublicKeyField, ...]
    uses_max: int
    used: int
    expires_at_s: int
    is_revoked: bool
    commitment: DigestField
    used_for: bytes


TICKETS = CONTRACT.table("tickets", Ticket, expires_at_s=lambda ticket: ticket.expires_at_s + KEPT_S)
