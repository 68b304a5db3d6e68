"""Who helps: the questions, the code, acting for a patient within the terms and no longer; attacks by helpers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from salus.contracts import consent
from salus.node.assemble import Node
from salus.node.errors import NotNow
from salus.portal.call import Person
from salus.portal.helping import DECIDED, SEEN
from salus.portal.pages import PAGES
from tests.portal.patient_charts import MACHINE_WORDS, somebody_else
from tests.portal.portal_world import Browser, Hospital, portal

CODE = re.compile(r'<p class="app-code">([A-Z0-9 ]+)</p>')
WHO = re.compile(r'name="who" value="([A-Z0-9]+)"')
STOP = re.compile(r'href="(/helpers/stop\?who=[A-Z0-9]+)"')
TAG = re.compile(r"<[^>]*>")
PASSWORD = "another long password"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(made, folder, [])
        yield made


def asked(here: Hospital, doing: str, **more: str | list[str]) -> Browser:
    """Eleanor answers the questions; her browser is at the last page."""
    browser = here.signed_in("eleanor")
    kinds = [("kinds", {"helper-kinds": more["kinds"]})] if "kinds" in more else []
    day = {"day-day": "1", "day-month": "3", "day-year": "2099"}
    for page, fields in (
        ("who", {"helper": "Ben Moss", "relation": "carer"}),
        ("doing", {"doing": doing}),
        *kinds,
        ("until", day),
    ):
        came = browser.post(f"/helpers/{page}", fields)
        assert came.status_code == 303, (page, came.text)
    return browser


def code(here: Hospital, doing: str = "see", **more: str | list[str]) -> str:
    browser = asked(here, doing, **more)
    browser.post("/helpers/check", {})
    (found,) = CODE.findall(browser.get("/helpers/code").text)
    assert browser.get("/helpers/code").status_code == 303, "shown once"
    return str(found)


def taken_up(here: Hospital, name: str, given: str) -> Browser:
    browser = here.client()
    fields = {"code": given, "name": name, "password": PASSWORD}
    came = browser.post("/helping/new", fields)
    assert came.headers["location"] == "/helping", came.text
    return browser


def helping(here: Hospital, name: str, doing: str = "see", **more: str | list[str]) -> Browser:
    browser = taken_up(here, name, code(here, doing, **more))
    (who,) = WHO.findall(browser.get("/helping").text)
    assert browser.post("/helping", {"who": who}).headers["location"] == "/record"
    return browser


def choices(here: Hospital) -> list[bytes]:
    with here.node.engine.snapshot() as reader:
        return [each.choice for each in consent.choices(reader, here.patient).choices]


def hide(browser: Browser) -> object:
    """Answer the questions of a choice that hides the record from everybody who treats the patient."""
    for page, fields in (
        ("direction", {"direction": "less"}),
        ("who", {"who": "everybody"}),
        ("what", {"what": "all"}),
        ("until", {"day-day": ""}),
    ):
        browser.post(f"/sharing/{page}", fields)
    return browser.post("/sharing/check", {})


def test_a_helper_sees_the_record_and_every_page_says_whose(here: Hospital) -> None:
    page = asked(here, "see").get("/helpers/check").text
    assert "Ben Moss, your carer, may see everything in your record, until 1 March 2099." in page
    browser = helping(here, "ben")
    for path in ("/record", "/record/results", "/helping", "/devices"):
        came = browser.get(path)
        assert came.status_code == 200, path
        assert "You are helping Eleanor Moss" in came.text, path
        assert not MACHINE_WORDS.findall(TAG.sub(" ", came.text)), path
    assert "Penicillin" in browser.get("/record").text
    browser.post("/helping/stop", {}, page="/helping")
    assert browser.get("/record").status_code == 404
    looked = here.signed_in("eleanor").get("/looked").text
    assert "Ben Moss, who helps you" in looked
    assert ">You</h3>" not in looked


def test_a_helper_of_some_kinds_sees_these(here: Hospital) -> None:
    browser = helping(here, "kay", "some", kinds=["AllergyIntolerance"])
    page = browser.get("/record").text
    assert "Penicillin" in page
    links = [
        each.get("/record/results").text.count('href="/record/results/')
        for each in (browser, here.signed_in("eleanor"))
    ]
    assert links[0] == 0 < links[1]


def test_what_a_helper_decides_says_by_whom_and_for_whom(here: Hospital) -> None:
    browser = helping(here, "sue", "share")
    assert hide(browser).headers["location"] == "/sharing"
    said = "Ben Moss decided this for Eleanor Moss on"
    for each in (browser, here.signed_in("eleanor")):
        assert said in each.get("/sharing").text
    (choice,) = re.findall(r'name="choice" value="([0-9a-f]+)"', browser.get("/sharing/stop?which=1").text)
    browser.post("/sharing/stop", {"choice": choice}, page="/sharing/stop?which=1")
    assert choices(here) == []


@pytest.mark.promise("R4")
def test_who_may_only_look_decides_nothing(here: Hospital) -> None:
    browser = helping(here, "lee")
    assert hide(browser).status_code == 404
    assert choices(here) == []
    assert "/sharing" not in browser.get("/record").text


OPEN = {each.path for each in PAGES if each.person is Person.PATIENT} & (SEEN | DECIDED)


@pytest.mark.promise("R4")
def test_all_other_pages_of_a_patient_are_not_there_for_a_helper(here: Hospital) -> None:
    """Of every page of patients, whoever writes the next one: helpers, devices, keys, downloads and notices too."""
    browser = helping(here, "max", "share")
    assert OPEN == SEEN | DECIDED, "pages that are no more"
    for page in PAGES:
        if page.person is Person.PATIENT and page.path not in OPEN:
            path = re.sub(r"\{\w+(?::\w+)?\}", "1", page.path)
            if page.show is not None:
                assert browser.get(path).status_code == 404, path
            if page.answer is not None:
                assert browser.post(path, {}, page="/helping").status_code == 404, path


def test_no_page_that_a_helper_may_open_leads_to_one_that_they_may_not(here: Hospital) -> None:
    browser = helping(here, "pat", "share")
    waiting, seen = ["/record"], set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        came = browser.get(path)
        assert came.status_code == 200, path
        links = {unescape(each) for each in re.findall(r'<a [^>]*href="(/[^"]*)"', came.text)}
        waiting += sorted(
            each for each in links - seen - set(waiting) if not each.startswith(("/assets/", "/language/"))
        )
    assert {"/sharing", "/helping", "/devices"} <= seen


@pytest.mark.promise("R3")
def test_a_helper_who_is_stopped_sees_nothing_from_the_next_page_on(here: Hospital) -> None:
    browser, eleanor = helping(here, "ned"), here.signed_in("eleanor")
    assert browser.get("/record").status_code == 200
    link = STOP.findall(eleanor.get("/helpers").text)[0]
    (who,) = WHO.findall(eleanor.get(link).text)
    eleanor.post("/helpers/stop", {"who": who}, page=link)
    assert "They can see nothing more" in eleanor.get("/helpers").text
    came = browser.get("/record")
    assert came.headers["location"] == "/helping"
    page = browser.get("/helping").text
    assert "You can no longer help this person" in page
    assert "You are helping" not in page
    assert "That help had ended before" in (
        eleanor.post("/helpers/stop", {"who": who}, page="/helpers") and eleanor.get("/helpers").text
    )


def test_nobody_helps_by_anothers_name_or_stops_anothers_helper(here: Hospital) -> None:
    """IDOR: Eve, a helper of nobody, and another patient, send what Ben's and Eleanor's pages have."""
    ben, eleanor = helping(here, "tom"), here.signed_in("eleanor")
    (of_ben,) = WHO.findall(ben.get("/helping").text)
    other = here.signed_in("other")
    other.post("/helping", {"who": of_ben})
    assert "You are helping" not in other.get("/record").text
    link = STOP.findall(eleanor.get("/helpers").text)[0]
    (who,) = WHO.findall(eleanor.get(link).text)
    assert other.get(link).status_code == 404
    other.post("/helpers/stop", {"who": who}, page="/helpers")
    assert ben.get("/record").status_code == 200


def test_a_patient_who_helps_is_themself_again_afterwards(here: Hospital) -> None:
    """What is their own and what is another's are never on one page."""
    other, given = here.signed_in("other"), code(here)
    other.post("/helping/code", {"code": given})
    assert "You can now help Eleanor Moss" in other.get("/helping").text
    before = TAG.sub(" ", other.get("/record").text)
    (who,) = WHO.findall(other.get("/helping").text)
    other.post("/helping", {"who": who})
    assert "Penicillin" in other.get("/record").text
    other.post("/helping/stop", {}, page="/helping")
    assert "You have stopped" in other.get("/helping").text
    assert TAG.sub(" ", other.get("/record").text) == before


