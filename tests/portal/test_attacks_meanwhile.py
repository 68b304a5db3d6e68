"""A sign-in that began by what is no way in any more when it ends: the new password and the removed device count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from salus.node.services import accounts as account_service
from salus.node.services import passkeys as passkey_service
from salus.node.services.passkeys import Passkeys
from tests.portal.portal_world import PASSWORD, Hospital, portal
from tests.portal.soft_passkey import SoftPasskey
from tests.portal.test_attacks_passkeys import add, sign_in

NEW = "another long sentence"
pytestmark = pytest.mark.promise("R3")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


def after(done: Callable[..., Any], then: Callable[[], None]) -> Callable[..., Any]:
    """Something that is done, and then, once, something else, before whoever waits for it goes on."""
    waiting = [then]

    def both(*given: Any, **named: Any) -> Any:
        found = done(*given, **named)
        while waiting:
            waiting.pop()()
        return found

    return both


def test_the_old_password_lets_nobody_in_who_began_before(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """To hash one takes a tenth of a second; whoever knows the old one always has one on its way."""

    def changed() -> None:
        here.portal.accounts.set_password(here.accounts["eleanor"], signs_in_as="eleanor", password=NEW)

    monkeypatch.setattr(account_service, "stretched", after(account_service.stretched, changed))
    browser = here.client()
    came = browser.post("/sign-in", {"name": "eleanor", "password": PASSWORD})
    assert (came.status_code, "do not match" in came.text) == (400, True)
    assert browser.get("/devices").headers["location"] == "/sign-in"
    assert browser.post("/sign-in", {"name": "eleanor", "password": NEW}).status_code == 303


def test_a_session_that_ended_meanwhile_adds_no_passkey(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a way in for good, for whoever knew the old password."""
    thief, made = here.signed_in("officer"), SoftPasskey()

    def changed() -> None:
        here.portal.accounts.set_password(here.accounts["officer"], signs_in_as="officer", password=NEW)

    monkeypatch.setattr(passkey_service, "_mapping", after(passkey_service._mapping, changed))
    assert add(thief, made).status_code == 403
    assert here.portal.passkeys.of(here.accounts["officer"]) == []
    assert sign_in(here.client(), made, count=0).status_code == 403


def test_a_removed_passkey_lets_nobody_in_who_began_before(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, lost = here.signed_in("rao"), SoftPasskey()
    assert add(owner, lost).status_code == 303
    name = here.portal.passkeys.name_of(lost.signed(b"c")).hex()

    def removed() -> None:
        assert owner.post("/devices", {"passkey": name}).status_code == 303

    monkeypatch.setattr(Passkeys, "sign_in", after(Passkeys.sign_in, removed))
    browser = here.client()
    assert sign_in(browser, lost, count=0).status_code == 403
    assert browser.get("/devices").headers["location"] == "/sign-in"
    assert owner.get("/devices").status_code == 200
