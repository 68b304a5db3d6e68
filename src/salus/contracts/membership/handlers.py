"""How membership answers: every message is signed by the organisation that it is about."""

from salus.contracts.membership.messages import (
    CertificateRevoked,
    Certified,
    Certify,
    FilePublished,
    KeyRotated,
    PublishFile,
    RevokeCertificate,
    RotateKey,
)
from salus.contracts.membership.queries import check_key, key_hash, owner_of, require_organisation, sign_as
from salus.contracts.membership.rejections import Rejection
from salus.contracts.membership.state import (
    CERTIFICATE_S_MAX,
    CERTIFICATES,
    CONTRACT,
    FILES,
    KEY_CHECK_STEPS,
    KEYS,
    OWNERS,
    RETIRED_KEYS_MAX,
    Certificate,
    Keys,
    KeyUse,
    Organisation,
    Owner,
    RetiredKey,
)
from salus.contracts.provisions import RoleClass, as_set
from salus.ledger.contract import Context, Rejected
from salus.ledger.identifiers import PublicKey


@CONTRACT.handles(Certify, Certified)
def certify(context: Context, message: Certify) -> Certified:
    """Put a certificate in force for roles that the organisation itself holds.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. The organisation has no certificate of this id in force, else CertificateKnown. An expired row counts until the
       sweep removes it. Ids of different organisations do not meet.
    4. `role_classes` is sorted, has each once, and the organisation holds all of them, else RoleNotHeld.
    5. `expires_at_s` is after the block's time and at most 400 days (34,560,000 s) after it, else ExpiryUnfit.
    6. Write `membership.certificates`.
    """
    organisation = require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    place = (message.organisation, message.certificate)
    if CERTIFICATES.get(context, place) is not None:  # 3
        raise Rejected(Rejection.CERTIFICATE_KNOWN, "expected a new certificate id: take a fresh salt")
    if not _are_held(organisation, message.role_classes):  # 4
        raise Rejected(Rejection.ROLE_NOT_HELD, "expected role classes that the organisation itself holds, sorted")
    if not context.time_s < message.expires_at_s <= context.time_s + CERTIFICATE_S_MAX:  # 5
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected expiry within {CERTIFICATE_S_MAX} s of {context.time_s}")
    CERTIFICATES.put(context, place, Certificate(message.kind, message.role_classes, message.expires_at_s))  # 6
    return Certified(
        message.organisation, message.certificate, message.kind, message.role_classes, message.expires_at_s
    )


def _are_held(organisation: Organisation, role_classes: tuple[RoleClass, ...]) -> bool:
    return role_classes == as_set(role_classes) and all(role in organisation.role_classes for role in role_classes)


@CONTRACT.handles(RevokeCertificate, CertificateRevoked)
def revoke_certificate(context: Context, message: RevokeCertificate) -> CertificateRevoked:
    """Remove a certificate; only the organisation that gave it can name it.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. The organisation has a certificate of this id, else CertificateUnknown.
    4. Delete the row.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    place = (message.organisation, message.certificate)
    if CERTIFICATES.get(context, place) is None:  # 3
        raise Rejected(Rejection.CERTIFICATE_UNKNOWN, "expected a certificate of yours: it expired or was revoked")
    CERTIFICATES.delete(context, place)  # 4
    return CertificateRevoked(message.organisation, message.certificate)


@CONTRACT.handles(RotateKey, KeyRotated)
def rotate_key(context: Context, message: RotateKey) -> KeyRotated:
    """Replace a key; a signing key proves by its signature that somebody holds it.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation: by its present transaction key, also when that is what it replaces.
    3. `use` is not CONSENSUS, whose keys change with the validators, else UseUnfit.
    4. The key is fit for its use, else KeyUnfit. HPKE: first byte 1 and 33 bytes, or first byte 2 and 1217 bytes.
       Others: 32 bytes, an Ed25519 point in canonical encoding, not of small and not of mixed order.
    5. `membership.owners` has no row for SHA-256 of the key, else KeyInUse: no key ever registered comes back.
    6. Unless `use` is HPKE: signed by the new key.
    7. Write `membership.keys`: the new key is current; the one before, if any, becomes the last of the retired with the
       block's time; of the retired the last 8 stay. Write `membership.owners`.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    if message.use is KeyUse.CONSENSUS:  # 3
        raise Rejected(Rejection.USE_UNFIT, "a consensus key changes with the validators: expected another use")
    context.step(KEY_CHECK_STEPS)
    check_key(message.use, message.key)  # 4
    if owner_of(context, message.key) is not None:  # 5
        raise Rejected(Rejection.KEY_IN_USE, "expected a new key: this one is or was registered")
    if message.use is not KeyUse.HPKE:
        context.signed_by((PublicKey(message.key),), who="the new key")  # 6
    _replace_key(context, message)  # 7
    return KeyRotated(message.organisation, message.use, message.key)


def _replace_key(context: Context, message: RotateKey) -> None:
    old = KEYS.get(context, (message.organisation, message.use))
    retired: tuple[RetiredKey, ...] = ()
    if old is not None:
        retired = (*old.retired, RetiredKey(old.current, context.time_s))[-RETIRED_KEYS_MAX:]
    KEYS.put(context, (message.organisation, message.use), Keys(message.key, retired))
    OWNERS.put(context, key_hash(message.key), Owner(message.organisation, message.use))


@CONTRACT.handles(PublishFile, FilePublished)
def publish_file(context: Context, message: PublishFile) -> FilePublished:
    """Record which bytes a name stands for.

    1. `organisation` is a member, else OrganisationUnknown.
    2. Signed by the organisation.
    3. Write `membership.files`, in the place of what the name stood for.
    """
    require_organisation(context, message.organisation)  # 1
    sign_as(context, message.organisation)  # 2
    FILES.put(context, (message.organisation, message.name), message.digest)  # 3
    return FilePublished(message.organisation, message.name, message.digest)
