"""Links that strangers guess at: from many places, at one moment, by the clock; and where an address could be read."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from salus.api.exchange.serve import uvicorn_config
from salus.crypto.sealing import new_key
from salus.node.errors import Refused
from salus.node.services.health_links import LinkState
from salus.node.services.link_openings import Ask, PasscodeWrong
from salus.portal.shared_link import encoded
from tests.portal.links_world import PASSCODE, WANTED, Desk
from tests.portal.portal_world import ORIGIN, Hospital, portal


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def desk(here: Hospital) -> Desk:
    return Desk(here)


def ask(here: Hospital, secret: bytes, passcode: str, *, place: str, **headers: str) -> object:
    """Ask for a manifest from an address of the network."""
    client = TestClient(here.portal.app(), base_url=ORIGIN, client=(place, 50_000), follow_redirects=False)
    return client.post(f"/link/{encoded(secret)}", json={"recipient": "x", "passcode": passcode}, headers=headers)


def test_guesses_from_forty_places_at_one_moment_are_no_more_guesses(desk: Desk) -> None:
    made = desk.make()

    def guess(number: int) -> int:
        return ask(desk.here, made.secret, f"guess-{number}", place=f"198.51.100.{number}").status_code

    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(guess, range(40)))
    assert came.count(401) == WANTED.tries
    assert set(came) <= {401, 404, 503}  # 503: while all tries are being looked at
    assert desk.link(made).state is LinkState.GUESSED
    assert ask(desk.here, made.secret, PASSCODE, place="203.0.113.80").status_code == 404


@pytest.mark.parametrize("round_", range(5))
def test_two_requests_at_the_last_try_are_one_try(desk: Desk, round_: int) -> None:
    """Whichever is first, no more is tried than there are tries; the other is told so, or to try again."""
    made = desk.make()
    for number in range(WANTED.tries - 1):
        assert ask(desk.here, made.secret, f"w{number}", place=f"192.0.2.{round_}").status_code == 401
    with ThreadPoolExecutor(2) as pool:
        wrong = pool.submit(ask, desk.here, made.secret, "wrong", place="192.0.2.101")
        again = pool.submit(ask, desk.here, made.secret, "wrong too", place="192.0.2.102")
    assert sorted(each.result().status_code for each in (wrong, again)) in ([401, 404], [401, 503])
    assert desk.link(made).state is LinkState.GUESSED


def test_whoever_opens_a_link_at_the_same_moment_as_many_gets_in_or_is_told_to_try_again(desk: Desk) -> None:
    made = desk.make()

    def opening(number: int) -> object:
        return ask(desk.here, made.secret, PASSCODE, place=f"198.51.100.{100 + number}")

    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(opening, range(40)))
    assert {each.status_code for each in came} <= {200, 503}
    assert all(each.headers["retry-after"] for each in came if each.status_code == 503)
    assert desk.link(made).tries_left == WANTED.tries
    assert opening(41).status_code == 200


def test_addresses_that_are_guessed_spend_no_try_of_a_link_and_are_held_back(desk: Desk) -> None:
    made = desk.make()
    came = [ask(desk.here, new_key(), PASSCODE, place="192.0.2.200").status_code for _ in range(70)]
    assert came == [404] * 60 + [429] * 10
    assert ask(desk.here, made.secret, PASSCODE, place="192.0.2.200").status_code == 429
    assert desk.link(made).tries_left == WANTED.tries
    assert ask(desk.here, made.secret, PASSCODE, place="192.0.2.201").status_code == 200


def test_the_clock_does_not_tell_an_address_that_is_known_from_one_that_is_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processor time, at half of what a passcode costs in life: the least of some, since others use the machine."""
    monkeypatch.setattr("salus.node.services.accounts.SCRYPT_N", 1 << 14)
    made, took = desk.make(), {"known": [], "unknown": [], "ended": []}
    ended = desk.make()
    desk.links.stop(desk.login(), desk.here.patient, ended.name)
    secrets = {"known": made.secret, "unknown": new_key(), "ended": ended.secret}
    for number in range(4):
        for name, secret in secrets.items():
            begun = time.thread_time()
            with pytest.raises((PasscodeWrong, Refused)):
                desk.openings.open(secret, Ask("x", f"wrong-{number}", f"192.0.2.{number}"))
            took[name].append(time.thread_time() - begun)
    least = {name: min(each) for name, each in took.items()}
    assert max(least.values()) / min(least.values()) < 1.5, least
    assert min(least.values()) > 0.02, "a guess costs something"


@pytest.mark.parametrize("origin", ["null", "https://evil.example", ORIGIN, ""])
def test_whatever_page_asks_gets_the_same_and_no_cookie(desk: Desk, origin: str) -> None:
    made = desk.make()
    came = ask(desk.here, made.secret, PASSCODE, place="192.0.2.50", **({"origin": origin} if origin else {}))
    assert (came.status_code, came.headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in came.headers
    assert "set-cookie" not in came.headers
    desk.links.stop(desk.login(), desk.here.patient, made.name)


@pytest.mark.promise("P4")
def test_an_address_is_in_no_log_and_told_to_nobody(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in what the server says, nor as where a browser comes from, nor on the page that opens it."""
    made = desk.make()
    for passcode in (PASSCODE, "wrong"):
        came = ask(desk.here, made.secret, passcode, place="192.0.2.60")
        assert came.headers["referrer-policy"] == "no-referrer"
    client = desk.here.client().client
    page = client.get("/link")
    assert page.headers["referrer-policy"] in ("no-referrer", "same-origin")
    assert re.findall(r'(?:src|href)="([^"/#][^"]*)"', page.text) == []  # nothing of elsewhere is loaded
    said = "".join(capsys.readouterr())
    for secret in (encoded(made.secret), encoded(made.key), PASSCODE, "192.0.2.60"):
        assert secret not in said
    assert uvicorn_config(desk.here.portal.app(), date_header=True).access_log is False
