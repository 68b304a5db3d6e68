"""Who can see your record: the choices in force as sentences, withdrawing one, and what somebody would see now."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.services import derived, sharing
from salus.node.services.own_chart import record_name
from salus.node.services.sharing import Seen
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.choice_sentences import made, sentence
from salus.portal.pages.patient.choices_known import AtPlace, Choices, Known
from salus.portal.pages.patient.gathered import PLACE_LENGTH_MAX, AnswerRow, answer_row
from salus.portal.pages.patient.kinds import KINDS
from salus.portal.pages.patient.signing import places, sign_withdrawal


@dataclass(frozen=True)
class ChoiceRow:
    """A choice in force, in words; `which` is how an address names it, and `name` how its form does.

    Args:
        can_change: whether the questions can say what it says.
    """

    which: str
    name: str
    sentence: str = field(repr=False)
    made: str
    can_change: bool


@dataclass(frozen=True)
class PlaceRow:
    """The choices at one organisation.

    Args:
        answer: what another one has answered; None of this one.
        is_hidden: whether the patient hid all of it from themself; is_unknown: whether it is not written down there
            who they are.
    """

    name: str
    answer: AnswerRow | None
    is_hidden: bool
    is_unknown: bool
    rows: list[ChoiceRow]


@dataclass(frozen=True)
class KindSeen:
    """How many records of a kind somebody would see, and would not."""

    kind: str
    seen: int
    hidden: int


def show(call: Call) -> Response:
    """The choices in force, at each organisation that keeps records of the patient."""
    groups = [_place(call, each) for each in Choices(call).groups]
    return call.page(
        "pages/patient/sharing.html",
        title=call.words("Who can see your record"),
        groups=groups,
        is_asking=any(each.answer is not None and each.answer.code == "asking" for each in groups),
    )


def ask_to_stop(call: Call) -> Response:
    """Ask whether a choice is to be withdrawn."""
    choices = Choices(call)
    known = choices.at(call.query.get("which", ""))
    if known is None:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    return call.page(
        "pages/patient/sharing_stop.html",
        title=call.words("Stop this choice?"),
        back="/sharing",
        row=_row(call, known, holders=[known.place.name] if len(choices.places) > 1 else []),
        hides=sharing.hides(known.choice.tree),
    )


def stop(call: Call) -> Response:
    """Withdraw it."""
    choices, name = Choices(call), call.form.get("choice", "")
    known = choices.find(name)
    return choices.not_there(name) if known is None else sign_withdrawal(call, known.place, known.choice)


def again(call: Call) -> Response:
    """Ask one of the other organisations once more."""
    place = call.form.get("place", "")
    if place.isascii() and place.isdigit() and len(place) <= PLACE_LENGTH_MAX:
        Choices(call).ask_again(int(place))
    return call.go("/sharing")


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
        is_part=len(places(call)) > 1,
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


def _place(call: Call, group: AtPlace) -> PlaceRow:
    answer = None if group.answer is None else answer_row(call.words, group.answer)
    rows = [_row(call, each) for each in group.known or ()]
    is_unknown = group.known is None and not derived.has_patient(call.portal.node, call.owner.pseudonym)
    return PlaceRow(group.place.name, answer, group.known is None and not is_unknown, is_unknown, rows)


def _row(call: Call, known: Known, holders: Sequence[str] = ()) -> ChoiceRow:
    words, choice = call.words, known.choice
    if choice.rule is None:
        said = words(
            "There is a choice here that we cannot read. Until it is sent again, other organisations see nothing."
        )
    else:
        said = sentence(words, choice.rule, holders)
    return ChoiceRow(
        known.which,
        choice.choice.hex(),
        said,
        made(words, choice, organisation=known.place.name, patient=call.helped or call.owner.name),
        choice.wanted is not None,
    )


PAGES: Final = (
    Page("/sharing", Person.PATIENT, show, listed="Who can see your record"),
    Page("/sharing/stop", Person.PATIENT, ask_to_stop, stop),
    Page("/sharing/again", Person.PATIENT, None, again),
    Page("/sharing/preview", Person.PATIENT, show_preview),
)
