"""How a lost key is replaced (DESIGN §5.2): nobody does it unseen, at once, or with what one operator holds.

A relationship has a recovery key, whose seed guardians hold in shares, and may have a second one, of more guardians.
A recovery waits, and the patient who lost nothing cancels it, once. What follows then is for the second key and for
the custodian, who has seen who asks; nobody cancels that.
"""

import msgspec

from salus.contracts import membership
from salus.contracts.patients.handlers import check_fit, check_unknown
from salus.contracts.patients.messages import (
    CancelRecovery,
    ChangeRecoveryKey,
    FinishRecovery,
    RecoveryCancelled,
    RecoveryFinished,
    RecoveryKeyChanged,
    RecoveryKeyUndone,
    RecoveryStarted,
    StartRecovery,
    UndoRecoveryKey,
)
from salus.contracts.patients.queries import known_keys, require_open, with_recovery
from salus.contracts.patients.rejections import Rejection
from salus.contracts.patients.state import (
    CHANGE_S,
    CONTRACT,
    RECOVERIES,
    RELATIONSHIPS,
    TIME_LOCK_S,
    Holder,
    KeyChange,
    Recovery,
    Relationship,
    Started,
)
from salus.ledger.contract import Context, Rejected
from salus.ledger.identifiers import Pseudonym, PublicKey


@CONTRACT.handles(StartRecovery, RecoveryStarted)
def start_recovery(context: Context, message: StartRecovery) -> RecoveryStarted:
    """Begin a recovery, in the place of one that was started and not finished.

    *Recovery at a time.* All steps about recovery mean the rows as they are at the block's time. A row of
    `patients.recoveries` that is not there is one with an empty second key, not spent, nothing started, no change. Once
    `in_force_at_s` of its change is not after the block's time, the recovery key and the second key are those of the
    change, nothing is spent and no change waits; what is started stays. Whatever message writes next writes that.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the recovery key, or by the second one; an empty one is none.
    3. `key` is fit, else KeyUnfit.
    4. `key` is unknown as in step 5 of RotatePseudonymKey, and neither the second key nor a key of the change, else
       KeyKnown.
    5. If the recovery key signed: none is started that the second key signed, else RecoveryStarted.
    6. If the recovery key signed: it is not spent, else RecoverySpent.
    7. If the second key signed: signed by the custodian, who has checked who asks.
    8. Signed by `key`.
    9. Write `patients.recoveries`: started, by whom, ready 72 hours (259,200 seconds) after the block's time.
    """
    relationship, recovery = _require(context, message.pseudonym)  # 1
    signer = context.signed_by(_keys(relationship, recovery), who="a recovery key")  # 2
    is_second = signer == recovery.second_key
    check_fit(context, message.key)  # 3
    check_unknown(context, message.key, known=(*known_keys(relationship), *_waiting_keys(recovery)))  # 4
    if not is_second:
        _check_first(recovery)  # 5, 6
    else:
        membership.sign_as(context, relationship.custodian)  # 7
    context.signed_by((message.key,), who="the new key")  # 8
    ready_at_s = context.time_s + TIME_LOCK_S
    started = Started(message.key, signer, is_second, ready_at_s)
    _write(context, message.pseudonym, relationship, msgspec.structs.replace(recovery, started=(started,)))  # 9
    return RecoveryStarted(message.pseudonym, message.key, is_second, ready_at_s, message.commitment)


