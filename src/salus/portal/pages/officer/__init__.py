"""The privacy officer's pages: emergencies to review, concerns of patients, choices in numbers."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages.officer import concerns, numbers, review, reviews

PAGES: Final[tuple[Page, ...]] = (reviews.PAGE, review.PAGE, concerns.PAGE, numbers.PAGE)
