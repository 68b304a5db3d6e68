"""The pages of operators."""

from typing import Final

from salus.portal.call import Page

PAGES: Final[tuple[Page, ...]] = ()
