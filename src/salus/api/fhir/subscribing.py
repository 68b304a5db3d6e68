"""Subscriptions of a client: made, read, changed, ended, and how they are (FHIR R4 2.46, R5 backport).

A subscription is its app's and account's alone; to everybody else it is as if it never was. What it tells of is decided
when it tells (api/fhir/notifying).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from uuid import uuid4

import msgspec

from salus.api.fhir import bundles
from salus.api.fhir.bundles import Hit, Link
from salus.api.fhir.call import Access, Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found
from salus.api.fhir.operations import named_parameters
from salus.api.fhir.rendering import rendered, version_tag
from salus.api.fhir.searching import count_of, parsed
from salus.api.fhir.writing import expected_version, named, require_scope
from salus.clinical.fhir import subscriptions as values
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.renaming import with_version
from salus.clinical.fhir.search import Query, index, parse_query
from salus.clinical.fhir.search.matching import meets
from salus.clinical.fhir.strict_json import read_object
from salus.node.hooks import HookUnfit
from salus.node.services.show import Shown
from salus.node.services.subscription_bindings import BindingTerms
from salus.node.services.subscription_events import Events, Waiting, told_of
from salus.node.services.subscriptions import State, Subscription, Terms

KIND = "Subscription"
TOPIC = "SubscriptionTopic/"
SOCKET_PATH: Final = "/websocket"
EVENTS_MAX = 100
SOON_S = 60
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def create(server: Server, call: Call) -> Reply:
    """Begin a subscription. Raises Failure, FhirRejected, Refused."""
    require_scope(call.access, "c", KIND)
    logical_id = str(uuid4())
    terms, asked = _terms(server, call, logical_id)
    state = _first_state(asked)
    owner, pseudonym = _owner(server, call.access), call.access.patient or b""
    begun = server.subscriptions.begin(
        owner, terms, pseudonym=pseudonym, state=state, until_s=asked.until_s, is_socket=asked.is_socket
    )
    place = f"{server.settings.base}/{KIND}/{begun.id.hex()}"
    return Reply(201, shown(begun), {"location": place, "etag": version_tag(begun.version)})


def update(server: Server, call: Call) -> Reply:
    """Change a subscription, renew it, or switch it off. Raises Failure, FhirRejected."""
    require_scope(call.access, "u", KIND)
    found = _require(server, call)
    if expected_version(call) not in (None, found.version):
        words = f"expected version {found.version} of this subscription: read it again"
        raise Failure(412, Issue("conflict", "MSG_VERSION_AWARE_CONFLICT", words))
    terms, asked = _terms(server, call, call.at["id"])
    state = State.OFF if asked.is_off else _first_state(asked)
    changed = server.subscriptions.replace(found, terms, state=state, until_s=asked.until_s, is_socket=asked.is_socket)
    return Reply(200, shown(changed), {"etag": version_tag(changed.version)})


def read(server: Server, call: Call) -> Reply:
    """Answer with a subscription of the client's own. Raises Failure: 404."""
    require_scope(call.access, "r", KIND)
    found = _require(server, call)
    return Reply(200, shown(found), {"etag": version_tag(found.version)})


def delete(server: Server, call: Call) -> Reply:
    """End a subscription. Raises Failure: 404."""
    require_scope(call.access, "d", KIND)
    server.subscriptions.drop(_require(server, call))
    return Reply(204)


def search(server: Server, call: Call) -> Reply:
    """Answer with the client's own subscriptions. Raises Failure, FhirRejected."""
    require_scope(call.access, "s", KIND)
    query = parsed(call, KIND, server.settings.base)
    found = [shown(each) for each in server.subscriptions.of(_owner(server, call.access))]
    hits = [each for each in found if meets(index(KIND, msgspec.json.decode(each)), query.filters)]
    count = 0 if query.summary == "count" else count_of(server, query)
    base = f"{server.settings.base}/{KIND}"
    entries = [Hit(f"{base}/{msgspec.json.decode(each)['id']}", each) for each in hits[:count]]
    at_s = server.node.clock()
    return Reply(200, bundles.searchset(entries, [Link("self", base)], total=len(hits), at_s=at_s))


