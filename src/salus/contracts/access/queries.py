"""What readers of the state ask about permits, above all whether one is alive at this moment (R3)."""

import msgspec

from salus.contracts import consent, membership, patients, provisions, records, tickets
from salus.contracts.access.messages import AccessPermitted, RequestAccess
from salus.contracts.access.state import EMERGENCIES, PERMIT_TAG, PERMITS, UNREVIEWED, Emergency, End, Permit
from salus.contracts.provisions import Request
from salus.crypto.hashing import tagged
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, Pseudonym, PublicKey
from salus.ledger.outcomes import Leaf
from salus.ledger.state import Reader

PERMIT_ID_BYTES = 16


class PermitDead(Exception):
    """A permit that no longer allows a release; the message says why and what to do."""


class Versions(msgspec.Struct, frozen=True, array_like=True):
    """The versions of the rules that a decision rests on."""

    choices: int
    network_policy: int
    custodian_policy: int


def permit_id(transaction: Digest, message_index: int) -> PermitId:
    """Return the id of what a RequestAccess gets: the first 16 bytes of a tagged hash of its place."""
    return PermitId(tagged(PERMIT_TAG, transaction, message_index.to_bytes(4, "big"))[:PERMIT_ID_BYTES])


def open_request(message: RequestAccess | Permit, *, time_s: int) -> Request:
    """Return what the rules may compare of a request, without who exactly asks."""
    return Request(
        organisation=message.requester,
        role_class=message.role_class,
        purpose=message.purpose,
        verb=message.verb,
        day=provisions.day_of(time_s),
    )


def versions(reader: Reader, pseudonym: Pseudonym, custodian: OrganisationId) -> Versions:
    """Return the current versions of a pseudonym's choices and of both policies."""
    return Versions(
        choices=consent.choices(reader, pseudonym).version,
        network_policy=membership.policy(reader).version,
        custodian_policy=membership.policy(reader, custodian).version,
    )


def permit(reader: Reader, permit_id: PermitId) -> Permit | None:
    """Return a permit's row; None when there is none, or its ends have closed it."""
    return PERMITS.get(reader, permit_id)


def emergency(reader: Reader, permit_id: PermitId) -> Emergency | None:
    """Return an emergency that waits for its review; None when there is none."""
    return EMERGENCIES.get(reader, permit_id)


def granted(
    message: RequestAccess, outcome: AccessPermitted, leaf: Leaf, *, session_key: PublicKey
) -> tuple[PermitId, Permit]:
    """Return the permit that a request got, for a requester who has its leaf and perhaps not the state."""
    terms = Permit(
        pseudonym=outcome.pseudonym,
        custodian=outcome.custodian,
        requester=outcome.requester,
        role_class=outcome.role_class,
        purpose=outcome.purpose,
        verb=outcome.verb,
        from_s=leaf.time_s,
        until_s=outcome.until_s,
        session_key=session_key,
        reader_key=message.reader_key,
        basis=outcome.basis,
        ticket=outcome.ticket,
        choices_version=outcome.choices_version,
        network_policy_version=outcome.network_policy_version,
        custodian_policy_version=outcome.custodian_policy_version,
        residual=outcome.residual,
        closed=0,
    )
    return permit_id(leaf.transaction, leaf.index), terms


def require_live(reader: Reader, permit_id: PermitId, *, time_s: int) -> Permit:
    """Check a permit against current state, as every release must (R3).

    1. It exists, is not closed by the custodian, and its time has begun and not ended: from_s ≤ time < until_s.
    2. Both ends are members; neither is suspended, except an organisation for its own patients; the requester still
       holds the role class.
    3. The relationship is neither closed nor erased.
    4. The versions of choices and policies that it pins are current.
    5. The ticket that it names is in force, and so are those that it was made from.

    Args:
        time_s: the later of block time and local clock.

    Raises:
        PermitDead: with what was expected, what came, and what to do.
    """
    row = PERMITS.get(reader, permit_id)
    if row is None:
        raise PermitDead("expected a committed permit, the ledger has none: ask for one")
    _check_time(row, time_s)  # 1
    _check_members(reader, row, time_s)  # 2
    _check_relationship(reader, row)  # 3
    _check_versions(reader, row)  # 4
    if row.ticket and not tickets.is_in_force(reader, PublicKey(row.ticket), time_s=time_s):  # 5
        raise PermitDead("the ticket behind this permit has ended: ask again without it, or for a new one")
    return row


def _check_time(row: Permit, time_s: int) -> None:
    if row.closed & End.CUSTODIAN:
        raise PermitDead("the custodian has closed this permit: ask for a new one")
    if not row.from_s <= time_s < row.until_s:
        raise PermitDead(f"permit runs from {row.from_s} to {row.until_s}, now {time_s}: ask for a new one")


def _check_members(reader: Reader, row: Permit, time_s: int) -> None:
    requester = _member(reader, row.requester)
    if row.role_class not in requester.role_classes:
        raise PermitDead(f"{row.requester} no longer holds the role class {row.role_class.name}: nothing is released")
    if row.requester == row.custodian:
        return
    for name in (row.requester, row.custodian):
        if membership.is_suspended(_member(reader, name), time_s=time_s):
            raise PermitDead(f"{name} is suspended: nothing is released until that ends")


def _member(reader: Reader, organisation: OrganisationId) -> membership.Organisation:
    row = membership.member(reader, organisation)
    if row is None:
        raise PermitDead(f"{organisation} is no longer a member: nothing is released")
    return row


def _check_relationship(reader: Reader, row: Permit) -> None:
    if patients.require_relationship(reader, row.pseudonym).closed_at_s:
        raise PermitDead("the relationship was closed: nothing is released any more")
    if records.is_erased(reader, row.pseudonym):
        raise PermitDead("the relationship was erased: nothing is left to release")


def _check_versions(reader: Reader, row: Permit) -> None:
    current = versions(reader, row.pseudonym, row.custodian)
    for what, pinned, now in (
        ("sharing choices", row.choices_version, current.choices),
        ("network policy", row.network_policy_version, current.network_policy),
        ("custodian's policy", row.custodian_policy_version, current.custodian_policy),
    ):
        if pinned != now:
            raise PermitDead(f"permit rests on version {pinned} of the {what}, now {now}: ask again")


def unreviewed(reader: Reader, who: PublicKey | OrganisationId) -> int:
    """Return how many emergencies of a session key or an organisation wait for review."""
    row = UNREVIEWED.get(reader, who)
    return row.count if row is not None else 0
