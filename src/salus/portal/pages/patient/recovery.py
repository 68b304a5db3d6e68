"""People who can help you back in: choosing guardians, and stopping somebody who pretends that a device was lost."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from salus.node.services import recoveries
from salus.node.services.recoveries import Standing
from salus.node.services.signer_answers import Signed
from salus.node.services.signer_devices import Device
from salus.node.services.signer_requests import Kind, StopRecovery
from salus.node.services.signings import Collected
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.signing import Ending, deliver_signed, part_of, to_signer

HERE: Final = "/recovery"
GUARDIANS_MIN: Final = 3
GUARDIANS_MAX: Final = 10
NAME_MAX: Final = 60
THRESHOLD_MIN: Final = 2
_NAME: Final = re.compile(r"[^\W_]+(?:[ .,&'/-]+[^\W_]+)*\.?")


def show(call: Call) -> Response:
    """How things stand, and what can be done."""
    now = standing(call)
    return call.page(
        "pages/patient/recovery.html",
        title=call.words("People who can help you back in"),
        back="/devices",
        now=now,
        ready=call.words.moment(now.ready_at_s) if now.started else "",
        can_sign=bool(call.portal.settings.signer),
    )


def show_guardians(call: Call, *errors: Error) -> Response:
    """Ask for the names of guardians, and how many of them are needed."""
    if not _may_choose(standing(call)):
        return call.go(HERE)
    return call.page(
        "pages/patient/guardians.html",
        title=call.words("Choose people you trust"),
        back=HERE,
        errors=errors,
        entered=call.form,
        least=GUARDIANS_MIN,
        most=GUARDIANS_MAX,
    )


def answer_guardians(call: Call) -> Response:
    """Send the patient to their own device, which makes the words and shows them."""
    if not _may_choose(standing(call)):
        return call.go(HERE)
    words = call.words
    names = tuple(" ".join(each.split()) for each in call.form.get("names", "").splitlines() if each.strip())
    needed = call.form.get("needed", "").strip()
    errors = []
    if not GUARDIANS_MIN <= len(names) <= GUARDIANS_MAX or len({each.casefold() for each in names}) < len(names):
        errors.append(Error("names", words("Enter 3 to 10 different names, one on each line")))
    elif not all(_NAME.fullmatch(each) and len(each) <= NAME_MAX for each in names):
        errors.append(Error("names", words("Use letters and numbers in the names")))
    if not (needed.isascii() and needed.isdigit() and len(needed) < 3 and THRESHOLD_MIN <= int(needed) <= len(names)):
        errors.append(Error("needed", words("Enter a number from 2 to the number of people")))
    if errors:
        return show_guardians(call, *errors)
    item = recoveries.to_choose(call.portal.node, call.owner.pseudonym, names, threshold=int(needed))
    return to_signer(call, Kind.SET_RECOVERY, [item], ending="guardians-chosen", devices=_first(call))


def show_cancel(call: Call) -> Response:
    """Ask whether it was the patient who asked for another device."""
    now = standing(call)
    if not now.started:
        return call.go(HERE)
    return call.page(
        "pages/patient/recovery_cancel.html",
        title=call.words("Did you ask to replace your device?"),
        back=HERE,
        now=now,
        ready=call.words.moment(now.ready_at_s),
    )


def cancel(call: Call) -> Response:
    """Stop it, with the device that the patient still has."""
    now = standing(call)
    if not now.started or now.is_final:
        return call.go(HERE, notice=call.words("There is nothing to stop. Nothing was changed"))
    item = StopRecovery(call.portal.node.organisation, call.owner.pseudonym)
    return to_signer(call, Kind.CANCEL_RECOVERY, [item], ending="recovery-cancelled", devices=_first(call))


def standing(call: Call) -> Standing:
    """Return how things stand with the patient's recovery."""
    return recoveries.standing(call.portal.node, call.owner.pseudonym)


def _first(call: Call) -> list[Device]:
    """The device whose key is the pseudonym's own: no other has a say in recovery."""
    devices, pseudonym = call.portal.devices, call.owner.pseudonym
    return [
        each for each in devices.acting(call.signed_in.account, pseudonym) if devices.standing(each, pseudonym).is_first
    ]


def _may_choose(now: Standing) -> bool:
    """Whether the patient's own device can choose the first guardians; others take the words of those before."""
    return now.holds_key and not now.has_guardians and not now.started


def _chosen(call: Call, collected: Collected) -> Response:
    (signed,) = part_of(collected, Signed)
    deliver_signed(call, signed)
    return call.go(HERE, notice=call.words("These people can now help you back in. Give each of them their page"))


def _cancelled(call: Call, collected: Collected) -> Response:
    (signed,) = part_of(collected, Signed)
    deliver_signed(call, signed)
    return call.go(HERE, notice=call.words("Nobody replaces your device. It was stopped"))


ENDINGS: Final[Mapping[str, Ending]] = {
    "guardians-chosen": Ending("/recovery/guardians", _chosen),
    "recovery-cancelled": Ending("/recovery/cancel", _cancelled),
}
PAGES: Final = (
    Page(HERE, Person.PATIENT, show, needs_session=False),
    Page("/recovery/guardians", Person.PATIENT, show_guardians, answer_guardians),
    Page("/recovery/cancel", Person.PATIENT, show_cancel, cancel, needs_session=False),
)
