"""Devices that act for a patient: setting one up, handing the record over to it, adding and removing further ones.

The ledger says which of them act; this page asks it each time. What each step signs is in docs/spec/signer.md.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from starlette.responses import Response

from salus.node.errors import Refusal, Refused
from salus.node.services import device_keys
from salus.node.services.signer_answers import Answered, HalfSigned, KeyAccepted, KeyMade, NewBlob, Signed
from salus.node.services.signer_devices import Device
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.signing import (
    Ending,
    ask_signer,
    deliver_signed,
    part_of,
    request_of,
    signs_alone,
    to_signer,
)

HERE: Final = "/acting-devices"
_NAME: Final = re.compile(r"[^\W_][^\W_ .,&'/-]*(?:[ .,&'/-]+[^\W_]+)*")
_ID: Final = re.compile(r"[0-9a-f]{32}")
NAME_MAX: Final = 60


class State(Enum):
    """How far a device is."""

    READY = "ready"
    WAITING = "waiting"
    OFFERED = "offered"
    ACTING = "acting"
    FIRST = "first"


REMOVED: Final = (State.READY, State.WAITING, State.OFFERED, State.ACTING)
"""The first is not among them: it can only be replaced, by recovery."""


@dataclass(frozen=True)
class DeviceRow:
    """A device in words; `id` is how its forms name it."""

    id: str
    name: str = field(repr=False)
    since: str
    state: str


def show(call: Call, *errors: Error) -> Response:
    """The devices, and what can be done with each."""
    return call.page(
        "pages/patient/acting_devices.html",
        title=call.words("Devices that act for you"),
        back="/devices",
        errors=errors,
        rows=[_row(call, each) for each in call.portal.devices.of(call.signed_in.account)],
        can_sign=bool(call.portal.settings.signer),
        signs_alone=signs_alone(call),
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
    device = _named(call, State.READY)
    item = device_keys.to_take_over(call.portal.node, call.owner.pseudonym)
    return to_signer(call, Kind.TAKE_OVER, [item], ending="taken-over", devices=[device])


def _let_act(call: Call) -> Response:
    """Ask a device that acts to let another one act."""
    device = _named(call, State.WAITING, State.OFFERED)
    items = device_keys.to_let_act(device)
    first = [each for each in call.portal.devices.of(call.signed_in.account) if _state(call, each) is State.FIRST]
    return to_signer(call, Kind.ADD_KEY, items, ending="let-act", devices=first, known=device.id)


def _accept(call: Call) -> Response:
    """Ask a device that another one lets act to accept."""
    device = _named(call, State.OFFERED)
    items = device_keys.to_accept(device)
    return to_signer(call, Kind.ACCEPT_KEY, items, ending="accepted", devices=[device], known=device.id)


def _remove(call: Call) -> Response:
    """Ask a device that acts to stop another one, or the same; forget one that does not act."""
    device, devices = _named(call, *REMOVED), call.portal.devices
    if _state(call, device) is not State.ACTING:
        devices.forget(call.signed_in.account, device.id)
        return call.go(HERE, notice=call.words("That device is removed"))
    items = device_keys.to_stop(devices, device)
    return to_signer(call, Kind.REMOVE_KEY, items, ending="removed", known=device.id)


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


def _offered(call: Call, collected: Collected) -> Response:
    """Keep what the first device signed until the other one accepts."""
    halves, account = part_of(collected, HalfSigned), call.signed_in.account
    custodians = [each.custodian for each in collected.request.items]
    device_keys.offer(call.portal.node, call.portal.devices, account, collected.known, halves, custodians)
    said = call.words("Go on with your other device, within 5 minutes. Open this page there")
    return call.go(HERE, notice=said)


def _accepted(call: Call, collected: Collected) -> Response:
    """Let a device act that has accepted."""
    accepted, account = part_of(collected, KeyAccepted), call.signed_in.account
    device_keys.accept(call.portal.node, call.portal.devices, account, collected.known, accepted)
    return call.go(HERE, notice=call.words("That device now acts for you"))


def _removed(call: Call, collected: Collected) -> Response:
    """Stop a device, and forget it."""
    for signed in part_of(collected, Signed):
        deliver_signed(call, signed)
    call.portal.devices.forget(call.signed_in.account, collected.known)
    return call.go(HERE, notice=call.words("That device is removed"))


def _named(call: Call, *states: State) -> Device:
    """Return the device that a form names. Raises Refused: NOT_YOURS; CHOICE_UNFIT, it is in another state."""
    name = call.form.get("device", "")
    device = call.portal.devices.find(call.signed_in.account, bytes.fromhex(name) if _ID.fullmatch(name) else b"")
    if _state(call, device) not in states:
        raise Refused(Refusal.CHOICE_UNFIT, call.words("This has changed since you opened the page. Open it again"))
    return device


def _blob(collected: Collected) -> NewBlob:
    assert isinstance(collected.answer, Answered), "who signed nothing is told so before"
    assert collected.answer.device is not None, "this kind changes the wallet"
    return collected.answer.device


def _state(call: Call, device: Device) -> State:
    standing = call.portal.devices.standing(device, call.owner.pseudonym)
    if standing.acts:
        return State.FIRST if standing.is_first else State.ACTING
    if any(call.portal.node.clock() < each.until_s for each in device.offers):
        return State.OFFERED
    return State.WAITING if signs_alone(call) else State.READY


def _row(call: Call, device: Device) -> DeviceRow:
    return DeviceRow(device.id.hex(), device.name, call.words.day(device.made_s), _state(call, device).value)


STEPS: Final[Mapping[str, Callable[[Call], Response]]] = {
    "set-up": _set_up,
    "hand-over": _hand_over,
    "let-act": _let_act,
    "accept": _accept,
    "remove": _remove,
}
ENDINGS: Final[Mapping[str, Ending]] = {
    "device-made": Ending(HERE, _made),
    "taken-over": Ending(HERE, _taken_over),
    "let-act": Ending(HERE, _offered),
    "accepted": Ending(HERE, _accepted),
    "removed": Ending(HERE, _removed),
}
PAGES: Final = (Page(HERE, Person.PATIENT, show, answer, needs_session=False),)
