"""Who has looked: every request in words, refused ones too; its proof, its question, and less of a long list."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.contracts.provisions import RoleClass
from salus.ledger.bundles import ReceiptBundle, decode_bundle
from salus.node.services import sharing
from salus.node.services.anchor import anchor
from salus.node.services.respond import Login
from salus.node.services.search import Reach, Search
from salus.node.services.sharing import Wanted
from salus.node.services.show import newest, show
from salus.portal.pages.patient.looked import given
from salus.portal.verifier.links import receipt_link
from salus.portal.words import LONDON, Words
from tests.portal.patient_charts import EVIL, MACHINE_WORDS, SCRIPT, somebody_else
from tests.portal.portal_world import Hospital, emergency, portal, staff

TAG = re.compile(r"<[^>]*>")
DETAILS = re.compile(r'href="(/looked/\d+)"')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(made, folder, [])
        made.accounts["evil"] = staff(made, EVIL, EVIL, RoleClass.CLINICAL)
        _reads(made, "rao", "For the clinic")
        _reads(made, "evil", EVIL)
        eleanor = _login(made, "eleanor")
        sharing.file(made.node, eleanor, made.patient, Wanted(is_permit=False))
        _reads(made, "rao", "Again")
        with made.node.engine.snapshot():
            (choice,) = [
                each.choice for each in sharing.in_force(made.node, made.portal.responder, eleanor, made.patient)
            ]
        sharing.withdraw(made.node, eleanor, made.patient, choice)
        yield made


def _login(here: Hospital, name: str, justification: str = "") -> Login:
    account = here.portal.accounts.find(here.accounts[name])
    assert account is not None
    login = here.portal.accounts.login_of(account, here.portal.accounts.hold(account)[0])
    return Login(login.session, login.role_class, login.purpose, justification=justification)


def _reads(here: Hospital, name: str, justification: str) -> None:
    login = _login(here, name, justification)
    reach = Reach(here.patient, lambda _type: True, lambda _type: ())
    found = Search(here.node, here.portal.responder, login, reach).chart(here.patient, ("Patient", "Observation"), ())
    show(here.node, here.portal.responder, login, [newest(each) for each in found])


def _links(here: Hospital, query: str = "") -> list[str]:
    return DETAILS.findall(here.signed_in("eleanor").get(f"/looked{query}").text)


def test_each_look_is_said_with_person_place_reason_and_time(here: Hospital) -> None:
    page = here.signed_in("eleanor").get("/looked").text
    assert "Dr Anita Rao (Consultant) at Ambleford University Hospitals NHS Foundation Trust" in page
    assert "asked to read your record, to care for you" in page
    assert "They were refused: your choice says no" in page
    assert "You</h3>" not in page
    assert "You</h3>" in here.signed_in("eleanor").get("/looked?own=yes").text


def test_the_list_is_filtered(here: Hospital) -> None:
    assert len(_links(here)) == 3
    assert len(_links(here, "?only=refused")) == 1
    assert _links(here, "?only=emergency") == []
    assert "nothing of that kind" in here.signed_in("eleanor").get("/looked?only=emergency").text


def test_a_list_on_which_nobody_is_says_so(here: Hospital) -> None:
    browser = here.signed_in("other")
    assert "Nobody but you has asked for your record yet" in browser.get("/looked").text
    assert "nothing of that kind" in browser.get("/looked?only=refused").text


@pytest.mark.promise("U2")
def test_an_emergency_says_what_the_officer_says(tmp_path: Path) -> None:
    with portal(tmp_path) as here:
        emergency(here)
        browser = here.signed_in("eleanor")
        (address,) = DETAILS.findall(browser.get("/looked?only=emergency").text)
        assert "They have not checked it yet" in browser.get(address).text
        officer = here.signed_in("officer")
        (waits,) = set(re.findall(r'href="(/reviews/[A-Z2-7]{6})"', officer.get("/reviews").text))
        officer.post(waits, {"verdict": "no", "why": f"nothing says so {EVIL}"})
        page = browser.get(address).text
        assert "They checked it: it was not right to look" in page
        assert "nothing says so" in page
        assert "<script>alert" not in page


def test_a_look_says_what_was_given_and_why(here: Hospital) -> None:
    pages = [here.signed_in("eleanor").get(each).text for each in _links(here)]
    (page,) = [each for each in pages if "For the clinic" in each]
    assert "test results: 8" in page
    assert given(Words("en"), [("Observation", 2), ("Patient", 1), ("Flag", 1), ("Basic", 3)]) == [
        *("test results: 2", "who you are: 1", "other records: 4")
    ]
    assert "Nothing." in next(each for each in pages if "refused" in each)


@pytest.mark.promise("R5")
def test_the_proof_of_a_look_is_a_file_that_can_be_checked(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    anchor(here.node)
    (link, *_others) = (
        link for each in _links(here) for link in re.findall(r'href="(/looked/\d+/check/\d+)"', browser.get(each).text)
    )
    page, file = browser.get(link).text, link.replace("check", "receipt")
    assert f'href="{file}"' in page
    came = browser.get(file)
    assert came.headers["content-disposition"] == 'attachment; filename="receipt.salus"'
    assert isinstance(decode_bundle(came.content), ReceiptBundle)
    assert receipt_link("/check/", came.content) in page
    assert [browser.get(f"{each}9").status_code for each in (link, file)] == [404, 404]


def test_what_does_not_look_right_goes_to_the_officer(here: Hospital) -> None:
    browser, link = here.signed_in("eleanor"), _links(here)[0]
    assert browser.post(link, {"words": "  "}).status_code == 400
    assert browser.post(link, {"words": "I was not there"}).status_code == 303
    assert "The privacy officer was told" in browser.get("/looked").text


def test_nothing_of_another_person_is_reached(here: Hospital) -> None:
    """IDOR: the number of somebody else's look, and their receipt."""
    other, link = here.signed_in("other"), _links(here)[0]
    for path in (link, f"{link}/check/1", f"{link}/receipt/1", "/looked/x", "/looked/-1", "/looked/999999999999999"):
        assert other.get(path).status_code == 404
    assert other.post(link, {"words": "mine"}, page="/looked").status_code == 404
    assert here.signed_in("rao").get("/looked").status_code == 404


