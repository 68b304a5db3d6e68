"""I have lost my device: a new one takes its place, with guardians' words, after a time in which it is heard of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.errors import Refusal, Refused
from salus.node.services import recoveries
from salus.node.services.signer_answers import Answered, Signed
from salus.node.services.signer_devices import Device
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.recovery import standing
from salus.portal.pages.patient.signing import Ending, deliver_signed, part_of, to_signer

HERE: Final = "/recovery/lost"
_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class NewDevice:
    """A device that could take the place of the lost one; `id` is how its form names it."""

    id: str
    name: str = field(repr=False)


def show(call: Call) -> Response:
    """What comes next, step by step."""
    now = standing(call)
    new = [each for each in call.portal.devices.of(call.signed_in.account) if not _acts(call, each)]
    waiting = [each for each in new if any(one.key == now.started for one in each.keys)]
    return call.page(
        "pages/patient/recovery_lost.html",
        title=call.words("I have lost my device"),
        back="/recovery",
        now=now,
        ready=call.words.moment(now.ready_at_s) if now.started else "",
        devices=[NewDevice(each.id.hex(), each.name) for each in new],
        waiting=[NewDevice(each.id.hex(), each.name) for each in waiting],
    )


def answer(call: Call) -> Response:
    """Begin, or finish, on the signer page: guardians' words are typed there and nowhere else."""
    now, device, node = standing(call), _named(call), call.portal.node
    if call.form.get("do") == "finish" and now.is_ready:
        item = recoveries.to_end(node, call.owner.pseudonym)
        return to_signer(call, Kind.FINISH_RECOVERY, [item], ending="recovery-finished", devices=[device])
    if call.form.get("do") == "begin" and now.holds_key and now.has_guardians and not now.is_spent:
        begun = recoveries.to_begin(node, call.owner.pseudonym)
        return to_signer(call, Kind.START_RECOVERY, [begun], ending="recovery-begun", devices=[device])
    return call.go(HERE, notice=call.words("Nothing was changed. Read what comes next"))


def _named(call: Call) -> Device:
    name = call.form.get("device", "")
    device = call.portal.devices.find(call.signed_in.account, bytes.fromhex(name) if _ID.fullmatch(name) else b"")
    if _acts(call, device):
        raise Refused(Refusal.CHOICE_UNFIT, call.words("This device acts for you already"))
    return device


def _acts(call: Call, device: Device) -> bool:
    return call.portal.devices.standing(device, call.owner.pseudonym).acts


def _begun(call: Call, collected: Collected) -> Response:
    (signed,) = part_of(collected, Signed)
    assert isinstance(collected.answer, Answered), "who signed nothing is told so before"
    assert collected.answer.device is not None, "this kind changes the wallet"
    portal = call.portal
    recoveries.begin(portal.node, portal.devices, call.signed_in.account, signed, collected.answer.device)
    ready = call.words.moment(standing(call).ready_at_s)
    return call.go(HERE, notice=call.words("It has begun. Come back after %(when)s") % {"when": ready})


def _finished(call: Call, collected: Collected) -> Response:
    (signed,) = part_of(collected, Signed)
    deliver_signed(call, signed)
    said = call.words("This device now acts for you, and the lost one no longer does")
    return call.go("/acting-devices", notice=said, held=())


ENDINGS: Final[Mapping[str, Ending]] = {
    "recovery-begun": Ending(HERE, _begun),
    "recovery-finished": Ending(HERE, _finished),
}
PAGES: Final = (Page(HERE, Person.PATIENT, show, answer, needs_session=False),)
