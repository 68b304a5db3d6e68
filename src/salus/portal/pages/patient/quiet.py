"""Privacy on a shared device: advice, a word that shows again what was hidden, and what to hide, one question a page.

These pages are there for everybody, and look the same for all: whether anything is hidden, nothing on them tells.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir.kinds import whole
from salus.node.services.quiet import EVERYTHING, WORD_LENGTH_MIN, Hidden
from salus.portal.call import NOTICES, Call, Error, Page, Person
from salus.portal.pages.entrance.leave import WEATHER
from salus.portal.pages.patient.entries import entry
from salus.portal.pages.patient.gathered import gathered
from salus.portal.pages.patient.kinds import ALLERGIES, BY_ADDRESS, KINDS, LETTERS, MEDICINES, PROBLEMS, VISITS

WHAT, RECORDS = "quiet-what", "quiet-records"
ALL: Final = "all"
LISTED_MAX: Final = 30
"""So many of each kind can be hidden one by one; the newest."""
ONE_BY_ONE: Final = (LETTERS, PROBLEMS, MEDICINES, ALLERGIES, VISITS)


def _(english: str) -> str:
    """Mark words for translation."""
    return english


AREAS: Final = {
    "/looked": _("Who has looked"),
    "/sharing": _("Who can see your record"),
    "/links": _("Share by link"),
    "/helpers": _("Who helps you"),
    NOTICES: _("Notices"),
}
"""Pages that can be hidden; devices, and a recovery that runs, cannot: they show what somebody else has done."""


def show(call: Call, *errors: Error) -> Response:
    """The page that everybody has."""
    return _page(call, "quiet.html", call.words("Privacy on this device"), back="/devices", errors=errors)


def answer(call: Call) -> Response:
    """Whatever the word was, the record comes next."""
    call.portal.enter_word(call.owner.pseudonym, call.form.get("word", ""))
    return call.go("/record", answers=())


def show_what(call: Call, *errors: Error) -> Response:
    """What to hide: pages, kinds of records, everything."""
    words = call.words
    kinds = [{"value": each.address, "text": words(each.title)} for each in KINDS]
    pages = [{"value": path, "text": words(name)} for path, name in AREAS.items() if not call.hidden.hides_page(path)]
    return _page(
        call,
        "quiet_what.html",
        words("What do you want to hide?"),
        back="/private",
        errors=errors,
        options=[{"value": ALL, "text": words("Everything")}, {"divider": words("or")}, *kinds, *pages],
    )


def answer_what(call: Call) -> Response:
    """Keep it; single records come next unless everything is hidden."""
    known = {ALL, *BY_ADDRESS, *AREAS}
    given = [each for each in call.form.get("what", "").split("\n") if each in known]
    leads_to = "/private/word" if ALL in given else "/private/records"
    return call.go(leads_to, answers=((WHAT, "\n".join(given)),))


def show_records(call: Call) -> Response:
    """Single records, of those that are shown now."""
    chart, words = gathered(call).chart, call.words
    listed = []
    for kind in ONE_BY_ONE:
        for held in chart.newest_of(kind.types, LISTED_MAX):
            said = entry(words, held, chart)
            text = words("%(what)s, %(when)s") % {"what": said.title, "when": said.when or words("No date")}
            listed.append({"value": chart.name_of(held), "text": text, "hint": {"text": words(kind.title)}})
    return _page(
        call,
        "quiet_records.html",
        words("Do you want to hide single records?"),
        back="/private/choose",
        options=listed,
    )


def answer_records(call: Call) -> Response:
    """Keep them."""
    given = [each for each in call.form.get("records", "").split("\n") if each.isdigit()]
    answers = dict(call.signed_in.state.answers) | {RECORDS: "\n".join(given)}
    return call.go("/private/word", answers=tuple(answers.items()))


def show_word(call: Call, *errors: Error) -> Response:
    """By which word it is shown again."""
    return _page(call, "quiet_word.html", call.words("Choose a word"), back="/private/choose", errors=errors)


def answer_word(call: Call) -> Response:
    """Hide it."""
    word, hidden = call.form.get("word", ""), _chosen(dict(call.signed_in.state.answers))
    if len(word) < WORD_LENGTH_MIN:
        said = call.words("Choose at least %(count)s letters or numbers") % {"count": WORD_LENGTH_MIN}
        return show_word(call, Error("word", said))
    if hidden.areas or hidden.has_records:
        call.portal.hide(call.owner.pseudonym, word, hidden)
    return call.go("/record", answers=())


def _chosen(answers: dict[str, str]) -> Hidden:
    what = [each for each in answers.get(WHAT, "").split("\n") if each]
    if ALL in what:
        return Hidden(frozenset(AREAS), frozenset({EVERYTHING}))
    types = whole(name for each in what if each in BY_ADDRESS for name, _ in BY_ADDRESS[each].types)
    records = {each for each in answers.get(RECORDS, "").split("\n") if each}
    return Hidden(frozenset(what) & AREAS.keys(), frozenset(types), frozenset(records))


def _page(
    call: Call,
    template: str,
    title: str,
    *,
    back: str,
    errors: Sequence[Error] = (),
    options: Sequence[Mapping[str, object]] = (),
) -> Response:
    return call.page(
        f"pages/patient/{template}",
        title=title,
        back=back,
        errors=errors,
        leave_to=WEATHER,
        options=options,
    )


PAGES: Final = (
    Page("/private", Person.PATIENT, show, answer),
    Page("/private/choose", Person.PATIENT, show_what, answer_what),
    Page("/private/records", Person.PATIENT, show_records, answer_records),
    Page("/private/word", Person.PATIENT, show_word, answer_word),
)
