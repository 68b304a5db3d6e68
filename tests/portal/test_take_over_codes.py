"""A take-over code at the portal: made and shown once, ended by a newer one; what it leads to shows here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from salus.contracts.patients import TakeOverKey
from salus.contracts.residuals import reason
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.identifiers import Digest, PublicKey
from salus.node.exchange import Done, TakeOverAsk, TakeOverOffer, TakeOverSigned
from salus.node.services import notices, take_over_codes
from salus.node.services.notices import PatientNoticeKind
from salus.testing.world import HOSPITAL, PRACTICE
from tests.portal.portal_world import Browser, Hospital, portal

pytestmark = pytest.mark.promise("U3")
PATH = "/acting-devices/code"
SHOWN = re.compile(r'<p class="app-code">([^<]+)</p>')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Eleanor is in assisted mode; the practice may ask for what its patients bring."""
    with portal(tmp_path_factory.mktemp("portal"), signer="https://signer.example") as made:
        yield made


def made(browser: Browser) -> str:
    """Make a code, and read it."""
    came = browser.post(PATH, {"do": "make"})
    assert (came.status_code, came.headers["location"]) == (303, PATH)
    found = SHOWN.search(browser.get(PATH).text)
    assert found is not None
    return found.group(1).strip()


def offered(here: Hospital, code: str) -> TakeOverOffer:
    """What the practice is told of a code."""
    came = here.made.peers(PRACTICE).ask(HOSPITAL, TakeOverAsk(take_over_codes.written(code)))
    assert isinstance(came, TakeOverOffer)
    return came


def test_a_code_that_another_window_ended_is_not_shown(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    browser.post(PATH, {"do": "make"})
    take_over_codes.make(here.node, here.patient)
    page = browser.get(PATH).text
    assert SHOWN.search(page) is None
    assert "A code was made on" in page


def test_a_code_is_shown_once_and_opens_the_patients_relationship(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    code = made(browser)
    assert re.fullmatch(r"(?:[A-Z2-9]{4} ){3}[A-Z2-9]{4}", code)
    assert take_over_codes.could_be(code)
    again = browser.get(PATH).text
    assert code not in again
    assert "A code was made on" in again
    assert offered(here, code).pseudonym == here.patient


def test_no_page_about_devices_and_codes_shows_markup_as_words(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    browser.post(PATH, {"do": "make"})
    for path in (PATH, PATH, "/acting-devices"):
        assert "&lt;" not in browser.get(path).text, path


def test_a_newer_code_ends_the_older_one_and_stopping_ends_it(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    older, newer = made(browser), made(browser)
    assert offered(here, older) == take_over_codes.NOTHING
    assert offered(here, newer) != take_over_codes.NOTHING
    assert browser.post(PATH, {"do": "stop"}).headers["location"] == "/acting-devices"
    assert offered(here, newer) == take_over_codes.NOTHING
    assert "A code was made on" not in browser.get(PATH).text


def test_somebody_else_who_is_signed_in_as_the_patient_sees_that_there_is_a_code(here: Hospital) -> None:
    """Whoever finds an unlocked browser can make one; on any other device it is there to be stopped, unread."""
    code = made(here.signed_in("eleanor"))
    other = here.signed_in("eleanor")
    said = other.get(PATH).text
    assert "If it was not you, stop it" in said
    assert code not in said
    other.post(PATH, {"do": "stop"})
    assert offered(here, code) == take_over_codes.NOTHING


def test_the_code_is_nowhere_in_the_database(here: Hospital) -> None:
    code = made(here.signed_in("eleanor")).replace(" ", "").encode()
    assert code not in b"".join(each.read_bytes() for each in here.made.folder.rglob("node.db*"))


def test_after_a_take_over_elsewhere_nothing_is_shown_without_that_device(here: Hospital) -> None:
    """Assisted sessions end, as those on other devices do after a take-over at home; and the patient is told."""
    browser = here.signed_in("eleanor")
    code, device = take_over_codes.written(made(browser)), SigningKey.generate()
    assert browser.get("/record").status_code == 200
    notices.follow(here.node, lambda _connection, _notice: None)
    assert here.made.peers(PRACTICE).ask(HOSPITAL, signed(here, code, device)) == Done(0)
    assert browser.get("/record").headers["location"] == "/sign-in"
    heard: list[PatientNoticeKind] = []
    notices.follow(here.node, lambda _connection, notice: heard.append(notice.kind))
    assert heard == [PatientNoticeKind.DEVICE_ADDED]
    again = here.signed_in("eleanor")
    for path in ("/record", "/sharing", PATH):
        assert again.get(path).headers["location"] == "/opening"
    assert again.post(PATH, {"do": "make"}, page="/acting-devices").headers["location"] == "/opening"
    assert take_over_codes.made_s(here.node, here.patient) is None


def signed(here: Hospital, code: str, device: SigningKey) -> TakeOverSigned:
    """What a device at the practice signs for a code."""
    came, why = offered(here, code), reason("taken over by the patient", new_key())
    message = TakeOverKey(here.patient, PublicKey(device.public), Digest(b""), why.root())
    body = transactions.unsigned(
        (message,),
        chain=here.node.chain,
        signers=(PublicKey(came.key), PublicKey(device.public)),
        expires_at_s=here.node.clock() + 300,
        nonce=bytes(16),
    )
    return TakeOverSigned(code, body, transactions.sign_body(body, device), why)
