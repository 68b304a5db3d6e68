"""Signing in for an app as a way round the portal: who finds out who is a patient, and what outlives a password."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from salus.node.bearers import Bearers
from salus.node.sealed_rows import SealedRows
from salus.node.services import take_over_codes
from salus.node.services.accounts import AccountId
from salus.node.services.find_patient import TRIES_MAX
from salus.node.services.grants import Grants, Wanted
from salus.node.services.patient_helpers import Help, Helpers
from salus.portal.sessions import Sessions
from tests.api.smart.smart_world import (
    BORN,
    NUMBER,
    PASSWORD,
    Hall,
    allow,
    born,
    cheap_passwords,
    hall,
    hidden,
    went_back,
)

NOBODY = "9990000026"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    with pytest.MonkeyPatch.context() as patched:
        cheap_passwords(patched)
        with hall(tmp_path_factory.mktemp("hall")) as made:
            yield made
            made.smart.close()


def named(here: Hall, account: AccountId, name: str) -> AccountId:
    """Let an account sign in."""
    here.smart.accounts.set_password(account, signs_in_as=name, password=PASSWORD)
    here.names[account] = name
    return account


def asking(here: Hall, account: AccountId, **changes: str) -> tuple[Any, Any]:
    """A browser in which somebody has signed in for an app, and the page on which staff says about whom it is."""
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked(**changes)))
    assert here.sign_in(browser, account).status_code == 303
    return browser, browser.get("/oauth/patient")


def said(browser: Any, page: Any, number: str, date: str = BORN) -> Any:
    return browser.post("/oauth/patient", data={**hidden(page), "number": number, **born(date)})


@pytest.mark.promise("R4")
@pytest.mark.parametrize("kind", ["operator", "helper", "patient"])
def test_who_asks_for_no_records_finds_nobody_by_their_number(here: Hall, kind: str) -> None:
    accounts = here.smart.accounts
    made = {"operator": accounts.add_operator, "helper": accounts.add_helper}
    account = here.patient if kind == "patient" else named(here, made[kind](name="Kim"), f"a-{kind}")
    browser, page = asking(here, account)
    patient, nobody = said(browser, page, NUMBER), said(browser, page, NOBODY)
    assert (patient.status_code, patient.text) == (nobody.status_code, nobody.text)
    assert "location" not in patient.headers


@pytest.mark.promise("R4")
@pytest.mark.parametrize("kind", ["operator", "helper"])
def test_who_asks_for_no_records_is_sent_back_without_a_question(here: Hall, kind: str) -> None:
    made = {"operator": here.smart.accounts.add_operator, "helper": here.smart.accounts.add_helper}
    browser, _ = asking(here, named(here, made[kind](name="Kim"), kind))
    assert went_back(browser.get("/oauth/consent"))["error"] == "invalid_scope"


def test_an_app_gives_staff_no_more_searches_than_the_portal_does(here: Hall) -> None:
    """Birthdays of one number are 36,525 tries; nobody has them in an afternoon, by however many browsers."""
    first, second = asking(here, here.staff), asking(here, here.staff)
    for number in range(TRIES_MAX):
        assert said(*(first, second)[number % 2], NOBODY).status_code == 400
    assert said(*first, NUMBER).status_code == 429
    assert said(*second, NUMBER).status_code == 429
    here.later_s[0] = 901
    assert said(*second, NUMBER).headers["location"] == "/oauth/consent"


def new_password(here: Hall, account: AccountId) -> None:
    """The desk gives a patient another password, since somebody may have had the old one."""
    here.smart.accounts.set_password(account, signs_in_as=here.names[account], password=PASSWORD)


def out_everywhere(here: Hall, account: AccountId) -> None:
    """The patient signs out everywhere in the portal."""
    bearers = Bearers(here.node, SealedRows(here.node.vault, here.node.chain))
    Sessions(here.node, bearers, origin="https://portal.example").end_all(account)


def taken_away(here: Hall, account: AccountId) -> None:
    """The account is removed, and the patient gets another."""
    here.smart.accounts.remove(account)


@pytest.mark.promise("R3")
@pytest.mark.parametrize("end", [new_password, out_everywhere, taken_away], ids=lambda each: each.__name__)
def test_no_app_and_no_page_for_apps_goes_on(here: Hall, end: Callable[[Hall, AccountId], None]) -> None:
    """What somebody who knew the password let in, or may still let in where they have signed in."""
    account = named(here, here.smart.accounts.add_patient(here.pseudonym, name="Pat"), f"pat-{end.__name__}")
    tokens, browser = here.tokens(account), here.client()
    code = here.code(browser, account)
    assert browser.get("/oauth/apps").status_code == 200
    end(here, account)
    assert here.search(tokens["access_token"]).status_code == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": here.public.id}
    assert here.client().post("/oauth/token", data=refresh).json()["error"] == "invalid_grant"
    assert here.redeem(here.client(), code).json()["error"] == "invalid_grant"
    assert browser.get("/oauth/apps").headers["location"] == "/oauth/sign-in"
    assert browser.get("/oauth/authorize?" + urlencode(here.asked())).headers["location"] == "/oauth/sign-in"


@pytest.mark.promise("R3")
def test_a_browser_that_is_signed_out_meanwhile_lets_no_app_in(here: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knew the old password, and is just pressing the button, would have the record for ninety days."""
    account = named(here, here.smart.accounts.add_patient(here.pseudonym, name="Pat"), "pat-meanwhile")
    browser, begin = here.client(), Grants.begin
    browser.get("/oauth/authorize?" + urlencode(here.asked()))
    here.sign_in(browser, account)
    page = browser.get("/oauth/consent")

    def after(grants: Grants, wanted: Wanted) -> str:
        new_password(here, account)
        return begin(grants, wanted)

    monkeypatch.setattr(Grants, "begin", after)
    assert went_back(allow(browser, page))["error"] == "access_denied"
    assert here.smart.grants.given_by(account) == []


