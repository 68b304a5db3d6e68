"""Share by link: the links that a patient gave out, one of them with its code and who opened it, and stopping it."""

import re
from dataclasses import dataclass, field
from typing import Final

import segno
from starlette.responses import Response

from salus.node.services.health_links import Link, LinkState
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.links_signing import ADDRESS, MADE, links_of, sign_link_stopped
from salus.portal.pages.patient.links_words import openings_of, shown_of, state_of

_LINK: Final = re.compile(r"[0-9a-f]{32}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True)
class LinkRow:
    """A link in words; `number` is its place in the list, and `name` how its form names it."""

    number: int
    name: str
    label: str = field(repr=False)
    shows: str = field(repr=False)
    state: str
    openings: str
    of: str
    is_open: bool


@dataclass(frozen=True)
class UseRow:
    """Who opened a link, as they said, or tried to."""

    when: str
    recipient: str = field(repr=False)
    said: str


def show(call: Call) -> Response:
    """The links, those that work first."""
    rows = [_row(call, each, number) for number, each in enumerate(links_of(call), start=1)]
    return call.page(
        "pages/patient/links.html",
        title=call.words("Share by link"),
        open=[each for each in rows if each.is_open],
        ended=[each for each in rows if not each.is_open],
    )


def show_one(call: Call) -> Response:
    """One link; with its code where it was made just now."""
    found = _asked(call)
    if found is None:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    number, link = found
    answers = dict(call.signed_in.state.answers)
    is_new = answers.get(MADE) == link.name.hex() and link.state is LinkState.OPEN
    address = answers.get(ADDRESS, "") if is_new else ""
    return call.page(
        "pages/patient/link.html",
        title=call.words("Your link"),
        back="/links",
        row=_row(call, link, number),
        tries_left=link.tries_left,
        uses=[_use(call, each.at_s, each.use.recipient, is_refused=each.use.is_refused) for each in link.uses],
        address=address,
        code=segno.make(address, error="l").svg_data_uri(scale=6, border=4) if address else "",
    )


def ask_to_stop(call: Call) -> Response:
    """Ask whether a link is to be stopped."""
    found = _asked(call)
    if found is None or found[1].state is not LinkState.OPEN:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    return call.page(
        "pages/patient/link_stop.html",
        title=call.words("Stop this link?"),
        back=f"/links/link?which={found[0]}",
        row=_row(call, found[1], found[0]),
    )


def stop(call: Call) -> Response:
    """Stop it."""
    name = call.form.get("link", "")
    is_mine = _LINK.fullmatch(name) and any(each.name.hex() == name for each in links_of(call))
    if not is_mine:
        return call.go("/links", not_done=call.words("That link was gone before. Nothing was changed"))
    ends = call.portal.links.stop(call.login, call.owner.pseudonym, bytes.fromhex(name))
    return sign_link_stopped(call, ends)


def _asked(call: Call) -> tuple[int, Link] | None:
    which, links = call.query.get("which", ""), links_of(call)
    if not _NUMBER.fullmatch(which) or int(which) > len(links):
        return None
    return int(which), links[int(which) - 1]


def _row(call: Call, link: Link, number: int) -> LinkRow:
    words = call.words
    return LinkRow(
        number=number,
        name=link.name.hex(),
        label=link.kept.label,
        shows=shown_of(words, link.kept),
        state=state_of(words, link),
        openings=openings_of(words, link),
        of=words.listed(call.portal.name_of(each.custodian) for each in link.kept.tickets),
        is_open=link.state is LinkState.OPEN,
    )


def _use(call: Call, at_s: int, recipient: str, *, is_refused: bool) -> UseRow:
    said = call.words("Was not let in") if is_refused else call.words("Opened it")
    return UseRow(call.words.moment(at_s), recipient, said)


PAGES: Final = (
    Page("/links", Person.PATIENT, show, listed="Share by link"),
    Page("/links/link", Person.PATIENT, show_one),
    Page("/links/stop", Person.PATIENT, ask_to_stop, stop),
)
