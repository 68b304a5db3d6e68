"""Membership: who runs the network together, with which keys, people and policies.

Organisations, their keys by use, certificates of people and devices, policies and published files. Members and policies
come from genesis here; votes that change them are added by a later issue, to the end of each section.
Never holds a person: a certificate is a salted commitment (P1).
"""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts.provisions import Gate, Provision, RoleClass
from salus.crypto.signing import KeyInvalid, check_public_key
from salus.ledger.contract import Context, Contract, Rejected
from salus.ledger.identifiers import (
    CertificateId,
    CertificateIdField,
    DigestField,
    OrganisationId,
    OrganisationIdField,
    PublicKey,
    SecondsField,
)
from salus.ledger.outcomes import Outcome
from salus.ledger.state import Reader
from salus.ledger.transactions import Message

# State

CONTRACT = Contract("membership", 1)
HPKE_KEY_BYTES_MAX = 1300
RETIRED_KEYS_MAX = 8
CERTIFICATE_S_MAX = 400 * 86_400


class KeyUse(IntEnum):
    """What a registered key is for; one key has one use (DESIGN §4)."""

    TRANSACTION = 1
    HTTP = 2
    TICKET = 3
    RECEIPT = 4
    HPKE = 5
    CONSENSUS = 6


class LedgerAccess(IntEnum):
    """How much of the ledger a member holds."""

    VALIDATOR = 1
    OBSERVER = 2
    OWN_PROOFS = 3


class CertificateKind(IntEnum):
    """Whom a certificate is for."""

    PERSON = 1
    DEVICE = 2


class Organisation(msgspec.Struct, frozen=True, array_like=True):
    """A member. `suspended_until_s` is 0 for a member in good standing."""

    name: str
    role_classes: tuple[RoleClass, ...]
    access: LedgerAccess
    endpoint: str
    joined_at_s: int
    suspended_until_s: int


class RetiredKey(msgspec.Struct, frozen=True, array_like=True):
    """A key that was current until a moment: it proves what was signed before, and can sign nothing new."""

    key: bytes
    until_s: int


class Keys(msgspec.Struct, frozen=True, array_like=True):
    """A member's key for one use, and the last few that it replaced."""

    current: bytes
    retired: tuple[RetiredKey, ...]


class Certificate(msgspec.Struct, frozen=True, array_like=True):
    """That an organisation vouches for somebody or something, until when; who it is, only the salts can tell."""

    organisation: OrganisationId
    kind: CertificateKind
    role_classes: tuple[RoleClass, ...]
    expires_at_s: int


class Network(msgspec.Struct, frozen=True, array_like=True):
    """What the members agreed on for all.

    Args:
        rules_version: version of the contracts' rules.
        permit_s_max: longest permit, seconds.
        emergency_s_max: longest emergency permit, seconds.
        unreviewed_per_session_max: emergencies without a review that one session key may have.
        unreviewed_per_organisation_max: the same for all of an organisation.
    """

    rules_version: int
    permit_s_max: int
    emergency_s_max: int
    unreviewed_per_session_max: int
    unreviewed_per_organisation_max: int


class Policy(msgspec.Struct, frozen=True, array_like=True):
    """Rules of the network or of one organisation, in the language of sharing choices, and their gates.

    A deny forbids whatever the patient chose; a permit is the default where the patient chose nothing.
    """

    version: int
    provisions: tuple[Provision, ...]
    gates: tuple[Gate, ...]


ORGANISATIONS = CONTRACT.table("organisations", Organisation)
KEYS = CONTRACT.table("keys", Keys)
CERTIFICATES = CONTRACT.table("certificates", Certificate, expires_at_s=lambda certificate: certificate.expires_at_s)
NETWORK = CONTRACT.table("network", Network)
POLICIES = CONTRACT.table("policies", Policy)
FILES = CONTRACT.table("files", bytes)

NETWORK_KEY = 0
NETWORK_POLICY = OrganisationId("")
NO_POLICY = Policy(version=0, provisions=(), gates=())

# Messages

KeyBytes = Annotated[bytes, Meta(min_length=32, max_length=HPKE_KEY_BYTES_MAX)]
FileName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]


class Certify(Message, frozen=True, array_like=True, tag=101):
    """An organisation vouches for a person or device. Signed by its transaction key."""

    organisation: OrganisationIdField
    certificate: CertificateIdField
    kind: CertificateKind
    role_classes: Annotated[tuple[RoleClass, ...], Meta(min_length=1, max_length=8)]
    expires_at_s: SecondsField


class RevokeCertificate(Message, frozen=True, array_like=True, tag=102):
    """It no longer vouches. Signed by its transaction key."""

    organisation: OrganisationIdField
    certificate: CertificateIdField


class RotateKey(Message, frozen=True, array_like=True, tag=103):
    """An organisation replaces its key for one use. Signed by its transaction key, then by the new one if it signs."""

    organisation: OrganisationIdField
    use: KeyUse
    key: KeyBytes


class PublishFile(Message, frozen=True, array_like=True, tag=104):
    """An organisation publishes the hash of a file under a name. Signed by its transaction key."""

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


# Rejections, in order of precedence


class Rejection(IntEnum):
    """Why membership says no."""

    ORGANISATION_UNKNOWN = 101
    CERTIFICATE_KNOWN = 102
    CERTIFICATE_UNKNOWN = 103
    CERTIFICATE_OF_OTHER = 104
    ROLE_NOT_HELD = 105
    EXPIRY_UNFIT = 106
    KEY_UNFIT = 107
    KEY_IN_USE = 108


# Handlers


