"""Signing in for an app as a way round the portal: who finds out who is a patient here, and what outlives a password."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from salus.node.services.accounts import AccountId
from salus.node.services.find_patient import TRIES_MAX
from tests.api.smart.smart_world import BORN, NUMBER, PASSWORD, Hall, born, cheap_passwords, hall, hidden, went_back

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
