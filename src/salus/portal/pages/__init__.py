"""Every page there is: the route table."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages import clinician, entrance, helping, officer, operator, patient

PAGES: Final[tuple[Page, ...]] = (
    *entrance.PAGES,
    *patient.PAGES,
    *helping.PAGES,
    *clinician.PAGES,
    *officer.PAGES,
    *operator.PAGES,
)