@CONTRACT.handles(FinishRecovery, RecoveryFinished)
def finish_recovery(context: Context, message: FinishRecovery) -> RecoveryFinished:
    """Put the new key in the place of the lost one.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. A recovery is started, else RecoveryUnknown.
    3. Signed by the key that signed its start.
    4. The block's time is not before `ready_at_s`, else RecoveryEarly.
    5. Write the key that was started, the holder PATIENT, no further keys: whoever had the lost key may have let
       others act. Write that nothing is spent, nothing is started, no change waits; the recovery keys stay.
    """
    relationship, recovery = _require(context, message.pseudonym)  # 1
    started = _require_started(recovery)  # 2
    context.signed_by((started.signer,), who="the recovery key that started it")  # 3
    if context.time_s < started.ready_at_s:  # 4
        raise Rejected(Rejection.RECOVERY_EARLY, f"it is ready at {started.ready_at_s}, now {context.time_s}: wait")
    recovered = msgspec.structs.replace(relationship, key=started.key, holder=Holder.PATIENT, keys=())
    quiet = Recovery(recovery.second_key, is_spent=False, started=(), change=())
    _write(context, message.pseudonym, recovered, quiet)  # 5
    return RecoveryFinished(message.pseudonym, started.key, started.is_second, message.commitment)


@CONTRACT.handles(ChangeRecoveryKey, RecoveryKeyChanged)
def change_recovery_key(context: Context, message: ChangeRecoveryKey) -> RecoveryKeyChanged:
    """Change recovery keys, after 7 days in which the old ones can undo it; or set the first ones, at once.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the recovery key or by the second one; by the second one only, if there is one, and `second_key` is
       another, or the second one signed a change that waits. If there is no recovery key: signed by the pseudonym's
       key.
    3. If there is no recovery key: the holder is PATIENT, else HolderUnfit: a custodian never sets recovery.
    4. `recovery_key` is fit, and `second_key` is empty or fit, else KeyUnfit.
    5. They differ; each is as it was, or unknown as in step 5 of RotatePseudonymKey, and not what a started recovery
       would make the pseudonym's key, else KeyKnown.
    6. No recovery is started, else RecoveryStarted.
    7. Write the change, in the place of one that waits, in force 7 days (604,800 seconds) after the block's time; or,
       if there was no recovery key, both keys, in force now.
    """
    relationship, recovery = _require(context, message.pseudonym)  # 1
    is_first = not relationship.recovery_key
    signer = context.signed_by(_changers(relationship, recovery, message), who="a recovery key")  # 2
    if is_first and relationship.holder is Holder.CUSTODIAN:  # 3
        raise Rejected(Rejection.HOLDER_UNFIT, "the custodian holds this key: expected the patient to take it over")
    check_fit(context, message.recovery_key, message.second_key)  # 4
    _check_new(context, relationship, recovery, message)  # 5
    if recovery.started:  # 6
        raise Rejected(Rejection.RECOVERY_STARTED, "a recovery is started: finish or cancel it first")
    in_force_at_s = context.time_s + (0 if is_first else CHANGE_S)
    change = KeyChange(message.recovery_key, message.second_key, signer == recovery.second_key, in_force_at_s)
    if is_first:
        changed = msgspec.structs.replace(relationship, recovery_key=change.recovery_key)
        set_first = Recovery(change.second_key, is_spent=False, started=(), change=())
        _write(context, message.pseudonym, changed, set_first)  # 7
    else:
        _write(context, message.pseudonym, relationship, msgspec.structs.replace(recovery, change=(change,)))  # 7
    return RecoveryKeyChanged(
        message.pseudonym, message.recovery_key, message.second_key, in_force_at_s, message.commitment
    )


@CONTRACT.handles(UndoRecoveryKey, RecoveryKeyUndone)
def undo_recovery_key(context: Context, message: UndoRecoveryKey) -> RecoveryKeyUndone:
    """Undo a change of recovery keys while it waits.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the recovery key in force or by the second one; by the second one only, if it signed the change.
    3. A change waits, else ChangeUnknown.
    4. Write that none does.
    """
    relationship, recovery = _require(context, message.pseudonym)  # 1
    context.signed_by(_masters(relationship, recovery), who="a recovery key")  # 2
    if not recovery.change:  # 3
        raise Rejected(Rejection.CHANGE_UNKNOWN, "expected a change of recovery keys that waits")
    _write(context, message.pseudonym, relationship, msgspec.structs.replace(recovery, change=()))  # 4
    return RecoveryKeyUndone(message.pseudonym, message.commitment)


