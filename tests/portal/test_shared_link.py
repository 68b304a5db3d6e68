"""A link as programs ask for it: what SMART Health Links say of requests and answers, and what strangers try."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Response
from joserfc import jwe
from joserfc.jwk import OctKey
from starlette.testclient import TestClient

from salus.node.services.health_links import WantedLink
from salus.portal.shared_link import encoded, link_text
from tests.portal.portal_world import ORIGIN, Hospital, portal

PASSCODE = "heddiw-2026"
SPECIFICATION = {
    "url": "https://ehr.example.org/qr/Y9xwkUdtmN9wwoJoN3ffJIhX2UGvCL1JnlPVNL3kDWM/m",
    "key": "rxTgYlOaKJPFtcEd0qcceN8wEU4p94SqAwIWQe6uX7Q",
}
"""Example values of the specification's logical model ShlPayload."""
Json = dict[str, Any]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def payload(here: Hospital) -> Iterator[Json]:
    """A link that Eleanor gave out, read as whoever gets it reads it."""
    account = here.portal.accounts.find(here.accounts["eleanor"])
    assert account is not None
    login = here.portal.accounts.login_of(account, here.portal.accounts.hold(account)[0])
    made = here.portal.links.make(login, here.patient, WantedLink("Dr Jones", PASSCODE, lasts_s=3600, tries=3))
    url = f"{ORIGIN}/link/{encoded(made.secret)}"
    yield read(link_text(url=url, key=made.key, label="Dr Jones", until_s=made.until_s))
    here.portal.links.stop(login, here.patient, made.name)


def read(text: str) -> Json:
    """Return the payload of a link."""
    scheme, _, encoded_payload = text.partition(":/")
    assert scheme == "shlink"
    found: Json = json.loads(base64.urlsafe_b64decode(encoded_payload + "=" * (-len(encoded_payload) % 4)))
    return found


def client(here: Hospital) -> TestClient:
    return TestClient(here.portal.app(), base_url=ORIGIN, follow_redirects=False)


def ask(here: Hospital, url: str, **changed: object) -> Response:
    """Ask for a manifest; None leaves a member out."""
    wanted = {"recipient": "Dr Jones", "passcode": PASSCODE} | changed
    body = {name: value for name, value in wanted.items() if value is not None}
    return client(here).post(url, json=body, headers={"origin": "https://viewer.example"})


def document(text: str, key: str) -> Json:
    plain = jwe.decrypt_compact(text, OctKey.import_key({"kty": "oct", "k": key})).plaintext
    assert plain is not None
    found: Json = json.loads(plain)
    return found


def test_a_link_is_what_the_specification_says() -> None:
    key = base64.urlsafe_b64decode(SPECIFICATION["key"] + "=")
    text = link_text(url=SPECIFICATION["url"], key=key, label="Dr Jones", until_s=1_800_000_000)
    assert re.fullmatch(r"shlink:/[A-Za-z0-9_-]+", text)
    assert read(text) == SPECIFICATION | {"exp": 1_800_000_000, "flag": "P", "label": "Dr Jones", "v": 1}


def test_an_address_has_256_random_bits_and_fits_in_128_characters(payload: Json) -> None:
    assert re.fullmatch(rf"{ORIGIN}/link/[A-Za-z0-9_-]{{43}}", payload["url"])
    assert len(payload["url"]) <= 128
    assert len(payload["key"]) == 43


def test_a_file_is_fetched_where_the_manifest_says(here: Hospital, payload: Json) -> None:
    came = ask(here, payload["url"])
    assert came.status_code == 200
    assert came.headers["content-type"] == "application/json"
    manifest = came.json()
    (file,) = manifest["files"]
    assert (manifest["status"], set(file)) == ("finalized", {"contentType", "location"})
    assert file["contentType"] == "application/fhir+json;fhirVersion=4.0.1"
    fetched = client(here).get(file["location"], headers={"origin": "https://viewer.example"})
    assert (fetched.status_code, fetched.headers["content-type"]) == (200, "application/jose")
    bundle = document(fetched.text, payload["key"])
    assert (bundle["type"], bundle["entry"][0]["resource"]["resourceType"]) == ("document", "Composition")
    header = json.loads(base64.urlsafe_b64decode(fetched.text.split(".")[0] + "=="))
    assert header == {"alg": "dir", "enc": "A256GCM", "cty": file["contentType"], "zip": "DEF"}


@pytest.mark.parametrize(("embedded_max", "where"), [(10_000_000, "embedded"), (10, "location")])
def test_a_file_stands_in_the_manifest_where_it_fits(
    here: Hospital, payload: Json, embedded_max: int, where: str
) -> None:
    (file,) = ask(here, payload["url"], embeddedLengthMax=embedded_max).json()["files"]
    assert set(file) == {"contentType", where}
    if where == "embedded":
        assert document(file["embedded"], payload["key"])["type"] == "document"


