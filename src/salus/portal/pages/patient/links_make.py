"""Make a link: one question a page, and at the end its passcode, which the patient tells whoever the link is for."""

import secrets
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from salus.node.services import health_links
from salus.node.services.health_links import WantedLink
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.choice_sentences import CLASSES, LABELS
from salus.portal.pages.patient.links_signing import sign_link
from salus.portal.pages.patient.links_words import shows
from salus.portal.pages.patient.questions import Question, answers_of, capital, keep, page_of
from salus.portal.pages.patient.signing import signs_alone

WHAT, KINDS, UNTIL, NAME = "link-what", "link-kinds", "link-until", "link-name"
HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
LASTS_S: Final = {
    "hour": HOUR_S,
    "day": DAY_S,
    "week": 7 * DAY_S,
    "month": 30 * DAY_S,
    "year": health_links.DAYS_MAX * DAY_S,
}
TRIES: Final = ("3", "5", "10")
SUGGESTED: Final = 10**8
"""A passcode that is suggested is one of so many numbers."""


def _(english: str) -> str:
    """Mark words for translation."""
    return english


_LASTS: Final = {
    "hour": _("1 hour"),
    "day": _("1 day"),
    "week": _("7 days"),
    "month": _("30 days"),
    "year": _("1 year"),
}


def _what(call: Call) -> list[dict[str, str]]:
    words = call.words
    return [
        {"value": "all", "text": words("Everything")},
        {"value": "except", "text": words("Everything, except some kinds")},
        {"value": "only", "text": words("Only some kinds")},
    ]


def _kinds(call: Call) -> list[dict[str, str]]:
    words = call.words
    about = words("What is about %(matter)s")
    labels = [{"value": code, "text": about % {"matter": words(name)}} for code, name in LABELS.items()]
    classes = [{"value": code, "text": capital(words(name))} for code, name in CLASSES.items()]
    return classes if answers_of(call).get(WHAT) == "only" else [*labels, *classes]


def _until(call: Call) -> list[dict[str, str]]:
    return [{"value": value, "text": call.words(text)} for value, text in _LASTS.items()]


QUESTIONS: Final = (
    Question(
        "/links/what",
        WHAT,
        _("What may they see?"),
        _what,
        _("Choose what they may see"),
        lambda _answers: "/links",
        lambda answers: "/links/until" if answers[WHAT] == "all" else "/links/kinds",
    ),
    Question(
        "/links/kinds",
        KINDS,
        _("Which kinds of records?"),
        _kinds,
        _("Choose one kind or more"),
        lambda _answers: "/links/what",
        lambda _answers: "/links/until",
        takes_several=True,
    ),
    Question(
        "/links/until",
        UNTIL,
        _("How long is the link to work?"),
        _until,
        _("Choose how long the link is to work"),
        lambda answers: "/links/what" if answers.get(WHAT) == "all" else "/links/kinds",
        lambda _answers: "/links/name",
    ),
)


def show_name(call: Call, *errors: Error) -> Response:
    """What the link is called."""
    return call.page(
        "pages/patient/link_name.html",
        title=call.words("What do you call this link?"),
        back="/links/until",
        errors=errors,
        entered=call.form.get("label", answers_of(call).get(NAME, "")),
        longest=health_links.LABEL_MAX,
    )


def answer_name(call: Call) -> Response:
    """Keep it."""
    label = health_links.clean(call.form.get("label", ""))
    if not 1 <= len(label) <= health_links.LABEL_MAX:
        return show_name(call, Error("label", call.words("Enter a name for the link, of 80 letters or fewer")))
    return keep(call, {NAME: label}, "/links/make")


def show_make(call: Call, *errors: Error) -> Response:
    """All that was answered, and the passcode."""
    answers = answers_of(call)
    if not _are_whole(answers):
        return call.go("/links/what")
    words, (labels, classes) = call.words, _chosen(answers)
    return call.page(
        "pages/patient/link_make.html",
        title=words("Choose a passcode"),
        back="/links/name",
        errors=errors,
        label=answers[NAME],
        shows=shows(words, labels=labels, classes=classes, is_only=answers[WHAT] == "only"),
        lasts=words(_LASTS[answers[UNTIL]]),
        is_assisted=not signs_alone(call),
        passcode=call.form.get("passcode", f"{secrets.randbelow(SUGGESTED):08}"),
        tries=[{"value": each, "text": each, "checked": each == call.form.get("tries", TRIES[1])} for each in TRIES],
    )


def answer_make(call: Call) -> Response:
    """Make it."""
    answers, passcode, tries = answers_of(call), call.form.get("passcode", "").strip(), call.form.get("tries", "")
    if not _are_whole(answers):
        return call.go("/links/what")
    if not health_links.PASSCODE_LENGTH_MIN <= len(passcode) <= health_links.PASSCODE_LENGTH_MAX:
        return show_make(call, Error("passcode", call.words("Enter a passcode of 6 letters or numbers, or more")))
    if tries not in TRIES:
        return show_make(call, Error("tries", call.words("Choose how often somebody may type it wrong")))
    labels, classes = _chosen(answers)
    wanted = WantedLink(
        label=answers[NAME],
        passcode=passcode,
        lasts_s=LASTS_S[answers[UNTIL]],
        tries=int(tries),
        labels=labels,
        classes=classes,
        is_only=answers[WHAT] == "only",
    )
    return sign_link(call, wanted)


def _are_whole(answers: Mapping[str, str]) -> bool:
    """Tell whether there is an answer to each question; kinds that were chosen for another "what" are none."""
    if not {WHAT, UNTIL, NAME} <= answers.keys():
        return False
    labels, classes = _chosen(answers)
    return bool(classes) and not labels if answers[WHAT] == "only" else answers[WHAT] == "all" or bool(labels + classes)


def _chosen(answers: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    chosen = [] if answers.get(WHAT) == "all" else answers.get(KINDS, "").split("\n")
    return tuple(each for each in chosen if each in LABELS), tuple(each for each in chosen if each in CLASSES)


PAGES: Final = (
    *(page_of(each) for each in QUESTIONS),
    Page("/links/name", Person.PATIENT, show_name, answer_name),
    Page("/links/make", Person.PATIENT, show_make, answer_make),
)
