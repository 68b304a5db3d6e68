"""Notices: what happened around the patient's record, the newest first, each with the page that says more."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.node.services import notices
from salus.node.services.notices import PatientNotice, PatientNoticeKind
from salus.portal.call import NOTICE_PATHS, Call, Page, Person
from salus.portal.paging import PAGE_ENTRIES, number_of, pages


def _(english: str) -> str:
    """Mark words for translation."""
    return english


@dataclass(frozen=True)
class Said:
    """What a kind of notice says; `group` is what a patient chooses by."""

    words: str
    group: str


GROUPS: Final = {
    "looked": _("Somebody opened your record in an emergency, or with a link of yours"),
    "sharing": _("A choice of yours began or ended"),
    "questions": _("Something that you asked about is looked at"),
    "devices": _("A device or a person was added or taken away"),
}
"""What patients may ask not to be told of outside of the portal."""
KINDS: Final = {
    PatientNoticeKind.EMERGENCY: Said(_("Your record was opened by somebody in an emergency"), "looked"),
    PatientNoticeKind.LINK: Said(_("Somebody opened your record with a link that you gave out"), "looked"),
    PatientNoticeKind.CHOICE_MADE: Said(_("A choice about who can see your record began"), "sharing"),
    PatientNoticeKind.CHOICE_STOPPED: Said(_("A choice about who can see your record ended"), "sharing"),
    PatientNoticeKind.CHALLENGED: Said(_("The privacy officer got your question"), "questions"),
    PatientNoticeKind.REVIEWED: Said(_("An emergency was checked by the privacy officer"), "questions"),
    PatientNoticeKind.DEVICE_ADDED: Said(_("A device or a person that can act for you was added"), "devices"),
    PatientNoticeKind.DEVICE_REMOVED: Said(_("A device or a person that could act for you was taken away"), "devices"),
    PatientNoticeKind.RECOVERY: Said(
        _("Somebody asked to replace your device, or the people who can help you. Or it has ended. Not you? Act now"),
        "",
    ),
}


@dataclass(frozen=True)
class NoticeRow:
    """A notice, in words."""

    said: str
    when: str
    href: str
    is_new: bool


def show(call: Call) -> Response:
    """The list."""
    number, node = number_of(call), call.portal.node
    start = (number - 1) * PAGE_ENTRIES
    found = notices.newest(node, call.owner.pseudonym, start=start, count=PAGE_ENTRIES + 1, without=call.unseen_notices)
    return call.page(
        "pages/patient/notices.html",
        title=call.words("Notices"),
        rows=[_row(call, each) for each in found[:PAGE_ENTRIES]],
        has_new=any(not each.is_read for each in found),
        pages=pages(call, number, has_more=len(found) > PAGE_ENTRIES),
    )


def answer(call: Call) -> Response:
    """They are read."""
    notices.mark_read(call.portal.node, call.owner.pseudonym, without=call.unseen_notices)
    return call.go("/notices", notice=call.words("All notices are marked as read"))


def _row(call: Call, notice: PatientNotice) -> NoticeRow:
    words, kind = call.words, notice.kind
    return NoticeRow(words(KINDS[kind].words), words.moment(notice.at_s), NOTICE_PATHS[kind], not notice.is_read)


PAGES: Final = (Page("/notices", Person.PATIENT, show, answer),)
