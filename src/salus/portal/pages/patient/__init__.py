"""The pages of patients."""

from typing import Final

from salus.portal.call import Page

PAGES: Final[tuple[Page, ...]] = ()
