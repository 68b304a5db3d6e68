"""The pages of clinicians."""

from typing import Final

from salus.portal.call import Page

PAGES: Final[tuple[Page, ...]] = ()
