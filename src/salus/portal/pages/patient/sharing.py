"""Who can see your record: the choices in force as sentences, withdrawing one, and what somebody would see now."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.services import sharing
from salus.node.services.own_chart import record_name
from salus.node.services.sharing import InForce, Seen
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.choice_sentences import made, sentence
from salus.portal.pages.patient.kinds import KINDS
from salus.portal.pages.patient.signing import had_ended, sign_withdrawal

_CHOICE: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ChoiceRow:
    """A choice in force, in words; `number` is its place in the list, and `name` how its form names it.

    Args:
        can_change: whether the questions can say what it says.
    """

    number: int
    name: str
    sentence: str = field(repr=False)
    made: str
    can_change: bool


@dataclass(frozen=True)
class KindSeen:
    """How many records of a kind somebody would see, and would not."""

    kind: str
    seen: int
    hidden: int


def show(call: Call) -> Response:
    """The choices in force."""
    found = _in_force(call)
    return call.page(
        "pages/patient/sharing.html",
        title=call.words("Who can see your record"),
        rows=[_row(call, each, number) for number, each in enumerate(found or (), start=1)],
        is_hidden=found is None,
    )


def ask_to_stop(call: Call) -> Response:
    """Ask whether a choice is to be withdrawn."""
    found, which = _in_force(call) or [], call.query.get("which", "")
    number = int(which) if which.isascii() and which.isdigit() and len(which) < 4 else 0
    if not 1 <= number <= len(found):
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    return call.page(
        "pages/patient/sharing_stop.html",
        title=call.words("Stop this choice?"),
        back="/sharing",
        row=_row(call, found[number - 1], number),
    )


def stop(call: Call) -> Response:
    """Withdraw it."""
    choice = choice_named(call, call.form.get("choice", ""))
    return had_ended(call) if choice is None else sign_withdrawal(call, choice.choice)


def choice_named(call: Call, name: str) -> InForce | None:
    """Return the choice in force that a form names; None where the patient has no such."""
    known = {each.choice.hex(): each for each in _in_force(call) or ()}
    return known.get(name) if _CHOICE.fullmatch(name) else None


def show_preview(call: Call) -> Response:
    """What a clinician at one organisation would see now."""
    members = sharing.members(call.portal.node)
    wanted = call.query.get("at", "")
    place = next((name for code, name in members if code == wanted), "")
    rows: list[KindSeen] = []
    if place:
        seen = sharing.preview(
            call.portal.node, call.portal.responder, call.login, call.owner.pseudonym, organisation=wanted
        )
        rows = by_kind(call, seen)
    return call.page(
        "pages/patient/sharing_preview.html",
        title=call.words("What somebody would see now"),
        back="/sharing",
        members=[{"value": code, "text": name, "checked": code == wanted} for code, name in members],
        place=place,
        rows=rows,
    )


def by_kind(call: Call, seen: Iterable[Seen]) -> list[KindSeen]:
    """Count what would be seen and what would not, by kind; kinds of which there is nothing are left out."""
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for each in seen:
        type_name, _, logical_id = each.name.partition("/")
        if call.hidden.has_records:
            name = record_name(call.portal.node, call.owner.pseudonym, "", type_name, logical_id)
            if call.hidden.hides(type_name, name):
                continue
        counts[each.is_seen][type_name] += 1
    rows = []
    for kind in KINDS:
        seen_count, hidden_count = (sum(counts[side][name] for name, _ in kind.types) for side in (True, False))
        if seen_count or hidden_count:
            rows.append(KindSeen(call.words(kind.title), seen_count, hidden_count))
    return rows


def _in_force(call: Call) -> list[InForce] | None:
    return sharing.in_force(call.portal.node, call.portal.responder, call.login, call.owner.pseudonym)


def _row(call: Call, choice: InForce, number: int) -> ChoiceRow:
    words = call.words
    if choice.rule is None:
        said = words(
            "There is a choice here that we cannot read. Until it is sent again, other organisations see nothing."
        )
    else:
        said = sentence(words, choice.rule)
    return ChoiceRow(
        number,
        choice.choice.hex(),
        said,
        made(words, choice, organisation=call.portal.title, patient=call.helped or call.owner.name),
        choice.wanted is not None,
    )


PAGES: Final = (
    Page("/sharing", Person.PATIENT, show, listed="Who can see your record"),
    Page("/sharing/stop", Person.PATIENT, ask_to_stop, stop),
    Page("/sharing/preview", Person.PATIENT, show_preview),
)
