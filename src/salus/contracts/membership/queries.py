"""What contracts and readers ask about members, their keys, certificates and policies."""

from salus.contracts.membership.rejections import Rejection
from salus.contracts.membership.state import (
    CERTIFICATES,
    HPKE_KEY_FORMS,
    KEYS,
    NETWORK,
    NETWORK_KEY,
    NETWORK_POLICY,
    NO_POLICY,
    ORGANISATIONS,
    OWNERS,
    POLICIES,
    Certificate,
    KeyUse,
    Network,
    Organisation,
    Owner,
    Policy,
)
from salus.crypto.hashing import sha256
from salus.crypto.signing import KeyInvalid, check_public_key
from salus.ledger.contract import SIGNATURE_MISSING, Context, Rejected
from salus.ledger.identifiers import (
    CertificateId,
    Digest,
    OrganisationId,
    PublicKey,
)
from salus.ledger.state import Reader


def require_organisation(reader: Reader, organisation: OrganisationId) -> Organisation:
    """Return a member's row. Raises Rejected when there is no such member."""
    row = ORGANISATIONS.get(reader, organisation)
    if row is None:
        raise Rejected(Rejection.ORGANISATION_UNKNOWN, f"expected a member, came {organisation}: it is not admitted")
    return row


def sign_as(context: Context, organisation: OrganisationId) -> PublicKey:
    """Return the organisation's transaction key after noting its signature. Raises Rejected when it did not sign."""
    keys = KEYS.get(context, (organisation, KeyUse.TRANSACTION))
    assert keys is not None, "genesis and admission give every member a transaction key"
    return context.signed_by((PublicKey(keys.current),), who=f"{organisation}'s transaction key")


def sign_as_session(context: Context, signer: int) -> PublicKey:
    """Return the session key at this place among the signers, after noting its signature.

    Raises:
        Rejected: SIGNATURE_MISSING when there is no such place; SESSION_KEY_UNFIT when an organisation registered the
            key, which then speaks for nobody in person.
    """
    if signer >= len(context.signers):
        raise Rejected(SIGNATURE_MISSING, f"expected a session key as signer {signer}: there are fewer signers")
    key = context.signed_by((context.signers[signer],), who="the session key")
    owner = owner_of(context, key)
    if owner is not None:
        raise Rejected(
            Rejection.SESSION_KEY_UNFIT, f"expected a person's session key, came one of {owner.organisation}"
        )
    return key


def is_suspended(organisation: Organisation, *, time_s: int) -> bool:
    """Tell whether a member may neither request nor release at this time."""
    return time_s < organisation.suspended_until_s


def current_key(reader: Reader, organisation: OrganisationId, use: KeyUse) -> bytes | None:
    """Return a member's key for one use; None when it has none."""
    keys = KEYS.get(reader, (organisation, use))
    return None if keys is None else keys.current


def key_hash(key: bytes) -> Digest:
    """Return the name of a key in the table of owners: SHA-256 of its bytes."""
    return Digest(sha256(key))


def owner_of(reader: Reader, key: bytes) -> Owner | None:
    """Return the member that registered a key, now or ever; None when no member did."""
    return OWNERS.get(reader, key_hash(key))


def certificate_in_force(
    reader: Reader, organisation: OrganisationId, certificate: CertificateId, *, time_s: int
) -> Certificate | None:
    """Return an organisation's certificate; None when it is unknown, revoked or expired."""
    row = CERTIFICATES.get(reader, (organisation, certificate))
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
        if (key[0], len(key)) not in HPKE_KEY_FORMS:
            raise Rejected(Rejection.KEY_UNFIT, f"expected an HPKE key of 33 or 1217 bytes, came {len(key)}")
        return
    try:
        check_public_key(key)
    except KeyInvalid as error:
        raise Rejected(Rejection.KEY_UNFIT, str(error)) from error
