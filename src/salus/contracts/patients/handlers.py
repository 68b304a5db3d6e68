"""How patients answers: a key that a custodian holds acts visibly *by custodian*, and never touches recovery."""

import msgspec

from salus.contracts import membership
from salus.contracts.patients.messages import (
    AddKey,
    CloseRelationship,
    Enrol,
    Enrolled,
    KeyAdded,
    KeyRemoved,
    KeyTakenOver,
    PseudonymKeyRotated,
    RelationshipClosed,
    RemoveKey,
    RotatePseudonymKey,
    TakeOverKey,
)
from salus.contracts.patients.queries import actor_of, further_key, known_keys, live_keys, require_open
from salus.contracts.patients.rejections import Rejection
from salus.contracts.patients.state import (
    CONTRACT,
    KEYS_MAX,
    RELATIONSHIPS,
    Actor,
    Holder,
    KeyKind,
    PatientKey,
    Relationship,
)
from salus.crypto.signing import KeyInvalid, check_public_key
from salus.ledger.contract import Context, Rejected
from salus.ledger.identifiers import PublicKey


@CONTRACT.handles(Enrol, Enrolled)
def enrol(context: Context, message: Enrol) -> Enrolled:
    """Open a relationship under a new pseudonym.

    1. `custodian` is a member, else OrganisationUnknown.
    2. Signed by the custodian.
    3. The pseudonym has no relationship, open or closed, else PseudonymKnown.
    4. `recovery_key` is empty if `holder` is CUSTODIAN, else RecoveryUnfit: a custodian never sets recovery.
    5. `key` is a fit Ed25519 key (see RotateKey), and so is `recovery_key` unless it is empty, else KeyUnfit.
    6. No member registered either of them, now or ever, and they differ, else KeyKnown.
    7. Signed by `key`.
    8. Write `patients.relationships` with no further keys, open.
    """
    membership.require_organisation(context, message.custodian)  # 1
    membership.sign_as(context, message.custodian)  # 2
    if RELATIONSHIPS.get(context, message.pseudonym) is not None:  # 3
        raise Rejected(Rejection.PSEUDONYM_KNOWN, "expected a new pseudonym: draw another 16 random bytes")
    if message.holder is Holder.CUSTODIAN and message.recovery_key:  # 4
        raise Rejected(Rejection.RECOVERY_UNFIT, "a custodian never sets recovery: leave the recovery key empty")
    check_fit(context, message.key, message.recovery_key)  # 5
    check_unknown(context, message.key, known=(message.recovery_key,))  # 6
    if message.recovery_key:
        check_unknown(context, message.recovery_key, known=())
    context.signed_by((message.key,), who="the pseudonym's key")  # 7
    row = Relationship(
        custodian=message.custodian,
        key=message.key,
        holder=message.holder,
        recovery_key=message.recovery_key,
        keys=(),
        closed_at_s=0,
    )
    RELATIONSHIPS.put(context, message.pseudonym, row)  # 8
    return Enrolled(
        message.pseudonym,
        message.custodian,
        message.key,
        message.holder,
        message.recovery_key,
        message.commitment,
    )


@CONTRACT.handles(RotatePseudonymKey, PseudonymKeyRotated)
def rotate_pseudonym_key(context: Context, message: RotatePseudonymKey) -> PseudonymKeyRotated:
    """Replace the key; its holder stays, or the patient passes it to the custodian.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the pseudonym's present key.
    3. Not from CUSTODIAN to PATIENT, else HolderUnfit: that is TakeOverKey.
    4. `key` is fit, else KeyUnfit.
    5. `key` is not the present key, nor the recovery key, nor a further key of the relationship, expired or not, and no
       member registered it, now or ever, else KeyKnown.
    6. Signed by `key`.
    7. Write the key and the holder; further keys and the recovery key stay.
    """
    relationship = require_open(context, message.pseudonym)  # 1
    context.signed_by((relationship.key,), who="the pseudonym's present key")  # 2
    if relationship.holder is Holder.CUSTODIAN and message.holder is Holder.PATIENT:  # 3
        raise Rejected(Rejection.HOLDER_UNFIT, "the custodian holds this key: expected the patient to take it over")
    check_fit(context, message.key)  # 4
    _admit_key(context, relationship, message.key)  # 5, 6
    row = msgspec.structs.replace(relationship, key=message.key, holder=message.holder)
    RELATIONSHIPS.put(context, message.pseudonym, row)  # 7
    return PseudonymKeyRotated(message.pseudonym, message.key, message.holder, message.commitment)


@CONTRACT.handles(TakeOverKey, KeyTakenOver)
def take_over_key(context: Context, message: TakeOverKey) -> KeyTakenOver:
    """Replace a custodian-held key by one that the patient holds; there is no message that undoes it.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the pseudonym's present key.
    3. `recovery_key` is empty if the relationship has a recovery key, else RecoveryUnfit: only recovery changes one.
    4. The holder is CUSTODIAN, else HolderUnfit.
    5. `recovery_key` is empty or fit, and `key` is fit, else KeyUnfit.
    6. Each is unknown as in step 5 of RotatePseudonymKey, and they differ, else KeyKnown.
    7. Signed by `key`.
    8. Write the key, the holder PATIENT, the recovery key if one is given; of the further keys those stay that the
       patient appointed.
    """
    relationship = require_open(context, message.pseudonym)  # 1
    context.signed_by((relationship.key,), who="the pseudonym's present key")  # 2
    if message.recovery_key and relationship.recovery_key:  # 3
        raise Rejected(Rejection.RECOVERY_UNFIT, "the relationship has a recovery key: expected none here")
    if relationship.holder is Holder.PATIENT:  # 4
        raise Rejected(Rejection.HOLDER_UNFIT, "expected a key held by the custodian: rotate the key instead")
    check_fit(context, message.recovery_key, message.key)  # 5
    if message.recovery_key:
        check_unknown(context, message.recovery_key, known=(message.key, *known_keys(relationship)))  # 6
    _admit_key(context, relationship, message.key)  # 6, 7
    row = msgspec.structs.replace(
        relationship,
        key=message.key,
        holder=Holder.PATIENT,
        recovery_key=message.recovery_key or relationship.recovery_key,
        keys=tuple(row for row in relationship.keys if row.appointed_by is Holder.PATIENT),
    )
    RELATIONSHIPS.put(context, message.pseudonym, row)  # 8
    return KeyTakenOver(message.pseudonym, message.key, message.recovery_key, message.commitment)


