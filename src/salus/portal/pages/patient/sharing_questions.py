"""Make a choice: one question a page, then the answers as a sentence to check, with what it would hide and change."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir import plain
from salus.node.services import choice_dangers, sharing
from salus.node.services.choices_elsewhere import Place
from salus.node.services.sharing import InForce, Wanted
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.choice_sentences import CLASSES, LABELS, sentence
from salus.portal.pages.patient.choices_known import Choices
from salus.portal.pages.patient.gathered import gathered
from salus.portal.pages.patient.kinds import ALLERGIES, MEDICINES
from salus.portal.pages.patient.questions import Question, answers_of, ask_day, capital, keep, page_of
from salus.portal.pages.patient.sharing import by_kind
from salus.portal.pages.patient.signing import places, sign_choice, signs_alone

DIRECTION, WHO, WHAT, KINDS_CHOSEN, UNTIL = "direction", "who", "what", "kinds", "until"
WHERE, EVERYWHERE = "where", "all"
CHANGES: Final = "changes"
"""Under which it is kept among the answers which choice they are to change."""
DAY_PARTS: Final = ("year", "month", "day")
EVERYBODY: Final = "everybody"
CHECKED_MAX: Final = 200


@dataclass(frozen=True)
class _Asked:
    """What all answers together ask for.

    Args:
        about: whose records it is about; is_here: whether this organisation's are among them.
        holders: their names, where the sentence has to say them.
        changes: the choice in whose place it is put; None for a new one.
    """

    wanted: Wanted
    about: list[Place]
    holders: tuple[str, ...]
    is_here: bool
    changes: InForce | None


def _(english: str) -> str:
    """Mark words for translation."""
    return english


def _where(call: Call) -> list[dict[str, str]]:
    words, reached = call.words, places(call)
    said = words("What %(organisation)s has written down")
    options = [{"value": each.custodian, "text": said % {"organisation": each.name}} for each in reached]
    return [*options, *([{"value": EVERYWHERE, "text": words("All of these")}] if len(reached) > 1 else [])]


def _direction(call: Call) -> list[dict[str, str]]:
    words = call.words
    return [
        {"value": "more", "text": words("Let people see something")},
        {"value": "less", "text": words("Hide something from people")},
    ]


def _who(call: Call) -> list[dict[str, str]]:
    words = call.words
    anybody = {"value": EVERYBODY, "text": words("Everyone who treats me, anywhere")}
    at = words("People at %(organisation)s")
    return [
        anybody,
        *({"value": code, "text": at % {"organisation": name}} for code, name in sharing.members(call.portal.node)),
    ]


def _what(call: Call) -> list[dict[str, str]]:
    words = call.words
    options = [{"value": "all", "text": words("Everything")}]
    if answers_of(call).get(DIRECTION) == "more":
        options.append({"value": "except", "text": words("Everything, except some kinds")})
    return [*options, {"value": "only", "text": words("Only some kinds")}]


def _kinds(call: Call) -> list[dict[str, str]]:
    words = call.words
    about = words("What is about %(matter)s")
    labels = [{"value": code, "text": about % {"matter": words(name)}} for code, name in LABELS.items()]
    return [*labels, *({"value": code, "text": capital(words(name))} for code, name in CLASSES.items())]


QUESTIONS: Final = (
    Question(
        "/sharing/where",
        WHERE,
        _("Which records is it about?"),
        _where,
        _("Choose which records it is about"),
        lambda _answers: "/sharing",
        lambda _answers: "/sharing/direction",
    ),
    Question(
        "/sharing/direction",
        DIRECTION,
        _("What do you want to do?"),
        _direction,
        _("Choose what you want to do"),
        lambda answers: "/sharing/where" if WHERE in answers and CHANGES not in answers else "/sharing",
        lambda _answers: "/sharing/who",
    ),
    Question(
        "/sharing/who",
        WHO,
        _("Who is it about?"),
        _who,
        _("Choose who it is about"),
        lambda _answers: "/sharing/direction",
        lambda _answers: "/sharing/what",
    ),
    Question(
        "/sharing/what",
        WHAT,
        _("What is it about?"),
        _what,
        _("Choose what it is about"),
        lambda _answers: "/sharing/who",
        lambda answers: "/sharing/until" if answers.get(WHAT) == "all" else "/sharing/kinds",
    ),
    Question(
        "/sharing/kinds",
        KINDS_CHOSEN,
        _("Which kinds?"),
        _kinds,
        _("Choose one kind or more"),
        lambda _answers: "/sharing/what",
        lambda _answers: "/sharing/until",
        takes_several=True,
    ),
)


def begin(call: Call) -> Response:
    """Begin to make a choice, or to change one: the questions, answered as it stands."""
    name, choices = call.form.get("choice", ""), Choices(call)
    if not name:
        return call.go("/sharing/where" if len(choices.places) > 1 else "/sharing/direction", answers=())
    known = choices.find(name)
    if known is None:
        return choices.not_there(name)
    if known.choice.wanted is None:
        said = call.words(
            "This choice was not made with the questions here, so they cannot change it. You can only stop it."
        )
        return call.go("/sharing", not_done=said)
    answers = _answers(known.choice.wanted, changes=name)
    return call.go("/sharing/direction", answers=tuple(answers.items()))


def show_check(call: Call) -> Response:
    """The answers as a sentence, what they change, and a warning where they hide what keeps the patient safe."""
    asked = _asked(call)
    if isinstance(asked, Response):
        return asked
    words, before = call.words, None if asked.changes is None else asked.changes.rule
    return call.page(
        "pages/patient/sharing_check.html",
        title=words("Check your choice"),
        back="/sharing/until",
        sentence=sentence(words, sharing.said(call.portal.node, asked.wanted), asked.holders),
        before=sentence(words, before, asked.holders) if before else "",
        rules=asked.changes.commitment.hex() if asked.changes else "",
        warnings=_warnings(call, asked),
        rows=by_kind(call, _previewed(call, asked.wanted, instead_of=asked.changes)) if asked.is_here else [],
        is_here=asked.is_here,
        elsewhere=words.listed([each.name for each in asked.about if each.custodian != call.portal.node.organisation]),
        organisation=call.portal.title,
        is_assisted=not call.helped and not signs_alone(call),
    )


def answer_check(call: Call) -> Response:
    """File it, in the place of the choice that it changes, if that is still as the page said."""
    asked = _asked(call)
    if isinstance(asked, Response):
        return asked
    if asked.changes is not None and asked.changes.commitment.hex() != call.form.get("rules", ""):
        return call.go("/sharing/check", not_done=call.words("Your choice was changed meanwhile. Check it again"))
    if asked.changes is not None and asked.changes.wanted == asked.wanted:
        return call.go("/sharing", not_done=call.words("Your choice is as it was. Nothing was changed"), answers=())
    return sign_choice(call, asked.wanted, asked.about, replaces=asked.changes)


def show_until(call: Call, *errors: Error) -> Response:
    """Until when."""
    words, until = call.words, answers_of(call).get(UNTIL, "")
    return ask_day(
        call,
        *errors,
        title=words("Until when?"),
        hint=words("Enter the last day, for example 27 3 2030. Leave it empty if your choice holds until you stop it."),
        back="/sharing/kinds" if answers_of(call).get(WHAT) != "all" else "/sharing/what",
        day=datetime.date.fromisoformat(until) if until else None,
    )


def answer_until(call: Call) -> Response:
    """An end, or none."""
    if not any(call.form.get(f"day-{each}", "").strip() for each in DAY_PARTS):
        return keep(call, {UNTIL: ""}, "/sharing/check")
    day = day_of(call.form)
    today = datetime.datetime.fromtimestamp(call.portal.node.clock(), datetime.UTC).date()
    if day is None or day < today:
        return show_until(call, Error("day", call.words("Enter a day that is still to come, such as 27 3 2030")))
    return keep(call, {UNTIL: day.isoformat()}, "/sharing/check")


def _asked(call: Call) -> _Asked | Response:
    """Return what all answers together ask for; or where to go, because one is missing or what they change has gone."""
    answers, choices = answers_of(call), Choices(call)
    wanted, where = _wanted(answers), answers.get(WHERE, choices.places[0].custodian)
    about, changes = [each for each in choices.places if where in (EVERYWHERE, each.custodian)], None
    if answers.get(CHANGES):
        known = choices.find(answers[CHANGES])
        if known is None:
            return choices.not_there(answers[CHANGES])
        about, changes = [known.place], known.choice  # one name at two custodians would join the two (P7)
    if wanted is None or not about:
        return call.go("/sharing/direction" if about else "/sharing/where")
    holders = tuple(each.name for each in about) if len(choices.places) > 1 else ()
    return _Asked(wanted, about, holders, choices.places[0] in about, changes)


def _wanted(answers: Mapping[str, str]) -> Wanted | None:
    """Return what all answers together want; None where one is missing."""
    if not {DIRECTION, WHO, WHAT, UNTIL} <= answers.keys():
        return None
    is_all = answers[WHAT] == "all"
    chosen = [] if is_all else answers.get(KINDS_CHOSEN, "").split("\n")
    is_unfit = answers[DIRECTION] == "less" and answers[WHAT] == "except"  # asked before it was turned around
    if is_unfit or (not is_all and not any(chosen)):
        return None
    return Wanted(
        is_permit=answers[DIRECTION] == "more",
        organisation="" if answers[WHO] == EVERYBODY else answers[WHO],
        labels=tuple(each for each in chosen if each in LABELS),
        classes=tuple(each for each in chosen if each in CLASSES),
        is_only=answers[WHAT] == "only",
        until=datetime.date.fromisoformat(answers[UNTIL]) if answers[UNTIL] else None,
    )


def _answers(wanted: Wanted, *, changes: str) -> dict[str, str]:
    """The answers that want a choice as it stands, and which choice they are to change."""
    kinds = (*wanted.labels, *wanted.classes)
    return {
        CHANGES: changes,
        DIRECTION: "more" if wanted.is_permit else "less",
        WHO: wanted.organisation or EVERYBODY,
        WHAT: "all" if not kinds else "only" if wanted.is_only else "except",
        KINDS_CHOSEN: "\n".join(kinds),
        UNTIL: wanted.until.isoformat() if wanted.until else "",
    }


def _previewed(
    call: Call, wanted: Wanted | None, *, at: str = "", instead_of: InForce | None = None
) -> list[sharing.Seen]:
    node = call.portal.node
    return sharing.preview(
        node,
        call.portal.responder,
        call.login,
        call.owner.pseudonym,
        organisation=at or (wanted.organisation if wanted else "") or node.organisation,
        with_choice=wanted,
        instead_of=instead_of.commitment if instead_of else b"",
    )


def _warnings(call: Call, asked: _Asked) -> list[str]:
    """What clinicians would not know that they have to know, whoever keeps it, as far as that has been told here."""
    lost, words = _lost(call, asked) if asked.is_here else frozenset(), call.words
    leaves_out = (
        asked.wanted.is_permit and not asked.wanted.is_only and bool(asked.wanted.labels + asked.wanted.classes)
    )
    is_only_here = asked.is_here and len(asked.about) == 1
    if is_only_here and not leaves_out and not any(_has(lost, each.types) for each in (ALLERGIES, MEDICINES)):
        return []
    chart, before = gathered(call).chart, asked.changes.tree if asked.changes else None
    kept = [each for kind in (ALLERGIES, MEDICINES) for each in chart.newest_of(kind.types, CHECKED_MAX)]
    about = [each.custodian for each in asked.about]
    found = choice_dangers.unknown(call.portal.node, kept, asked.wanted, about=about, before=before, lost=lost)
    said = words("They would not know of: %(name)s. They could give you something that harms you.")
    return [said % {"name": plain.name_of(each.content) or words("Without a name")} for each in found]


def _lost(call: Call, asked: _Asked) -> frozenset[str]:
    """What clinicians see now of this organisation's records, and would not see then, by `Type/id`."""
    at = asked.wanted.organisation or call.portal.node.organisation
    now = {each.name for each in _previewed(call, None, at=at) if each.is_seen}
    then = {each.name for each in _previewed(call, asked.wanted, at=at, instead_of=asked.changes) if each.is_seen}
    return frozenset(now - then)


def _has(names: frozenset[str], types: tuple[tuple[str, str], ...]) -> bool:
    return any(each.partition("/")[0] == name for each in names for name, _ in types)


def day_of(form: Mapping[str, str]) -> datetime.date | None:
    """Return the day that a form's three fields say; None where they say none."""
    parts = [form.get(f"day-{each}", "").strip() for each in DAY_PARTS]
    if not all(each.isascii() and each.isdigit() and len(each) < 5 for each in parts):
        return None
    try:
        return datetime.date(*map(int, parts))
    except ValueError:
        return None


PAGES: Final = (
    Page("/sharing/begin", Person.PATIENT, None, begin),
    *(page_of(each) for each in QUESTIONS),
    Page("/sharing/until", Person.PATIENT, show_until, answer_until),
    Page("/sharing/check", Person.PATIENT, show_check, answer_check),
)
