"""A patient's records at another custodian, which is reached over a network: what came, what did not, and from whom."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from salus.contracts.provisions import Purpose, RoleClass
from salus.contracts.residuals import SESSION_S_MAX
from salus.ledger.bundles import HistoryBundle, OpenedReceipt, ReceiptBundle, decode_bundle, encode_bundle
from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.errors import Refused
from salus.node.exchange import HistoryAsk
from salus.node.people import certify_person, open_session
from salus.node.projections.looks import Wanted
from salus.node.services import audit, looks, looks_elsewhere
from salus.node.services.collect import Answered
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.own_elsewhere import Elsewhere
from salus.node.services.request import Denied, Wish
from salus.testing.world import PRACTICE
from tests.portal.patient_charts import MACHINE_WORDS, somebody_else
from tests.portal.portal_world import Browser, Hospital, portal, settled, soonest
from tests.portal.second_custodian import REFUSED, WITHHELD, Manner, OwnDevice, Practice
from tests.portal.test_markup import faults

HREF = re.compile(r'href="(/record[^"#]*)"')
TAG = re.compile(r"<[^>]*>")
PLACE = "Harrowmere Medical Centre"
ONLY_THERE = "Amlodipine 5mg tablets"
ASKING, DOWN, NOTHING = "We are asking them", "Did not answer", "Nothing there"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder, is_joined=True) as made:
        somebody_else(made, folder, [])
        yield made


def test_records_of_every_custodian_are_in_one_list_each_with_its_organisation(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    page = settled(browser)
    assert "Trust and Harrowmere Medical Centre have written down about you" in page
    assert 'Test results</a> <span class="app-kind__count">(28)' in page
    assert page.count("Answered") == 2
    medicines = browser.get("/record/medicines").text
    assert ONLY_THERE in medicines
    assert "Metformin 500mg tablets" in medicines
    assert PLACE in medicines
    assert "This may not be all" not in medicines


def test_results_of_one_test_are_one_chart_and_the_newest_are_first(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    settled(browser)
    page = browser.get("/record/results/2951-2").text
    years = [int(each) for each in re.findall(r"</span>\s*\d+ \w+ (\d{4})", page)]
    assert years == sorted(years, reverse=True)
    assert len(years) == 5
    assert PLACE in page
    assert "Ambleford University Hospitals" in page


def test_a_letter_of_another_custodian_is_opened_with_its_file(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    settled(browser)
    letters = [each for each in HREF.findall(browser.get("/record/letters").text) if "/letters/" in each]
    assert len(set(letters)) == 5
    files = {each: browser.get(f"{each}/file/1") for each in letters}
    assert {each.headers["content-type"] for each in files.values()} == {"application/pdf"}
    assert [PLACE in browser.get(each).text for each in letters].count(True) == 2
    assert [here.signed_in("other").get(each).status_code for each in letters] == [404] * 5


@pytest.mark.promise("R1")
def test_a_custodian_that_is_down_is_said_and_asked_again(here: Hospital, practice: Practice) -> None:
    with practice.being(Manner.IS_DOWN):
        browser = here.signed_in("eleanor")
        page = settled(browser)
        assert DOWN in page
        assert "Metformin" in page
        medicines = browser.get("/record/medicines").text
        assert ONLY_THERE not in medicines
        assert f"Not here yet: what {PLACE} may have." in medicines
        assert browser.post("/record/again", {"place": "0", "at": "/record"}, page="/record").status_code == 303
        assert DOWN in settled(browser)
    came = browser.post("/record/again", {"place": "0", "at": "/record/medicines?page=1"}, page="/record")
    assert came.headers["location"] == "/record/medicines?page=1"
    assert ONLY_THERE in settled(browser, "/record/medicines")


def test_a_slow_custodian_keeps_nobody_waiting_and_fills_in(here: Hospital, practice: Practice) -> None:
    with practice.being(Manner.WAITS):
        browser = here.signed_in("eleanor")
        page, took_s = soonest(browser, "/record")
        assert took_s < 2
        assert ASKING in page
        assert "Show what has come since" in page
        (poll,) = re.findall(r'hx-get="(/record/answers[^"]+)"', page)
        assert 'hx-target="#view"' not in browser.get(poll.replace("&amp;", "&")).text
    settled(browser)
    fragment = browser.get(poll.replace("&amp;", "&")).text
    assert '<div hx-get="/record" hx-trigger="load" hx-target="#view"' in fragment


def test_who_has_nothing_to_show_is_as_who_has_nothing(here: Hospital, device: OwnDevice) -> None:
    """What is withheld from a patient is not hinted at."""
    with device.choosing(here.made.practice, WITHHELD):
        page = settled(here.signed_in("eleanor"))
    assert NOTHING in page
    assert "may not be all" not in page


def test_who_may_not_show_it_says_so(here: Hospital, device: OwnDevice) -> None:
    with device.choosing(here.made.practice, REFUSED):
        page = settled(here.signed_in("eleanor"))
    assert "May not show it" in page
    assert "Your choices or their rules say no" in page


@pytest.mark.parametrize("manner", Manner, ids=str)
def test_a_download_has_all_that_came_and_says_from_whom_nothing_did(
    here: Hospital, practice: Practice, manner: Manner
) -> None:
    with practice.being(manner):
        browser = here.signed_in("eleanor")
        browser.get("/record")
        if manner is not Manner.WAITS:
            settled(browser)
        came = browser.post("/record/download", {"format": "zip"})
    with zipfile.ZipFile(io.BytesIO(came.content)) as archive:
        record, manifest = archive.read("record.json"), json.loads(archive.read("manifest.json"))
    said = {Manner.ANSWERS: "came", Manner.IS_DOWN: "silent", Manner.WAITS: "asking"}[manner]
    assert manifest["others"] == [{"name": PLACE, "answer": said}]
    assert (ONLY_THERE.encode() in record) == (manner is Manner.ANSWERS)


def test_nothing_that_came_is_left_after_signing_out(here: Hospital) -> None:
    def kept() -> int:
        with here.node.vault.database.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(schema.collected)) or 0)

    before, browser = kept(), here.signed_in("eleanor")
    settled(browser)
    assert kept() == before + 1
    browser.post("/sign-out", {}, page="/record")
    assert kept() == before


@pytest.mark.parametrize("at", ["https://evil.example/", "//evil.example", "/sharing", "/record/../sign-out", ""])
def test_nobody_is_sent_elsewhere(here: Hospital, at: str) -> None:
    browser = here.signed_in("eleanor")
    settled(browser)
    came = browser.post("/record/again", {"place": "7", "at": at}, page="/record")
    assert came.headers["location"] == "/record"
    assert "evil" not in browser.get(f"/record/answers?seen=0&at={at}").text


def test_what_came_for_one_person_is_shown_to_no_other(here: Hospital, device: OwnDevice) -> None:
    sessions = device.sessions(from_s=here.node.clock())[1:]
    collections = here.portal.collections
    mine = Elsewhere(here.node, collections, sessions, about=here.patient, collection=b"")
    collection = mine.begin()
    assert len(mine.answers()) == 1
    assert Elsewhere(here.node, collections, sessions, about=b"another", collection=collection).answers() == []
    collections.drop(collection)


@pytest.mark.promise("U1")
def test_no_page_has_words_of_machines(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    for page in (settled(browser), browser.get("/record/letters").text, browser.get("/record/download").text):
        assert not MACHINE_WORDS.findall(TAG.sub(" ", page))


@pytest.mark.promise("P7")
def test_who_has_looked_covers_every_custodian(here: Hospital, device: OwnDevice) -> None:
    """Each has the patient under a pseudonym of its own; only the patient's session with it leads there."""
    browser = here.signed_in("eleanor")
    settled(browser)
    page = browser.get("/looked?own=yes").text
    assert f"Trust and {PLACE} is on this list" in page
    assert f"That was your record at {PLACE}" in page
    link = re.findall(rf'at {PLACE}[^<]*</p>\s*<p[^>]*>[^<]*<a href="(/looked/\d+)"', page)[0]
    assert f"Only {PLACE} knows that" in browser.get(link).text
    assert "Tell the privacy officer" not in browser.get(link).text
    assert browser.post(link, {"words": "Not me"}, page="/looked").status_code == 404
    assert here.signed_in("other").get(link).status_code == 404
    assert device.wallet.relationships[1].pseudonym not in _stored_looks(here)