@CONTRACT.handles(Certify, Certified)
def certify(context: Context, message: Certify) -> Certified:
    """Put a certificate in force for roles that the organisation itself holds."""
    organisation = require_organisation(context, message.organisation)
    sign_as(context, message.organisation)
    if CERTIFICATES.get(context, message.certificate) is not None:
        raise Rejected(Rejection.CERTIFICATE_KNOWN, "expected a new certificate id: take a fresh salt")
    if not set(message.role_classes) <= set(organisation.role_classes):
        raise Rejected(Rejection.ROLE_NOT_HELD, "expected role classes that the organisation itself holds")
    if not context.time_s < message.expires_at_s <= context.time_s + CERTIFICATE_S_MAX:
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected expiry within {CERTIFICATE_S_MAX} s of {context.time_s}")
    row = Certificate(message.organisation, message.kind, message.role_classes, message.expires_at_s)
    CERTIFICATES.put(context, message.certificate, row)
    return Certified(
        message.organisation, message.certificate, message.kind, message.role_classes, message.expires_at_s
    )


@CONTRACT.handles(RevokeCertificate, CertificateRevoked)
def revoke_certificate(context: Context, message: RevokeCertificate) -> CertificateRevoked:
    """Remove a certificate; only the organisation that gave it may."""
    require_organisation(context, message.organisation)
    sign_as(context, message.organisation)
    row = CERTIFICATES.get(context, message.certificate)
    if row is None:
        raise Rejected(Rejection.CERTIFICATE_UNKNOWN, "expected a certificate in force: it expired or was revoked")
    if row.organisation != message.organisation:
        raise Rejected(Rejection.CERTIFICATE_OF_OTHER, f"expected the issuer {row.organisation} to revoke it")
    CERTIFICATES.delete(context, message.certificate)
    return CertificateRevoked(message.organisation, message.certificate)


@CONTRACT.handles(RotateKey, KeyRotated)
def rotate_key(context: Context, message: RotateKey) -> KeyRotated:
    """Replace a key; a signing key proves by its signature that somebody holds it."""
    require_organisation(context, message.organisation)
    sign_as(context, message.organisation)
    check_key(message.use, message.key)
    for use in KeyUse:
        keys = KEYS.get(context, (message.organisation, use))
        if keys is not None and _was_ever(keys, message.key):
            raise Rejected(Rejection.KEY_IN_USE, f"expected a new key: this one is or was registered for {use.name}")
    if message.use is not KeyUse.HPKE:
        context.signed_by((PublicKey(message.key),), who="the new key")
    _replace_key(context, message)
    return KeyRotated(message.organisation, message.use, message.key)


def _replace_key(context: Context, message: RotateKey) -> None:
    old = KEYS.get(context, (message.organisation, message.use))
    retired: tuple[RetiredKey, ...] = ()
    if old is not None:
        retired = (*old.retired, RetiredKey(old.current, context.time_s))[-RETIRED_KEYS_MAX:]
    KEYS.put(context, (message.organisation, message.use), Keys(message.key, retired))


@CONTRACT.handles(PublishFile, FilePublished)
def publish_file(context: Context, message: PublishFile) -> FilePublished:
    """Record which bytes a name stands for."""
    require_organisation(context, message.organisation)
    sign_as(context, message.organisation)
    FILES.put(context, (message.organisation, message.name), message.digest)
    return FilePublished(message.organisation, message.name, message.digest)


# Queries


def require_organisation(reader: Reader, organisation: OrganisationId) -> Organisation:
    """Return a member's row. Raises Rejected when there is no such member."""
    row = ORGANISATIONS.get(reader, organisation)
    if row is None:
        raise Rejected(Rejection.ORGANISATION_UNKNOWN, f"expected a member, came {organisation}: it is not admitted")
    return row


def sign_as(context: Context, organisation: OrganisationId) -> PublicKey:
    """Return the organisation's transaction key after noting its signature. Raises Rejected when it did not sign."""
    keys = KEYS.get(context, (organisation, KeyUse.TRANSACTION))
    allowed = (PublicKey(keys.current),) if keys is not None else ()
    return context.signed_by(allowed, who=f"{organisation}'s transaction key")


def is_suspended(organisation: Organisation, *, time_s: int) -> bool:
    """Tell whether a member may neither request nor release at this time."""
    return time_s < organisation.suspended_until_s


def current_key(reader: Reader, organisation: OrganisationId, use: KeyUse) -> bytes | None:
    """Return a member's key for one use; None when it has none."""
    keys = KEYS.get(reader, (organisation, use))
    return None if keys is None else keys.current


def certificate_in_force(reader: Reader, certificate: CertificateId, *, time_s: int) -> Certificate | None:
    """Return a certificate; None when it is unknown, revoked or expired."""
    row = CERTIFICATES.get(reader, certificate)
    return row if row is not None and time_s < row.expires_at_s else None


def network(reader: Reader) -> Network:
    """Return what the members agreed on for all."""
    row = NETWORK.get(reader, NETWORK_KEY)
    assert row is not None, "genesis writes the network's row"
    return row


def policy(reader: Reader, organisation: OrganisationId = NETWORK_POLICY) -> Policy:
    """Return an organisation's policy, or the network's; the empty policy, version 0, when there is none."""
    return POLICIES.get(reader, organisation) or NO_POLICY


def check_key(use: KeyUse, key: bytes) -> None:
    """Raise Rejected for a key that is unfit for its use: of wrong size, small order or not canonical."""
    if use is KeyUse.HPKE:
        return
    try:
        check_public_key(key)
    except KeyInvalid as error:
        raise Rejected(Rejection.KEY_UNFIT, str(error)) from error


def _was_ever(keys: Keys, key: bytes) -> bool:
    return key == keys.current or any(key == retired.key for retired in keys.retired)