def test_no_script_and_no_words_of_machines_are_on_a_page(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    pages = [browser.get(each).text for each in ("/looked?own=yes", *_links(here))]
    assert any("&lt;script&gt;alert" in each for each in pages)
    for each in pages:
        assert SCRIPT not in each
        assert not MACHINE_WORDS.findall(TAG.sub(" ", each))


def test_the_list_is_narrowed_to_a_person_an_organisation_and_days(here: Hospital) -> None:
    page = here.signed_in("eleanor").get("/looked").text
    (rao,) = re.findall(r'<option value="(\d{12})">Dr Anita Rao', page)
    assert len(_links(here, f"?who={rao}")) == 1
    assert len(_links(here, "?at=RVJ")) == 3
    assert _links(here, "?at=A81001") == []
    assert _links(here, "?who=000000000000") == []
    today = datetime.datetime.fromtimestamp(here.node.clock(), LONDON).date()
    before, after = (today + datetime.timedelta(days=each) for each in (-1, 1))
    assert len(_links(here, f"?{_entered('from', today)}&{_entered('to', today)}")) == 3
    assert _links(here, f"?{_entered('to', before)}") == []
    assert _links(here, f"?{_entered('from', after)}") == []


def _entered(end: str, day: datetime.date) -> str:
    """A day as somebody enters it."""
    return f"{end}-day={day.day}&{end}-month={day.month}&{end}-year={day.year}"


@pytest.mark.parametrize("day", ["from-day=31&from-month=2&from-year=2026", "to-day=x", "to-year=0", "from-day=1"])
def test_a_day_that_is_none_is_said_and_narrows_nothing(here: Hospital, day: str) -> None:
    came = here.signed_in("eleanor").get(f"/looked?{day}")
    assert came.status_code == 400
    assert came.text.count("Enter a real date") == 2
    assert len(DETAILS.findall(came.text)) == 3


def test_a_page_stays_as_it_is_while_more_comes(here: Hospital) -> None:
    before = _links(here)
    upto = max(int(each.rpartition("/")[2]) for each in before)
    assert "There is something new" not in here.signed_in("eleanor").get(f"/looked?own=yes&upto={upto + 100}").text
    page = here.signed_in("eleanor").get(f"/looked?upto={upto - 1}").text
    assert "There is something new" in page
    assert DETAILS.findall(page) == before[1:]
