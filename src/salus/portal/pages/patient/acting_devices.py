"""Devices that act for a patient: setting one up, handing the record over to it, adding and removing further ones.

The ledger says which of them act; this page asks it each time. What each step signs is in docs/spec/signer.md.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from starlette.responses import Response

from salus.node.errors import Refusal
from salus.node.services import device_keys, device_steps
from salus.node.services.device_steps import Reach, reaches
from salus.node.services.signer_answers import Answered, HalfSigned, KeyAccepted, KeyMade, NewBlob, Signed
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.organisation_names import named_organisations
from salus.portal.pages.patient.signing import (
    Ending,
    ask_signer,
    part_of,
    request_of,
    signs_alone,
    to_signer,
)
from salus.portal.refusals import Said

HERE: Final = "/acting-devices"
OPENING: Final = "/opening"
_NAME: Final = re.compile(r"[^\W_][^\W_ .,&'/-]*(?:[ .,&'/-]+[^\W_]+)*")
_ID: Final = re.compile(r"[0-9a-f]{32}")
NAME_MAX: Final = 60


class State(Enum):
    """What a device's next step is, where it has one."""

    READY = "ready"
    LACKING = "lacking"
    WAITING = "waiting"
    OFFERED = "offered"
    DONE = "done"
    LEAVING = "leaving"


@dataclass(frozen=True)
class DeviceRow:
    """A device in words; `id` is how its forms name it.

    Args:
        opens, lacks: the organisations for which it acts, and those for which it could; empty for none.
        first: the device that would let it.
        is_first: of some organisation: then it is not removed, but replaced, by recovery.
    """

    id: str
    name: str = field(repr=False)
    since: str
    state: str
    opens: str
    lacks: str
    first: str
    is_first: bool


def show(call: Call, *errors: Error) -> Response:
    """The devices, and what can be done with each."""
    found = reaches(call.portal.devices, call.signed_in.account)
    return call.page(
        "pages/patient/acting_devices.html",
        title=call.words("Devices that act for you"),
        back="/devices",
        errors=errors,
        rows=[_row(call, each) for each in found],
        can_sign=bool(call.portal.settings.signer),
        signs_alone=signs_alone(call),
        is_known=any(each.pseudonym == call.owner.pseudonym for reach in found for each in reach.acts),
        entered=call.form.get("name", ""),
    )


def answer(call: Call) -> Response:
    """One step with one device."""
    step = STEPS.get(call.form.get("do", ""))
    if step is None or not call.portal.settings.signer:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    return step(call)


def _set_up(call: Call) -> Response:
    """Make a device: with a key for each relationship once one's own devices act, else with none yet."""
    name = " ".join(call.form.get("name", "").split())
    if not _NAME.fullmatch(name) or len(name) > NAME_MAX:
        return show(call, Error("name", call.words("Enter a name with letters and numbers, such as My phone")))
    account, pseudonym = call.signed_in.account, call.owner.pseudonym
    items = device_keys.to_make(call.portal.devices.reached(account, pseudonym))
    new = call.portal.devices.begin(account, pseudonym)
    request = request_of(call, Kind.CREATE, items, (new.id,))
    return ask_signer(call, request, ending="device-made", known=name.encode())


def _hand_over(call: Call) -> Response:
    """Ask a device that was set up to take over from the custodian."""
    device = _named(call, State.READY).device
    item = device_keys.to_take_over(call.portal.node, call.owner.pseudonym)
    return to_signer(call, Kind.TAKE_OVER, [item], ending="taken-over", devices=[device])


def _reach(call: Call) -> Response:
    """Ask a device for keys where it does not act yet; it shows their code, by which the first device lets them act.

    Its wallet is written anew by that. Of one with keys that act nobody does that who has no device that says yes.
    """
    reach = _named(call, State.LACKING, State.WAITING)
    is_opened = call.signed_in.state.held or not call.portal.devices.acting(
        call.signed_in.account, call.owner.pseudonym
    )
    if reach.acts and not is_opened:
        return call.go(OPENING, next=HERE)
    items = device_keys.to_make(reach.lacks)
    return to_signer(call, Kind.NEW_KEY, items, ending="keys-made", devices=[reach.device])


def _let_act(call: Call) -> Response:
    """Ask a device that acts to let another one act."""
    reach = _named(call, State.WAITING, State.OFFERED)
    if reach.by is None:
        raise _changed(call)
    items = device_steps.to_let_act(reach)
    return to_signer(call, Kind.ADD_KEY, items, ending="let-act", devices=[reach.by], known=reach.device.id)


def _accept(call: Call) -> Response:
    """Ask a device that another one lets act to accept."""
    device = _named(call, State.OFFERED).device
    items = device_steps.to_accept(device, now_s=call.portal.node.clock())
    return to_signer(call, Kind.ACCEPT_KEY, items, ending="accepted", devices=[device], known=device.id)


def _remove(call: Call) -> Response:
    """Ask a device that acts to stop another one, or the same; forget one that does not act."""
    reach, devices, account = _named(call, *State), call.portal.devices, call.signed_in.account
    if reach.first:
        raise _changed(call)
    if not reach.acts:
        devices.forget(account, reach.device.id)
        return call.go(HERE, notice=call.words("That device is removed"))
    items, able = device_steps.to_stop(devices, account, reach)
    return to_signer(call, Kind.REMOVE_KEY, items, ending="removed", devices=able, known=reach.device.id)


