"""Concerns: what patients wrote who found a look at their record that does not seem right to them."""

from dataclasses import dataclass

from starlette.responses import Response

from salus.node.services import challenges
from salus.node.services.challenges import Received
from salus.portal.call import Call, Page, Person


@dataclass(frozen=True)
class Row:
    """A concern in the list."""

    reference: str
    sent: str
    words: str
    by: str


def show(call: Call) -> Response:
    """The list, the newest first."""
    received = challenges.received(call.portal.node, call.login.session)
    return call.page(
        "pages/officer/concerns.html",
        title=call.words("Concerns of patients"),
        rows=[_row(call, each) for each in received],
    )


def _row(call: Call, received: Received) -> Row:
    return Row(
        reference=call.portal.reference("request", received.permit),
        sent=call.words.moment(received.at_s),
        words=received.words or call.words("What the patient wrote is not held here"),
        by=call.words("Written down by staff") if received.is_assisted else call.words("From the patient"),
    )


PAGE = Page("/concerns", Person.OFFICER, show, listed="Concerns")
