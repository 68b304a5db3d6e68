"""Notices: what a patient is told of, by which ways, and what nobody else learns from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from salus.node import schema
from salus.node.services import notices
from salus.node.services.enrol import enrol
from salus.node.services.erase import erase
from salus.node.services.notices import PatientNotice, PatientNoticeKind
from salus.portal.pages.patient.notices import GROUPS, KINDS
from salus.testing.population.numbers import kept_nhs_number
from tests.portal.portal_world import Hospital, emergency
from tests.portal.telling_world import (
    Around,
    around,
    challenged,
    chosen,
    device,
    link_opened,
    quiet,
)

__all__ = ["around", "quiet"]

HAPPENED: list[tuple[Callable[[Hospital], object], list[PatientNoticeKind]]] = [
    (emergency, [PatientNoticeKind.EMERGENCY]),
    (chosen, [PatientNoticeKind.CHOICE_STOPPED, PatientNoticeKind.CHOICE_MADE]),
    (challenged, [PatientNoticeKind.CHALLENGED, PatientNoticeKind.EMERGENCY]),
    (link_opened, [PatientNoticeKind.LINK]),
    (device, [PatientNoticeKind.DEVICE_REMOVED, PatientNoticeKind.DEVICE_ADDED]),
]


@pytest.mark.parametrize(("happens", "kinds"), HAPPENED, ids=lambda each: getattr(each, "__name__", ""))
def test_what_is_on_the_ledger_is_a_notice_of_the_patient_alone(
    quiet: Around, happens: Callable[[Hospital], object], kinds: list[PatientNoticeKind]
) -> None:
    here = quiet.here
    happens(here)
    followed(here)
    found = notices.newest(here.node, here.patient, start=0, count=50)
    assert [each.kind for each in found] == kinds
    browser = here.signed_in("eleanor")
    page = browser.get("/notices").text
    assert all(KINDS[each].words in page for each in kinds)
    assert f"Notices ({len(kinds)} new)" in page
    assert "There are no notices" in here.signed_in("other").get("/notices").text
    assert "Notices" not in here.signed_in("rao").get("/patients").text


def followed(here: Hospital) -> list[PatientNotice]:
    """What is new on the ledger, as upkeep takes it in."""
    heard: list[PatientNotice] = []
    notices.follow(here.node, lambda _, notice: heard.append(notice))
    return heard


def test_every_kind_has_its_words_and_its_group() -> None:
    assert set(KINDS) == set(PatientNoticeKind)
    assert {each.group for each in KINDS.values()} - {""} == set(GROUPS)
    assert {kind for kind, said in KINDS.items() if not said.group} == notices.ALWAYS


def test_what_was_seen_is_not_seen_again_by_another_worker(quiet: Around) -> None:
    here = quiet.here
    chosen(here)
    with here.node.vault.database.reading() as connection:
        before = connection.scalar(select(schema.cursors.c.position).where(schema.cursors.c.name == notices.CURSOR))
    assert len(followed(here)) == 2
    with here.node.vault.database.writing() as connection:  # as one who read the same leaves at the same moment
        this = schema.cursors.c.name == notices.CURSOR
        connection.execute(update(schema.cursors).where(this).values(position=before))
    assert followed(here) == []


def test_notices_are_marked_as_read_by_a_form(quiet: Around) -> None:
    chosen(quiet.here)
    followed(quiet.here)
    browser = quiet.here.signed_in("eleanor")
    assert "Notices (2 new)" in browser.get("/notices").text
    assert "Notices (2 new)" in browser.get("/notices").text  # to look is not to say
    assert browser.post("/notices", {}).headers["location"] == "/notices"
    page = browser.get("/notices").text
    assert "new)" not in page
    assert "Mark all as read" not in page


def test_a_long_list_is_divided(quiet: Around) -> None:
    rows = [
        {"leaf": -place, "pseudonym": quiet.here.patient, "kind": 1, "at_s": 1_700_000_000, "read": 0}
        for place in range(1, 46)
    ]
    with quiet.here.node.vault.database.writing() as connection:
        connection.execute(schema.patient_notices.insert(), rows)
    browser = quiet.here.signed_in("eleanor")
    pages = [browser.get(f"/notices?page={number}").text for number in (1, 2, 3, 4)]
    assert [each.count('<li class="app-entry">') for each in pages] == [20, 20, 5, 0]


def test_an_erasure_takes_all_of_it(quiet: Around) -> None:
    here = quiet.here
    gone = enrol(here.node, kept_nhs_number(77), "1980-02-29")
    teller = here.portal.telling
    teller.choose(gone, [1])
    row = {"leaf": -1, "pseudonym": gone, "kind": 1, "at_s": 1_700_000_000, "read": 0}
    with here.node.vault.database.writing() as connection:
        connection.execute(schema.patient_notices.insert(), [row])
    assert notices.unread_count(here.node, gone) == 1
    erase(here.node, gone)
    assert notices.unread_count(here.node, gone) == 0
    assert teller.wishes(gone).unwanted == ()