@CONTRACT.handles(AddKey, KeyAdded)
def add_key(context: Context, message: AddKey) -> KeyAdded:
    """Let a device or a delegate act; what a custodian appoints acts by custodian.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the pseudonym's key.
    3. `key` is fit, else KeyUnfit.
    4. `key` is unknown as in step 5 of RotatePseudonymKey, else KeyKnown.
    5. Fewer than 16 further keys that have not expired, else KeysFull.
    6. `expires_at_s` is 0 or after the block's time, else ExpiryUnfit.
    7. Signed by `key`.
    8. Write the further keys that have not expired, then this one, appointed by the present holder.
    """
    relationship = require_open(context, message.pseudonym)  # 1
    context.signed_by((relationship.key,), who="the pseudonym's key")  # 2
    check_fit(context, message.key)  # 3
    check_unknown(context, message.key, known=known_keys(relationship))  # 4
    live = live_keys(relationship, time_s=context.time_s)
    if len(live) >= KEYS_MAX:  # 5
        raise Rejected(Rejection.KEYS_FULL, f"expected at most {KEYS_MAX} further keys: remove one first")
    if message.expires_at_s and message.expires_at_s <= context.time_s:  # 6
        raise Rejected(Rejection.EXPIRY_UNFIT, f"expected an expiry after {context.time_s}, or 0 for none")
    context.signed_by((message.key,), who="the new key")  # 7
    keys = (*live, PatientKey(message.key, message.kind, relationship.holder, message.expires_at_s))
    RELATIONSHIPS.put(context, message.pseudonym, msgspec.structs.replace(relationship, keys=keys))  # 8
    return KeyAdded(
        message.pseudonym,
        message.key,
        message.kind,
        relationship.holder,
        message.expires_at_s,
        message.commitment,
    )


@CONTRACT.handles(RemoveKey, KeyRemoved)
def remove_key(context: Context, message: RemoveKey) -> KeyRemoved:
    """Take a device's or a delegate's key away.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the pseudonym's key, or by a device's key that has not expired.
    3. `key` is a further key of the relationship, expired or not, else KeyUnknown.
    4. The custodian does not remove what the patient appointed, else KeyOfPatient: if the signer acts by custodian, the
       key was appointed by CUSTODIAN.
    5. Write the further keys without it.
    """
    relationship = require_open(context, message.pseudonym)  # 1
    devices = [row.key for row in live_keys(relationship, time_s=context.time_s) if row.kind is KeyKind.DEVICE]
    signer = context.signed_by((relationship.key, *devices), who="the pseudonym's key or a device's")  # 2
    removed = further_key(relationship, message.key)
    if removed is None:  # 3
        raise Rejected(Rejection.KEY_UNKNOWN, "expected a registered device or delegate key")
    actor = actor_of(relationship, signer)
    if actor is Actor.CUSTODIAN and removed.appointed_by is Holder.PATIENT:  # 4
        raise Rejected(Rejection.KEY_OF_PATIENT, "the patient appointed this key: only the patient removes it")
    keys = tuple(row for row in relationship.keys if row.key != message.key)
    RELATIONSHIPS.put(context, message.pseudonym, msgspec.structs.replace(relationship, keys=keys))  # 5
    return KeyRemoved(message.pseudonym, message.key, actor, message.commitment)


@CONTRACT.handles(CloseRelationship, RelationshipClosed)
def close_relationship(context: Context, message: CloseRelationship) -> RelationshipClosed:
    """Close a relationship; its history stays provable.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the pseudonym's key.
    3. Write `closed_at_s`: the block's time.
    """
    relationship = require_open(context, message.pseudonym)  # 1
    signer = context.signed_by((relationship.key,), who="the pseudonym's key")  # 2
    closed = msgspec.structs.replace(relationship, closed_at_s=context.time_s)
    RELATIONSHIPS.put(context, message.pseudonym, closed)  # 3
    return RelationshipClosed(message.pseudonym, actor_of(relationship, signer), message.commitment)


def _admit_key(context: Context, relationship: Relationship, key: PublicKey) -> None:
    check_unknown(context, key, known=known_keys(relationship))
    context.signed_by((key,), who="the new key")


def check_fit(context: Context, *keys: bytes) -> None:
    """Raise Rejected unless each of the keys that is not empty is a fit Ed25519 key."""
    for key in keys:
        if key:
            context.step(membership.KEY_CHECK_STEPS)
            try:
                check_public_key(key)
            except KeyInvalid as error:
                raise Rejected(Rejection.KEY_UNFIT, str(error)) from error


def check_unknown(context: Context, key: bytes, *, known: tuple[bytes, ...]) -> None:
    """Raise Rejected when a key is among these, or when a member registered it, now or ever."""
    if key in known or membership.owner_of(context, key) is not None:
        raise Rejected(Rejection.KEY_KNOWN, "expected a new key: this one is registered already")
