"""My record: what there is, by kind, with the newest few of each; and each kind as a timeline, newest first."""

from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.services.own_chart import Listed, OwnChart
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.entries import Entry, entry
from salus.portal.pages.patient.gathered import gathered
from salus.portal.pages.patient.kinds import BY_ADDRESS, KINDS, Kind
from salus.portal.paging import PAGE_ENTRIES, number_of, pages

NEWEST: Final = 2


@dataclass(frozen=True)
class Card:
    """One kind on the first page."""

    title: str
    about: str
    href: str
    count: str
    newest: tuple[Entry, ...] = field(repr=False)


def show(call: Call) -> Response:
    """The first page."""
    found = gathered(call)
    kinds = [each for each in KINDS if _may_see(call, each)]
    listed = found.chart.overview({each.address: each.types for each in kinds}, NEWEST)
    cards = [_card(call, each, listed[each.address], found.chart) for each in kinds]
    return call.page(
        "pages/patient/record.html",
        title=call.words("The record of %(name)s") % {"name": call.helped}
        if call.helped
        else call.words("Your record"),
        cards=[each for each in cards if each.newest],
        empty=[each for each in cards if not each.newest],
        other_kinds=len(kinds) < len(KINDS),
        answers=found.answers,
    )


def show_kind(call: Call) -> Response:
    """One kind, a page of it."""
    kind = BY_ADDRESS.get(call.path["kind"])
    if kind is None:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    if not _may_see(call, kind):
        said = call.words("%(name)s does not let you see this kind of records. There may be some.")
        title = call.words(kind.title)
        return call.page("pages/patient/kind.html", title=title, back="/record", absent=said % {"name": call.helped})
    found, number = gathered(call), number_of(call)
    held = found.chart.newest_of(kind.types, number * PAGE_ENTRIES + 1)
    start = (number - 1) * PAGE_ENTRIES
    return call.page(
        "pages/patient/kind.html",
        title=_titled(call, call.words(kind.title), number),
        back="/record",
        entries=[entry(call.words, each, found.chart) for each in held[start : start + PAGE_ENTRIES]],
        absent=call.words("Nothing of this kind is written down here.") if call.helped else call.words(kind.absent),
        answers=found.answers,
        pages=pages(call, number, has_more=len(held) > number * PAGE_ENTRIES),
    )


def _may_see(call: Call, kind: Kind) -> bool:
    """Tell whether a kind is within what somebody is let see: of any other nobody is told that there is nothing."""
    let_see = call.login.classes
    return not let_see or any(name in let_see for name, _ in kind.types)


def _card(call: Call, kind: Kind, listed: Listed, chart: OwnChart) -> Card:
    words = call.words
    count = words("More than %(count)s") % {"count": listed.number} if listed.is_more else f"{listed.number}"
    entries = tuple(entry(words, each, chart) for each in listed.newest)
    return Card(words(kind.title), words(kind.about), f"/record/{kind.address}", count, entries)


def _titled(call: Call, title: str, number: int) -> str:
    return title if number == 1 else call.words("%(title)s, page %(number)s") % {"title": title, "number": number}


PAGES: Final = (
    Page("/record", Person.PATIENT, show, listed="Your record"),
    Page("/record/{kind}", Person.PATIENT, show_kind),
)
