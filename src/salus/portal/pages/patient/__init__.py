"""The pages of patients."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages.patient import (
    acting_devices,
    add,
    add_file,
    add_reading,
    download,
    gathered,
    helpers_questions,
    letter,
    links,
    links_make,
    looked,
    notices,
    notices_ways,
    opening,
    record,
    recovery,
    recovery_lost,
    result,
    sharing,
    sharing_questions,
    signed,
    who_helps,
)

PAGES: Final[tuple[Page, ...]] = (
    *download.PAGES,
    *gathered.PAGES,
    *record.PAGES,
    *result.PAGES,
    *letter.PAGES,
    *looked.PAGES,
    *sharing.PAGES,
    *sharing_questions.PAGES,
    *links.PAGES,
    *links_make.PAGES,
    *who_helps.PAGES,
    *recovery.PAGES,
    *recovery_lost.PAGES,
    *helpers_questions.PAGES,
    *opening.PAGES,
    *signed.PAGES,
    *acting_devices.PAGES,
    *add.PAGES,
    *add_file.PAGES,
    *add_reading.PAGES,
    *notices.PAGES,
    *notices_ways.PAGES,
)
