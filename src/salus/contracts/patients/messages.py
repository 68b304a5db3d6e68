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
