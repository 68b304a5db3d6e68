"""The pages of patients."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages.patient import letter, record, result

PAGES: Final[tuple[Page, ...]] = (
    *record.PAGES,
    *result.PAGES,
    *letter.PAGES,
)
