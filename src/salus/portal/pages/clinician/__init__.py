"""The pages of clinicians: one patient at a time, whom they have looked for and said why."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages.clinician import earlier_tests, emergency, find, launched, letters, patient, results

PAGES: Final[tuple[Page, ...]] = (
    *find.PAGES,
    launched.PAGE,
    *patient.PAGES,
    *results.PAGES,
    *letters.PAGES,
    *emergency.PAGES,
    *earlier_tests.PAGES,
)
