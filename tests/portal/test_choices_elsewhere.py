"""A patient's choices at every organisation that keeps records of theirs: listed, made, changed and stopped here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from salus.contracts import consent
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node import documents, schema
from salus.node.documents import Kind
from salus.node.errors import NotNow
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.services import challenges, deliver
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.request import Denied, Granted, Wish, request
from salus.testing.world import HOSPITAL, PRACTICE
from tests.portal.choosing_device import SIGNER, answer, asked, say_yes, set_up, voucher
from tests.portal.patient_charts import MACHINE_WORDS, somebody_else
from tests.portal.portal_world import NAMES, Browser, Hospital, portal, settled, soonest
from tests.portal.second_custodian import REFUSED, Manner, OwnDevice, Practice
from tests.portal.test_markup import faults

HERE, THERE = NAMES[HOSPITAL], NAMES[PRACTICE]
ASKING = "We are asking them"
TAG = re.compile(r"<[^>]*>")
GROUP = re.compile(r"<h3[^>]*>(.*?)</h3>(.*?)(?=<h3|$)", re.DOTALL)
ELSEWHERE = Provision(type=ProvisionType.PERMIT, organisations=(HOSPITAL,), purposes=(Purpose.HRESCH,))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder, signer=SIGNER, is_joined=True) as made:
        somebody_else(made, folder, [])
        set_up(made)
        yield made


@pytest.fixture
def browser(here: Hospital) -> Iterator[Browser]:
    """Signed in; afterwards no choice is left."""
    made = here.signed_in("eleanor")
    yield made
    for _ in range(9):
        links = re.findall(r'href="(/sharing/stop\?which=[\d-]+)"', html.unescape(settled(made, "/sharing")))
        if not links:
            break
        _stop(here, made, links[0])
    assert [_choices(here, each) for each in (HOSPITAL, PRACTICE)] == [[], []]


def _words(browser: Browser, path: str = "/sharing") -> str:
    return html.unescape(settled(browser, path))


def _groups(page: str) -> dict[str, str]:
    """What the page says of each organisation's records, in words."""
    plain = {TAG.sub("", name): " ".join(TAG.sub(" ", body).split()) for name, body in GROUP.findall(page)}
    return {name.removeprefix("What ").removesuffix(" has written down"): body for name, body in plain.items()}


def _pseudonym(here: Hospital, custodian: str) -> Pseudonym:
    assert here.joined is not None
    (of,) = [each for each in here.joined[1].wallet.relationships if each.custodian == custodian]
    return Pseudonym(of.pseudonym)


def _choices(here: Hospital, custodian: str) -> list[consent.Choice]:
    with here.node.engine.snapshot() as reader:
        return list(consent.choices(reader, _pseudonym(here, custodian)).choices)


ANSWERS = {"direction": "less", "who": "everybody", "what": "all", "until": ""}


def _answered(browser: Browser, where: str, **changed: str) -> Any:
    """Answer the questions from the first; return what the last page answers."""
    assert browser.post("/sharing/begin", {}, page="/sharing").headers["location"] == "/sharing/where"  # type: ignore[attr-defined]
    browser.post("/sharing/where", {"where": where})
    for name, value in (ANSWERS | changed).items():
        fields = {"day-day": value} if name == "until" else {name: value}
        assert browser.post(f"/sharing/{name}", fields).status_code == 303, name  # type: ignore[attr-defined]
    return browser.post("/sharing/check", {"rules": ""})


def _stop(here: Hospital, browser: Browser, link: str) -> Any:
    (name,) = re.findall(r'name="choice" value="(\w+)"', browser.get(link).text)
    return say_yes(here, browser, browser.post("/sharing/stop", {"choice": name}, page=link))


def _doctor(here: Hospital) -> OpenSession:
    node = here.made.practice
    person = certify_person(node, name="Dr Pym", role="GP", registration="GMC 9", role_class=RoleClass.CLINICAL)
    return open_session(person.key, person.certificate, custodian=PRACTICE, from_s=node.clock())


def _ask(here: Hospital) -> Granted | Denied:
    """The practice's own doctor asks for what the practice has of Eleanor."""
    wish = Wish(_pseudonym(here, PRACTICE), PRACTICE, RoleClass.CLINICAL, Purpose.TREAT)
    return request(here.made.practice, _doctor(here), wish)


@pytest.mark.promise("R3")
def test_a_choice_elsewhere_is_signed_here_and_holds_there_at_once(here: Hospital, browser: Browser) -> None:
    assert isinstance(_ask(here), Granted)
    came = say_yes(here, browser, _answered(browser, PRACTICE))
    assert came.headers["location"] == "/sharing"
    assert isinstance(_ask(here), Denied)
    assert "Your choice is made" in browser.get("/sharing").text
    said = _groups(_words(browser))
    assert said[HERE].startswith("You have made no choices")
    assert "Nobody but you may see anything. You decided this on" in said[THERE]
    assert [len(_choices(here, each)) for each in (HOSPITAL, PRACTICE)] == [0, 1]