@pytest.mark.promise("R5")
def test_what_was_given_elsewhere_is_asked_for_and_proved(here: Hospital, practice: Practice) -> None:
    _practice_doctor_reads(here)
    browser = here.signed_in("eleanor")
    link = _doctors_look(browser)
    page = browser.get(link).text
    assert "Not known here" in page
    with practice.being(Manner.IS_DOWN):
        assert browser.post(f"{link}/ask", {}, page=link).status_code == 303
        assert DOWN in settled(browser, link)
    assert browser.post(f"{link}/ask", {}, page=link).headers["location"] == link
    page = settled(browser, link)
    assert "Dr Pym (GP) at Harrowmere Medical Centre" in page
    assert "Seen for the cough" in page
    assert "test results: 20" in page
    assert not MACHINE_WORDS.findall(TAG.sub(" ", page))
    came = browser.get(re.findall(r'href="(/looked/\d+/check/\d+)"', page)[0].replace("check", "receipt"))
    assert isinstance(decode_bundle(came.content), ReceiptBundle)
    assert here.signed_in("other").get(f"{link}/receipt/1").status_code == 404
    assert here.signed_in("other").post(f"{link}/ask", {}, page="/looked").headers["location"].startswith("/looked/")


@pytest.mark.promise("U2")
def test_what_comes_while_details_are_made_is_on_the_next_page(
    here: Hospital, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page says of what has just come that nothing was given."""
    _practice_doctor_reads(here)
    browser, collections = here.signed_in("eleanor"), here.portal.collections
    link, look = _doctors_look(browser), collections.look

    def comes_after(*asked: Any, **known: Any) -> Any:
        found = look(*asked, **known)
        practice.manner = Manner.ANSWERS
        while any(each.state is Answered.ASKING for each in look(*asked, **known).values()):
            time.sleep(0.02)
        return found

    with practice.being(Manner.WAITS):
        browser.post(f"{link}/ask", {}, page=link)
        monkeypatch.setattr(collections, "look", comes_after)
        page = browser.get(link).text
    assert ASKING in page
    assert "Seen for the cough" in browser.get(link).text


@pytest.mark.parametrize("what", ["no file", "another's signature", "another field"])
def test_a_history_that_does_not_hold_tells_nothing(here: Hospital, device: OwnDevice, what: str) -> None:
    _practice_doctor_reads(here)
    sessions = device.sessions(from_s=here.node.clock())[1:]
    history = audit.answer_history(
        here.made.practice, HistoryAsk(Pseudonym(sessions[0].pseudonym), sessions[0].certified)
    ).bundle
    found = looks.Looks(here.node, here.patient, sessions)
    wanted = Wanted(requester="A81001")
    (line, *_) = found.lines(found.groups(wanted, hours=12))
    assert dict(looks_elsewhere.opened(here.node, line.look, history).released)["Observation"] == 20
    bundle = decode_bundle(history)
    assert isinstance(bundle, HistoryBundle)
    altered = [_altered(each, what) for each in bundle.receipts]
    file = b"no file" if what == "no file" else encode_bundle(replace(bundle, receipts=tuple(altered)))
    with pytest.raises(Refused, match="history" if what == "no file" else "does not hold"):
        looks_elsewhere.opened(here.node, line.look, file)


def _altered(opened: OpenedReceipt, what: str) -> OpenedReceipt:
    if what == "another's signature":
        return replace(opened, receipt=replace(opened.receipt, custodian=bytes(64)))
    first, *rest = opened.fields
    return replace(opened, fields=(replace(first, value=rest[0].value), *rest))


def _doctors_look(browser: Browser) -> str:
    page = browser.get("/looked?at=A81001").text
    return str(re.findall(r'href="(/looked/\d+)"', page)[0])


def _practice_doctor_reads(here: Hospital) -> None:
    assert here.joined is not None
    node, there = here.made.practice, Pseudonym(here.joined[1].wallet.relationships[1].pseudonym)
    person = certify_person(node, name="Dr Pym", role="GP", registration="GMC 9", role_class=RoleClass.CLINICAL)
    session = open_session(person.key, person.certificate, custodian=PRACTICE, from_s=node.clock())
    wish = Wish(there, PRACTICE, RoleClass.CLINICAL, Purpose.TREAT, justification="Seen for the cough")
    opened = open_for_own_staff(node, session, wish)
    assert not isinstance(opened, Denied)
    assert list(opened)


def test_a_session_that_does_not_stand_shows_no_looks(here: Hospital, device: OwnDevice) -> None:
    sessions = device.sessions(from_s=here.node.clock() - SESSION_S_MAX - 60)[1:]
    assert looks.Looks(here.node, here.patient, sessions).groups(Wanted(requester="RVJ", with_own=True), hours=1)
    assert not looks.Looks(here.node, b"another", sessions).groups(Wanted(with_own=True), hours=1)


def _stored_looks(here: Hospital) -> list[bytes]:
    with here.node.vault.database.reading() as connection:
        return list(connection.scalars(select(schema.looks.c.pseudonym).distinct()).all())


@pytest.mark.services
@pytest.mark.promise("U4")
def test_the_markup_of_each_state_is_valid(here: Hospital, practice: Practice) -> None:
    browser, pages = here.signed_in("eleanor"), {}
    with practice.being(Manner.WAITS):
        pages["asking"] = browser.get("/record").text
        pages["part of it"] = browser.get("/record/answers?seen=9&at=/record").text
    settled(browser)
    link = _doctors_look(browser)
    pages["not asked"] = browser.get(link).text
    with practice.being(Manner.IS_DOWN):
        browser.post(f"{link}/ask", {}, page=link)
        pages["silent look"] = settled(browser, link)
        second = here.signed_in("eleanor")
        pages["silent"] = settled(second, "/record/medicines")
    browser.post(f"{link}/ask", {}, page=link)
    pages["came"] = settled(browser, link)
    pages["narrowed"] = browser.get("/looked?own=yes&from-day=40").text
    part = pages.pop("part of it")
    pages["part of it"] = f'<!DOCTYPE html><html lang="en"><head><title>Part</title></head><body>{part}</body></html>'
    assert faults(pages) == []