def status(server: Server, call: Call) -> Reply:
    """Answer how a subscription is, or how all of the client's are (`$status`). Raises Failure: 404."""
    require_scope(call.access, "r", KIND)
    owner = _owner(server, call.access)
    found = [_require(server, call)] if "id" in call.at else server.subscriptions.of(owner)
    wanted = {each for name, value in call.query if name == "id" for each in value.split(",")}
    listed = [each for each in found if not wanted or each.id.hex() in wanted]
    said = [status_of(server.settings.base, each) for each in listed]
    return Reply(200, values.statuses(said, name=str(uuid4()), at_s=server.node.clock()))


def events(server: Server, call: Call) -> Reply:
    """Answer with events that were told before, as far as they may be told now (`$events`). Raises Failure: 404."""
    require_scope(call.access, "r", KIND)
    found = _require(server, call)
    given = dict(call.query)
    numbers = [given.get(name, other) for name, other in (("eventsSinceNumber", "1"), ("eventsUntilNumber", "9" * 15))]
    if not all(each.isascii() and each.isdecimal() and len(each) < 16 for each in numbers):
        words = "expected whole numbers as eventsSinceNumber and eventsUntilNumber"
        raise Failure(400, Issue("value", "MSG_PARAM_INVALID", words))
    kept = Events(server.node).between(found, int(numbers[0]), int(numbers[1]), limit=EVENTS_MAX)
    asked = asked_of(server.settings.base, found)
    level = values.Level(given["content"]) if given.get("content") in tuple(values.Level) else asked.level
    told = told_of(server.node, server.responder, call.access.login, kept)
    base, at_s = server.settings.base, server.node.clock()
    said = [event(base, each, each.number, told[each.place], level) for each in kept if each.place in told]
    how = status_of(base, found)
    return Reply(200, values.notification(how, "query-event", said, name=str(uuid4()), at_s=at_s))


def binding_token(server: Server, call: Call) -> Reply:
    """Answer with a token by which a socket is bound to subscriptions (`$get-ws-binding-token`).

    Raises:
        Failure: 404 for one that is not the client's own, 422 where there is none over websockets.
    """
    require_scope(call.access, "r", KIND)
    owner = _owner(server, call.access)
    names = [call.at["id"]] if "id" in call.at else _asked_ids(call)
    found = [_named(server, each, owner) for each in names] if names else server.subscriptions.of(owner)
    base = server.settings.base
    fit = [each for each in found if asked_of(base, each).is_socket and each.state is not State.OFF]
    if not fit or (names and len(fit) < len(found)):
        words = "expected subscriptions over websockets that are not off: make one with the channel type websocket"
        raise Failure(422, Issue("business-rule", "MSG_PARAM_INVALID", words))
    terms = BindingTerms(owner, tuple(each.id for each in fit), call.access.tenure)
    token, until_s = server.bindings.issue(terms, pseudonym=call.access.patient or b"")
    names = [each.id.hex() for each in fit]
    return Reply(200, values.binding(token, names, until_s=until_s, url=socket_url(base)))


def socket_url(base: str) -> str:
    """Return where sockets are opened."""
    return f"ws{base.removeprefix('http')}{SOCKET_PATH}"


def shown(subscription: Subscription) -> bytes:
    """Return a subscription as its owner sees it: with its id, its version and how it is."""
    fields = _FIELDS.decode(subscription.terms.body)
    fields |= {"id": _raw(subscription.id.hex()), "status": _raw(subscription.state.code)}
    fields.pop("error", None)
    if subscription.error:
        fields["error"] = _raw(_said(subscription.error))
    body = msgspec.json.encode(fields)
    return with_version(body, version=subscription.version, updated_s=subscription.updated_s)


def asked_of(base: str, subscription: Subscription) -> values.Asked:
    """Return what a subscription asks for."""
    return _asked(base, subscription.terms.body)


def query_of(base: str, asked: values.Asked) -> Query:
    """Return the search by which a subscription's resources are found. Raises FhirRejected."""
    return parse_query(asked.type, asked.filters, is_strict=True, base=base)


