"""Emergencies to review: those of this organisation's patients that have no verdict yet, the most urgent first."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.node.services import ledger_reads, reviews
from salus.node.services.reviews import Waiting
from salus.portal.call import Call, Page, Person
from salus.portal.paging import number_of, pages

SIZE: Final = 50
"""So many are on one page."""


@dataclass(frozen=True)
class Row:
    """An emergency in the list."""

    reference: str
    who: str
    organisation: str
    opened: str
    due: str
    is_late: bool


def show(call: Call) -> Response:
    """The list."""
    number, waiting, words = number_of(call), reviews.waiting(call.portal.node, call.login.session), call.words
    names = {each.organisation: each.name for each in ledger_reads.members(call.portal.node)}
    shown, has_more = waiting[(number - 1) * SIZE : number * SIZE], len(waiting) > number * SIZE
    return call.page(
        "pages/officer/reviews.html",
        title=words("Emergencies to review"),
        rows=[row(call, each, names.get(each.requester, each.requester)) for each in shown],
        pages=pages(call, number, has_more=has_more, before=words("Due sooner"), after=words("Due later")),
    )


def row(call: Call, waiting: Waiting, organisation: str) -> Row:
    """Say who asked, where they work, and until when the verdict is due."""
    return Row(
        reference=reference(call, waiting),
        who=who(call, waiting),
        organisation=organisation,
        opened=call.words.moment(waiting.opened_at_s),
        due=call.words.moment(waiting.due_at_s),
        is_late=waiting.due_at_s < call.portal.node.clock(),
    )


def who(call: Call, waiting: Waiting) -> str:
    """Return name and role of whoever asked, as far as they are known here."""
    if not waiting.name:
        return call.words("Somebody who then looked at nothing")
    return f"{waiting.name}, {waiting.role}" if waiting.role else waiting.name


def reference(call: Call, waiting: Waiting) -> str:
    """Return what people call an emergency by."""
    return call.portal.reference("emergency", waiting.permit)


PAGE = Page("/reviews", Person.OFFICER, show, listed="Emergencies")