@CONTRACT.handles(CancelRecovery, RecoveryCancelled)
def cancel_recovery(context: Context, message: CancelRecovery) -> RecoveryCancelled:
    """Stop a recovery; the next one is for the second key.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by the pseudonym's key.
    3. The holder is PATIENT, else HolderUnfit: a custodian never touches recovery.
    4. A recovery is started, else RecoveryUnknown.
    5. The recovery key signed it, and not the second one, else RecoveryFinal.
    6. Write that it is spent, and nothing started.
    """
    relationship, recovery = _require(context, message.pseudonym)  # 1
    context.signed_by((relationship.key,), who="the pseudonym's key")  # 2
    if relationship.holder is Holder.CUSTODIAN:  # 3
        raise Rejected(Rejection.HOLDER_UNFIT, "the custodian holds this key: only the patient cancels a recovery")
    if _require_started(recovery).is_second:  # 4, 5
        raise Rejected(Rejection.RECOVERY_FINAL, "the custodian saw who asks: nobody cancels a second recovery")
    cancelled = msgspec.structs.replace(recovery, is_spent=True, started=())
    _write(context, message.pseudonym, relationship, cancelled)  # 6
    return RecoveryCancelled(message.pseudonym, message.commitment)


def _require(context: Context, pseudonym: Pseudonym) -> tuple[Relationship, Recovery]:
    return with_recovery(context, pseudonym, require_open(context, pseudonym), time_s=context.time_s)


def _write(context: Context, pseudonym: Pseudonym, relationship: Relationship, recovery: Recovery) -> None:
    RELATIONSHIPS.put(context, pseudonym, relationship)
    RECOVERIES.put(context, pseudonym, recovery)


def _require_started(recovery: Recovery) -> Started:
    if not recovery.started:
        raise Rejected(Rejection.RECOVERY_UNKNOWN, "expected a recovery that was started: start it first")
    (started,) = recovery.started
    return started


def _check_first(recovery: Recovery) -> None:
    if any(each.is_second for each in recovery.started):
        raise Rejected(Rejection.RECOVERY_STARTED, "a recovery by the second key is started: it goes before this one")
    if recovery.is_spent:
        raise Rejected(Rejection.RECOVERY_SPENT, "a recovery was cancelled: start the next one with the second key")


def _check_new(context: Context, relationship: Relationship, recovery: Recovery, message: ChangeRecoveryKey) -> None:
    known = (*known_keys(relationship), recovery.second_key, *(each.key for each in recovery.started))
    if bytes(message.second_key) == message.recovery_key:
        raise Rejected(Rejection.KEY_KNOWN, "expected two recovery keys that differ")
    if message.recovery_key != relationship.recovery_key:
        check_unknown(context, message.recovery_key, known=known)
    if message.second_key and message.second_key != recovery.second_key:
        check_unknown(context, message.second_key, known=known)


def _changers(relationship: Relationship, recovery: Recovery, message: ChangeRecoveryKey) -> tuple[PublicKey, ...]:
    if not relationship.recovery_key:
        return (relationship.key,)
    if recovery.second_key and message.second_key != recovery.second_key:
        return (PublicKey(recovery.second_key),)
    return _masters(relationship, recovery)


def _masters(relationship: Relationship, recovery: Recovery) -> tuple[PublicKey, ...]:
    """Return who may make or undo a change: what the second key signed is not for the recovery key to touch."""
    if any(each.is_by_second for each in recovery.change):
        return (PublicKey(recovery.second_key),)
    return _keys(relationship, recovery)


def _keys(relationship: Relationship, recovery: Recovery) -> tuple[PublicKey, ...]:
    return tuple(PublicKey(key) for key in (relationship.recovery_key, recovery.second_key) if key)


def _waiting_keys(recovery: Recovery) -> tuple[bytes, ...]:
    changes = (key for each in recovery.change for key in (each.recovery_key, each.second_key))
    return (recovery.second_key, *changes)
