"""Recovery where two organisations keep records: what is asked for, who has to be asked, and who did not answer."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from starlette.testclient import TestClient

from salus.contracts.membership import KeyUse
from salus.contracts.patients import CancelRecovery, ChangeRecoveryKey, StartRecovery, UndoRecoveryKey
from salus.contracts.residuals import reason
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.node.services import recoveries
from salus.node.services.recover import vouch
from salus.node.services.recoveries import Standing
from salus.node.services.signer_requests import to_text
from salus.portal.words import words_of
from salus.sdk import guardians
from salus.sdk.wallet import Relationship, new_wallet, signing_key
from salus.sdk.wallet import begin as begin_wallet
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE
from tests.portal.portal_world import Browser, Hospital
from tests.portal.second_custodian import Manner
from tests.portal.signer.signer_world import data
from tests.portal.test_acting_devices import BY_SIGNER, here, wallet

__all__ = ["here"]
pytestmark = pytest.mark.promise("U3")
FIRST, SECOND, EVE, MAL = (bytes([number]) * 32 for number in (1, 2, 3, 4))
"""Seeds of the people whom Eleanor chose, of the second time too, and of whom a thief chose."""
PLACE = "Harrowmere Medical Centre"
MINE, THEIRS = "Ambleford University Hospitals NHS Foundation Trust", PLACE


@pytest.fixture(scope="module")
def chosen(here: Hospital) -> Hospital:
    """At both, the same people can help Eleanor back in."""
    for each in wallet(here).relationships:
        raw = guardians.sign_first_keys(wallet(here), each, FIRST, SECOND, time_s=here.node.clock())
        here.node.submit_raw(raw)
    return here


@pytest.fixture
def browser(chosen: Hospital) -> Browser:
    return chosen.signed_in("eleanor")


@pytest.fixture
def page(chosen: Hospital) -> TestClient:
    return chosen.client().client


def at(here: Hospital, custodian: str) -> Relationship:
    (found,) = [each for each in wallet(here).relationships if each.custodian == custodian]
    return found


def stands(here: Hospital, custodian: str) -> Standing:
    return recoveries.standing(here.node, Pseudonym(at(here, custodian).pseudonym))


def signed(here: Hospital, custodian: str, message: Any, *keys: SigningKey, why: str) -> dict[str, str]:
    """An item of an answer, as the signer page writes it; `message` makes one of pseudonym and commitment."""
    residual, of = reason(why, secrets.token_bytes(32)), Pseudonym(at(here, custodian).pseudonym)
    terms = {"chain": CHAIN, "expires_at_s": here.node.clock() + 300, "nonce": secrets.token_bytes(16)}
    raw = transactions.sign([message(of, residual.root())], keys=keys, **terms)
    return {"pseudonym": to_text(of), "transaction": to_text(raw), "residual": to_text(encode(residual))}


def submit(here: Hospital, custodian: str, message: Any, *keys: SigningKey) -> None:
    """Somebody with a program of their own."""
    here.node.submit_raw(data(signed(here, custodian, message, *keys, why="why")["transaction"]))


def change(here: Hospital, custodian: str, *, by: bytes, second: bytes = MAL) -> None:
    of = Pseudonym(at(here, custodian).pseudonym)
    new, other = (guardians.recovery_key(each, of).public for each in (EVE, second))
    make = lambda pseudonym, why: ChangeRecoveryKey(pseudonym, PublicKey(new), Digest(other), why)  # noqa: E731
    submit(here, custodian, make, guardians.recovery_key(by, of))


def asked(page: TestClient, came: Any) -> tuple[str, dict[str, Any]]:
    """The request to which a form leads, and its id."""
    name = came.headers["location"].partition("/#")[2]
    return name, page.get(f"/signing/{name}", headers=BY_SIGNER).json()


def come_back(browser: Browser, page: TestClient, name: str, items: list[dict[str, str]]) -> Any:
    """Answer a request, and come back to the portal."""
    answer = {"format": 1, "device": None, "items": items}
    assert page.post(f"/signing/{name}", headers=BY_SIGNER, json=answer).status_code == 204
    return browser.get(f"/signing/{name}/done")


def test_what_somebody_began_elsewhere_is_seen_here_and_stopped_from_here(
    chosen: Hospital, browser: Browser, page: TestClient
) -> None:
    there, thief = at(chosen, PRACTICE), SigningKey.generate()
    start = lambda of, why: StartRecovery(of, PublicKey(thief.public), why)  # noqa: E731
    submit(chosen, PRACTICE, start, guardians.recovery_key(FIRST, Pseudonym(there.pseudonym)), thief)
    assert "Somebody has asked to replace your device. Was that you?" in browser.get("/sharing").text
    assert PLACE in browser.get("/recovery/cancel").text
    own = signing_key(wallet(chosen), there)
    assert chosen.joined is not None
    with chosen.joined[0].being(Manner.IS_DOWN):
        name, request = asked(page, browser.post("/recovery/cancel", {}))
        assert (request["kind"], [each["custodian"] for each in request["items"]]) == ("cancel-recovery", [PRACTICE])
        item = signed(chosen, PRACTICE, CancelRecovery, own, why="cancelled by the patient")
        assert come_back(browser, page, name, [item]).status_code == 503
    assert stands(chosen, PRACTICE).started
    name, _ = asked(page, browser.post("/recovery/cancel", {}))
    item = signed(chosen, PRACTICE, CancelRecovery, own, why="cancelled by the patient")
    assert come_back(browser, page, name, [item]).headers["location"] == "/recovery"
    assert (stands(chosen, PRACTICE).started, stands(chosen, PRACTICE).is_spent) == (b"", True)
    assert not stands(chosen, HOSPITAL).is_spent
    said = browser.get("/recovery").text
    assert f"and {PLACE} checks who asks. Go to them with your papers." in said
    lost = browser.get("/recovery/lost").text
    assert f"{PLACE} checks who asks" in lost
    assert f"{MINE} checks who asks" not in lost


def test_other_people_are_undone_at_one_organisation_or_at_all(
    chosen: Hospital, browser: Browser, page: TestClient
) -> None:
    change(chosen, HOSPITAL, by=SECOND)
    change(chosen, PRACTICE, by=SECOND)
    assert "Somebody has changed who can help you back in. Was that you?" in browser.get("/sharing").text
    shown = browser.get("/recovery/undo").text
    assert "Use the words for the second time." in shown
    assert "For which organisation?" in shown
    _, request = asked(page, browser.post("/recovery/undo", {"organisation": ""}))
    assert [each["custodian"] for each in request["items"]] == [HOSPITAL, PRACTICE]
    name, request = asked(page, browser.post("/recovery/undo", {"organisation": PRACTICE}))
    (item,) = request["items"]
    master = guardians.recovery_key(SECOND, Pseudonym(at(chosen, PRACTICE).pseudonym))
    assert (item["custodian"], data(item["recovery"])) == (PRACTICE, master.public)
    answer = signed(chosen, PRACTICE, UndoRecoveryKey, master, why="undone") | {"recovery": to_text(master.public)}
    assert come_back(browser, page, name, [answer]).headers["location"] == "/recovery"
    assert [bool(stands(chosen, each).changes_at_s) for each in (HOSPITAL, PRACTICE)] == [True, False]
    assert "For which organisation?" not in browser.get("/recovery/undo").text
    assert browser.post("/recovery/undo", {"organisation": PRACTICE}).headers["location"] == "/recovery"


def test_an_undoing_that_comes_too_late_is_said_in_words(chosen: Hospital, browser: Browser, page: TestClient) -> None:
    """Somebody else has undone it between the question and the answer."""
    master = guardians.recovery_key(SECOND, Pseudonym(at(chosen, HOSPITAL).pseudonym))
    name, _ = asked(page, browser.post("/recovery/undo", {}))
    answer = signed(chosen, HOSPITAL, UndoRecoveryKey, master, why="undone") | {"recovery": to_text(master.public)}
    submit(chosen, HOSPITAL, UndoRecoveryKey, master)
    came = come_back(browser, page, name, [answer])
    assert (came.status_code, "It is too late for this, or it was done before" in came.text) == (403, True)


def test_the_page_asks_for_the_circle_that_has_to_sign(chosen: Hospital, browser: Browser, page: TestClient) -> None:
    """A change by the first circle, which keeps the second, is undone by the first: fewer people."""
    change(chosen, HOSPITAL, by=FIRST, second=SECOND)
    assert "Use the words for the second time." not in browser.get("/recovery/undo").text
    _, request = asked(page, browser.post("/recovery/undo", {}))
    key = guardians.recovery_key(FIRST, Pseudonym(at(chosen, HOSPITAL).pseudonym))
    assert data(request["items"][0]["recovery"]) == key.public
    submit(chosen, HOSPITAL, UndoRecoveryKey, key)
    fields = {"names": "Eve\nMal\nTrudy", "needed": "2", "organisation": HOSPITAL}
    _, request = asked(page, browser.post("/recovery/change", fields))
    (item,) = request["items"]
    second = guardians.recovery_key(SECOND, Pseudonym(at(chosen, HOSPITAL).pseudonym))
    assert (request["kind"], data(item["recovery"]), item["second"]) == ("change-recovery", second.public, 3)


@pytest.mark.parametrize("organisation", ["ZZ9", "A81001' or 1=1", "RVJ\nA81001"])
def test_an_organisation_that_is_not_theirs_is_asked_nothing(
    chosen: Hospital, browser: Browser, organisation: str
) -> None:
    fields = {"names": "Eve\nMal\nTrudy", "needed": "2", "organisation": organisation}
    came = browser.post("/recovery/change", fields)
    assert (came.status_code, came.headers["location"]) == (303, "/recovery")
    change(chosen, HOSPITAL, by=FIRST, second=SECOND)
    came = browser.post("/recovery/undo", {"organisation": organisation})
    assert (came.status_code, came.headers["location"]) == (303, "/recovery")
    master = guardians.recovery_key(FIRST, Pseudonym(at(chosen, HOSPITAL).pseudonym))
    submit(chosen, HOSPITAL, UndoRecoveryKey, master)


def test_a_change_says_its_own_time_while_a_recovery_runs_too(chosen: Hospital, browser: Browser) -> None:
    """A thief who has the words does both: the recovery can be finished before the other people count."""
    thief, first = SigningKey.generate(), guardians.recovery_key(FIRST, Pseudonym(at(chosen, HOSPITAL).pseudonym))
    change(chosen, HOSPITAL, by=FIRST, second=SECOND)
    start = lambda of, why: StartRecovery(of, PublicKey(thief.public), why)  # noqa: E731
    submit(chosen, HOSPITAL, start, first, thief)
    now = stands(chosen, HOSPITAL)
    assert 0 < now.ready_at_s < now.changes_at_s
    page, words = browser.get("/recovery/undo").text, words_of("en")
    assert f"They take over from {words.moment(now.changes_at_s)}" in page
    assert words.moment(now.ready_at_s) in browser.get("/recovery/cancel").text


def test_a_stop_that_comes_after_the_desk_has_checked_is_refused_in_words(
    chosen: Hospital, browser: Browser, page: TestClient
) -> None:
    """The thief has the phone: their question was asked before the owner came to the desk, their answer comes after."""
    mine, own = at(chosen, HOSPITAL), signing_key(wallet(chosen), at(chosen, HOSPITAL))
    of, first = Pseudonym(mine.pseudonym), SigningKey.generate()
    start = lambda of, why: StartRecovery(of, PublicKey(first.public), why)  # noqa: E731
    submit(chosen, HOSPITAL, start, guardians.recovery_key(FIRST, of), first)
    name, _ = asked(page, browser.post("/recovery/cancel", {}))
    new = begin_wallet(new_wallet(), chain=CHAIN, custodian=HOSPITAL, pseudonym=of)
    custodian, now_s = PublicKey(chosen.node.signing(KeyUse.TRANSACTION).public), chosen.node.clock()
    half = guardians.half_start(
        new, new.relationships[0], SECOND, custodian=custodian, checked="passport seen", time_s=now_s
    )
    vouch(chosen.node, half.body, half.signatures, half.residual)
    came = come_back(
        browser, page, name, [signed(chosen, HOSPITAL, CancelRecovery, own, why="cancelled by the patient")]
    )
    assert (came.status_code, "so it cannot be stopped here" in came.text) == (403, True)
    assert stands(chosen, HOSPITAL).is_final
    assert "That was not me: stop it" not in browser.get("/recovery/cancel").text
    assert browser.post("/recovery/cancel", {}).headers["location"] == "/recovery"
    assert "/recovery/lost" in browser.get("/recovery/cancel").text
