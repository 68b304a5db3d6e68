"""A patient's own device at the portal: one yes opens a session with each custodian; what it may not do is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from salus.contracts.patients import TakeOverKey
from salus.contracts.residuals import Session, certify_session
from salus.crypto.hashing import sha256
from salus.crypto.sealing import SealBroken
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, PublicKey
from salus.node import schema
from salus.node.errors import Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services import device_keys
from salus.node.services.signer_answers import HalfSigned, NewBlob
from salus.node.services.signer_devices import BEGUN_MAX
from salus.node.services.signer_requests import to_text
from salus.portal.sessions import COOKIE, PortalState
from salus.sdk.wallet import Wallet, signing_key
from salus.testing.world import HOSPITAL, PRACTICE
from tests.portal.choosing_device import BY_SIGNER, SIGNER, set_up
from tests.portal.portal_world import Browser, Hospital, portal
from tests.portal.signer.signer_world import data


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Eleanor has one device, whose keys act at both custodians."""
    with portal(tmp_path_factory.mktemp("portal"), signer=SIGNER, is_joined=True) as made:
        set_up(made)
        yield made


def wallet(here: Hospital) -> Wallet:
    """What only the signer page opens."""
    assert here.joined is not None
    return here.joined[1].wallet


@pytest.fixture
def page(here: Hospital) -> TestClient:
    return here.client().client


@pytest.fixture
def browser(here: Hospital) -> Browser:
    """Signed in, and nothing opened yet."""
    made = here.signed_in("eleanor")
    session = here.portal.sessions.find(request_with(made))
    assert session is not None
    here.portal.sessions.change(session, held=())
    return made


def request_with(browser: Browser) -> Any:
    """What a request of this browser has of its session."""
    cookies = {COOKIE: browser.client.cookies[COOKIE]}
    return type("Asked", (), {"cookies": cookies})()


def state(here: Hospital, browser: Browser) -> PortalState:
    session = here.portal.sessions.find(request_with(browser))
    assert session is not None
    return session.state


def opened(here: Hospital, browser: Browser, page: TestClient, **keys: SigningKey) -> Any:
    """Ask for sessions, have them certified, by other keys where given, and come back."""
    came = browser.post("/opening", {})
    name = came.headers["location"].partition("/#")[2]
    request = page.get(f"/signing/{name}", headers=BY_SIGNER).json()
    items = []
    for item in request["items"]:
        (of,) = [each for each in wallet(here).relationships if each.custodian == item["custodian"]]
        key = keys.get(item["custodian"], signing_key(wallet(here), of))
        items.append({"pseudonym": item["pseudonym"], "session": to_text(encode(certify_session(asked(item), key)))})
    answer = {"format": 1, "device": None, "items": items}
    assert page.post(f"/signing/{name}", headers=BY_SIGNER, json=answer).status_code == 204
    return browser.get(f"/signing/{name}/done")


def asked(item: dict[str, Any]) -> Any:
    """The session that an item asks for."""
    return Session(data(item["key"]), item["custodian"], item["from_s"], item["until_s"])


def test_one_yes_opens_a_session_with_each_custodian_this_one_first(
    here: Hospital, browser: Browser, page: TestClient
) -> None:
    assert browser.get("/record/medicines").headers["location"] == "/opening"
    assert "My phone" in browser.get("/opening").text
    came = opened(here, browser, page)
    assert (came.status_code, came.headers["location"]) == (303, "/record/medicines")
    held = state(here, browser).held
    assert [each.custodian for each in held] == [HOSPITAL, PRACTICE]
    assert len({each.seed for each in held} | {each.pseudonym for each in held}) == 4
    assert browser.get("/record").status_code == 200


@pytest.mark.parametrize("custodian", [HOSPITAL, PRACTICE])
def test_a_session_that_another_key_certified_opens_nothing(
    here: Hospital, browser: Browser, page: TestClient, custodian: str
) -> None:
    assert opened(here, browser, page, **{custodian: SigningKey.generate()}).status_code == 403
    assert state(here, browser).held == ()


@pytest.mark.parametrize("path", ["/record", "/sharing", "/looked", "/record/download", "/sharing/check"])
def test_before_the_device_said_yes_no_page_shows_anything(browser: Browser, path: str) -> None:
    assert browser.get(path).headers["location"] == "/opening"


def test_the_first_device_is_neither_removed_nor_made_again(here: Hospital, browser: Browser) -> None:
    (device,) = here.portal.devices.of(here.accounts["eleanor"])
    for do in ("remove", "hand-over", "accept", "let-act"):
        came = browser.post("/acting-devices", {"do": do, "device": device.id.hex()})
        assert (came.status_code, "This has changed since you opened the page" in came.text) == (403, True), do
    assert here.portal.devices.of(here.accounts["eleanor"]) == [device]


def test_as_many_devices_are_begun_as_anybody_has(here: Hospital) -> None:
    account = here.portal.accounts.add_patient(here.patient, name="Somebody with many")
    made = [here.portal.devices.begin(account, here.patient) for _ in range(BEGUN_MAX)]
    assert len({each.id for each in made} | {each.share for each in made}) == 2 * BEGUN_MAX
    with pytest.raises(Refused, match="at most 16 devices"):
        here.portal.devices.begin(account, here.patient)
    assert here.portal.devices.of(account) == []


def test_nobody_elses_device_is_there(here: Hospital) -> None:
    """IDOR: another patient names Eleanor's device."""
    (device,) = here.portal.devices.of(here.accounts["eleanor"])
    other = here.portal.accounts.add_patient(here.patient, name="Somebody else")
    here.accounts["other"] = other
    assert here.portal.devices.of(other) == []
    came = here.signed_in("other").post("/acting-devices", {"do": "remove", "device": device.id.hex()})
    assert came.status_code == 403
    here.portal.devices.forget(other, device.id)
    assert here.portal.devices.of(here.accounts["eleanor"]) == [device]


def test_wallet_and_share_lie_apart_and_neither_is_readable(here: Hospital) -> None:
    (device,) = here.portal.devices.of(here.accounts["eleanor"])
    (kept,) = here.portal.devices.kept(here.accounts["eleanor"], (device.id,))
    database = b"".join(each.read_bytes() for each in here.made.folder.rglob("node.db*"))
    for secret in (kept.share, kept.blob, device.id, b"My phone"):
        assert secret not in database


@pytest.mark.promise("P3")
def test_what_seals_a_wallet_opens_no_share(here: Hospital) -> None:
    rows = SealedRows(here.node.vault, here.node.chain)
    with here.node.vault.database.reading() as connection:
        kept = connection.execute(select(schema.signing_shares)).first()
    assert kept is not None
    with pytest.raises(SealBroken):
        rows.open("signing-share", kept.device, kept.sealed, bytes)
    assert rows.branch("shares").open("signing-share", kept.device, kept.sealed, bytes)
    with pytest.raises(SealBroken):
        rows.branch("wallets").open("signing-share", kept.device, kept.sealed, bytes)


def test_the_wallet_from_before_comes_back_where_the_record_is_not_handed_over(here: Hospital) -> None:
    account, devices = here.accounts["eleanor"], here.portal.devices
    (device,) = devices.of(account)
    message = TakeOverKey(here.patient, PublicKey(bytes(32)), Digest(b""), Digest(bytes(32)))
    half = HalfSigned(message, b"", (), b"", CommittedFields(bytes(32), ()))
    new = NewBlob(device.id, device.credential, b"a new wallet", sha256(device.blob))
    with pytest.raises(Refused, match="the patient holds this key"):
        device_keys.take_over_with(here.node, devices, account, half, new)
    assert devices.of(account) == [device]