def test_a_choice_about_all_records_is_one_yes_and_one_choice_at_each(here: Hospital, browser: Browser) -> None:
    came = _answered(browser, "all")
    page = html.unescape(browser.get("/sharing/check").text)
    assert f"Nobody but you may see anything that {HERE} and {THERE} have written down." in page
    assert f"This counts only what {HERE} has written down. We cannot count what {THERE} has." in page
    name, request_ = asked(here, came)
    assert [each["custodian"] for each in request_["items"]] == [HOSPITAL, PRACTICE]
    assert len({each["tree"] for each in request_["items"]}) == 1
    answer(here.client().client, here, browser, name, request_)
    (own,), (theirs,) = (_choices(here, each) for each in (HOSPITAL, PRACTICE))
    assert own.choice != theirs.choice
    assert own.commitment != theirs.commitment  # P7: nothing joins them but the same gate
    assert all("Nobody but you may see anything." in each for each in _groups(_words(browser)).values())


def test_the_page_to_check_says_whose_records_it_cannot_count(here: Hospital, browser: Browser) -> None:
    _answered(browser, PRACTICE)
    page = html.unescape(browser.get("/sharing/check").text)
    assert f"Nobody but you may see anything that {THERE} has written down." in page
    assert f"We cannot count here what they would see of {THERE}." in page
    assert "Be careful if you hide allergies or medicines" in page
    assert "What they would see then" not in page
    assert "signs this for you" not in page


def test_a_choice_elsewhere_is_changed_and_stopped_and_the_device_knows_it_again(
    here: Hospital, browser: Browser
) -> None:
    say_yes(here, browser, _answered(browser, PRACTICE, direction="more"))
    (before,) = _choices(here, PRACTICE)
    page = _words(browser)
    (choice,) = re.findall(r'name="choice" value="(\w+)"', page)
    assert (
        browser.post("/sharing/begin", {"choice": choice}, page="/sharing").headers["location"] == "/sharing/direction"
    )
    browser.post("/sharing/who", {"who": HOSPITAL})
    page = html.unescape(browser.get("/sharing/check").text)
    assert f"Anyone treating you may see everything that {THERE} has written down." in page
    assert f"Anyone treating you at {HERE} may see everything that {THERE} has written down." in page
    (rules,) = re.findall(r'name="rules" value="(\w+)"', page)
    name, request_ = asked(here, browser.post("/sharing/check", {"rules": rules}))
    (item,) = request_["items"]
    assert item["replaces"]["voucher"], "the portal keeps what the device knows its choices by"
    answer(here.client().client, here, browser, name, request_)
    (after,) = _choices(here, PRACTICE)
    assert (after.choice, after.commitment == before.commitment) == (before.choice, False)
    assert f"Anyone treating you at {HERE} may see everything." in _groups(_words(browser))[THERE]
    link = re.findall(r'href="(/sharing/stop\?which=1-1)"', browser.get("/sharing").text)[0]
    assert f"that {THERE} has written down" in html.unescape(browser.get(link).text)
    _stop(here, browser, link)
    assert _choices(here, PRACTICE) == []
    assert "Your choice has ended. Since" in browser.get("/sharing").text


@pytest.mark.promise("P7")
def test_what_is_changed_stays_about_the_same_records_whatever_another_tab_answers(
    here: Hospital, browser: Browser
) -> None:
    """One choice at two custodians would join the patient's relationships on the ledger."""
    say_yes(here, browser, _answered(browser, PRACTICE, direction="more"))
    (choice,) = re.findall(r'name="choice" value="(\w+)"', _words(browser))
    browser.post("/sharing/begin", {"choice": choice}, page="/sharing")
    browser.post("/sharing/who", {"who": HOSPITAL})
    for where in ("all", HOSPITAL):
        browser.post("/sharing/where", {"where": where})
        page = html.unescape(browser.get("/sharing/check").text)
        assert f"Anyone treating you at {HERE} may see everything that {THERE} has written down." in page
        (rules,) = re.findall(r'name="rules" value="(\w+)"', page)
        _, request_ = asked(here, browser.post("/sharing/check", {"rules": rules}))
        assert [each["custodian"] for each in request_["items"]] == [PRACTICE]


