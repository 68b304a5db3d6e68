"""Membership (docs/spec/contracts.md, 1): certificates, keys, files."""

from salus.testing.auditor.curve import is_fit_key
from salus.testing.auditor.hashes import sha256
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.view import No, Row, View

CERTIFICATE_KNOWN, CERTIFICATE_UNKNOWN, ROLE_NOT_HELD, EXPIRY_UNFIT = 102, 103, 104, 105
USE_UNFIT, KEY_UNFIT, KEY_IN_USE = 106, 107, 108
CERTIFICATE_S_MAX = 34_560_000
HPKE, CONSENSUS = 5, 6
RETIRED_MAX = 8


def certify(view: View, message: Message) -> Row:
    """101."""
    organisation = view.organisation(message["organisation"])
    view.need_organisation(message["organisation"])
    key = [message["organisation"], message["certificate"]]
    if view.get("membership.certificates", key) is not None:
        raise No(CERTIFICATE_KNOWN)
    roles = message["role_classes"]
    if roles != sorted(set(roles)) or not set(roles) <= set(organisation[1]):
        raise No(ROLE_NOT_HELD)
    if not view.time_s < message["expires_at_s"] <= view.time_s + CERTIFICATE_S_MAX:
        raise No(EXPIRY_UNFIT)
    view.put("membership.certificates", key, [message["kind"], roles, message["expires_at_s"]])
    return [101, *key, message["kind"], roles, message["expires_at_s"]]


def revoke_certificate(view: View, message: Message) -> Row:
    """102."""
    view.organisation(message["organisation"])
    view.need_organisation(message["organisation"])
    key = [message["organisation"], message["certificate"]]
    if view.get("membership.certificates", key) is None:
        raise No(CERTIFICATE_UNKNOWN)
    view.put("membership.certificates", key, None)
    return [102, *key]


def rotate_key(view: View, message: Message) -> Row:
    """103."""
    view.organisation(message["organisation"])
    view.need_organisation(message["organisation"])
    organisation, use, key = message["organisation"], message["use"], message["key"]
    if use == CONSENSUS:
        raise No(USE_UNFIT)
    if not is_fit_for(key, use):
        raise No(KEY_UNFIT)
    if view.is_registered(key):
        raise No(KEY_IN_USE)
    if use != HPKE:
        view.need(key)
    replace_key(view, organisation, use, key)
    return [103, organisation, use, key]


def publish_file(view: View, message: Message) -> Row:
    """104."""
    view.organisation(message["organisation"])
    view.need_organisation(message["organisation"])
    view.put("membership.files", [message["organisation"], message["name"]], message["digest"])
    return [104, message["organisation"], message["name"], message["digest"]]


def replace_key(view: View, organisation: str, use: int, key: bytes) -> None:
    """Make a key current, and retire the one before; an empty key when a member is removed."""
    current, retired = view.get("membership.keys", [organisation, use]) or [b"", []]
    gone = [[current, view.time_s]] if current else []
    view.put("membership.keys", [organisation, use], [key, [*retired, *gone][-RETIRED_MAX:]])
    if key:
        view.put("membership.owners", sha256(key), [organisation, use])


def is_fit_for(key: bytes, use: int) -> bool:
    """Tell whether a key is fit for its use."""
    if use == HPKE:
        return (key[0], len(key)) in ((1, 33), (2, 1217))
    return is_fit_key(key)
