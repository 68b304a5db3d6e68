"""Evidence: which outcomes and rows a receipt rests on, and what is computed from them by node and patient alike.

The node gathers them (`gathering`), the patient's check asks for the same (`sdk`). Neither imports the other: what both
must know of the contracts stands here, once. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from salus.contracts import CONTRACTS, access, membership, patients
from salus.contracts.access import AccessPermitted, End, Permit
from salus.contracts.access.queries import PERMIT_ID_BYTES
from salus.contracts.consent import ConsentFiled, ConsentWithdrawn
from salus.contracts.membership import Keys, KeyUse
from salus.contracts.provisions import Record
from salus.contracts.residuals import Scope
from salus.contracts.tickets import TicketAttenuated, TicketIssued
from salus.crypto.hashing import tagged
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, Pseudonym, PublicKey
from salus.ledger.machine import outcome_decoder
from salus.ledger.outcomes import DENIED, Leaf, Outcome
from salus.ledger.receipts import Conclusion

CONTINUITY_TAG = "salus/continuity/1"
CONCLUSIONS = {
    End.CUSTODIAN: (Conclusion.SLOT_SENT, Conclusion.POSSIBLY_RELEASED),
    End.REQUESTER: (Conclusion.OPENED, Conclusion.SLOT_MISSING),
}
"""What each end can say became of a part, the likeliest first."""
_OUTCOMES = outcome_decoder(CONTRACTS)


@dataclass(frozen=True)
class Event:
    """An event of a pseudonym's history, and where it is in the log."""

    index: int
    leaf: Leaf
    outcome: Outcome


def decode_outcome(leaf: Leaf) -> Outcome | None:
    """Return what a leaf says; None for a rejection. Raises EncodingInvalid for an outcome of a newer release."""
    if leaf.code > DENIED:
        return None
    outcome: Outcome = _OUTCOMES.decode(leaf.data)
    return outcome


def permit_of(leaf: Leaf) -> PermitId:
    """Return the id of the permit, if it is one, that a leaf gave: it follows from the leaf's place."""
    return access.permit_id(leaf.transaction, leaf.index)


def continuity_permit(request: bytes) -> PermitId:
    """Return what stands for a permit's id while the ledger is out of reach: it follows from the request's id."""
    return PermitId(tagged(CONTINUITY_TAG, request)[:PERMIT_ID_BYTES])


def terms_of(outcome: AccessPermitted, leaf: Leaf, *, session_key: PublicKey) -> Permit:
    """Return a permit's terms from its leaf, which does not name the reader key."""
    return Permit(
        pseudonym=outcome.pseudonym,
        custodian=outcome.custodian,
        requester=outcome.requester,
        role_class=outcome.role_class,
        purpose=outcome.purpose,
        verb=outcome.verb,
        from_s=leaf.time_s,
        until_s=outcome.until_s,
        session_key=session_key,
        reader_key=Digest(b""),
        basis=outcome.basis,
        ticket=outcome.ticket,
        choices_version=outcome.choices_version,
        network_policy_version=outcome.network_policy_version,
        custodian_policy_version=outcome.custodian_policy_version,
        residual=outcome.residual,
        closed=0,
    )


def row_keys(
    pseudonym: Pseudonym, *, custodian: OrganisationId, requester: OrganisationId, certificate: bytes
) -> tuple[bytes, ...]:
    """Return the keys of the rows that a receipt rests on, in the order in which a bundle has them, each once.

    1. The relationship. 2. Both organisations, the custodian first. 3. Their receipt keys. 4. The network's policy and
    the custodian's. 5. The certificate of whoever asked, among the requester's; nobody's for a patient.
    """
    ends = (custodian, requester)
    keys = (
        patients.RELATIONSHIPS.key(pseudonym),
        *(membership.ORGANISATIONS.key(each) for each in ends),
        *(membership.KEYS.key((each, KeyUse.RECEIPT)) for each in ends),
        membership.POLICIES.key(membership.NETWORK_POLICY),
        membership.POLICIES.key(custodian),
        membership.CERTIFICATES.key((requester, certificate)),
    )
    return tuple(dict.fromkeys(keys))


def in_force(changes: Sequence[Event]) -> list[Event]:
    """Return the events that filed the choices in force after these changes, in the order in which they apply."""
    filed: dict[bytes, Event] = {}
    for event in changes:
        assert isinstance(event.outcome, ConsentFiled | ConsentWithdrawn)
        filed.pop(event.outcome.choice, None)
        if isinstance(event.outcome, ConsentFiled):
            filed[event.outcome.choice] = event
    return list(filed.values())


def ticket_made(outcome: Outcome | None) -> tuple[PublicKey, Digest] | None:
    """Return the key and the commitment of the ticket that an outcome put in force; None when it put none."""
    match outcome:
        case TicketIssued():
            return outcome.ticket, outcome.commitment
        case TicketAttenuated():
            return outcome.narrower, outcome.commitment
    return None


def ticket_events(trail: Sequence[Event], permitted: Event) -> list[Event]:
    """Return the events that made a permit's ticket, the newest first: its own, then of those it was made from."""
    assert isinstance(permitted.outcome, AccessPermitted)
    found = []
    wanted = bytes(permitted.outcome.ticket)
    for event in reversed(trail):
        made = ticket_made(event.outcome) if event.index < permitted.index and wanted else None
        if made is not None and made[0] == wanted:
            found.append(event)
            wanted = bytes(event.outcome.ticket) if isinstance(event.outcome, TicketAttenuated) else b""
    return found


def keys_between(keys: Keys, *, from_s: int, until_s: int) -> Iterator[bytes]:
    """Yield the keys of a member that were current at some second of a time, the newest first.

    A key that was retired before is worth nothing: whoever holds it can back-date nothing.
    """
    began_s = [0, *(retired.until_s for retired in keys.retired)]
    if began_s[-1] <= until_s:
        yield keys.current
    for retired, since_s in reversed(list(zip(keys.retired, began_s, strict=False))):
        if since_s <= until_s and from_s < retired.until_s:
            yield retired.key


def is_asked_for(scope: Scope, record: Record) -> bool:
    """Tell whether a record is within what a request asked for."""
    if scope.classes and not set(scope.classes) & set(record.classes):
        return False
    if scope.records and record.ids[0] not in scope.records:
        return False
    return record.period_from_s <= scope.data_to_s and record.period_to_s >= scope.data_from_s
