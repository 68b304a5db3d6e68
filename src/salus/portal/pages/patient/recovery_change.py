"""Other people who can help you back in: chosen with the words of those of now, and undone with them in seven days."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from salus.node.services import recoveries
from salus.node.services.recoveries import StandingAt
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.organisation_names import names_of
from salus.portal.pages.patient.recovery import CHANGE, HERE, ask_guardians, named_guardians
from salus.portal.pages.patient.recovery_places import (
    acting_device,
    any_device,
    chosen,
    concluded,
    deliver_all,
    group,
    standings,
    where,
)
from salus.portal.pages.patient.signing import Ending, to_signer


def show(call: Call, *errors: Error) -> Response:
    """Ask for the names of the new ones, and say whose words are needed."""
    found = where(standings(call), lambda now: now.may_change)
    if not found:
        return call.go(HERE)
    title, choices = call.words("Choose other people"), _choices(call, found)
    return ask_guardians(call, found, *errors, title=title, action=CHANGE, choices=choices)


def answer(call: Call) -> Response:
    """Send the patient to their own device: the words of now are typed there, and the new ones shown."""
    found = where(standings(call), lambda now: now.may_change)
    if not found:
        return call.go(HERE)
    names, threshold, errors = named_guardians(call)
    if errors:
        return show(call, *errors)
    devices, found = acting_device(call, chosen(call, found))
    if not found:
        return call.go(HERE, not_done=call.words("Nothing was changed. Read what comes next"))
    items = recoveries.to_change(found, names, threshold=threshold)
    return to_signer(call, Kind.CHANGE_RECOVERY, items, ending="guardians-changed", devices=devices)


def show_undo(call: Call) -> Response:
    """Ask whether it was the patient who chose other people, and say who has to be asked to undo it."""
    found = where(standings(call), lambda now: bool(now.changes_at_s))
    if not found:
        return call.go(HERE)
    return call.page(
        "pages/patient/recovery_undo.html",
        title=call.words("Did you choose other people?"),
        back=HERE,
        changing=group(call, found, by=lambda now: now.undoer),
        choices=_choices(call, found),
        has_device=bool(any_device(call, found)[1]) and bool(call.portal.settings.signer),
    )


def undo(call: Call) -> Response:
    """Undo it, on any device of the patient's: the words of the people of now are typed there."""
    devices, found = any_device(call, chosen(call, where(standings(call), lambda now: bool(now.changes_at_s))))
    if not found:
        return call.go(HERE, not_done=call.words("There is nothing to undo. Nothing was changed"))
    return to_signer(call, Kind.UNDO_RECOVERY, recoveries.to_undo(found), ending="guardians-kept", devices=devices)


def _choices(call: Call, found: list[StandingAt]) -> list[dict[str, object]]:
    """All organisations at once, or one of them, whose people may have other words; nothing to choose of one."""
    if len(found) < 2:
        return []
    named = [{"value": each.custodian, "text": names_of(call, [each.custodian])[0]} for each in found]
    entered = call.form.get("organisation", "")
    rows = [{"value": "", "text": call.words("All of them at once")}, *named]
    return [row | {"checked": row["value"] == entered} for row in rows]


def _changed(call: Call, collected: Collected) -> Response:
    said = call.words("Other people can help you back in after 7 days. Give each of them their page")
    return concluded(call, HERE, said, deliver_all(call, collected))


def _kept(call: Call, collected: Collected) -> Response:
    said = call.words("It was undone. The same people as before can help you back in")
    return concluded(call, HERE, said, deliver_all(call, collected))


ENDINGS: Final[Mapping[str, Ending]] = {
    "guardians-changed": Ending(CHANGE, _changed),
    "guardians-kept": Ending("/recovery/undo", _kept),
}
PAGES: Final = (
    Page(CHANGE, Person.PATIENT, show, answer),
    Page("/recovery/undo", Person.PATIENT, show_undo, undo, needs_session=False),
)