def test_a_wrong_passcode_is_answered_with_what_is_left_until_the_link_ends(here: Hospital, payload: Json) -> None:
    came = [ask(here, payload["url"], passcode=f"wrong-{number}") for number in range(4)]
    assert [each.status_code for each in came] == [401, 401, 401, 404]
    assert [each.json() for each in came[:3]] == [{"remainingAttempts": left} for left in (2, 1, 0)]
    assert ask(here, payload["url"]).status_code == 404


@pytest.mark.promise("P4")
def test_what_is_no_link_looks_like_one_that_ended(here: Hospital, payload: Json) -> None:
    """Unknown, mistyped, stopped: the same status, fields and bytes."""
    ended = payload["url"]
    (link,) = (each for each in here.portal.links.of(here.patient) if each.state == "open")
    token = ask(here, ended).json()["files"][0]["location"]
    account = here.portal.accounts.find(here.accounts["eleanor"])
    assert account is not None
    login = here.portal.accounts.login_of(account, here.portal.accounts.hold(account)[0])
    here.portal.links.stop(login, here.patient, link.name)
    unknown = [f"{ORIGIN}/link/{encoded(bytes(32))}", f"{ORIGIN}/link/x", f"{ended}=", f"{ended[:-1]}é"]
    came = [ask(here, each) for each in (ended, *unknown)]
    came += [client(here).get(each) for each in (token, f"{ORIGIN}/link/file/x", f"{ORIGIN}/link/file/{'x' * 500}")]
    said = {(each.status_code, each.content, tuple(sorted(each.headers.items()))) for each in came}
    assert len(said) == 1, said
    assert came[0].status_code == 404


UNFIT = [
    ("no passcode", {"passcode": None}, 400),
    ("an empty passcode", {"passcode": ""}, 400),
    ("a passcode that is none", {"passcode": 5}, 400),
    ("nobody", {"recipient": None}, 400),
    ("an empty name", {"recipient": " \n "}, 400),
    ("a long name", {"recipient": "x" * 121}, 400),
    ("a lone surrogate", {"recipient": "\ud800"}, 400),
]


@pytest.mark.parametrize(("changed", "status"), [each[1:] for each in UNFIT], ids=[each[0] for each in UNFIT])
def test_a_request_that_is_none_spends_no_try(
    here: Hospital, payload: Json, changed: dict[str, object], status: int
) -> None:
    body = {
        name: each for name, each in ({"recipient": "x", "passcode": "wrong"} | changed).items() if each is not None
    }
    came = client(here).post(payload["url"], content=json.dumps(body), headers={"content-type": "application/json"})
    assert came.status_code == status
    assert ask(here, payload["url"], passcode="wrong").json() == {"remainingAttempts": 2}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"\xff", b"{" * 5000, b'{"recipient":"' + b"x" * 5000 + b'"}', b'{"a":' + b"[" * 4000],
    ids=["nothing", "a list", "no UTF-8", "too large", "a long name", "lists in lists"],
)
def test_what_is_no_request_is_refused(here: Hospital, payload: Json, body: bytes) -> None:
    assert client(here).post(payload["url"], content=body).status_code == 400


def test_any_page_may_ask_and_no_cookie_comes_of_it(here: Hospital, payload: Json) -> None:
    before = client(here).options(payload["url"], headers={"origin": "https://viewer.example"})
    assert (before.status_code, before.headers["access-control-allow-headers"]) == (204, "content-type")
    came = ask(here, payload["url"])
    fetched = client(here).get(came.json()["files"][0]["location"])
    for each in (before, came, fetched):
        assert each.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in each.headers
        assert "set-cookie" not in each.headers
        assert each.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("method", "path"), [("GET", "x" * 43), ("POST", "file/x"), ("HEAD", "x" * 43)])
def test_nothing_else_is_answered(here: Hospital, method: str, path: str) -> None:
    assert client(here).request(method, f"{ORIGIN}/link/{path}").status_code == 405


def test_who_is_signed_in_gets_nothing_more(here: Hospital, payload: Json) -> None:
    """The cookie of whoever asks counts for nothing: neither the patient's nor a clinician's."""
    for name in ("eleanor", "rao"):
        browser = here.signed_in(name)
        came = browser.client.post(payload["url"], json={"recipient": "x", "passcode": "wrong"})
        assert came.status_code == 401


@pytest.mark.promise("P4")
def test_nothing_of_a_request_is_in_a_log(here: Hospital, payload: Json, capsys: pytest.CaptureFixture[str]) -> None:
    ask(here, payload["url"], recipient="Nobody Special", passcode="wrong-passcode")
    ask(here, f"{ORIGIN}/link/{encoded(bytes(32))}", recipient="Nobody Special")
    said = "".join(capsys.readouterr())
    assert "portal.link_refused" in said
    for secret in ("Nobody Special", "wrong-passcode", PASSCODE, payload["url"].rpartition("/")[2], payload["key"]):
        assert secret not in said
