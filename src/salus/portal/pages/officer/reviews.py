"""Emergencies to review: those of this organisation's patients that have no verdict yet, the most urgent first."""

from dataclasses import dataclass

from starlette.responses import Response

from salus.node.services import reviews
from salus.node.services.reviews import Waiting
from salus.portal.call import Call, Page, Person


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
    waiting = reviews.waiting(call.portal.node, call.login.session)
    return call.page(
        "pages/officer/reviews.html",
        title=call.words("Emergencies to review"),
        rows=[row(call, each) for each in waiting],
    )


def row(call: Call, waiting: Waiting) -> Row:
    """Say who asked, and until when the verdict is due."""
    return Row(
        reference=reference(call, waiting),
        who=who(call, waiting),
        organisation=call.portal.name_of(waiting.requester),
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
