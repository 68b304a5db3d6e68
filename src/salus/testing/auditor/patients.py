"""Patients (docs/spec/contracts.md, 2): relationships and the keys that act for them.

A relationship is [custodian, key, holder, recovery key, further keys, closed at]; a further key is
[key, kind, appointed by, expires at]. What recovery has come to is [second key, is spent, started, change]; `started`
is none or one [key, signer, is second, ready at], `change` none or one [recovery key, second key, is by second, in
force at].
"""

from salus.testing.auditor.curve import is_fit_key
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.view import No, Row, View

PSEUDONYM_KNOWN, RELATIONSHIP_UNKNOWN, NOT_THE_CUSTODIAN, RELATIONSHIP_CLOSED = 201, 202, 203, 204
RECOVERY_UNFIT, HOLDER_UNFIT, KEY_UNFIT, KEY_KNOWN, KEY_UNKNOWN = 205, 206, 207, 208, 209
KEY_OF_PATIENT, KEYS_FULL, EXPIRY_UNFIT = 210, 211, 212
RECOVERY_UNKNOWN, RECOVERY_STARTED, RECOVERY_SPENT = 213, 214, 215
RECOVERY_EARLY, RECOVERY_FINAL, CHANGE_UNKNOWN = 216, 217, 218
LOCK_S, CHANGE_S = 259_200, 604_800
PATIENT, CUSTODIAN, DELEGATE = 1, 2, 3
DEVICE_KEY, DELEGATE_KEY = 1, 2
KEYS_MAX = 16
TABLE = "patients.relationships"
RECOVERIES = "patients.recoveries"


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


def start_recovery(view: View, message: Message) -> Row:
    """207."""
    relationship, recovery = _at_this_time(view, message["pseudonym"])
    second, is_spent, started, change = recovery
    is_second = view.need(*_given(relationship[3], second)) == second
    _expect_fit(message["key"])
    _expect_unknown(view, relationship, message["key"])
    if message["key"] in [second, *(key for each in change for key in each[:2])]:
        raise No(KEY_KNOWN)
    if is_second:
        view.need_organisation(relationship[0])
    elif started and started[0][2]:
        raise No(RECOVERY_STARTED)
    elif is_spent:
        raise No(RECOVERY_SPENT)
    view.need(message["key"])
    ready = view.time_s + LOCK_S
    signer = second if is_second else relationship[3]
    _put(view, message, relationship, [second, is_spent, [[message["key"], signer, is_second, ready]], change])
    return [207, message["pseudonym"], message["key"], is_second, ready, message["commitment"]]


def finish_recovery(view: View, message: Message) -> Row:
    """208."""
    relationship, recovery = _at_this_time(view, message["pseudonym"])
    if not recovery[2]:
        raise No(RECOVERY_UNKNOWN)
    key, signer, is_second, ready = recovery[2][0]
    view.need(signer)
    if view.time_s < ready:
        raise No(RECOVERY_EARLY)
    relationship[1], relationship[2], relationship[4] = key, PATIENT, []
    _put(view, message, relationship, [recovery[0], False, [], []])
    return [208, message["pseudonym"], key, is_second, message["commitment"]]


def change_recovery_key(view: View, message: Message) -> Row:
    """209."""
    relationship, recovery = _at_this_time(view, message["pseudonym"])
    second, is_spent, started, change = recovery
    first_new, second_new = message["recovery_key"], message["second_key"]
    is_by_second = False
    if not relationship[3]:
        view.need(relationship[1])
        if relationship[2] != PATIENT:
            raise No(HOLDER_UNFIT)
    elif second and (second_new != second or (change and change[0][2])):
        view.need(second)
        is_by_second = True
    else:
        is_by_second = view.need(*_given(relationship[3], second)) == second
    _expect_fit(first_new, second_new)
    if first_new == second_new:
        raise No(KEY_KNOWN)
    taken = [second, *(each[0] for each in started)]
    for key, present in ((first_new, relationship[3]), (second_new, second)):
        if key != present and key:
            _expect_unknown(view, relationship, key)
            if key in taken:
                raise No(KEY_KNOWN)
    if started:
        raise No(RECOVERY_STARTED)
    if relationship[3]:
        in_force = view.time_s + CHANGE_S
        _put(view, message, relationship, [second, is_spent, [], [[first_new, second_new, is_by_second, in_force]]])
    else:
        in_force, relationship[3] = view.time_s, first_new
        _put(view, message, relationship, [second_new, False, [], []])
    return [209, message["pseudonym"], first_new, second_new, in_force, message["commitment"]]


def undo_recovery_key(view: View, message: Message) -> Row:
    """210."""
    relationship, recovery = _at_this_time(view, message["pseudonym"])
    second, is_spent, started, change = recovery
    view.need(*([second] if change and change[0][2] else _given(relationship[3], second)))
    if not change:
        raise No(CHANGE_UNKNOWN)
    _put(view, message, relationship, [second, is_spent, started, []])
    return [210, message["pseudonym"], message["commitment"]]


def cancel_recovery(view: View, message: Message) -> Row:
    """211."""
    relationship, recovery = _at_this_time(view, message["pseudonym"])
    view.need(relationship[1])
    if relationship[2] != PATIENT:
        raise No(HOLDER_UNFIT)
    if not recovery[2]:
        raise No(RECOVERY_UNKNOWN)
    if recovery[2][0][2]:
        raise No(RECOVERY_FINAL)
    _put(view, message, relationship, [recovery[0], True, [], recovery[3]])
    return [211, message["pseudonym"], message["commitment"]]


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


def _at_this_time(view: View, pseudonym: bytes) -> tuple[Row, Row]:
    """An open relationship and its recovery, with a change made that has waited long enough."""
    relationship = require_open(view, pseudonym)
    second, is_spent, started, change = view.get(RECOVERIES, pseudonym) or [b"", False, [], []]
    if change and view.time_s >= change[0][3]:
        relationship[3], second, is_spent, change = change[0][0], change[0][1], False, []
    return relationship, [second, is_spent, started, change]


def _put(view: View, message: Message, relationship: Row, recovery: Row) -> None:
    view.put(TABLE, message["pseudonym"], relationship)
    view.put(RECOVERIES, message["pseudonym"], recovery)


def _given(*keys: bytes) -> list[bytes]:
    return [key for key in keys if key]


def _expect_fit(key: bytes, recovery: bytes = b"") -> None:
    if not is_fit_key(key) or (recovery and not is_fit_key(recovery)):
        raise No(KEY_UNFIT)


def _expect_unknown(view: View, relationship: Row, key: bytes) -> None:
    known = [relationship[1], relationship[3], *(each[0] for each in relationship[4])]
    if key in known or view.is_registered(key):
        raise No(KEY_KNOWN)