def test_a_code_is_used_once_and_no_other_opens_anything(here: Hospital) -> None:
    given = code(here)
    taken_up(here, "una", given)
    for fields in (
        {"code": given, "name": "eve", "password": PASSWORD},
        {"code": "AAAA BBBB CCCC DDDD", "name": "eve", "password": PASSWORD},
        {"code": "", "name": "una", "password": PASSWORD},
        {"code": code(here), "name": "una", "password": PASSWORD},
        {"code": code(here), "name": "eve", "password": "short"},
    ):
        came = here.client().post("/helping/new", fields)
        assert came.status_code == 400, fields
    names = [each.account.signs_in_as for each in here.portal.accounts.all()]
    assert "eve" not in names
    assert here.signed_in("eleanor").post("/helping/code", {"code": code(here)}).status_code == 400


@pytest.mark.parametrize(
    ("page", "fields"),
    [
        ("who", {"helper": "", "relation": "carer"}),
        ("who", {"helper": "<script>", "relation": "carer"}),
        ("who", {"helper": "Ben", "relation": "parent"}),
        ("who", {"helper": "Ben", "relation": "owner"}),
        ("doing", {"doing": "all"}),
        ("kinds", {"helper-kinds": "Patient"}),
        ("until", {"day-day": "31", "day-month": "2", "day-year": "2099"}),
        ("until", {"day-day": "1", "day-month": "1", "day-year": "1999"}),
    ],
)
def test_an_answer_that_is_none_is_asked_for_again(here: Hospital, page: str, fields: dict[str, str]) -> None:
    came = here.signed_in("eleanor").post(f"/helpers/{page}", fields)
    assert came.status_code == 400
    assert "There is a problem" in came.text