def _made(call: Call, collected: Collected) -> Response:
    """Keep a new device. The first is asked at once to take over; a further one waits for the first."""
    keys = device_keys.keys_of(collected.request.items, part_of(collected, KeyMade))
    account, name = call.signed_in.account, collected.known.decode()
    call.portal.devices.add(account, call.owner.pseudonym, _blob(collected), name=name, keys=keys)
    return call.go(HERE, notice=call.words("This device is set up. One step is left"))


def _taken_over(call: Call, collected: Collected) -> Response:
    """Hand the record over: from now on nothing is shown without the device's yes."""
    (half,), account = part_of(collected, HalfSigned), call.signed_in.account
    device_keys.take_over_with(call.portal.node, call.portal.devices, account, half, _blob(collected))
    said = call.words("From now on your own device decides. Nobody else signs for you")
    return call.go(HERE, notice=said, held=())


def _keys_made(call: Call, collected: Collected) -> Response:
    """Keep the keys that a device made; the first device lets them act."""
    keys = device_keys.keys_of(collected.request.items, part_of(collected, KeyMade))
    call.portal.devices.rewrap(call.signed_in.account, _blob(collected), keys)
    return call.go(HERE, notice=call.words("Keep the code. One step is left, on your first device"))


def _offered(call: Call, collected: Collected) -> Response:
    """Keep what the first device signed until the other one accepts."""
    halves, account = part_of(collected, HalfSigned), call.signed_in.account
    custodians = [each.custodian for each in collected.request.items]
    device_steps.offer(call.portal.node, call.portal.devices, account, collected.known, halves, custodians)
    said = call.words("Go on with your other device, within 5 minutes. Open this page there")
    return call.go(HERE, notice=said)


def _accepted(call: Call, collected: Collected) -> Response:
    """Let a device act that has accepted, wherever that is taken; it opens once more, since it may open more."""
    accepted, account, portal = part_of(collected, KeyAccepted), call.signed_in.account, call.portal
    away = device_steps.accept(portal.node, portal.peers, portal.devices, account, collected.known, accepted)
    portal.sessions.change(call.signed_in, held=())
    if away:
        said = call.words("Not everything is done. %(organisations)s did not answer. Finish once more, or begin again")
        return show(call, Error("devices", said % {"organisations": named_organisations(call, away)}))
    return call.go(HERE, notice=call.words("That device now acts for you"))


def _removed(call: Call, collected: Collected) -> Response:
    """Stop a device, wherever that is taken, and forget it once it acts nowhere."""
    signed, account, portal = part_of(collected, Signed), call.signed_in.account, call.portal
    left = device_steps.stop(portal.node, portal.peers, portal.devices, account, collected.known, signed)
    if left:
        said = call.words("That device still acts for you at %(organisations)s. Remove it once more")
        return show(call, Error("devices", said % {"organisations": named_organisations(call, left)}))
    return call.go(HERE, notice=call.words("That device is removed"))


def _named(call: Call, *states: State) -> Reach:
    """Return the device that a form names. Raises Refused: NOT_YOURS; CHOICE_UNFIT, it is in another state."""
    name = call.form.get("device", "")
    found = call.portal.devices.find(call.signed_in.account, bytes.fromhex(name) if _ID.fullmatch(name) else b"")
    known = reaches(call.portal.devices, call.signed_in.account)
    reach = next((each for each in known if each.device.id == found.id), None)
    if reach is None or _state(call, reach) not in states:
        raise _changed(call)
    return reach


def _changed(call: Call) -> Said:
    return Said(Refusal.CHOICE_UNFIT, call.words("This has changed since you opened the page. Open it again"))


def _blob(collected: Collected) -> NewBlob:
    assert isinstance(collected.answer, Answered), "who signed nothing is told so before"
    assert collected.answer.device is not None, "this kind changes the wallet"
    return collected.answer.device


def _state(call: Call, reach: Reach) -> State:
    if reach.device.is_leaving:
        return State.LEAVING
    if any(call.portal.node.clock() < each.until_s for each in reach.device.offers):
        return State.OFFERED
    if reach.made:
        return State.WAITING
    if reach.lacks:
        return State.LACKING
    return State.DONE if reach.acts or signs_alone(call) else State.READY


def _row(call: Call, reach: Reach) -> DeviceRow:
    device = reach.device
    return DeviceRow(
        id=device.id.hex(),
        name=device.name,
        since=call.words.day(device.made_s),
        state=_state(call, reach).value,
        opens=named_organisations(call, [each.custodian for each in reach.acts]),
        lacks=named_organisations(call, [each.custodian for each in reach.lacks]),
        first=reach.by.name if reach.by else "",
        is_first=bool(reach.first),
    )


STEPS: Final[Mapping[str, Callable[[Call], Response]]] = {
    "set-up": _set_up,
    "hand-over": _hand_over,
    "reach": _reach,
    "let-act": _let_act,
    "accept": _accept,
    "remove": _remove,
}
ENDINGS: Final[Mapping[str, Ending]] = {
    "device-made": Ending(HERE, _made),
    "taken-over": Ending(HERE, _taken_over),
    "keys-made": Ending(HERE, _keys_made),
    "let-act": Ending(HERE, _offered),
    "accepted": Ending(HERE, _accepted),
    "removed": Ending(HERE, _removed),
}
PAGES: Final = (Page(HERE, Person.PATIENT, show, answer, needs_session=False),)
