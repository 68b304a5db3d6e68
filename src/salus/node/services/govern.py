"""Govern: a member proposes and votes, and sees who the members are and what waits for votes (L7)."""

import secrets
from dataclasses import dataclass
from enum import StrEnum

from salus.contracts import membership
from salus.contracts.membership import (
    NETWORK_POLICY,
    PROPOSALS,
    Accused,
    AnyAction,
    KeyUse,
    LedgerAccess,
    Organisation,
    Policy,
    Proposal,
    Propose,
    Proposed,
    Remove,
    SetAccess,
    SetSuspension,
    Suspend,
    Validator,
    Vote,
    VoteCast,
)
from salus.crypto.commitments import SALT_SIZE_BYTES, content_root
from salus.engines.base import Snapshot
from salus.ledger.encoding import decoder
from salus.ledger.identifiers import Digest, OrganisationId, ProposalId
from salus.ledger.outcomes import TransactionResult, decode_leaf
from salus.ledger.readers import ReadOnce
from salus.node.assemble import Node
from salus.node.network.admission import PROPOSAL_S, AdmissionRequest, decode_request, proposal_of

_KEY_HEAD_BYTES = 2
"""Before the 16 bytes of a proposal's id in the key of its row."""
_PROPOSED, _CAST, _ACCUSED = decoder(Proposed), decoder(VoteCast), decoder(Accused)


class Change(StrEnum):
    """What a member may propose of another, or of itself, that needs no file: as people type it."""

    REMOVE = "remove"
    VALIDATOR = "validator"
    OBSERVER = "observer"
    OWN_PROOFS = "own-proofs"
    SUSPEND = "suspend"
    LIFT = "lift"


@dataclass(frozen=True)
class Members:
    """The network as its members have agreed on it.

    Args:
        seats: the validators among them.
        proposals: what waits for votes.
    """

    members: dict[OrganisationId, Organisation]
    seats: dict[OrganisationId, Validator]
    proposals: dict[ProposalId, Proposal]


def see_members(node: Node) -> Members:
    """Return who the members are now, and what is proposed."""
    with node.engine.snapshot() as snapshot:
        return read_members(snapshot, now_s=node.clock())


def read_members(snapshot: Snapshot, *, now_s: int) -> Members:
    """Return the same of a ledger without a node."""
    rows = ReadOnce(snapshot)
    return Members(
        members={code: membership.require_organisation(rows, code) for code in membership.members(rows)},
        seats=membership.seats(rows),
        proposals={
            ProposalId(key[_KEY_HEAD_BYTES:]): row for key, row in PROPOSALS.under(rows) if now_s < row.expires_at_s
        },
    )


def see_policies(node: Node) -> dict[OrganisationId, Policy]:
    """Return the policies that have rules, or had: the network's first, under an empty code, then members' by code."""
    with node.engine.snapshot() as snapshot:
        rows = ReadOnce(snapshot)
        codes = (NETWORK_POLICY, *membership.members(rows))
        found = {code: membership.policy(rows, code) for code in codes}
    return {code: policy for code, policy in found.items() if policy.version}


def action_of(change: Change, organisation: str, *, power: int, until_s: int) -> AnyAction:
    """Return what is proposed by a change.

    Args:
        organisation: whom it is about, by code.
        power: of who becomes a validator; until_s: of a suspension, Unix seconds.
    """
    about = OrganisationId(organisation)
    if change is Change.REMOVE:
        return Remove(about)
    if change in (Change.SUSPEND, Change.LIFT):
        return SetSuspension(about, until_s if change is Change.SUSPEND else 0)
    access = LedgerAccess[change.name]
    return SetAccess(about, access, power if access is LedgerAccess.VALIDATOR else 0)


def propose(node: Node, action: AnyAction) -> Proposed:
    """Put an action to the vote for 7 days, with this member in favour. Raises Refused or NotNow."""
    return _proposed(node.submit(Propose(node.organisation, action, node.clock() + PROPOSAL_S)))


def propose_admission(node: Node, request: AdmissionRequest) -> Proposed:
    """Put a candidate's admission to the vote, with this member in favour.

    Raises:
        SettingsUnfit: the request was made for another member, or its time is over.
        Refused, NotNow: as with every submission.
    """
    result = node.submit_raw(proposal_of(request, node.signing(KeyUse.TRANSACTION), now_s=node.clock()))
    return _proposed(result)


def propose_request(node: Node, data: bytes) -> Proposed:
    """Put the admission of whoever made a request to the vote. Raises SettingsUnfit; or as `propose_admission`."""
    return propose_admission(node, decode_request(data))


def vote(node: Node, proposal: ProposalId, *, is_in_favour: bool) -> VoteCast:
    """Vote for a proposal, or take this member's vote back. Raises Refused or NotNow."""
    result = node.submit(Vote(node.organisation, proposal, is_in_favour))
    cast: VoteCast = _CAST.decode(decode_leaf(result.leaves[0]).data)
    return cast


def accuse(node: Node, accused: OrganisationId, reason: bytes) -> tuple[Accused, bytes]:
    """Accuse a member; return the outcome, and the salt that with the reason opens the commitment.

    Raises:
        Refused, NotNow: as with every submission.
    """
    salt = secrets.token_bytes(SALT_SIZE_BYTES)
    commitment = Digest(content_root(salt, reason))
    result = node.submit(Suspend(node.organisation, accused, commitment))
    outcome: Accused = _ACCUSED.decode(decode_leaf(result.leaves[0]).data)
    return outcome, salt


def _proposed(result: TransactionResult) -> Proposed:
    proposed: Proposed = _PROPOSED.decode(decode_leaf(result.leaves[0]).data)
    return proposed
