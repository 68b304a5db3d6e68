"""Tickets (docs/spec/contracts.md, 5).

A ticket is [pseudonym, issuer, conditions, ancestors, uses max, used, expires at, is revoked, commitment, used for].
"""

from salus.testing.auditor import patients
from salus.testing.auditor.curve import is_fit_key
from salus.testing.auditor.gates import is_fit_gate
from salus.testing.auditor.hashes import tagged
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.view import No, Row, View

TICKET_UNKNOWN, TICKET_OF_OTHER, TICKET_EXPIRED, TICKET_REVOKED, TICKET_USED_UP = 501, 502, 503, 504, 505
TICKET_KNOWN, CONDITION_UNFIT, KEY_UNFIT, USES_UNFIT, EXPIRY_UNFIT, ANCESTORS_FULL = 506, 507, 508, 509, 510, 511
TICKET_S_MAX = 34_560_000
ANCESTORS_MAX = 4
TABLE = "tickets.tickets"
EXPIRES, REVOKED = 6, 7


def issue(view: View, message: Message) -> Row:
    """501."""
    issuer = _act(view, message)
    if view.get(TABLE, message["ticket"]) is not None:
        raise No(TICKET_KNOWN)
    _expect_fit(view, message["condition"], message["ticket"])
    if not view.time_s < message["expires_at_s"] <= view.time_s + TICKET_S_MAX:
        raise No(EXPIRY_UNFIT)
    view.need(message["ticket"])
    limits = [message["uses_max"], 0, message["expires_at_s"], False]
    row = [message["pseudonym"], issuer, [message["condition"]], [], *limits, message["commitment"], b""]
    view.put(TABLE, message["ticket"], row)
    told = [message["condition"], message["uses_max"], message["expires_at_s"], message["commitment"]]
    return [501, message["pseudonym"], message["ticket"], issuer, *told]


def revoke(view: View, message: Message) -> Row:
    """502."""
    actor = _act(view, message)
    ticket = _require(view, message)
    if ticket[REVOKED]:
        raise No(TICKET_REVOKED)
    ticket[REVOKED] = True
    view.put(TABLE, message["ticket"], ticket)
    return [502, message["pseudonym"], message["ticket"], actor, message["commitment"]]


def use(view: View, message: Message) -> Row:
    """503."""
    ticket = _require_usable(view, message)
    session = view.need_session(message["session"])
    ticket[5] += 1
    ticket[9] = used_for(view, view.place + 1, session)
    view.put(TABLE, message["ticket"], ticket)
    return [503, message["pseudonym"], message["ticket"], ticket[4] - ticket[5]]


def attenuate(view: View, message: Message) -> Row:
    """504."""
    wider = _require_usable(view, message)
    narrower = message["narrower"]
    if view.get(TABLE, narrower) is not None:
        raise No(TICKET_KNOWN)
    _expect_fit(view, message["condition"], narrower)
    if message["uses_max"] > wider[4] - wider[5]:
        raise No(USES_UNFIT)
    if not view.time_s < message["expires_at_s"] <= wider[EXPIRES]:
        raise No(EXPIRY_UNFIT)
    if len(wider[3]) >= ANCESTORS_MAX:
        raise No(ANCESTORS_FULL)
    view.need(narrower)
    conditions, ancestors = [*wider[2], message["condition"]], [*wider[3], message["ticket"]]
    wider[5] += message["uses_max"]
    view.put(TABLE, message["ticket"], wider)
    limits = [message["uses_max"], 0, message["expires_at_s"], False]
    row = [message["pseudonym"], wider[1], conditions, ancestors, *limits, message["commitment"], b""]
    view.put(TABLE, narrower, row)
    told = [message["condition"], message["uses_max"], message["expires_at_s"], message["commitment"]]
    return [504, message["pseudonym"], message["ticket"], narrower, *told]


def used_for(view: View, place: int, session: bytes) -> bytes:
    """Name the one message, and the one session key, that a use is for."""
    return tagged("salus/ticket-use/1", view.transaction.hash, place.to_bytes(4, "big"), session)


def is_in_force(view: View, ticket: Row) -> bool:
    """Tell whether neither a ticket nor an ancestor is revoked, and it has not expired."""
    ancestors = [view.get(TABLE, key) for key in ticket[3]]
    is_revoked = ticket[REVOKED] or any(each is None or each[REVOKED] for each in ancestors)
    return view.time_s < ticket[EXPIRES] and not is_revoked


def _act(view: View, message: Message) -> int:
    relationship = patients.require_open(view, message["pseudonym"])
    keys = patients.acting_keys(relationship, view.time_s)
    if not set(keys) & set(view.transaction.signers):
        view.need_organisation(relationship[0])
        return patients.CUSTODIAN
    return patients.actor_of(relationship, view.need(*keys))


def _require(view: View, message: Message) -> Row:
    ticket = view.get(TABLE, message["ticket"])
    if ticket is None:
        raise No(TICKET_UNKNOWN)
    if ticket[0] != message["pseudonym"]:
        raise No(TICKET_OF_OTHER)
    return ticket


def _require_usable(view: View, message: Message) -> Row:
    ticket = _require(view, message)
    view.need(message["ticket"])
    if view.time_s >= ticket[EXPIRES]:
        raise No(TICKET_EXPIRED)
    if not is_in_force(view, ticket):
        raise No(TICKET_REVOKED)
    if ticket[5] >= ticket[4]:
        raise No(TICKET_USED_UP)
    return ticket


def _expect_fit(view: View, condition: Row, key: bytes) -> None:
    if not is_fit_gate([[condition], []]):
        raise No(CONDITION_UNFIT)
    if not is_fit_key(key) or view.is_registered(key):
        raise No(KEY_UNFIT)
