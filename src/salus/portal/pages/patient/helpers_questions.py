"""Let somebody help: one question a page, the answers as a sentence to check, and the code that the helper gets."""

import datetime
import re
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir.kinds import whole
from salus.clinical.uk_time import uk_datetime
from salus.node.services.patient_helpers import Help
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.choice_sentences import CLASSES
from salus.portal.pages.patient.helper_sentences import RELATIONS, sentence
from salus.portal.pages.patient.helpers_signing import sign_helper, typed_code
from salus.portal.pages.patient.questions import answers_of, ask, ask_day, capital, keep
from salus.portal.pages.patient.sharing_questions import DAY_PARTS, day_of

NAME, RELATION, DOING, KINDS_CHOSEN, UNTIL = "helper", "relation", "doing", "helper-kinds", "helper-until"
NAME_LENGTH_MAX: Final = 120
PARENT: Final = "parent"
_NAME: Final = re.compile(r"[^\W_]+(?:[ .,&'/-]+[^\W_]+)*\.?")
GROUP: Final = 4
"""A code is written in groups of so many letters."""


def show_who(call: Call, *errors: Error) -> Response:
    """Who it is."""
    kept = {**answers_of(call), **call.form}
    chosen = kept.get(RELATION, "")
    words = call.words
    return call.page(
        "pages/patient/helpers_who.html",
        title=words("Who is to help you?"),
        back="/helpers",
        errors=errors,
        entered=kept.get(NAME, ""),
        relations=[
            {"value": each, "text": words(RELATIONS[each]), "checked": each == chosen} for each in _relations(call)
        ],
    )


def answer_who(call: Call) -> Response:
    """A name and what they are to the patient."""
    name, relation, words = " ".join(call.form.get(NAME, "").split()), call.form.get(RELATION, ""), call.words
    errors = []
    if not _NAME.fullmatch(name) or len(name) > NAME_LENGTH_MAX:
        errors.append(Error(NAME, words("Enter their name, with letters and numbers")))
    if relation not in _relations(call):
        errors.append(Error(RELATION, words("Choose who they are")))
    if errors:
        return show_who(call, *errors)
    return keep(call, {NAME: name, RELATION: relation}, "/helpers/doing")


def show_doing(call: Call, *errors: Error) -> Response:
    """What they may do."""
    words, chosen = call.words, answers_of(call).get(DOING, "")
    options = [
        {"value": "see", "text": words("See everything in my record")},
        {"value": "share", "text": words("See everything, and decide for me who else sees it")},
        {"value": "some", "text": words("See some kinds of things only")},
    ]
    title = words("What may they do?")
    return ask(call, *errors, name=DOING, title=title, options=options, chosen=[chosen], back="/helpers/who")


def answer_doing(call: Call) -> Response:
    """How far it goes."""
    doing = call.form.get(DOING, "")
    if doing not in ("see", "share", "some"):
        return show_doing(call, Error(DOING, call.words("Choose what they may do")))
    return keep(call, {DOING: doing}, "/helpers/kinds" if doing == "some" else "/helpers/until")


def show_kinds(call: Call, *errors: Error) -> Response:
    """Which kinds of records they may see."""
    words = call.words
    options = [{"value": code, "text": capital(words(name))} for code, name in CLASSES.items()]
    chosen = set(answers_of(call).get(KINDS_CHOSEN, "").split("\n"))
    title = words("Which records may they see?")
    return ask(
        call,
        *errors,
        name=KINDS_CHOSEN,
        title=title,
        options=options,
        chosen=chosen,
        back="/helpers/doing",
        takes_several=True,
    )


def answer_kinds(call: Call) -> Response:
    """Some kinds."""
    given = [each for each in call.form.get(KINDS_CHOSEN, "").split("\n") if each]
    if not given or not set(given) <= CLASSES.keys():
        return show_kinds(call, Error(KINDS_CHOSEN, call.words("Choose one kind or more")))
    return keep(call, {KINDS_CHOSEN: "\n".join(given)}, "/helpers/until")