def test_somebody_who_has_not_used_their_code_gets_another_and_the_first_opens_nothing(here: Hospital) -> None:
    first, eleanor = code(here), here.signed_in("eleanor")
    (who,) = WHO.findall(eleanor.get("/helpers").text)[:1]
    assert eleanor.post("/helpers", {"who": who}).headers["location"] == "/helpers/code"
    (second,) = CODE.findall(eleanor.get("/helpers/code").text)
    assert second != first
    fields = {"code": first, "name": "ada", "password": PASSWORD}
    assert here.client().post("/helping/new", fields).status_code == 400
    taken_up(here, "ada", str(second))
    assert eleanor.post("/helpers", {"who": who}).headers["location"] == "/helpers"
    assert eleanor.get("/helpers/code").headers["location"] == "/helpers"


def test_a_ledger_that_was_away_leaves_somebody_who_can_be_given_a_code(
    here: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger took the key, and nobody heard of it."""
    submit = Node.submit_signed

    def away(node: Node, *given: Any) -> Any:
        submit(node, *given)
        raise NotNow("the ledger does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Node, "submit_signed", away)
        browser = asked(here, "see")
        assert browser.post("/helpers/check", {}).status_code == 503
    (who,) = WHO.findall(browser.get("/helpers").text)[:1]
    browser.post("/helpers", {"who": who})
    (given,) = CODE.findall(browser.get("/helpers/code").text)
    taken_up(here, "abe", str(given))


@pytest.mark.parametrize("who", ["", "ZZZZZZ", "a" * 1000])
def test_nobody_gets_a_code_for_whom_nobody_added(here: Hospital, who: str) -> None:
    other = here.signed_in("other")
    assert other.post("/helpers", {"who": who}).headers["location"] == "/helpers"
    (theirs,) = WHO.findall(here.signed_in("eleanor").get("/helpers").text)[:1] or [who]
    assert other.post("/helpers", {"who": theirs}).headers["location"] == "/helpers"
