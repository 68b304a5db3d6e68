"""Codes that no provider gave, by the hundred: whom they make this portal ask, and whom they keep waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import delete

from salus.node import schema
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.listen_settings import Launcher, SignInProvider
from salus.node.services import accounts as account_service
from salus.node.services.outside_sign_in import AT_ONCE_MAX
from salus.portal.app import THREADS, Portal
from tests.portal.portal_world import ORIGIN, Browser, Hospital, portal

FROM_MAX = 6
FHIR = "https://ehr.example/fhir"
AT = "https://out.example"
OUTSIDE = SignInProvider("out", "OUT", AT, "me", f"{AT}/authorize", f"{AT}/token", f"{AT}/jwks")
EHR = Launcher("ehr", "EHR", AT, "me", f"{AT}/authorize", f"{AT}/token", f"{AT}/jwks", fhir=FHIR)


class Provider:
    """What is at the provider's addresses: it knows no code, fails, or is slow to say anything."""

    def __init__(self) -> None:
        self.asked = 0
        self.says: Exception = Refused(Refusal.SIGN_IN_UNFIT, "there is no such code")
        self.answers = threading.Event()
        self.answers.set()
        self.is_asked = threading.Semaphore(0)

    def fetch(self, _address: str, _form: dict[str, str] | None, _token: str = "") -> bytes:
        """Answer a question."""
        self.asked += 1
        self.is_asked.release()
        self.answers.wait(30)
        raise self.says


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def here(hospital: Hospital, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hospital]:
    """The same hospital with a provider and another system; nobody has tried anything for a while."""
    monkeypatch.setattr(account_service, "TRIES_FROM_MAX", FROM_MAX)
    with hospital.node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies))
    before = hospital.portal
    hospital.portal = Portal(
        *(before.node, before.settings),
        peers=before.peers,
        providers=[OUTSIDE],
        launchers=[EHR],
        fetching=provider.fetch,
    )
    try:
        yield hospital
    finally:
        hospital.portal.close()
        hospital.portal = before


def begun_here(browser: Browser) -> str:
    return str(browser.post("/sign-in/with/out", {}, page="/sign-in").headers["location"])


def begun_there(browser: Browser) -> str:
    return str(browser.get(f"/launch?iss={FHIR}&launch=x").headers["location"])


WAYS = {"/sign-in/with/out/back": begun_here, "/launch/ehr/back": begun_there}


def back(browser: Browser, path: str) -> Any:
    """Come back with a code that nobody gave."""
    state = parse_qs(urlsplit(WAYS[path](browser)).query)["state"][0]
    return browser.get(f"{path}?code=made-up&state={state}")


@pytest.mark.parametrize("path", WAYS)
def test_made_up_codes_are_tries(here: Hospital, provider: Provider, path: str) -> None:
    """Otherwise this portal asks whatever somebody makes up, under its own name, until the provider shuts it out."""
    browser = here.client()
    came = [back(browser, path).status_code for _ in range(FROM_MAX + 2)]
    assert came == [403] * FROM_MAX + [429] * 2
    assert provider.asked == FROM_MAX


@pytest.mark.parametrize("path", WAYS)
def test_a_provider_that_fails_shuts_nobody_out(here: Hospital, provider: Provider, path: str) -> None:
    """Everybody in the building has come back from it in vain, and comes again when it is there again."""
    provider.says, browser = NotNow("the provider does not answer"), here.client()
    assert [back(browser, path).status_code for _ in range(FROM_MAX + 2)] == [503] * (FROM_MAX + 2)
    provider.says = Refused(Refusal.SIGN_IN_UNFIT, "there is no such code")
    assert back(browser, path).status_code == 403


@pytest.mark.parametrize("path", WAYS)
def test_a_slow_provider_leaves_threads_for_everybody_else(
    here: Hospital, provider: Provider, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_service, "TRIES_FROM_MAX", 100)
    browsers = [here.client() for _ in range(THREADS + 2)]
    states = [parse_qs(urlsplit(WAYS[path](each)).query)["state"][0] for each in browsers]
    provider.answers.clear()
    with ThreadPoolExecutor(len(browsers)) as pool:
        waiting = [
            pool.submit(each.client.get, f"{path}?code=made-up&state={state}")
            for each, state in zip(browsers, states, strict=True)
        ]
        try:
            for _ in range(AT_ONCE_MAX):
                assert provider.is_asked.acquire(timeout=10)
            done = as_completed(waiting, timeout=20)
            refused = [next(done) for _ in range(len(browsers) - AT_ONCE_MAX)]
            assert here.client().client.get(f"{ORIGIN}/sign-in").status_code == 200
        finally:
            provider.answers.set()
        assert {each.result().status_code for each in refused} == {503}
        came = sorted(each.result().status_code for each in waiting)
    assert provider.asked == AT_ONCE_MAX
    assert came == [403] * AT_ONCE_MAX + [503] * (len(browsers) - AT_ONCE_MAX)