def test_what_others_let_in_goes_on(here: Hall) -> None:
    account = named(here, here.smart.accounts.add_patient(here.pseudonym, name="Pat"), "pat-again")
    tokens = here.tokens(here.staff, scope="user/Observation.rs"), here.tokens(here.patient)
    for end in (new_password, out_everywhere, taken_away):
        end(here, account)
    assert [here.search(each["access_token"]).status_code for each in tokens] == [200, 200]


@pytest.mark.promise("R3")
@pytest.mark.parametrize("end", [new_password, taken_away], ids=lambda each: each.__name__)
def test_no_code_that_hands_the_record_over_goes_on(here: Hall, end: Callable[[Hall, AccountId], None]) -> None:
    account = named(here, here.smart.accounts.add_patient(here.pseudonym, name="Pat"), f"code-{end.__name__}")
    take_over_codes.make(here.node, here.pseudonym)
    assert take_over_codes.made_s(here.node, here.pseudonym) is not None
    end(here, account)
    assert take_over_codes.made_s(here.node, here.pseudonym) is None


@pytest.mark.promise("R3")
@pytest.mark.parametrize("end", [new_password, taken_away], ids=lambda each: each.__name__)
def test_no_code_that_lets_somebody_help_goes_on(here: Hall, end: Callable[[Hall, AccountId], None]) -> None:
    """Whoever knew the password may have made one for themselves, and not used it yet; others' codes stay."""
    here.later_s[0] = 0  # the ledger takes no transaction of another hour
    accounts, helpers = here.smart.accounts, Helpers.of_node(here.node)
    account = named(here, accounts.add_patient(here.pseudonym, name="Pat"), f"help-{end.__name__}")
    own = accounts.find(account)
    assert own is not None
    login = accounts.login_of(own, accounts.hold(own)[0])
    code = helpers.add(login, here.pseudonym, Help(f"Jo {end.__name__}", "carer", may_share=False), patient="Pat")
    assert helpers.invited(code) is not None
    end(here, named(here, accounts.add_helper(name="Kim"), f"kim-{end.__name__}"))
    assert helpers.invited(code) is not None
    end(here, account)
    assert helpers.invited(code) is None
    before = {each.key for each in helpers.of(here.pseudonym) if not each.is_taken_up}
    assert before, "the patient sees whom it was for, and may make another"
