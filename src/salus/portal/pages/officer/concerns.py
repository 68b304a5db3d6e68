"""Concerns: what patients wrote who found a look at their record that does not seem right to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.node.services import challenges, ledger_reads
from salus.node.services.challenges import Questioned, Received
from salus.portal.call import Call, Page, Person
from salus.portal.pages.officer.numbers import PURPOSES
from salus.portal.paging import number_of, pages
from salus.portal.words import Words

SIZE: Final = 50
"""So many are on one page."""


@dataclass(frozen=True)
class Row:
    """A concern in the list: what was written, and who had asked for what it is about."""

    reference: str
    sent: str
    words: str
    by: str
    who: str
    organisation: str
    asked: str
    why: str


def show(call: Call) -> Response:
    """The list, the newest first."""
    number, node = number_of(call), call.portal.node
    received = challenges.received(node, call.login.session, skip=(number - 1) * SIZE, most=SIZE + 1)
    names = {each.organisation: each.name for each in ledger_reads.members(node)}
    return call.page(
        "pages/officer/concerns.html",
        title=call.words("Concerns of patients"),
        rows=[_row(call, each, names) for each in received[:SIZE]],
        pages=pages(call, number, has_more=len(received) > SIZE),
    )


def _row(call: Call, received: Received, names: Mapping[str, str]) -> Row:
    about, words = received.questioned, call.words
    organisation = "" if about is None else names.get(about.requester, about.requester)
    return Row(
        reference=call.portal.reference("request", received.permit),
        sent=call.words.moment(received.at_s),
        words=received.words or call.words("What the patient wrote is not held here"),
        by=call.words("Written down by staff") if received.is_assisted else call.words("From the patient"),
        who=_who(words, about),
        organisation=organisation,
        asked="" if about is None else words.moment(about.at_s),
        why="" if about is None else words(PURPOSES[about.purpose.name]),
    )


def _who(words: Words, about: Questioned | None) -> str:
    """Who asked, as far as it is known here; whoever was refused has told this organisation only where they work."""
    if about is None:
        return ""
    if about.is_denied:
        return words("Not known here: they were refused")
    if not about.name:
        return words("Somebody who then looked at nothing")
    return f"{about.name}, {about.role}".strip(", ")


PAGE = Page("/concerns", Person.OFFICER, show, listed="Concerns")
