"""What patients is asked, and what it answers.

Each message ends with a commitment to what stays off the ledger: who exactly acted, why, on what evidence.
"""

from salus.contracts.patients.state import Actor, Holder, KeyKind
from salus.ledger.identifiers import (
    DigestField,
    OptionalDigestField,
    OrganisationIdField,
    PublicKeyField,
    SecondsField,
)
from salus.ledger.outcomes import PatientOutcome
from salus.ledger.transactions import PatientMessage


class Enrol(PatientMessage, frozen=True, array_like=True, tag=201):
    """A custodian begins a relationship. Signed by the custodian, then by the pseudonym's key."""

    custodian: OrganisationIdField
    key: PublicKeyField
    holder: Holder
    recovery_key: OptionalDigestField
    commitment: DigestField


class RotatePseudonymKey(PatientMessage, frozen=True, array_like=True, tag=202):
    """The pseudonym's key is replaced, perhaps by one with the custodian. Signed by the present key, then the new."""

    key: PublicKeyField
    holder: Holder
    commitment: DigestField


class TakeOverKey(PatientMessage, frozen=True, array_like=True, tag=203):
    """The patient takes the key over from the custodian. Signed by the present key, then by the patient's."""

    key: PublicKeyField
    recovery_key: OptionalDigestField
    commitment: DigestField


class AddKey(PatientMessage, frozen=True, array_like=True, tag=204):
    """A device or a delegate gets a key of its own. Signed by the pseudonym's key, then by the new one."""

    key: PublicKeyField
    kind: KeyKind
    expires_at_s: SecondsField
    commitment: DigestField


class RemoveKey(PatientMessage, frozen=True, array_like=True, tag=205):
    """A device or a delegate no longer acts. Signed by the pseudonym's key or a device's."""

    key: PublicKeyField
    commitment: DigestField


class CloseRelationship(PatientMessage, frozen=True, array_like=True, tag=206):
    """The relationship takes no new records and requests. Signed by the pseudonym's key."""

    commitment: DigestField


class StartRecovery(PatientMessage, frozen=True, array_like=True, tag=207):
    """A lost key is to be replaced. Signed by a recovery key, by the custodian if it is the second, then by `key`."""

    key: PublicKeyField
    commitment: DigestField


class FinishRecovery(PatientMessage, frozen=True, array_like=True, tag=208):
    """The time lock has run: the key is replaced. Signed by the recovery key that started it."""

    commitment: DigestField


class ChangeRecoveryKey(PatientMessage, frozen=True, array_like=True, tag=209):
    """New recovery keys come in force after 7 days. Signed by a recovery key; the first ones by the pseudonym's key."""

    recovery_key: PublicKeyField
    second_key: OptionalDigestField
    commitment: DigestField


class UndoRecoveryKey(PatientMessage, frozen=True, array_like=True, tag=210):
    """A change of recovery keys does not come about. Signed by a recovery key that is in force."""

    commitment: DigestField


class CancelRecovery(PatientMessage, frozen=True, array_like=True, tag=211):
    """The patient, who lost nothing, stops a recovery. Signed by the pseudonym's key."""

    commitment: DigestField


class Enrolled(PatientOutcome, frozen=True, array_like=True, tag=201):
    """The relationship is open."""

    custodian: OrganisationIdField
    key: PublicKeyField
    holder: Holder
    recovery_key: OptionalDigestField
    commitment: DigestField


class PseudonymKeyRotated(PatientOutcome, frozen=True, array_like=True, tag=202):
    """The new key acts from here on."""

    key: PublicKeyField
    holder: Holder
    commitment: DigestField


class KeyTakenOver(PatientOutcome, frozen=True, array_like=True, tag=203):
    """The patient holds the key from here on."""

    key: PublicKeyField
    recovery_key: OptionalDigestField
    commitment: DigestField


class KeyAdded(PatientOutcome, frozen=True, array_like=True, tag=204):
    """The further key may act."""

    key: PublicKeyField
    kind: KeyKind
    appointed_by: Holder
    expires_at_s: SecondsField
    commitment: DigestField


class KeyRemoved(PatientOutcome, frozen=True, array_like=True, tag=205):
    """The further key acts no more."""

    key: PublicKeyField
    actor: Actor
    commitment: DigestField


class RelationshipClosed(PatientOutcome, frozen=True, array_like=True, tag=206):
    """The relationship is closed."""

    actor: Actor
    commitment: DigestField


class RecoveryStarted(PatientOutcome, frozen=True, array_like=True, tag=207):
    """The time lock runs; whoever holds the key now hears of it."""

    key: PublicKeyField
    is_second: bool
    ready_at_s: SecondsField
    commitment: DigestField


class RecoveryFinished(PatientOutcome, frozen=True, array_like=True, tag=208):
    """The new key acts from here on, and no other."""

    key: PublicKeyField
    is_second: bool
    commitment: DigestField


class RecoveryKeyChanged(PatientOutcome, frozen=True, array_like=True, tag=209):
    """The new recovery keys are in force from that time on, unless it is undone."""

    recovery_key: PublicKeyField
    second_key: OptionalDigestField
    in_force_at_s: SecondsField
    commitment: DigestField


class RecoveryKeyUndone(PatientOutcome, frozen=True, array_like=True, tag=210):
    """The recovery keys stay as they are."""

    commitment: DigestField


class RecoveryCancelled(PatientOutcome, frozen=True, array_like=True, tag=211):
    """The recovery is over; only the second key begins another."""

    commitment: DigestField
