"""A review: what happened in one emergency, and the officer's verdict on it."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir.kinds import kind_of
from salus.node.errors import Refusal, Refused
from salus.node.services import reviews
from salus.node.services.reviews import WORDS_MAX, Review, Waiting
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.officer.reviews import reference, row, who

VERDICTS: Final = {"yes": True, "no": False}


@dataclass(frozen=True)
class View:
    """What happened."""

    who: str
    organisation: str
    opened: str
    due: str
    reason: str
    released: list[str]
    withheld: str


def show(call: Call) -> Response:
    """The page; to open it is a look, which the patient sees."""
    return _page(call, reviews.open_review(call.portal.node, call.login.session, _found(call).permit))


def answer(call: Call) -> Response:
    """A verdict came."""
    found, words = _found(call), call.words
    verdict, why = VERDICTS.get(call.form.get("verdict", "")), call.form.get("why", "").strip()
    errors = [
        *([] if verdict is not None else [Error("verdict", words("Say if it was right to look"))]),
        *([] if why else [Error("why", words("Say why, in a sentence or two"))]),
        *([] if len(why) <= WORDS_MAX else [Error("why", words("Use at most 2,000 characters"))]),
    ]
    if verdict is None or errors:
        return _page(call, reviews.open_review(call.portal.node, call.login.session, found.permit), *errors)
    reviews.give_verdict(call.portal.node, call.login.session, found.permit, why, is_justified=verdict)
    return call.go("/reviews", notice=words("Your answer is recorded. The patient can see it."))


def _found(call: Call) -> Waiting:
    """Return the emergency that the address names. Raises Refused: it is not here, or has its verdict."""
    for each in reviews.waiting(call.portal.node, call.login.session):
        if reference(call, each) == call.path["reference"]:
            return each
    raise Refused(Refusal.NOT_YOURS, call.words("this review is done, or there is none of this reference"))


def _page(call: Call, review: Review, *errors: Error) -> Response:
    return call.page(
        "pages/officer/review.html",
        title=call.words("Review %(reference)s") % {"reference": call.path["reference"]},
        back="/reviews",
        errors=errors,
        view=_view(call, review),
        entered=call.form,
    )


def _view(call: Call, review: Review) -> View:
    listed = row(call, review.waiting, call.portal.name_of(review.waiting.requester))
    words = call.words
    kinds: dict[str, int] = {}
    for each in review.released:
        kind = words(kind_of(each.partition("/")[0]))
        kinds[kind] = kinds.get(kind, 0) + 1
    return View(
        who=who(call, review.waiting),
        organisation=listed.organisation,
        opened=listed.opened,
        due=listed.due,
        reason=review.justification or words("No reason was given"),
        released=[f"{kind} ({count})" for kind, count in sorted(kinds.items())],
        withheld=words.many("%(num)d record was kept back", "%(num)d records were kept back", review.withheld_count)
        if review.withheld_count
        else "",
    )


PAGE = Page("/reviews/{reference}", Person.OFFICER, show, answer)
