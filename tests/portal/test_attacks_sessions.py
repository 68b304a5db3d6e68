"""Sessions that somebody else planted, copied or kept: by every way in, and after every way out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fido2.utils import websafe_decode
from sqlalchemy import select
from starlette.requests import Request

from salus.node import schema
from salus.portal.call import HOMES
from salus.portal.sessions import COOKIE
from tests.api.smart.provider import OutsideProvider, running
from tests.portal.patient_charts import NUMBER, somebody_else
from tests.portal.portal_world import ORIGIN, PASSWORD, Browser, Hospital, portal
from tests.portal.soft_passkey import SoftPasskey
from tests.portal.test_attacks_passkeys import add, post, sign_in
from tests.portal.test_every_page import OWNERS
from tests.portal.test_helpers import code
from tests.portal.test_markup import crawl

pytestmark = pytest.mark.services

WHY = {"number": NUMBER, "reason": "other", "reason-words": "a clinic", "relationship": "treating"}
Way = Callable[[Hospital, Browser], Any]


@pytest.fixture(scope="module")
def provider() -> Iterator[OutsideProvider]:
    with running(level_claim="acr", signs=False) as made:
        yield made


@pytest.fixture(scope="module")
def here(provider: OutsideProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder, providers=[provider.settings(_folder(folder), "outside")]) as made:
        somebody_else(made, folder, [])
        made.portal.accounts.link(made.accounts["eleanor"], issuer=provider.issuer, subject=provider.subject)
        yield made


def _folder(folder: Path) -> Path:
    place = folder / "provider"
    place.mkdir()
    return place


def by_password(_here: Hospital, browser: Browser) -> Any:
    return browser.post("/sign-in", {"name": "eleanor", "password": PASSWORD})


def by_passkey(here: Hospital, browser: Browser) -> Any:
    made = SoftPasskey()
    assert add(here.signed_in("eleanor"), made).status_code == 303
    return sign_in(browser, made, count=0)


def by_provider(_here: Hospital, browser: Browser) -> Any:
    sent = browser.post("/sign-in/with/outside", {}, page="/sign-in").headers["location"]
    back = httpx2.get(sent, follow_redirects=False).headers["location"]
    return browser.get(back.removeprefix(ORIGIN))


def by_code(here: Hospital, browser: Browser) -> Any:
    fields = {"code": code(here), "name": "planted", "password": PASSWORD}
    return browser.post("/helping/new", fields)


WAYS: dict[str, Way] = {
    "password": by_password,
    "passkey": by_passkey,
    "provider": by_provider,
    "helper's code": by_code,
}
"""A launch has the same test beside its own attacks (`test_launches`); recovery signs nobody in."""


def with_cookie(here: Hospital, value: str) -> Browser:
    browser = here.client()
    browser.client.cookies.set(COOKIE, value, domain="portal.example")
    return browser


def require_out(browser: Browser) -> None:
    """Nothing of a person is there for this browser."""
    for path in ("/devices", "/record", "/record/answers", "/notices"):
        came = browser.get(path, hx_request="true")
        assert (came.status_code, came.headers["location"]) == (303, "/sign-in"), path
        assert "Eleanor" not in came.text
    came = browser.client.post("/sign-out", data={"form": browser.form}, headers={"origin": ORIGIN})
    assert came.headers["location"] == "/sign-in"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_cookie_that_was_planted_before_signing_in_opens_nothing(here: Hospital, way: Way) -> None:
    """Session fixation: neither the cookie, nor the token of its forms, is that of whoever signed in."""
    victim, thief = here.client(), here.client()
    thief.get("/sign-in")
    planted, form = thief.client.cookies[COOKIE], thief.form
    victim.client.cookies.set(COOKIE, planted, domain="portal.example")
    assert way(here, victim).status_code == 303
    assert victim.client.cookies.get(COOKIE, domain="portal.example") != planted
    page = victim.get("/devices")
    assert page.status_code == 200
    assert victim.form != form
    require_out(with_cookie(here, planted))


@pytest.mark.parametrize("way", [WAYS["password"], WAYS["passkey"]], ids=["password", "passkey"])
def test_who_signs_in_where_somebody_is_signed_in_takes_nothing_over(here: Hospital, way: Way) -> None:
    """What a doctor had open, answered or was told is not the next person's, and the doctor's cookie is gone."""
    browser = here.signed_in("rao")
    assert browser.post("/patients", WHY).headers["location"] == "/patient"
    before = browser.client.cookies[COOKIE]
    if way is by_password:
        browser.get("/devices")
        fields = {"form": browser.form, "name": "eleanor", "password": PASSWORD}
        came = browser.client.post("/sign-in", data=fields, headers={"origin": ORIGIN})
    else:
        made = SoftPasskey()
        assert add(here.signed_in("eleanor"), made).status_code == 303
        browser.get("/devices")
        asked = browser.client.post("/sign-in/passkey/ask", data={"form": browser.form}, headers={"origin": ORIGIN})
        assert asked.status_code == 200
        came = sign_in_with(browser, made, asked.json()["publicKey"]["challenge"])
    assert came.status_code == 303
    require_out(with_cookie(here, before))
    found = browser.client.cookies.get(COOKIE, domain="portal.example")
    session = _session(here, found).state
    assert (session.patient, session.found, session.answers, session.notice) == ((), (), (), "")


def sign_in_with(browser: Browser, made: SoftPasskey, challenge: str) -> Any:
    return post(browser, "/sign-in/passkey", made.signed(websafe_decode(challenge)))


def _session(here: Hospital, cookie: str) -> Any:
    headers = [(b"cookie", f"{COOKIE}={cookie}".encode())]
    return here.portal.sessions.find(Request({"type": "http", "headers": headers}))


def signed_out(_here: Hospital, browser: Browser) -> None:
    assert browser.post("/sign-out", {}, page="/devices").headers["location"] == "/signed-out"


def everywhere(here: Hospital, _browser: Browser) -> None:
    other = here.signed_in("eleanor")
    assert other.post("/sign-out", {"everywhere": "1"}, page="/devices").status_code == 303


def left(_here: Hospital, browser: Browser) -> None:
    assert browser.post("/leave", {}, page="/devices").headers["location"] == "/left"


def ended_elsewhere(here: Hospital, _browser: Browser) -> None:
    other = here.signed_in("eleanor")
    for name in re.findall(r'name="session" value="([0-9a-f]+)"', other.get("/devices").text):
        other.post("/devices", {"session": name}, page="/devices")


def password_changed(here: Hospital, _browser: Browser) -> None:
    here.portal.accounts.set_password(here.accounts["eleanor"], signs_in_as="eleanor", password=PASSWORD)


def account_removed(here: Hospital, _browser: Browser) -> None:
    here.portal.accounts.remove(here.accounts["eleanor"])
    here.accounts["eleanor"] = here.portal.accounts.add_patient(here.patient, name="Eleanor Moss")
    password_changed(here, _browser)


OUT = (signed_out, everywhere, left, ended_elsewhere, password_changed, account_removed)


@pytest.mark.promise("R3")
@pytest.mark.parametrize("out", OUT, ids=lambda each: each.__name__)
def test_a_cookie_that_was_copied_before_opens_nothing_after(
    here: Hospital, out: Callable[[Hospital, Browser], None]
) -> None:
    browser = here.signed_in("eleanor")
    copied = with_cookie(here, browser.client.cookies[COOKIE])
    copied.get("/devices")
    assert copied.get("/record").status_code == 200
    out(here, browser)
    require_out(copied)
    require_out(browser)


def test_a_passkey_that_whoever_knew_the_password_added_signs_in_no_more(here: Hospital) -> None:
    thief, made = here.client(), SoftPasskey()
    assert by_password(here, thief).status_code == 303
    assert add(thief, made).status_code == 303
    assert sign_in(here.client(), made, count=0).status_code == 303
    password_changed(here, thief)
    assert sign_in(here.client(), made, count=0).status_code == 403
    assert here.portal.passkeys.of(here.accounts["eleanor"]) == []


def signed_in_over(here: Hospital, browser: Browser) -> None:
    """The next person signs in at the same screen."""
    browser.get("/devices")
    fields = {"form": browser.form, "name": "eleanor", "password": PASSWORD}
    assert browser.client.post("/sign-in", data=fields, headers={"origin": ORIGIN}).status_code == 303


@pytest.mark.parametrize("out", [signed_out, left, signed_in_over], ids=lambda each: each.__name__)
def test_what_others_answered_goes_with_the_session(here: Hospital, out: Callable[[Hospital, Browser], None]) -> None:
    before, browser = gathered(here), here.signed_in("rao")
    assert browser.post("/patients", WHY).headers["location"] == "/patient"
    assert browser.get("/patient").status_code == 200
    assert gathered(here) > before
    out(here, browser)
    assert gathered(here) == before


def gathered(here: Hospital) -> set[bytes]:
    with here.node.vault.database.reading() as connection:
        return set(connection.scalars(select(schema.collected.c.collection)))


COOKIES = {
    "empty": "",
    "long": "a" * 5_000,
    "not ASCII": "\xe9",
    "quoted": '"a"',
    "with a NUL": "a\\000b",
    "a list": "[]",
    "spaces": "a b",
}


@pytest.mark.parametrize("cookie", COOKIES.values(), ids=COOKIES)
def test_a_cookie_that_nobody_gave_is_nobodys(here: Hospital, cookie: str) -> None:
    came = here.client().client.get("/devices", headers={"cookie": f"{COOKIE}={cookie}".encode("latin-1")})
    assert (came.status_code, came.headers["location"]) == (303, "/sign-in")


def test_the_cookie_is_bound_to_this_place_and_seen_by_no_script(here: Hospital) -> None:
    came = here.client().post("/sign-in", {"name": "eleanor", "password": PASSWORD})
    assert re.fullmatch(
        rf"{COOKIE}=[\w-]{{40,}}; HttpOnly; Path=/; SameSite=lax; Secure", came.headers["set-cookie"], re.ASCII
    )
    assert COOKIE.startswith("__Host-")


@pytest.mark.parametrize("name", OWNERS.values())
def test_nothing_that_was_seen_is_kept_and_after_signing_out_none_of_it_is_there(here: Hospital, name: str) -> None:
    """The back button: every page, part and file that a person comes to, and the pages of errors on their way."""
    browser = here.signed_in(name)
    if name == "rao":
        assert browser.post("/patients", WHY).headers["location"] == "/patient"
    home = HOMES[next(person for person, each in OWNERS.items() if each == name)]
    seen = crawl(browser, home)
    assert len(seen) > 5
    for path in [*seen, "/nowhere", "/record/letters/ZZZ/file/1", "/signing/ZZZ/done", "/network/x"]:
        came = browser.get(path)
        assert came.headers["cache-control"] == "no-store", path
        assert "etag" not in came.headers
        assert "last-modified" not in came.headers
    refused = browser.client.post("/sign-out", data={"a": "b"}, headers={"origin": ORIGIN})
    assert (refused.status_code, refused.headers["cache-control"]) == (403, "no-store")
    came = browser.post("/sign-out", {}, page="/devices")
    assert came.headers["clear-site-data"] == '"cache", "storage"'
    for path in seen:
        after = browser.get(path)
        assert after.status_code in (303, 404) or after.text.count("Eleanor") == 0, path
        assert after.status_code != 200 or path in ("/left", "/signed-out", "/sign-in", "/link", "/helping/new"), path


def by_the_passkey(here: Hospital, made: SoftPasskey) -> Browser:
    browser = here.client()
    assert sign_in(browser, made, count=0).status_code == 303
    return browser


def forget(here: Hospital, browser: Browser, made: SoftPasskey) -> None:
    """Remove a passkey on the page of devices."""
    name = here.portal.passkeys.name_of(made.signed(b"c")).hex()
    assert name in browser.get("/devices").text
    assert browser.post("/devices", {"passkey": name}).headers["location"] == "/devices"


@pytest.mark.promise("R3")
def test_a_device_that_was_removed_is_signed_out(here: Hospital) -> None:
    """A phone that was lost while it was signed in: by its own passkey, or where that was added."""
    eleanor, lost = here.signed_in("eleanor"), SoftPasskey()
    where_added = here.signed_in("eleanor")
    assert add(where_added, lost).status_code == 303
    by_it, by_other, other = by_the_passkey(here, lost), here.signed_in("eleanor"), SoftPasskey()
    assert add(by_other, other).status_code == 303
    forget(here, eleanor, lost)
    require_out(by_it)
    require_out(where_added)
    for browser in (eleanor, by_other, by_the_passkey(here, other)):
        assert browser.get("/devices").status_code == 200


def test_who_removes_the_passkey_they_came_by_stays(here: Hospital) -> None:
    made = SoftPasskey()
    assert add(here.signed_in("eleanor"), made).status_code == 303
    browser = by_the_passkey(here, made)
    forget(here, browser, made)
    assert browser.get("/devices").status_code == 200


def test_nobody_signs_another_out_by_their_passkey(here: Hospital) -> None:
    made = SoftPasskey()
    assert add(here.signed_in("eleanor"), made).status_code == 303
    browser, other = by_the_passkey(here, made), here.signed_in("other")
    other.post("/devices", {"passkey": here.portal.passkeys.name_of(made.signed(b"c")).hex()}, page="/devices")
    assert browser.get("/devices").status_code == 200
    assert sign_in(here.client(), made, count=0).status_code == 303
