"""People who can help you back in: choosing them, and stopping somebody who pretends that a device was lost."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from salus.node.services import recoveries
from salus.node.services.recoveries import StandingAt
from salus.node.services.signer_devices import Device
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.recovery_places import concluded, deliver_all, first_device, group, standings, where
from salus.portal.pages.patient.signing import Ending, to_signer

HERE: Final = "/recovery"
CHANGE: Final = "/recovery/change"
GUARDIANS_MIN: Final = 3
GUARDIANS_MAX: Final = 10
NAME_MAX: Final = 60
THRESHOLD_MIN: Final = 2
_NAME: Final = re.compile(r"[^\W_]+(?:[ .,&'/-]+[^\W_]+)*\.?")


def show(call: Call) -> Response:
    """How things stand, and what can be done."""
    found = standings(call)
    guarded = where(found, lambda now: now.may_change)
    since_s = [recoveries.changed_at_s(call.portal.node, each.pseudonym) for each in guarded]
    changed = [each for each, at_s in zip(guarded, since_s, strict=True) if at_s]
    return call.page(
        "pages/patient/recovery.html",
        title=call.words("People who can help you back in"),
        back="/devices",
        holds_key=any(each.now.holds_key for each in found),
        is_several=len(found) > 1,
        begun=group(call, where(found, lambda now: bool(now.started))),
        changing=group(call, where(found, lambda now: bool(now.changes_at_s) and not now.started)),
        guarded=group(call, where(guarded, lambda now: not now.is_spent)),
        spent=group(call, where(guarded, lambda now: now.is_spent and now.has_second)),
        ended=group(call, where(guarded, lambda now: now.is_spent and not now.has_second)),
        unchosen=group(call, where(found, lambda now: now.may_choose)),
        changed=group(call, changed),
        changed_on=call.words.day(max(since_s)) if changed else "",
        can_sign=bool(call.portal.settings.signer),
    )


def show_guardians(call: Call, *errors: Error) -> Response:
    """Ask for the names of guardians, and how many of them are needed."""
    _, found = _to_choose(call)
    if not found:
        return call.go(HERE)
    return ask_guardians(
        call, found, *errors, title=call.words("Choose people you trust"), action="/recovery/guardians"
    )


def ask_guardians(
    call: Call,
    found: list[StandingAt],
    *errors: Error,
    title: str,
    action: str,
    choices: Sequence[Mapping[str, object]] = (),
) -> Response:
    """Ask for the names of guardians.

    Args:
        title, action: of the page that asks; found: where they are to be.
        choices: of a page that changes them, which of several organisations it is for.
    """
    return call.page(
        "pages/patient/guardians.html",
        title=title,
        back=HERE,
        errors=errors,
        entered=call.form,
        least=GUARDIANS_MIN,
        most=GUARDIANS_MAX,
        action=action,
        asked=group(call, found, by=lambda now: now.changer),
        is_several=len(standings(call)) > 1,
        is_change=action == CHANGE,
        choices=choices,
    )


def answer_guardians(call: Call) -> Response:
    """Send the patient to their own device, which makes the words and shows them."""
    devices, found = _to_choose(call)
    if not found:
        return call.go(HERE)
    names, threshold, errors = named_guardians(call)
    if errors:
        return show_guardians(call, *errors)
    items = recoveries.to_choose(found, names, threshold=threshold)
    return to_signer(call, Kind.SET_RECOVERY, items, ending="guardians-chosen", devices=devices)


def named_guardians(call: Call) -> tuple[tuple[str, ...], int, list[Error]]:
    """Return the names that were entered, how many of them are needed, and what is wrong with both."""
    words = call.words
    names = tuple(" ".join(each.split()) for each in call.form.get("names", "").splitlines() if each.strip())
    needed = call.form.get("needed", "").strip()
    errors = []
    if not GUARDIANS_MIN <= len(names) <= GUARDIANS_MAX or len({each.casefold() for each in names}) < len(names):
        errors.append(Error("names", words("Enter 3 to 10 different names, one on each line")))
    elif not all(_NAME.fullmatch(each) and len(each) <= NAME_MAX for each in names):
        errors.append(Error("names", words("Use letters and numbers in the names")))
    is_number = needed.isascii() and needed.isdigit() and len(needed) < 3
    if not (is_number and THRESHOLD_MIN <= int(needed) <= len(names)):
        errors.append(Error("needed", words("Enter a number from 2 to the number of people")))
    return names, int(needed) if is_number else 0, errors


def show_cancel(call: Call) -> Response:
    """Ask whether it was the patient who asked for another device."""
    found = where(standings(call), lambda now: bool(now.started))
    if not found:
        return call.go(HERE)
    return call.page(
        "pages/patient/recovery_cancel.html",
        title=call.words("Did you ask to replace your device?"),
        back=HERE,
        begun=group(call, found),
        final=group(call, where(found, lambda now: now.is_final)),
        open=group(call, where(found, lambda now: now.may_cancel)),
        is_several=len(standings(call)) > 1,
    )


def cancel(call: Call) -> Response:
    """Stop it, with the device that the patient still has."""
    devices, found = first_device(call, where(standings(call), lambda now: now.may_cancel))
    if not found:
        return call.go(HERE, not_done=call.words("There is nothing to stop. Nothing was changed"))
    items = recoveries.to_cancel(found)
    return to_signer(call, Kind.CANCEL_RECOVERY, items, ending="recovery-cancelled", devices=devices)


def _to_choose(call: Call) -> tuple[list[Device], list[StandingAt]]:
    return first_device(call, where(standings(call), lambda now: now.may_choose))


def _chosen(call: Call, collected: Collected) -> Response:
    said = call.words("These people can now help you back in. Give each of them their page")
    return concluded(call, HERE, said, deliver_all(call, collected))


def _cancelled(call: Call, collected: Collected) -> Response:
    said = call.words("Nobody replaces your device. It was stopped")
    return concluded(call, HERE, said, deliver_all(call, collected))


ENDINGS: Final[Mapping[str, Ending]] = {
    "guardians-chosen": Ending("/recovery/guardians", _chosen),
    "recovery-cancelled": Ending("/recovery/cancel", _cancelled),
}
PAGES: Final = (
    Page(HERE, Person.PATIENT, show, needs_session=False),
    Page("/recovery/guardians", Person.PATIENT, show_guardians, answer_guardians),
    Page("/recovery/cancel", Person.PATIENT, show_cancel, cancel, needs_session=False),
)
