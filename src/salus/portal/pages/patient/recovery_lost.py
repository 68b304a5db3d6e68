"""I have lost my device: a new one takes its place, with guardians' words, after a time in which it is heard of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.services import recoveries, recovery_deliveries
from salus.node.services.recoveries import StandingAt
from salus.node.services.signer_answers import Answered
from salus.node.services.signer_devices import Device
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.recovery_places import (
    concluded,
    deliver_all,
    group,
    plainly,
    signed_for,
    standings,
    where,
)
from salus.portal.pages.patient.signing import Ending, to_signer

HERE: Final = "/recovery/lost"
_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class NewDevice:
    """A device that could take the place of the lost one; `id` is how its form names it."""

    id: str
    name: str = field(repr=False)


def show(call: Call) -> Response:
    """What comes next, step by step."""
    found, devices = standings(call), call.portal.devices.of(call.signed_in.account)
    begun = where(found, lambda now: bool(now.started))
    return call.page(
        "pages/patient/recovery_lost.html",
        title=call.words("I have lost my device"),
        back="/recovery",
        holds_key=any(each.now.holds_key for each in found),
        is_several=len(found) > 1,
        begun=group(call, where(begun, lambda now: not now.is_ready)),
        ready=group(call, where(begun, lambda now: now.is_ready)),
        possible=group(call, where(found, lambda now: now.may_begin and not now.started)),
        spent=group(call, where(found, lambda now: now.is_spent and now.has_second and not now.started)),
        nobody=group(call, where(found, lambda now: now.holds_key and not now.started and not _has_anybody(now))),
        devices=[NewDevice(each.id.hex(), each.name) for each in devices if _to_begin(call, each, found)],
        waiting=[NewDevice(each.id.hex(), each.name) for each in devices if _to_end(each, found)],
    )


def answer(call: Call) -> Response:
    """Begin, or finish, on the signer page: guardians' words are typed there and nowhere else."""
    found, device, do = standings(call), _named(call), call.form.get("do")
    ready, possible = _to_end(device, found), _to_begin(call, device, found)
    if do == "finish" and ready:
        items = recoveries.to_end(ready)
        return to_signer(call, Kind.FINISH_RECOVERY, items, ending="recovery-finished", devices=[device])
    if do == "begin" and possible:
        begun = recoveries.to_begin(possible)
        return to_signer(call, Kind.START_RECOVERY, begun, ending="recovery-begun", devices=[device])
    return call.go(HERE, not_done=call.words("Nothing was changed. Read what comes next"))


def _has_anybody(now: recoveries.Standing) -> bool:
    return now.has_second if now.is_spent else now.has_guardians


def _named(call: Call) -> Device:
    name = call.form.get("device", "")
    return call.portal.devices.find(call.signed_in.account, bytes.fromhex(name) if _ID.fullmatch(name) else b"")


def _to_begin(call: Call, device: Device, found: Sequence[StandingAt]) -> list[StandingAt]:
    """Where a device could take the lost one's place: where it does not act, and where nothing runs."""
    standing = call.portal.devices.standing
    possible = where(found, lambda now: now.may_begin and not now.started)
    return [each for each in possible if not standing(device, each.pseudonym).acts]


def _to_end(device: Device, found: Sequence[StandingAt]) -> list[StandingAt]:
    keys = {each.key for each in device.keys}
    return where(found, lambda now: now.is_ready and now.started in keys)


def _begun(call: Call, collected: Collected) -> Response:
    assert isinstance(collected.answer, Answered), "who signed nothing is told so before"
    new, portal, account = collected.answer.device, call.portal, call.signed_in.account
    assert new is not None, "this kind changes the wallet"
    signed = signed_for(collected)
    begun = plainly(
        call,
        lambda: recovery_deliveries.begin(portal.node, portal.peers, portal.devices, account, signed, new),
    )
    running = group(call, where(standings(call), lambda now: bool(now.started)))
    ready = running.ready if running else ""
    said = call.words("It has begun. Come back after %(when)s") % {"when": ready}
    return concluded(call, HERE, said, begun)


def _finished(call: Call, collected: Collected) -> Response:
    done = deliver_all(call, collected)
    said = call.words("This device now acts for you, and the lost one no longer does")
    return concluded(call, "/acting-devices", said, done, again=HERE, is_opened_anew=True)


ENDINGS: Final[Mapping[str, Ending]] = {
    "recovery-begun": Ending(HERE, _begun),
    "recovery-finished": Ending(HERE, _finished),
}
PAGES: Final = (Page(HERE, Person.PATIENT, show, answer, needs_session=False),)
