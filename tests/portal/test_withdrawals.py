"""A choice about what another organisation keeps is stopped: since when it has ended, or that it still holds."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest

from salus.contracts import consent
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.identifiers import Pseudonym
from salus.node.errors import NotNow
from salus.node.people import certify_person, open_session
from salus.node.services import deliver
from salus.node.services.request import Denied, Granted, Wish, request
from salus.portal.words import words_of
from salus.testing.world import HOSPITAL, PRACTICE
from tests.portal.choosing_device import SIGNER, answer, asked, say_yes, set_up
from tests.portal.portal_world import NAMES, Browser, Hospital, portal, settled
from tests.portal.second_custodian import Manner, Practice

THERE = NAMES[PRACTICE]
STILL = f"{THERE} did not answer. Your choice still holds."
ENDED = re.compile(r"Your choice has ended\. Since ([^.]+?) nobody is let in by it, anywhere")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal"), signer=SIGNER, is_joined=True) as made:
        set_up(made)
        yield made


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus.node.http_peers.PAUSES_S", ())


@pytest.fixture
def browser(here: Hospital) -> Browser:
    """Signed in; doctors of the hospital may see what the practice has."""
    made = here.signed_in("eleanor")
    settled(made, "/sharing")
    if not _choices(here):
        made.post("/sharing/begin", {}, page="/sharing")
        fields = {"where": PRACTICE, "direction": "more", "who": HOSPITAL, "what": "all", "until": ""}
        for name, value in fields.items():
            made.post(f"/sharing/{name}", {"day-day": ""} if name == "until" else {name: value})
        say_yes(here, made, made.post("/sharing/check", {"rules": ""}))
        settled(made, "/sharing")
    return made


def _there(here: Hospital) -> Pseudonym:
    assert here.joined is not None
    (of,) = [each for each in here.joined[1].wallet.relationships if each.custodian == PRACTICE]
    return Pseudonym(of.pseudonym)


def _choices(here: Hospital) -> list[bytes]:
    with here.node.engine.snapshot() as reader:
        return [each.choice for each in consent.choices(reader, _there(here)).choices]


def _stopping(here: Hospital, browser: Browser) -> tuple[str, dict[str, Any]]:
    """Two clicks: what the device is asked to sign."""
    link = "/sharing/stop?which=1-1"
    (name,) = re.findall(r'name="choice" value="(\w+)"', browser.get(link).text)  # type: ignore[attr-defined]
    return asked(here, browser.post("/sharing/stop", {"choice": name}, page=link))


def _is_let_in(here: Hospital) -> bool:
    """Whether a doctor of the hospital gets a permit for what the practice has."""
    person = certify_person(here.node, name="Dr Rao", role="Doctor", registration="1", role_class=RoleClass.CLINICAL)
    session = open_session(person.key, person.certificate, custodian=PRACTICE, from_s=here.node.clock())
    wish = Wish(_there(here), PRACTICE, RoleClass.CLINICAL, Purpose.TREAT)
    came = request(here.node, session, wish)
    assert isinstance(came, Granted | Denied), came
    return isinstance(came, Granted)


@pytest.mark.promise("R3")
def test_a_choice_that_an_organisation_did_not_take_back_is_said_to_hold(
    here: Hospital, browser: Browser, practice: Practice
) -> None:
    assert _is_let_in(here)
    name, wanted = _stopping(here, browser)
    with practice.being(Manner.IS_DOWN):
        came = answer(here.client().client, here, browser, name, wanted)
    assert came.status_code == 503
    assert STILL in html.unescape(came.text)
    assert 'href="/sharing"' in came.text
    assert "Nothing was lost" not in came.text
    assert _is_let_in(here)
    name, wanted = _stopping(here, browser)
    answer(here.client().client, here, browser, name, wanted)
    assert ENDED.search(html.unescape(browser.get("/sharing").text))  # type: ignore[attr-defined]
    assert not _is_let_in(here)


@pytest.mark.promise("R3")
def test_a_withdrawal_whose_answer_was_lost_is_looked_for_on_the_ledger(
    here: Hospital, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loses(*of: Any) -> None:
        delivered(*of)
        raise NotNow("lost")

    delivered = deliver.deliver
    name, wanted = _stopping(here, browser)
    monkeypatch.setattr(deliver, "deliver", loses)
    came = answer(here.client().client, here, browser, name, wanted)
    assert came.headers["location"] == "/sharing"
    (since,) = ENDED.findall(html.unescape(browser.get("/sharing").text))  # type: ignore[attr-defined]
    words, now_s = words_of("en"), here.node.clock()
    assert since in {words.moment(now_s), words.moment(now_s - 60)}
    assert not _is_let_in(here)


def test_whatever_was_signed_and_not_answered_is_not_said_to_be_lost_or_not(
    here: Hospital, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address to which one comes back does nothing a second time: nobody is sent there again."""

    def away(*_of: Any) -> bool:
        raise NotNow("away")

    name, wanted = _stopping(here, browser)
    monkeypatch.setattr("salus.node.services.signer_choices.withdraw", away)
    came = answer(here.client().client, here, browser, name, wanted)
    assert came.status_code == 503
    assert "We do not know yet whether it is done" in came.text
    assert f"/signing/{name}/done" not in came.text.split("<main")[1].split("</main")[0]