@pytest.mark.promise("P7")
def test_a_voucher_of_a_choice_elsewhere_joins_nothing_for_who_reads_the_database(
    here: Hospital, browser: Browser
) -> None:
    say_yes(here, browser, _answered(browser, PRACTICE))
    (choice,) = _choices(here, PRACTICE)
    assert documents.find(here.node.vault, Kind.VOUCHER, choice.commitment) is None
    known = {_pseudonym(here, PRACTICE), choice.commitment, documents.document_id(Kind.VOUCHER, choice.commitment)}
    with here.node.vault.database.reading() as connection:
        for table in schema.metadata.sorted_tables:
            for row in connection.execute(select(table)).all():
                assert not known & {bytes(each) for each in row if isinstance(each, bytes)}, table.name
    assert len(voucher(choice.choice)) == 32


SILENCE = {
    "all": f"Your choice holds for what {HERE} has written down. {THERE} did not take it: make it again for them.",
    PRACTICE: f"{THERE} did not take it. Go back, and make it again in a while.",
}


@pytest.mark.parametrize("where", SILENCE)
def test_who_is_away_when_it_was_signed_is_named(
    here: Hospital, browser: Browser, practice: Practice, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salus.node.http_peers.PAUSES_S", ())
    name, request_ = asked(here, _answered(browser, where))
    with practice.being(Manner.IS_DOWN):
        came = answer(here.client().client, here, browser, name, request_)
        page = _words(browser)
    assert SILENCE[where] in html.unescape(came.text)
    assert "nhsuk-notification-banner--success" not in came.text
    assert [len(_choices(here, each)) for each in (HOSPITAL, PRACTICE)] == [int(where == "all"), 0]
    assert "Did not answer" in _groups(page)[THERE]
    assert browser.post("/sharing/again", {"place": "0"}, page="/sharing").headers["location"] == "/sharing"
    assert _groups(_words(browser))[THERE].startswith("You have made no choices")


def test_who_was_away_is_asked_again_with_the_same_answers(
    here: Hospital, browser: Browser, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salus.node.http_peers.PAUSES_S", ())
    with practice.being(Manner.IS_DOWN):
        came = say_yes(here, browser, _answered(browser, PRACTICE))
    assert 'href="/sharing/check"' in came.text
    say_yes(here, browser, browser.post("/sharing/check", {"rules": ""}))
    assert len(_choices(here, PRACTICE)) == 1


def test_an_answer_that_was_lost_is_looked_for_on_the_ledger(
    here: Hospital, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loses(*of: Any) -> None:
        delivered(*of)
        raise NotNow("lost")

    delivered = deliver.deliver
    monkeypatch.setattr(deliver, "deliver", loses)
    say_yes(here, browser, _answered(browser, PRACTICE))
    monkeypatch.undo()
    assert "Your choice is made" in browser.get("/sharing").text
    assert len(_choices(here, PRACTICE)) == 1


def test_a_slow_organisation_keeps_nobody_waiting(here: Hospital, practice: Practice) -> None:
    browser = here.signed_in("eleanor")
    with practice.being(Manner.WAITS):
        page, took_s = soonest(browser, "/sharing")
        assert took_s < 2
        assert ASKING in page
        assert 'hx-get="/sharing"' in page
        assert "Show what has come since" in page
    page = _words(browser)
    assert 'hx-get="/sharing"' not in page
    assert _groups(page)[THERE].startswith("You have made no choices")


def test_what_an_organisation_has_not_told_yet_is_neither_changed_nor_stopped(
    here: Hospital, browser: Browser, practice: Practice
) -> None:
    say_yes(here, browser, _answered(browser, PRACTICE))
    (choice,) = _choices(here, PRACTICE)
    other = here.signed_in("eleanor")
    with practice.being(Manner.WAITS):
        for path in ("/sharing/begin", "/sharing/stop"):
            came = other.post(path, {"choice": choice.choice.hex()}, page="/sharing")
            assert came.headers["location"] == "/sharing"
            said = f"We are still asking {THERE} about that choice. Nothing was changed"
            assert said in html.unescape(other.get("/sharing").text)


def test_what_another_device_has_decided_meanwhile_is_asked_for(
    here: Hospital, browser: Browser, device: OwnDevice
) -> None:
    assert _groups(_words(browser))[THERE].startswith("You have made no choices")
    with device.choosing(here.made.practice, Provision(type=ProvisionType.PERMIT, organisations=(HOSPITAL,))):
        assert f"Anyone at {HERE} may see everything." in _groups(_words(browser))[THERE]
    assert _groups(_words(browser))[THERE].startswith("You have made no choices")


def test_who_may_not_show_choices_says_so(here: Hospital, device: OwnDevice) -> None:
    with device.choosing(here.made.practice, REFUSED):
        page = html.unescape(settled(here.signed_in("eleanor"), "/sharing"))
    assert "May not show it" in _groups(page)[THERE]


def test_a_choice_elsewhere_that_the_questions_cannot_say_is_only_stopped(here: Hospital, device: OwnDevice) -> None:
    with device.choosing(here.made.practice, ELSEWHERE):
        said = _groups(html.unescape(settled(here.signed_in("eleanor"), "/sharing")))[THERE]
    assert "You can only stop it" in said
    assert "Change this choice" not in said


def test_nobody_else_sees_changes_or_stops_it(here: Hospital, browser: Browser) -> None:
    """IDOR: another patient of the same portal, and a clinician."""
    say_yes(here, browser, _answered(browser, PRACTICE))
    (choice,) = _choices(here, PRACTICE)
    other = here.signed_in("other")
    assert THERE not in other.get("/sharing").text.split("Your choices")[1]
    assert other.get("/sharing/stop?which=1-1").status_code == 404
    for path in ("/sharing/begin", "/sharing/stop"):
        other.post(path, {"choice": choice.choice.hex()}, page="/sharing")
        assert "had ended before" in other.get("/sharing").text
    assert other.post("/sharing/where", {"where": PRACTICE}).status_code == 400
    assert here.signed_in("rao").get("/sharing/where").status_code == 404
    assert _choices(here, PRACTICE) == [choice]


def test_nothing_that_came_is_left_after_signing_out(here: Hospital) -> None:
    def kept() -> int:
        with here.node.vault.database.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(schema.collected)) or 0)

    before, browser = kept(), here.signed_in("eleanor")
    settled(browser, "/sharing")
    assert kept() == before + 1
    browser.post("/sign-out", {}, page="/sharing")
    assert kept() == before


def test_a_question_about_a_look_elsewhere_is_with_that_organisation_s_officer(here: Hospital) -> None:
    node, there = here.made.practice, _pseudonym(here, PRACTICE)
    wish = Wish(there, PRACTICE, RoleClass.CLINICAL, Purpose.TREAT, justification="Seen for the cough")
    opened = open_for_own_staff(node, _doctor(here), wish)
    assert not isinstance(opened, Denied)
    assert list(opened)
    browser = here.signed_in("eleanor")
    link = re.findall(r'href="(/looked/\d+)"', browser.get("/looked?at=A81001").text)[0]
    page = browser.get(link).text
    assert f"The privacy officer of {THERE} reads it" in page
    assert browser.post(link, {"words": ""}).status_code == 400
    name, request_ = asked(here, browser.post(link, {"words": "Nobody asked me"}))
    (item,) = request_["items"]
    assert (request_["kind"], item["custodian"], item["words"]) == ("file-challenge", PRACTICE, "Nobody asked me")
    answer(here.client().client, here, browser, name, request_)
    assert f"The privacy officer of {THERE} was told" in browser.get("/looked").text
    received = challenges.received(node, _officer(here))
    assert [(each.pseudonym, each.words, each.is_assisted) for each in received] == [(there, "Nobody asked me", False)]
    assert here.signed_in("other").post(link, {"words": "x"}, page="/looked").status_code == 404


def _officer(here: Hospital) -> OpenSession:
    node = here.made.practice
    person = certify_person(node, name="Jo", role="Guardian", registration="Jo", role_class=RoleClass.OFFICER)
    return open_session(person.key, person.certificate, custodian=OrganisationId(PRACTICE), from_s=node.clock())


def test_what_somebody_would_see_is_said_to_be_of_this_organisation_s_records(here: Hospital) -> None:
    said = f"This counts only what {HERE} has written down."
    path = f"/sharing/preview?at={PRACTICE}"
    shown = {name: html.unescape(here.signed_in(name).get(path).text) for name in ("eleanor", "other")}
    assert {name: said in page for name, page in shown.items()} == {"eleanor": True, "other": False}


@pytest.mark.promise("U1")
def test_no_page_has_words_of_machines(here: Hospital, browser: Browser) -> None:
    say_yes(here, browser, _answered(browser, "all"))
    for path in ("/sharing", "/sharing/where", "/sharing/stop?which=1-1"):
        assert not MACHINE_WORDS.findall(TAG.sub(" ", _words(browser, path))), path


@pytest.mark.services
@pytest.mark.promise("U4")
def test_the_markup_of_each_state_is_valid(here: Hospital, browser: Browser, practice: Practice) -> None:
    say_yes(here, browser, _answered(browser, "all"))
    pages = {path: _words(browser, path) for path in ("/sharing", "/sharing/where", "/sharing/stop?which=1-1")}
    with practice.being(Manner.WAITS):
        pages["asking"] = here.signed_in("eleanor").get("/sharing").text
    with practice.being(Manner.IS_DOWN):
        pages["silent"] = html.unescape(settled(here.signed_in("eleanor"), "/sharing"))
    assert faults(pages) == []
