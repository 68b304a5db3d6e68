"""Gathered: a patient's records of all their custodians, as far as these have answered, and what each has answered."""

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from salus.node.services.collect import Answered
from salus.node.services.own_chart import OwnChart
from salus.node.services.own_elsewhere import Answer, Elsewhere
from salus.portal.answered import AGAIN, COLOURS
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.entries import own_chart
from salus.portal.words import Words

HOME: Final = "/record"
PLACE_LENGTH_MAX: Final = 3
_OURS: Final = re.compile(r"/record(?:/[a-z0-9-]{1,32}){0,2}(?:\?page=[0-9]{1,4})?", re.ASCII)


@dataclass(frozen=True)
class AnswerRow:
    """What one organisation has answered, in words.

    Args:
        code: the same for programs.
        place: by which it is asked again; empty where it cannot be.
    """

    name: str
    code: str
    state: str
    colour: str
    hint: str
    place: str


@dataclass(frozen=True)
class Answers:
    """What all of a patient's other custodians have answered.

    Args:
        at: the page of ours that they are on.
        poll: where a script asks for this part of the page again; empty when nothing more comes.
        missing: whose records are not on the page, in a sentence; empty where nobody's are.
    """

    rows: tuple[AnswerRow, ...]
    names: str
    at: str
    poll: str
    missing: str


@dataclass(frozen=True)
class Gathered:
    """The chart for one request, and what others have answered; None for a patient of this organisation alone."""

    chart: OwnChart
    answers: Answers | None


def gathered(call: Call) -> Gathered:
    """Return the records of whoever is signed in; others are asked once in each time box, and not waited for."""
    others = elsewhere(call)
    state = call.signed_in.state
    collection = others.begin()
    if collection != state.collected:
        call.portal.sessions.change(call.signed_in, collected=collection)
    chart = own_chart(call, others.records())
    answered = _answered(call, others, chart)
    answers = _answers(call, answered, at=_here(call)) if answered else None
    return Gathered(chart, answers)


def elsewhere(call: Call) -> Elsewhere:
    """Return the other custodians of whoever is signed in."""
    portal, state, about = call.portal, call.signed_in.state, call.owner.pseudonym
    return Elsewhere(portal.node, portal.collections, state.held[1:], about=about, collection=state.collected)


def show_answers(call: Call) -> Response:
    """What organisations have answered so far: the part of a page that a script asks for again."""
    others, at = elsewhere(call), _page_of_ours(call.query.get("at", ""))
    came = others.records() if call.hidden.has_records else ()  # a script asks each second: only what is needed is read
    answered = _answered(call, others, own_chart(call, came))
    if not answered:
        return call.go(HOME)
    has_new = call.query.get("seen", "") != str(_done(answered))
    answers = _answers(call, answered, at=at)
    return call.page("pages/patient/answers.html", title="", answers=answers, has_new=has_new)


def again(call: Call) -> Response:
    """Ask one organisation once more."""
    place = call.form.get("place", "")
    if place.isascii() and place.isdigit() and len(place) <= PLACE_LENGTH_MAX:
        elsewhere(call).again(int(place))
    return call.go(_page_of_ours(call.form.get("at", "")))


def _answered(call: Call, others: Elsewhere, chart: OwnChart) -> list[Answer]:
    """What each has answered; of whom all is hidden, nothing is there."""
    answered = others.answers()
    if not call.hidden.has_records:
        return answered
    gone = [
        each for each in answered if each.state is Answered.CAME and each.custodian.organisation not in chart.custodians
    ]
    return [replace(each, state=Answered.NOTHING_THERE, is_cut=False) if each in gone else each for each in answered]


def _answers(call: Call, answered: list[Answer], *, at: str) -> Answers:
    words, done = call.words, _done(answered)
    away = [each.custodian.name for each in answered if each.state not in (Answered.CAME, Answered.NOTHING_THERE)]
    missing = words("This may not be all. Not here yet: what %(organisations)s may have.")
    return Answers(
        rows=tuple(answer_row(words, each) for each in answered),
        names=words.listed([call.portal.title, *(each.custodian.name for each in answered)]),
        at=at,
        poll=f"/record/answers?{urlencode({'seen': done, 'at': at})}" if done < len(answered) else "",
        missing=missing % {"organisations": words.listed(away)} if away else "",
    )


def _done(answered: list[Answer]) -> int:
    """How many have answered, or will not: a page that was drawn with fewer is out of date."""
    return sum(each.state is not Answered.ASKING for each in answered)


def answer_row(words: Words, answer: Answer) -> AnswerRow:
    """Return what one organisation has answered, in words."""
    said = {
        Answered.ASKING: words("We are asking them"),
        Answered.CAME: words("Answered"),
        Answered.NOTHING_THERE: words("Nothing there"),
        Answered.DENIED: words("May not show it"),
        Answered.REFUSED: words("Could not show it"),
        Answered.SILENT: words("Did not answer"),
        Answered.ENDED: words("Not shown any more"),
    }[answer.state]
    hint = words("There is more than is shown here.") if answer.is_cut else ""
    if answer.state is Answered.DENIED:
        hint = words("Your choices or their rules say no. Ask them if you do not know why.")
    place = str(answer.place) if answer.state in AGAIN else ""
    code = "part" if answer.is_cut else answer.state.name.lower()
    return AnswerRow(answer.custodian.name, code, said, COLOURS[answer.state], hint, place)


def _here(call: Call) -> str:
    """The page that is asked for, with its place in a long list."""
    page = call.query.get("page", "")
    return _page_of_ours(f"{call.location}?{urlencode({'page': page})}" if page else call.location)


def _page_of_ours(path: str) -> str:
    """A page of the record, else its first: nobody is sent elsewhere."""
    return path if _OURS.fullmatch(path) else HOME


PAGES: Final = (
    Page("/record/answers", Person.PATIENT, show_answers),
    Page("/record/again", Person.PATIENT, None, again),
)
