"""Questions: pages with one question each, whose answers are kept until they are put together at the end."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from starlette.responses import Response

from salus.portal.call import Call, Error, Page, Person


@dataclass(frozen=True)
class Question:
    """One page with something to choose.

    Args:
        address: of the page; name: under which the answer is kept.
        missing: what is said to whoever chooses nothing that can be chosen.
        back, next: where it leads, by what was answered so far.
    """

    address: str
    name: str
    title: str
    options: Callable[[Call], list[dict[str, str]]]
    missing: str
    back: Callable[[Mapping[str, str]], str]
    next: Callable[[Mapping[str, str]], str]
    takes_several: bool = False


def page_of(question: Question) -> Page:
    """Return the page of a question."""

    def show(call: Call, *errors: Error) -> Response:
        answers = answers_of(call)
        return ask(
            call,
            *errors,
            name=question.name,
            title=call.words(question.title),
            options=question.options(call),
            chosen=answers.get(question.name, "").split("\n"),
            back=question.back(answers),
            takes_several=question.takes_several,
        )

    def answer(call: Call) -> Response:
        given = [each for each in call.form.get(question.name, "").split("\n") if each]
        known = {each["value"] for each in question.options(call)}
        if not given or not set(given) <= known or (len(given) > 1 and not question.takes_several):
            return show(call, Error(question.name, call.words(question.missing)))
        value = "\n".join(given)
        return keep(call, {question.name: value}, question.next({question.name: value}))

    return Page(question.address, Person.PATIENT, show, answer)


def ask(
    call: Call,
    *errors: Error,
    name: str,
    title: str,
    options: Iterable[Mapping[str, str]],
    chosen: Iterable[str],
    back: str,
    takes_several: bool = False,
) -> Response:
    """Show one question; what was `chosen` before is ticked."""
    ticked = frozenset(chosen)
    return call.page(
        "pages/patient/question.html",
        title=title,
        back=back,
        errors=errors,
        field=name,
        takes_several=takes_several,
        options=[{**each, "checked": each["value"] in ticked} for each in options],
    )


def ask_day(call: Call, *errors: Error, title: str, hint: str, back: str, day: date | None = None) -> Response:
    """Ask for a day, which may be left out; the form has it as `day-day`, `day-month` and `day-year`.

    Args:
        day: what was chosen before.
    """
    known = {} if day is None else {f"day-{each}": str(getattr(day, each)) for each in ("day", "month", "year")}
    entered = call.form or known
    return call.page(
        "pages/patient/question_day.html", title=title, hint=hint, back=back, errors=errors, entered=entered
    )


def answers_of(call: Call) -> dict[str, str]:
    """Return what was answered so far."""
    return dict(call.signed_in.state.answers)


def keep(call: Call, given: Mapping[str, str], leads_to: str) -> Response:
    """Keep answers, and go on."""
    return call.go(leads_to, answers=tuple({**answers_of(call), **given}.items()))


def capital(words: str) -> str:
    """Return words as they begin a line."""
    return words[:1].upper() + words[1:]
