"""The pages of people who help patients."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages.helping import code, people

PAGES: Final[tuple[Page, ...]] = (*people.PAGES, *code.PAGES)
