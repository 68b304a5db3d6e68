"""What membership is asked, and what it answers."""

from typing import Annotated

from msgspec import Meta

from salus.contracts.membership.state import KEY_BYTES_MAX, CertificateKind, KeyUse
from salus.contracts.provisions import RoleClass
from salus.ledger.identifiers import (
    CertificateIdField,
    DigestField,
    OrganisationIdField,
    SecondsField,
)
from salus.ledger.outcomes import Outcome
from salus.ledger.transactions import SIGNERS_MAX, Message

KeyBytes = Annotated[bytes, Meta(min_length=32, max_length=KEY_BYTES_MAX)]
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
