"""What membership is asked, and what it answers."""

from typing import Annotated

from msgspec import Meta

from salus.contracts.membership.state import AnyAction, CertificateKind, KeyBytes, KeyUse
from salus.contracts.provisions import RoleClass
from salus.ledger.identifiers import (
    CertificateIdField,
    DigestField,
    OrganisationIdField,
    ProposalIdField,
    PublicKeyField,
    SecondsField,
)
from salus.ledger.outcomes import Outcome
from salus.ledger.transactions import SIGNERS_MAX, Message

SignerField = Annotated[int, Meta(ge=0, lt=SIGNERS_MAX)]
"""Place of a key among the signers of the transaction, from 0."""
FileName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]


class Certify(Message, frozen=True, array_like=True, tag=101):
    """An organisation vouches for a person or device. Signed by the organisation."""

    organisation: OrganisationIdField
    certificate: CertificateIdField
    kind: CertificateKind
    role_classes: Annotated[tuple[RoleClass, ...], Meta(min_length=1, max_length=8)]
    expires_at_s: SecondsField


class RevokeCertificate(Message, frozen=True, array_like=True, tag=102):
    """It no longer vouches. Signed by the organisation."""

    organisation: OrganisationIdField
    certificate: CertificateIdField


class RotateKey(Message, frozen=True, array_like=True, tag=103):
    """An organisation replaces its key for one use. Signed by the organisation, then by the new key if it can sign."""

    organisation: OrganisationIdField
    use: KeyUse
    key: KeyBytes


class PublishFile(Message, frozen=True, array_like=True, tag=104):
    """An organisation publishes the hash of a file under a name. Signed by the organisation."""

    organisation: OrganisationIdField
    name: FileName
    digest: DigestField


class Propose(Message, frozen=True, array_like=True, tag=105):
    """A member proposes an action, and votes for it. Signed by the organisation, then by the keys that it admits."""

    organisation: OrganisationIdField
    action: AnyAction
    expires_at_s: SecondsField


class Vote(Message, frozen=True, array_like=True, tag=106):
    """A member votes for a proposal, or takes its vote back. Signed by the organisation."""

    organisation: OrganisationIdField
    proposal: ProposalIdField
    is_in_favour: bool


class Suspend(Message, frozen=True, array_like=True, tag=107):
    """A member accuses another, so that it is suspended. Signed by the organisation."""

    organisation: OrganisationIdField
    accused: OrganisationIdField
    commitment: DigestField


class RotateConsensusKey(Message, frozen=True, array_like=True, tag=108):
    """A member registers or replaces its consensus key. Signed by the organisation, then by the new key."""

    organisation: OrganisationIdField
    key: PublicKeyField


class Certified(Outcome, frozen=True, array_like=True, tag=101):
    """The certificate is in force."""

    organisation: OrganisationIdField
    certificate: CertificateIdField
    kind: CertificateKind
    role_classes: tuple[RoleClass, ...]
    expires_at_s: SecondsField


class CertificateRevoked(Outcome, frozen=True, array_like=True, tag=102):
    """The certificate is no longer in force."""

    organisation: OrganisationIdField
    certificate: CertificateIdField


class KeyRotated(Outcome, frozen=True, array_like=True, tag=103):
    """The key replaced the one before it."""

    organisation: OrganisationIdField
    use: KeyUse
    key: KeyBytes


class FilePublished(Outcome, frozen=True, array_like=True, tag=104):
    """The name now stands for these bytes."""

    organisation: OrganisationIdField
    name: FileName
    digest: DigestField


class Proposed(Outcome, frozen=True, array_like=True, tag=105):
    """The proposal waits for votes, or is carried already."""

    organisation: OrganisationIdField
    proposal: ProposalIdField
    action: AnyAction
    expires_at_s: SecondsField
    is_carried: bool


class VoteCast(Outcome, frozen=True, array_like=True, tag=106):
    """The vote counts; if it carried the proposal, the action is done."""

    organisation: OrganisationIdField
    proposal: ProposalIdField
    is_in_favour: bool
    is_carried: bool


class Accused(Outcome, frozen=True, array_like=True, tag=107):
    """The accusation stands. `suspended_until_s` is 0 unless it was the one that suspends."""

    organisation: OrganisationIdField
    accused: OrganisationIdField
    suspended_until_s: SecondsField
    commitment: DigestField


class ConsensusKeyRotated(Outcome, frozen=True, array_like=True, tag=108):
    """The key is registered; a validator signs with it from two heights later on."""

    organisation: OrganisationIdField
    key: PublicKeyField
