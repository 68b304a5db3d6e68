"""Patients: relationships under pairwise pseudonyms, and the keys that act for them.

A relationship is one person at one custodian; a person is on the ledger in no other form, and nothing joins two of
their relationships (P7). Recovery and guardians are added by a later issue, to the end of each section.
"""

from salus.contracts.patients.handlers import (
    add_key,
    close_relationship,
    enrol,
    remove_key,
    rotate_pseudonym_key,
    take_over_key,
)
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
from salus.contracts.patients.queries import (
    acting_keys,
    actor_of,
    further_key,
    known_keys,
    live_keys,
    relationship_of,
    require_custodian,
    require_open,
    require_relationship,
    sign_for,
)
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

__all__ = [
    "CONTRACT",
    "KEYS_MAX",
    "RELATIONSHIPS",
    "Actor",
    "AddKey",
    "CloseRelationship",
    "Enrol",
    "Enrolled",
    "Holder",
    "KeyAdded",
    "KeyKind",
    "KeyRemoved",
    "KeyTakenOver",
    "PatientKey",
    "PseudonymKeyRotated",
    "Rejection",
    "Relationship",
    "RelationshipClosed",
    "RemoveKey",
    "RotatePseudonymKey",
    "TakeOverKey",
    "acting_keys",
    "actor_of",
    "add_key",
    "close_relationship",
    "enrol",
    "further_key",
    "known_keys",
    "live_keys",
    "relationship_of",
    "remove_key",
    "require_custodian",
    "require_open",
    "require_relationship",
    "rotate_pseudonym_key",
    "sign_for",
    "take_over_key",
]
