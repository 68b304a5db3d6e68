"""What access is asked, and what it answers.

An answer repeats no key: the session key is among the signers, the reader key's hash in the message, both under the
transaction's hash in the leaf; the residual says who exactly asks. So a leaf, which stays, links no two requests of one
person (P7), and is small.
"""

from typing import Annotated

from msgspec import Meta

from salus.contracts.access.state import Basis, DenialReason, End, Verdict
from salus.contracts.membership import SignerField
from salus.contracts.patients import Actor
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.ledger.identifiers import (
    CountField,
    DigestField,
    OptionalDigestField,
    OrganisationIdField,
    PermitId,
    PermitIdField,
    SecondsField,
)
from salus.ledger.outcomes import DENIED, PatientOutcome
from salus.ledger.transactions import PatientMessage

OptionalPermitIdField = Annotated[PermitId, Meta(max_length=16)]
DurationField = Annotated[int, Meta(ge=1, lt=1 << 31)]


class RequestAccess(PatientMessage, frozen=True, array_like=True, tag=601):
    """Ask for a permit. Signed by the session key, then by the requester.

    `session` is the place of the session key among the signers; `reader_key` the hash of the reader key; `ticket` is
    empty, or the key of a ticket of which the message before spent a use.
    """

    custodian: OrganisationIdField
    requester: OrganisationIdField
    role_class: RoleClass
    purpose: Purpose
    verb: Verb
    duration_s: DurationField
    session: SignerField
    reader_key: DigestField
    ticket: OptionalDigestField
    residual: DigestField


class CommitReleases(PatientMessage, frozen=True, array_like=True, tag=602):
    """One end anchors the receipts of a permit so far. Signed by that end's organisation.

    `root` is over that end's receipts of the permit; `permit` is empty for a match (DESIGN §6); `is_closed` says that
    this end releases or accepts nothing more under the permit.
    """

    permit: OptionalPermitIdField
    end: End
    root: DigestField
    is_closed: bool


class ReviewEmergency(PatientMessage, frozen=True, array_like=True, tag=603):
    """The officer's verdict on an emergency. Signed by the officer's session key, then by the custodian.

    `session` is the place of the officer's session key among the signers.
    """

    permit: PermitIdField
    session: SignerField
    verdict: Verdict
    commitment: DigestField


class Challenge(PatientMessage, frozen=True, array_like=True, tag=604):
    """The patient questions an access, or its refusal. Signed by a key that acts for the pseudonym."""

    permit: PermitIdField
    commitment: DigestField


class AccessPermitted(PatientOutcome, frozen=True, array_like=True, tag=601):
    """The permit is in force from the block's time. Its id follows from the leaf's transaction and index."""

    custodian: OrganisationIdField
    requester: OrganisationIdField
    role_class: RoleClass
    purpose: Purpose
    verb: Verb
    until_s: SecondsField
    basis: Basis
    ticket: OptionalDigestField
    choices_version: CountField
    network_policy_version: CountField
    custodian_policy_version: CountField
    residual: DigestField


class ReleasesCommitted(PatientOutcome, frozen=True, array_like=True, tag=602):
    """The receipts under this root were anchored by this end."""

    permit: OptionalPermitIdField
    end: End
    root: DigestField
    is_closed: bool


class EmergencyReviewed(PatientOutcome, frozen=True, array_like=True, tag=603):
    """The emergency has a verdict."""

    permit: PermitIdField
    verdict: Verdict
    commitment: DigestField


class Challenged(PatientOutcome, frozen=True, array_like=True, tag=604):
    """The challenge stands in the history."""

    permit: PermitIdField
    actor: Actor
    commitment: DigestField


class AccessDenied(PatientOutcome, frozen=True, array_like=True, tag=605):
    """The request was heard and refused, for good (R2)."""

    custodian: OrganisationIdField
    requester: OrganisationIdField
    role_class: RoleClass
    purpose: Purpose
    verb: Verb
    reason: DenialReason
    choices_version: CountField
    network_policy_version: CountField
    custodian_policy_version: CountField
    residual: DigestField

    @property
    def code(self) -> int:
        """DENIED: a refusal that took effect."""
        return DENIED