def status_of(base: str, subscription: Subscription) -> values.Status:
    """Return how a subscription is."""
    url, topic = f"{base}/{KIND}/{subscription.id.hex()}", asked_of(base, subscription).topic
    error = _said(subscription.error) if subscription.error else ""
    return values.Status(url, topic, subscription.state.code, subscription.told, error)


def notice_of(
    server: Server, subscription: Subscription, kind: str, events: Sequence[values.Event] = (), *, count: int = 0
) -> bytes:
    """Return a notification; a subscription to which it comes is active then.

    Args:
        kind: `handshake`, `heartbeat`, `event-notification`.
        count: of the last event in it; 0 where there is none.
    """
    how = status_of(server.settings.base, subscription)
    active = values.Status(how.url, how.topic, State.ACTIVE.code, count or subscription.told)
    return values.notification(active, kind, events, name=str(uuid4()), at_s=server.node.clock())


def event(base: str, waiting: Waiting, number: int, told: Shown, level: values.Level) -> values.Event:
    """Return an event as it is told."""
    if level is values.Level.EMPTY:
        return values.Event(number, waiting.at_s)
    body = rendered(told) if level is values.Level.FULL_RESOURCE else b""
    focus = f"{base}/{told.type}/{told.logical_id}"
    return values.Event(number, waiting.at_s, focus, body, is_new=told.version == 1)


def _terms(server: Server, call: Call, logical_id: str) -> tuple[Terms, values.Asked]:
    """What is sent, when it can be done here. Raises Failure, FhirRejected."""
    resource = named(server, call.body, KIND, logical_id)
    asked = values.asked(read_object(resource.body), f"{server.settings.base}/{TOPIC}")
    query = query_of(server.settings.base, asked)
    if query != Query(asked.type, filters=query.filters) or asked.type not in r4().resource_types:
        words = "expected a search of one type, by what resources have: leave out how hits are shown"
        raise Failure(422, Issue("value", "MSG_PARAM_INVALID", words))
    if asked.until_s is not None and asked.until_s < server.node.clock() + SOON_S:
        words = f"expected an end that is at least {SOON_S} seconds away, or none"
        raise Failure(422, Issue("value", "MSG_PARAM_INVALID", words))
    for scope in ("s", "r"):
        require_scope(call.access, scope, asked.type)
    try:
        if not asked.is_socket:
            server.settings.hooks.parsed(asked.endpoint)
    except HookUnfit as error:
        raise Failure(422, Issue("business-rule", "MSG_PARAM_INVALID", str(error))) from error
    return Terms(resource.body, call.access.tenure), asked


@lru_cache(maxsize=1024)
def _asked(base: str, body: bytes) -> values.Asked:
    return values.asked(read_object(body), f"{base}/{TOPIC}")


def _first_state(asked: values.Asked) -> State:
    """An endpoint has to take a handshake first; a socket says by its binding that it is there."""
    return State.REQUESTED if asked.topic and not asked.is_socket else State.ACTIVE


def _owner(server: Server, access: Access) -> bytes:
    return server.subscriptions.owner(access.client, access.person)


def _require(server: Server, call: Call) -> Subscription:
    """Return the subscription of an address, of the client's own. Raises Failure: 404."""
    return _named(server, call.at["id"], _owner(server, call.access))


def _named(server: Server, name: str, owner: bytes) -> Subscription:
    is_name = len(name) == 32 and set(name) <= set("0123456789abcdef")
    found = server.subscriptions.find(bytes.fromhex(name), owner) if is_name else None
    if found is None:
        raise not_found()
    return found


def _asked_ids(call: Call) -> list[str]:
    """The ids that stand in the address or in Parameters."""
    sent = named_parameters(read_object(call.body)).get("id", []) if call.body else []
    words = [str(value) for each in sent for name, value in each.items() if name.startswith("value")]
    return list(dict.fromkeys([value for name, value in call.query if name == "id"] + words))


def _said(step: str) -> str:
    return f"the endpoint could not be told: {step}"


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
