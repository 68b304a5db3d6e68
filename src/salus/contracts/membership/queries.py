"""What contracts and readers ask about members, their keys, certificates and policies."""

from salus.contracts import provisions
from salus.contracts.membership.rejections import Rejection
from salus.contracts.membership.state import (
    ACCUSERS_MIN,
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
    POLICY_STEPS_MAX,
    UPGRADES,
    VALIDATORS,
    Certificate,
    KeyUse,
    Network,
    Organisation,
    Owner,
    Policy,
    Validator,
)
from salus.contracts.provisions import Gate, Provision, ProvisionInvalid
from salus.crypto.hashing import sha256, tagged
from salus.crypto.signing import KeyInvalid, check_public_key
from salus.ledger.contract import SIGNATURE_MISSING, Context, Rejected
from salus.ledger.encoding import decoder
from salus.ledger.identifiers import (
    CertificateId,
    Digest,
    OrganisationId,
    ProposalId,
    PublicKey,
)
from salus.ledger.machine import read_meta
from salus.ledger.state import Lister, Reader

_CODE = decoder(OrganisationId)


def member(reader: Reader, organisation: OrganisationId) -> Organisation | None:
    """Return a member's row; None for who is none, or no longer."""
    return ORGANISATIONS.get(reader, organisation)


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
    return None if keys is None or not keys.current else keys.current


def key_hash(key: bytes) -> Digest:
    """Return the name of a key in the table of owners: SHA-256 of its bytes."""
    return Digest(sha256(key))


def owner_of(reader: Reader, key: bytes) -> Owner | None:
    """Return the member that registered a key, now or ever; None when no member did."""
    return OWNERS.get(reader, key_hash(key))


def certificate_in_force(
    reader: Reader, organisation: OrganisationId, certificate: CertificateId, *, time_s: int
) -> Certificate | None:
    """Return a member's certificate; None when it is unknown, revoked or expired, or of no member any more."""
    if member(reader, organisation) is None:
        return None
    row = CERTIFICATES.get(reader, (organisation, certificate))
    return row if row is not None and time_s < row.expires_at_s else None


def network(reader: Reader) -> Network:
    """Return what the members agreed on for all."""
    row = NETWORK.get(reader, NETWORK_KEY)
    assert row is not None, "genesis writes the network's row"
    return row


def rules_version(reader: Reader, *, height: int) -> int:
    """Return which rules a block follows: what the members scheduled by height, else the network's (DESIGN §4).

    Args:
        height: of the block, the next one or a later one.
    """
    scheduled = UPGRADES.get(reader, NETWORK_KEY)
    if scheduled is not None and height >= scheduled.height:
        return scheduled.rules_version
    return network(reader).rules_version


def next_rules_version(reader: Reader) -> int:
    """Return which rules the block after the stored state follows: what its header's application version is."""
    meta = read_meta(reader)
    return rules_version(reader, height=1 if meta is None else meta.height + 1)


def proposal_id(transaction: Digest, message_index: int) -> ProposalId:
    """Return the id of the proposal of one message."""
    return ProposalId(tagged("salus/proposal/1", transaction, message_index.to_bytes(4, "big"))[:16])


def members(lister: Lister) -> tuple[OrganisationId, ...]:
    """Return all members, sorted."""
    return tuple(_CODE.decode(key) for key, _ in ORGANISATIONS.under(lister))


def seats(lister: Lister) -> dict[OrganisationId, Validator]:
    """Return all validators by their organisation, sorted."""
    return {_CODE.decode(key): row for key, row in VALIDATORS.under(lister)}


def is_super_majority(count: int, *, of: int) -> bool:
    """Tell whether so many are more than two thirds."""
    return 3 * count > 2 * of


def can_suspend(accusers: int, *, of: int) -> bool:
    """Tell whether so many accusers are more than a third, and at least three."""
    return 3 * accusers > of and accusers >= ACCUSERS_MIN


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


def check_policy(trees: tuple[Provision, ...]) -> tuple[Gate, ...]:
    """Return the gates of a policy. Raises Rejected for a tree that is not valid, or gates with too many conditions."""
    try:
        for tree in trees:
            provisions.check(tree)
    except ProvisionInvalid as error:
        raise Rejected(Rejection.POLICY_UNFIT, str(error)) from error
    gates = tuple(provisions.gate(tree) for tree in trees)
    steps = sum(provisions.steps(gate) for gate in gates)
    if steps > POLICY_STEPS_MAX:
        raise Rejected(
            Rejection.POLICY_UNFIT, f"expected policies of at most {POLICY_STEPS_MAX} conditions, came {steps}"
        )
    return gates
