"""The privacy officer's pages: emergencies to review, concerns of patients."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages.officer import concerns, review, reviews

PAGES: Final[tuple[Page, ...]] = (reviews.PAGE, review.PAGE, concerns.PAGE)
