"""One patient: allergies and warnings, then the rest by kind, and what each organisation has answered."""

from dataclasses import dataclass, replace
from typing import Final

from starlette.responses import Response

from salus.node.services.collect import Answered
from salus.portal.answered import AGAIN, COLOURS
from salus.portal.call import Call, Page, Person
from salus.portal.open_patients import OpenPatient
from salus.portal.pages.clinician.cautions import not_whole
from salus.portal.pages.clinician.same_patient import linked, of_the_same, whose
from salus.portal.pages.clinician.sections import KINDS, TYPES_OF, Section, section, sections, warnings
from salus.portal.pages.clinician.viewing import (
    Answer,
    View,
    answers_of,
    ask_again,
    go_to,
    go_to_search,
    has_older,
    opened,
    view,
)
from salus.portal.paging import number_of, pages
from salus.portal.words import Words

NEWEST: Final = 100
"""How many results and letters the first view opens."""
EMERGENCY_HELPS: Final = frozenset({"PATIENT_DENIES", "NOTHING_PERMITS"})
SIZE: Final = 100
"""So many of a kind are on one page."""


@dataclass(frozen=True)
class AnswerRow:
    """What one organisation has answered, in words; `place` is empty where it cannot be asked again."""

    name: str
    state: str
    colour: str
    hint: str
    place: str


@dataclass(frozen=True)
class Answers:
    """What all organisations have answered.

    Args:
        done: how many have, or will not; a page that was drawn with fewer is out of date.
        is_here: whether this organisation knows the person; can_ask: whether others can be asked at all.
        is_ended: whether an officer here has ended the emergency access.
    """

    rows: list[AnswerRow]
    done: int
    is_asking: bool
    is_here: bool
    can_ask: bool
    is_ended: bool


def show(call: Call) -> Response:
    """The page."""
    patient = opened(call)
    if patient is None:
        return go_to_search(call)
    seen = view(call, patient, most=NEWEST)
    return call.page(
        "pages/clinician/patient.html",
        title=call.words("Patient record"),
        warnings=warnings(call, seen),
        sections=[_with_older(call, seen, each) for each in sections(call, seen)],
        answers=_answers(call, patient, seen),
        not_whole=not_whole(seen),
        is_alone=not seen.answers,
        of=whose(call, patient),
    )


def show_answers(call: Call) -> Response:
    """What organisations have answered so far: the part of the page that a script asks for again."""
    patient = opened(call)
    if patient is None:
        return go_to_search(call)
    shown = call.query.get("seen", "")
    known = _answers(call, patient, answers_of(call, patient))
    return call.page(
        "pages/clinician/answers.html",
        title="",
        has_new=shown != str(known.done),
        answers=known,
        of=whose(call, patient),
    )


def show_kind(call: Call) -> Response:
    """All records of one kind, of those that are many as many as a page has."""
    patient, kind, number = opened(call), call.path["kind"], number_of(call)
    if patient is None:
        return go_to_search(call)
    if kind not in KINDS:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    types = TYPES_OF[kind]
    whole = section(call, view(call, patient, types, most=SIZE, skip=(number - 1) * SIZE), kind)
    has_more = has_older(call, patient, types, beyond=number * SIZE)
    return call.page(
        "pages/clinician/kind.html",
        title=whole.title,
        back=linked(call, "/patient"),
        section=whole,
        is_older=number > 1,
        pages=pages(call, number, has_more=has_more),
    )


def again(call: Call) -> Response:
    """Ask one organisation once more, or all of them when their answers are gone."""
    patient, place = opened(call), call.form.get("place", "")
    if patient is None:
        return go_to_search(call)
    if not place:
        return go_to(call, patient)
    ask_again(call, patient, place)
    return call.go("/patient")


def _with_older(call: Call, seen: View, section: Section) -> Section:
    """A kind of which this organisation may have more than was opened leads to all of it, however few rows it has."""
    own = [each.type for each in seen.records if each.source == call.portal.title]
    has_more = section.has_more or any(own.count(each) >= NEWEST for each in TYPES_OF[section.name])
    return replace(section, has_more=has_more)


def _answers(call: Call, patient: OpenPatient, seen: View) -> Answers:
    is_emergency = patient.is_emergency(call.portal.node.clock())
    rows = [_row(call.words, each, is_emergency=is_emergency) for each in seen.answers]
    can_ask = bool(patient.number and patient.born)
    is_here, is_ended = bool(patient.pseudonym), seen.is_own_ended
    return Answers(rows, seen.done, seen.is_asking, is_here=is_here, can_ask=can_ask, is_ended=is_ended)


def _row(words: Words, answer: Answer, *, is_emergency: bool) -> AnswerRow:
    said = {
        Answered.ASKING: words("Asking"),
        Answered.CAME: words("Answered"),
        Answered.NOTHING_THERE: words("Nothing there"),
        Answered.DENIED: words("May not share"),
        Answered.REFUSED: words("Could not share"),
        Answered.SILENT: words("Did not answer"),
        Answered.ENDED: words("Access has ended"),
    }[answer.state]
    hint = words("There is more than is shown here.") if answer.is_cut else ""
    if answer.reason == "EMERGENCIES_UNREVIEWED":
        hint = words("Too many emergencies wait for their review there. Call them.")
    elif answer.reason in EMERGENCY_HELPS and not is_emergency:
        hint = words("If somebody is in danger, ask for emergency access.")
    if answer.state is Answered.ENDED:
        hint = words("Their privacy officer reviewed your emergency access and said no.")
    place = str(answer.place) if answer.state in AGAIN else ""
    return AnswerRow(answer.custodian.name, said, COLOURS[answer.state], hint, place)


PAGES: Final = (
    Page("/patient", Person.CLINICIAN, of_the_same(show)),
    Page("/patient/answers", Person.CLINICIAN, of_the_same(show_answers, part="pages/clinician/answers_left.html")),
    Page("/patient/again", Person.CLINICIAN, None, of_the_same(again)),
    Page("/patient/all/{kind}", Person.CLINICIAN, of_the_same(show_kind)),
)
