"""Numbers: how many sharing choices do what, rounded, and nobody's in particular."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.node.services.choice_counts import ROUNDED_TO, Does, Shape, Told, Whom, choice_counts
from salus.portal.call import Call, Page, Person

DOES: Final = {Does.PERMITS: "Lets", Does.DENIES: "Stops"}
WHOM: Final = {
    Whom.ANYBODY: "anybody",
    Whom.CUSTODIAN: "this organisation",
    Whom.OTHERS: "organisations that the patient named",
}
ROLES: Final = {
    "CLINICAL": "people who treat",
    "PHARMACY": "pharmacists",
    "ADMINISTRATIVE": "office staff",
    "PATIENT_SIDE": "the patient and helpers",
    "INSURER": "insurers",
    "RESEARCH": "researchers",
    "OFFICER": "privacy officers",
    "SYSTEM": "computer systems",
}
PURPOSES: Final = {
    "TREAT": "to treat",
    "ETREAT": "to treat in an emergency",
    "BTG": "in an emergency, against a choice",
    "PATRQT": "when the patient asks",
    "HPAYMT": "for payment",
    "HRESCH": "for research",
    "PUBHLTH": "for public health",
    "HLEGAL": "because the law says so",
}


@dataclass(frozen=True)
class Row:
    """What some choices do, and how many."""

    does: str
    whom: str
    how: str
    count: str


def show(call: Call) -> Response:
    """The page."""
    counts = choice_counts(call.portal.node)
    return call.page(
        "pages/officer/numbers.html",
        title=call.words("Sharing choices in numbers"),
        patients=_told(call, counts.patients),
        choices=_told(call, counts.choices),
        of_records=_told(call, counts.of_records),
        rows=[_row(call, *each) for each in counts.shapes],
        rounded_to=ROUNDED_TO,
    )


def _row(call: Call, shape: Shape, told: Told) -> Row:
    words = call.words
    how = [words(ROLES[each.name]) for each in shape.role_classes]
    how += [words(PURPOSES[each.name]) for each in shape.purposes]
    return Row(words(DOES[shape.does]), words(WHOM[shape.whom]), ", ".join(how), _told(call, told))


def _told(call: Call, told: Told) -> str:
    if told.is_few:
        return call.words("fewer than %(count)d") % {"count": ROUNDED_TO}
    return f"{told.rounded:,}"


PAGE = Page("/numbers", Person.OFFICER, show, listed="Numbers")