def show_until(call: Call, *errors: Error) -> Response:
    """Until when: a day, or for who brings somebody up an age."""
    words, answers = call.words, answers_of(call)
    back = "/helpers/kinds" if answers.get(DOING) == "some" else "/helpers/doing"
    if answers.get(RELATION) == PARENT:
        options = [
            {"value": str(age), "text": words("Until I am %(age)s years old") % {"age": age}}
            for age in call.portal.helpers.ages_ahead(call.owner.pseudonym)
        ]
        return ask(call, *errors, name=UNTIL, title=words("For how long?"), options=options, chosen=(), back=back)
    hint = words("Enter their last day, for example 27 3 2030. Leave it empty if they help until you stop it.")
    return ask_day(call, *errors, title=words("For how long?"), hint=hint, back=back)


def answer_until(call: Call) -> Response:
    """An end, or none."""
    words = call.words
    if answers_of(call).get(RELATION) == PARENT:
        age = call.form.get(UNTIL, "")
        if age not in map(str, call.portal.helpers.ages_ahead(call.owner.pseudonym)):
            return show_until(call, Error(UNTIL, words("Choose an age")))
        return keep(call, {UNTIL: age}, "/helpers/check")
    if not any(call.form.get(f"day-{each}", "").strip() for each in DAY_PARTS):
        return keep(call, {UNTIL: ""}, "/helpers/check")
    day = day_of(call.form)
    if day is None or day < uk_datetime(call.portal.node.clock()).date():
        return show_until(call, Error("day", words("Enter a day that is still to come, such as 27 3 2030")))
    return keep(call, {UNTIL: day.isoformat()}, "/helpers/check")


def show_check(call: Call) -> Response:
    """The answers as a sentence."""
    wanted = _wanted(answers_of(call))
    if wanted is None:
        return call.go("/helpers/who")
    return call.page(
        "pages/patient/helpers_check.html",
        title=call.words("Check what you have said"),
        back="/helpers/until",
        sentence=sentence(call.words, wanted),
        code=typed_code(call),
    )


def answer_check(call: Call) -> Response:
    """Let them."""
    wanted = _wanted(answers_of(call))
    if wanted is None:
        return call.go("/helpers/who")
    return sign_helper(call, wanted)


def show_code(call: Call) -> Response:
    """The code, once."""
    code = answers_of(call).get("code", "")
    if not code:
        return call.go("/helpers")
    call.portal.sessions.change(call.signed_in, answers=())
    return call.page(
        "pages/patient/helpers_code.html",
        title=call.words("Give them this code"),
        groups=[code[start : start + GROUP] for start in range(0, len(code), GROUP)],
        origin=call.portal.settings.origin,
    )


def _relations(call: Call) -> list[str]:
    """What a helper can be to the patient: nobody brings up who is grown up."""
    is_child = bool(call.portal.helpers.ages_ahead(call.owner.pseudonym))
    return [each for each in RELATIONS if is_child or each != PARENT]


def _wanted(answers: Mapping[str, str]) -> Help | None:
    """Return what all answers together want; None where one is missing."""
    if not {NAME, RELATION, DOING, UNTIL} <= answers.keys():
        return None
    chosen = answers.get(KINDS_CHOSEN, "").split("\n") if answers[DOING] == "some" else []
    if answers[DOING] == "some" and not any(chosen):
        return None
    relation, until = answers[RELATION], answers[UNTIL]
    is_parent = relation == PARENT
    if is_parent != until.isdigit():  # asked before who they are was changed
        return None
    return Help(
        name=answers[NAME],
        relation=relation,
        may_share=answers[DOING] == "share",
        classes=whole(chosen),
        until=datetime.date.fromisoformat(until) if until and not is_parent else None,
        until_age=int(until) if is_parent else 0,
    )


PAGES: Final = (
    Page("/helpers/who", Person.PATIENT, show_who, answer_who),
    Page("/helpers/doing", Person.PATIENT, show_doing, answer_doing),
    Page("/helpers/kinds", Person.PATIENT, show_kinds, answer_kinds),
    Page("/helpers/until", Person.PATIENT, show_until, answer_until),
    Page("/helpers/check", Person.PATIENT, show_check, answer_check),
    Page("/helpers/code", Person.PATIENT, show_code),
)
