"""Before a test is asked for: whether there is an earlier result that is recent enough to use.

What the patient measured at home is no test that was done, and is left out.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.clinical.fhir import circumstances, contributed, plain
from salus.clinical.fhir.circumstances import Caution
from salus.clinical.fhir.dates import last_s
from salus.portal.call import Call, Page, Person
from salus.portal.pages.clinician.cautions import not_whole
from salus.portal.pages.clinician.results import TYPES
from salus.portal.pages.clinician.same_patient import linked, of_the_same, whose
from salus.portal.pages.clinician.sections import result_cells
from salus.portal.pages.clinician.tested import Tested, by_test, codes_in
from salus.portal.pages.clinician.viewing import Known, go_to_search, opened, view
from salus.portal.words import Words

USABLE_D: Final = {
    "59261-8": 90,
    "14647-2": 365,
    "3016-3": 42,
    "14682-9": 7,
    "2951-2": 2,
    "2823-3": 2,
    "718-7": 7,
    "6690-2": 2,
    "777-3": 7,
    "1988-5": 1,
    "1742-6": 30,
    "14334-7": 7,
    "20447-9": 90,
    "24467-3": 90,
}
"""For how many days a result of a LOINC code is usable; a laboratory that says otherwise is right."""
OTHERWISE_D: Final = 30
MONTH_D, YEAR_D = 30, 365
NEWEST: Final = 300
"""Among how many of this organisation's newest results a test is looked for."""


@dataclass(frozen=True)
class Earlier:
    """The newest result of a test, and whether it is recent enough to use, and final."""

    verdict: str
    test: str = field(repr=False)
    value: str = field(repr=False)
    usual: str = field(repr=False)
    day: str = field(repr=False)
    source: str
    age: str
    days: int
    link: str


def show(call: Call) -> Response:
    """The page: which test, and what there is of it."""
    patient = opened(call)
    if patient is None:
        return go_to_search(call)
    seen = view(call, patient, TYPES, most=NEWEST)
    newest = {each.address: done for each in by_test(seen) if each.address and (done := _newest_done(each))}
    asked = call.query.get("test", "")
    wanted = next((address for address in newest if asked in codes_in(address)), asked)
    options = [
        {"value": address, "text": plain.name_of(each.content), "selected": address == wanted}
        for address, each in sorted(newest.items(), key=lambda item: plain.name_of(item[1].content).casefold())
    ]
    return call.page(
        "pages/clinician/earlier_tests.html",
        title=call.words("Before you ask for a test"),
        back=linked(call, "/patient"),
        options=options,
        earlier=_earlier(call, newest[wanted], wanted) if wanted in newest else None,
        is_other=wanted == "other",
        not_whole=not_whole(seen),
        of=whose(call, patient),
    )


def _newest_done(tested: Tested) -> Known | None:
    return next((each for each in tested.results if not contributed.is_contributed(each.content)), None)


def _earlier(call: Call, newest: Known, address: str) -> Earlier:
    test, value, usual, day, source = result_cells(call.words, newest)
    at_s, days = last_s(plain.date_of(newest.content)), _usable_d(codes_in(address))
    age_d = None if at_s is None else _days_since(at_s, call.portal.node.clock())
    return Earlier(
        verdict=_verdict(call.words, newest, is_recent=age_d is not None and age_d <= days),
        test=test,
        value=value,
        usual=usual,
        day=day or call.words("No date"),
        source=source,
        age="" if age_d is None else _age(call.words, age_d),
        days=days,
        link=linked(call, f"/patient/results/{address}"),
    )


def _age(words: Words, days: int) -> str:
    if days < 2 * MONTH_D:
        return words.many("%(num)s day ago", "%(num)s days ago", days)
    if days < 2 * YEAR_D:
        return words.many("%(num)s month ago", "%(num)s months ago", days // MONTH_D)
    return words.many("%(num)s year ago", "%(num)s years ago", days // YEAR_D)


def _verdict(words: Words, newest: Known, *, is_recent: bool) -> str:
    if not is_recent:
        return words("The last result is too old to use")
    caution = circumstances.caution_of(newest.content)
    if caution not in (None, Caution.CORRECTED):
        return words("There is a recent result that you cannot use yet")
    return words("There is a result that you can use")


def _usable_d(codes: Iterable[str]) -> int:
    """For how many days; of codes that say otherwise, for the fewest."""
    return min((USABLE_D[code] for code in codes if code in USABLE_D), default=OTHERWISE_D)


def _days_since(at_s: int, now_s: int) -> int:
    day = datetime.datetime.fromtimestamp(at_s, datetime.UTC).date()
    return max(0, (datetime.datetime.fromtimestamp(now_s, datetime.UTC).date() - day).days)


PAGES: Final = (Page("/patient/tests", Person.CLINICIAN, of_the_same(show)),)
