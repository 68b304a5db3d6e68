"""Patients (docs/spec/contracts.md, 2): relationships and the keys that act for them.

A relationship is [custodian, key, holder, recovery key, further keys, closed at]; a further key is
[key, kind, appointed by, expires at].
"""

from salus.testing.auditor.curve import is_fit_key
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.view import No, Row, View

PSEUDONYM_KNOWN, RELATIONSHIP_UNKNOWN, NOT_THE_CUSTODIAN, RELATIONSHIP_CLOSED = 201, 202, 203, 204
RECOVERY_UNFIT, HOLDER_UNFIT, KEY_UNFIT, KEY_KNOWN, KEY_UNKNOWN = 205, 206, 207, 208, 209
KEY_OF_PATIENT, KEYS_FULL, EXPIRY_UNFIT = 210, 211, 212
PATIENT, CUSTODIAN, DELEGATE = 1, 2, 3
DEVICE_KEY, DELEGATE_KEY = 1, 2
KEYS_MAX = 16
TABLE = "patients.relationships"


def enrol(view: View, message: Message) -> Row:
    """201."""
    view.organisation(message["custodian"])
    view.need_organisation(message["custodian"])
    if view.get(TABLE, message["pseudonym"]) is not None:
        raise No(PSEUDONYM_KNOWN)
    key, recovery = message["key"], message["recovery_key"]
    if message["holder"] == CUSTODIAN and recovery:
        raise No(RECOVERY_UNFIT)
    _expect_fit(key, recovery)
    if view.is_registered(key) or (recovery and view.is_registered(recovery)) or key == recovery:
        raise No(KEY_KNOWN)
    view.need(key)
    view.put(TABLE, message["pseudonym"], [message["custodian"], key, message["holder"], recovery, [], 0])
    fields = ("pseudonym", "custodian", "key", "holder", "recovery_key", "commitment")
    return [201, *(message[name] for name in fields)]


def rotate(view: View, message: Message) -> Row:
    """202."""
    relationship = require_open(view, message["pseudonym"])
    view.need(relationship[1])
    if (relationship[2], message["holder"]) == (CUSTODIAN, PATIENT):
        raise No(HOLDER_UNFIT)
    _expect_fit(message["key"])
    _expect_unknown(view, relationship, message["key"])
    view.need(message["key"])
    relationship[1], relationship[2] = message["key"], message["holder"]
    view.put(TABLE, message["pseudonym"], relationship)
    return [202, message["pseudonym"], message["key"], message["holder"], message["commitment"]]


def take_over(view: View, message: Message) -> Row:
    """203."""
    relationship = require_open(view, message["pseudonym"])
    view.need(relationship[1])
    key, recovery = message["key"], message["recovery_key"]
    if recovery and relationship[3]:
        raise No(RECOVERY_UNFIT)
    if relationship[2] != CUSTODIAN:
        raise No(HOLDER_UNFIT)
    _expect_fit(key, recovery)
    _expect_unknown(view, relationship, key)
    if recovery:
        _expect_unknown(view, relationship, recovery)
    if key == recovery:
        raise No(KEY_KNOWN)
    view.need(key)
    stay = [each for each in relationship[4] if each[2] == PATIENT]
    view.put(TABLE, message["pseudonym"], [relationship[0], key, PATIENT, recovery or relationship[3], stay, 0])
    return [203, message["pseudonym"], key, recovery, message["commitment"]]


def add_key(view: View, message: Message) -> Row:
    """204."""
    relationship = require_open(view, message["pseudonym"])
    view.need(relationship[1])
    key = message["key"]
    _expect_fit(key)
    _expect_unknown(view, relationship, key)
    live = [each for each in relationship[4] if is_live(each, view.time_s)]
    if len(live) >= KEYS_MAX:
        raise No(KEYS_FULL)
    if message["expires_at_s"] and message["expires_at_s"] <= view.time_s:
        raise No(EXPIRY_UNFIT)
    view.need(key)
    holder = relationship[2]
    relationship[4] = [*live, [key, message["kind"], holder, message["expires_at_s"]]]
    view.put(TABLE, message["pseudonym"], relationship)
    return [204, message["pseudonym"], key, message["kind"], holder, message["expires_at_s"], message["commitment"]]


def remove_key(view: View, message: Message) -> Row:
    """205."""
    relationship = require_open(view, message["pseudonym"])
    devices = [each[0] for each in relationship[4] if each[1] == DEVICE_KEY and is_live(each, view.time_s)]
    actor = actor_of(relationship, view.need(relationship[1], *devices))
    found = [each for each in relationship[4] if each[0] == message["key"]]
    if not found:
        raise No(KEY_UNKNOWN)
    if actor == CUSTODIAN and found[0][2] != CUSTODIAN:
        raise No(KEY_OF_PATIENT)
    relationship[4] = [each for each in relationship[4] if each[0] != message["key"]]
    view.put(TABLE, message["pseudonym"], relationship)
    return [205, message["pseudonym"], message["key"], actor, message["commitment"]]


def close(view: View, message: Message) -> Row:
    """206."""
    relationship = require_open(view, message["pseudonym"])
    actor = actor_of(relationship, view.need(relationship[1]))
    relationship[5] = max(view.time_s, 1)
    view.put(TABLE, message["pseudonym"], relationship)
    return [206, message["pseudonym"], actor, message["commitment"]]


# Asked by the contracts above


def require(view: View, pseudonym: bytes) -> Row:
    """Return a relationship, open or closed."""
    relationship = view.get(TABLE, pseudonym)
    if relationship is None:
        raise No(RELATIONSHIP_UNKNOWN)
    return relationship


def require_open(view: View, pseudonym: bytes) -> Row:
    """Return an open relationship."""
    relationship = require(view, pseudonym)
    if relationship[5]:
        raise No(RELATIONSHIP_CLOSED)
    return relationship


def require_custodian(view: View, pseudonym: bytes, custodian: str) -> Row:
    """Return a relationship of this custodian."""
    relationship = require(view, pseudonym)
    if relationship[0] != custodian:
        raise No(NOT_THE_CUSTODIAN)
    return relationship


def acting_keys(relationship: Row, time_s: int) -> list[bytes]:
    """The keys that act for the pseudonym: its own, and each further key that has not expired."""
    return [relationship[1], *(each[0] for each in relationship[4] if is_live(each, time_s))]


def actor_of(relationship: Row, key: bytes) -> int:
    """Who acts when this key signs."""
    further = next((each for each in relationship[4] if each[0] == key), None) if key != relationship[1] else None
    appointed_by = relationship[2] if further is None else further[2]
    if appointed_by == CUSTODIAN:
        return CUSTODIAN
    return DELEGATE if further is not None and further[1] == DELEGATE_KEY else PATIENT


def is_live(further: Row, time_s: int) -> bool:
    """Tell whether a further key has not expired."""
    return bool(further[3] == 0 or time_s < further[3])


def _expect_fit(key: bytes, recovery: bytes = b"") -> None:
    if not is_fit_key(key) or (recovery and not is_fit_key(recovery)):
        raise No(KEY_UNFIT)


def _expect_unknown(view: View, relationship: Row, key: bytes) -> None:
    known = [relationship[1], relationship[3], *(each[0] for each in relationship[4])]
    if key in known or view.is_registered(key):
        raise No(KEY_KNOWN)
