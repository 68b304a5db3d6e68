"""A patient reads in a browser what two custodians have of them, one of which is another computer's."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from salus.portal.sessions import COOKIE
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker, served
from tests.journeys.reader import Reader
from tests.portal.second_custodian import REFUSED, WITHHELD, Manner, OwnDevice, Practice

pytestmark = pytest.mark.services

RECORD = "Your record"
PLACE = "Harrowmere Medical Centre"
ONLY_THERE = "Amlodipine 5mg tablets"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("portal"), is_joined=True) as made:
        yield made


@pytest.fixture
def practice(at: Served) -> Practice:
    assert at.here.joined is not None
    return at.here.joined[0]


@pytest.fixture
def device(at: Served) -> OwnDevice:
    assert at.here.joined is not None
    return at.here.joined[1]


def signed_in(walker: Walker) -> None:
    """Come in as Eleanor, whose device has certified a session with each custodian."""
    cookie = walker.served.here.signed_in("eleanor").client.cookies.get(COOKIE)
    walker.page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": walker.served.origin, "secure": True}])
    walker.go("/record", RECORD)


@pytest.mark.covers("GET /record/letters/{letter}")
def test_records_of_both_come_and_a_letter_from_there_is_opened(walker: Walker) -> None:
    signed_in(walker)
    expect(walker.page.get_by_text("Answered")).to_have_count(2)
    walker.look(RECORD)
    walker.follow("Medicines", "Medicines")
    expect(walker.page.get_by_text(ONLY_THERE)).to_be_visible()
    walker.go("/record/letters", "Letters and documents")
    row = walker.page.get_by_role("listitem").filter(has_text=PLACE).filter(has_text="Discharge summary").first
    keyboard.press(row.get_by_role("link"))
    walker.look("Discharge summary: Acute medicine, 17/02/2026")
    expect(walker.page.get_by_text("Open the letter (PDF, 1 kB)")).to_be_visible()


@pytest.mark.covers("GET /record/answers")
def test_a_slow_custodian_fills_in_as_its_answer_comes(walker: Walker, practice: Practice) -> None:
    with practice.being(Manner.WAITS):
        signed_in(walker)
        expect(walker.page.get_by_text("We are asking them")).to_be_visible()
        expect(walker.page.get_by_text(ONLY_THERE)).to_have_count(0)
    expect(walker.page.get_by_text(ONLY_THERE)).to_be_visible()  # nobody has pressed anything
    walker.look(RECORD)


@pytest.mark.covers("GET /record", "GET /record/{kind}")
def test_without_javascript_a_link_shows_what_has_come_since(reader: Reader, practice: Practice) -> None:
    with practice.being(Manner.WAITS):
        reader.sign_in("eleanor", "/record", RECORD)
        reader.served.here.certify()  # which her device does
        reader.go("/record", RECORD)
        reader.reads(f"{PLACE} We are asking them")
        reader.misses(ONLY_THERE)
    while f"{PLACE} We are asking them" in reader.page.words():
        reader.follow("Show what has come since", RECORD)
    reader.reads(f"{PLACE} Answered")
    reader.follow("Medicines", "Medicines")
    reader.reads(ONLY_THERE)


@pytest.mark.covers("POST /record/again")
def test_a_silent_custodian_is_said_and_asked_again(walker: Walker, practice: Practice) -> None:
    with practice.being(Manner.IS_DOWN):
        signed_in(walker)
        expect(walker.page.get_by_text("Did not answer")).to_be_visible()
        walker.look(RECORD)
        walker.follow("Medicines", "Medicines")
        expect(walker.page.get_by_text(f"Not here yet: what {PLACE} may have.")).to_be_visible()
    walker.press(f"Try again {PLACE}", "Medicines")
    expect(walker.page.get_by_text(ONLY_THERE)).to_be_visible()


@pytest.mark.covers("GET /record")
def test_a_custodian_that_may_not_show_it_says_so(walker: Walker, device: OwnDevice) -> None:
    with device.choosing(walker.served.here.made.practice, REFUSED):
        signed_in(walker)
        expect(walker.page.get_by_text("May not show it")).to_be_visible()
        walker.look(RECORD)


@pytest.mark.covers("GET /record")
def test_a_custodian_with_nothing_to_show_is_said_plainly(walker: Walker, device: OwnDevice) -> None:
    with device.choosing(walker.served.here.made.practice, WITHHELD):
        signed_in(walker)
        expect(walker.page.get_by_text("Nothing there")).to_be_visible()
        expect(walker.page.get_by_text("May not")).to_have_count(0)


@pytest.mark.covers("GET /record/download", "POST /record/download")
def test_a_download_has_what_both_have(walker: Walker) -> None:
    signed_in(walker)
    expect(walker.page.get_by_text("Answered")).to_have_count(2)
    walker.follow("Download your record", "Download your record")
    keyboard.pick(walker.page.get_by_label("Everything in one folder (ZIP)"))
    with walker.page.expect_download() as saved:
        keyboard.press(walker.page.get_by_role("button", name="Download", exact=True))
    with zipfile.ZipFile(io.BytesIO(Path(saved.value.path()).read_bytes())) as archive:
        assert ONLY_THERE.encode() in archive.read("record.json")
        assert json.loads(archive.read("manifest.json"))["others"] == [{"name": PLACE, "answer": "came"}]


@pytest.mark.covers("GET /looked/{number}", "POST /looked/{number}/ask", "GET /looked/{number}/receipt/{part}")
def test_a_look_elsewhere_is_asked_for_and_its_proof_saved(walker: Walker, practice: Practice) -> None:
    page = walker.page
    signed_in(walker)
    expect(page.get_by_text("Answered")).to_have_count(2)
    walker.go("/looked?own=yes&at=RVJ", "Who has looked")
    keyboard.press(
        page.get_by_role("listitem").filter(has_text=f"That was your record at {PLACE}").get_by_role("link").first
    )
    walker.look("Details")
    with practice.being(Manner.IS_DOWN):
        walker.press("Ask them for the details", "Details")
        expect(page.get_by_text("Did not answer")).to_be_visible()  # nobody has pressed anything more
        walker.look("Details")
    walker.press("Ask them for the details", "Details")
    expect(page.get_by_text("test results: 20")).to_be_visible()
    walker.look("Details")
    walker.follow("Check the proof, part 1", "Check this yourself")
    href = page.get_by_role("link", name="Save the proof").get_attribute("href")
    assert page.evaluate("async href => (await fetch(href)).status", href) == 200
