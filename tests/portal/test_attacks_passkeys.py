"""What others try with passkeys: answers that were not asked for, copies, strangers' ids, and forms of other sites."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.utils import websafe_decode
from fido2.webauthn import AttestedCredentialData
from sqlalchemy import delete

from salus.node import schema
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.services.passkeys import TRIES_FROM_MAX, Passkeys
from salus.node.tallies import Tally
from tests.portal.patient_charts import somebody_else
from tests.portal.portal_world import ORIGIN, PASSWORD, Browser, Hospital, portal
from tests.portal.soft_passkey import ATTESTED, PRESENT, VERIFIED, SoftPasskey

WORDS = "There is a problem"
HOME = "/record"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(made, folder, [])
        yield made


@pytest.fixture(autouse=True)
def _rested(here: Hospital) -> None:
    """Nobody has tried anything for a while, and Eleanor has no passkey."""
    for each in here.portal.passkeys.of(here.accounts["eleanor"]):
        here.portal.passkeys.remove(here.accounts["eleanor"], each.lookup)
    with here.node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies).where(schema.tallies.c.tally == Tally.SIGN_INS_FROM))


@pytest.fixture
def key(here: Hospital, _rested: None) -> SoftPasskey:
    """A passkey of Eleanor's, which signed once when it was made."""
    eleanor, made = here.signed_in("eleanor"), SoftPasskey(count=1)
    assert add(eleanor, made).headers["location"] == "/devices"
    return made


def asked(browser: Browser, page: str) -> bytes:
    """Have the browser asked for a passkey; return the challenge."""
    came = browser.post(f"{page}/ask", {}, page="/devices" if page.startswith("/devices") else "/sign-in")
    assert came.status_code == 200, came.text
    return websafe_decode(came.json()["publicKey"]["challenge"])


def post(browser: Browser, page: str, answer: Any) -> Any:
    said = answer if isinstance(answer, str) else json.dumps(answer)
    fields = {"form": browser.form, "answer": said, "device": "A key"}
    return browser.client.post(page, data=fields, headers={"origin": ORIGIN})


def add(browser: Browser, made: SoftPasskey, **other: Any) -> Any:
    return post(browser, "/devices/passkey", made.made(asked(browser, "/devices/passkey"), **other))


def sign_in(browser: Browser, made: SoftPasskey, **other: Any) -> Any:
    """Sign what this browser is asked, and send it; `count` is one more than before."""
    made.count += 1
    return post(browser, "/sign-in/passkey", made.signed(asked(browser, "/sign-in/passkey"), **other))


def require_refused(came: Any) -> None:
    assert came.status_code == 403
    assert WORDS in came.text
    assert "set-cookie" not in came.headers


def test_a_passkey_signs_in_as_whose_it_is(here: Hospital, key: SoftPasskey) -> None:
    """What the attacks below change is the only thing that is wrong with them."""
    browser = here.client()
    assert sign_in(browser, key).headers["location"] == HOME
    assert "Eleanor Moss" in browser.get(HOME).text


ANSWERS: dict[str, dict[str, Any]] = {
    "of another site": {"origin": "https://evil.example"},
    "of this site without TLS": {"origin": ORIGIN.replace("https", "http")},
    "of this site at another port": {"origin": f"{ORIGIN}:8443"},
    "of a site below this one": {"origin": ORIGIN.replace("portal", "a.portal")},
    "of a page without an origin": {"origin": "null"},
    "for another relying party": {"host": "evil.example"},
    "for the domain above": {"host": "example"},
    "of nobody present": {"flags": VERIFIED},
    "of somebody who is not verified": {"flags": PRESENT},
    "that made a passkey": {"type": "webauthn.create"},
    "of a payment": {"type": "payment.get"},
    "signed by another key": {"parts": {"signature": bytes(70)}},
    "without a signature": {"parts": {"signature": b""}},
    "of which a bit was changed": {"data": bytes(37)},
    "that is cut": {"data": b"\0" * 10},
    "with more than there is": {"data": bytes(32) + b"\xc5" + bytes(200)},
    "with deep extensions": {"data": bytes(32) + b"\x85" + bytes(4) + b"\x81" * 4000},
    "with nothing signed": {"parts": {"clientDataJSON": b"{}"}},
    "with a list signed": {"parts": {"clientDataJSON": b"[]"}},
}


@pytest.mark.parametrize("other", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_not_exactly_what_was_asked_opens_nothing(
    here: Hospital, key: SoftPasskey, other: dict[str, Any]
) -> None:
    browser = here.client()
    require_refused(sign_in(browser, key, **other))
    assert browser.get(HOME).headers["location"] == "/sign-in"


@pytest.mark.parametrize(
    "answer", ["", "null", "[]", '{"rawId": 5}', '{"rawId": "a"}', '{"rawId": "YQ"}', "[" * 20_000]
)
@pytest.mark.parametrize("page", ["/sign-in/passkey", "/devices/passkey"])
def test_what_is_no_answer_at_all_is_refused(here: Hospital, page: str, answer: str) -> None:
    browser = here.signed_in("eleanor") if page.startswith("/devices") else here.client()
    asked(browser, page)
    assert post(browser, page, answer).status_code == 403


def test_an_answer_counts_once_and_for_what_was_asked_last(here: Hospital, key: SoftPasskey) -> None:
    browser, other = here.client(), here.client()
    first = key.signed(asked(browser, "/sign-in/passkey"))
    second = key.signed(asked(browser, "/sign-in/passkey"), count=5)
    require_refused(post(browser, "/sign-in/passkey", first))
    assert post(browser, "/sign-in/passkey", second).status_code == 403, "what was asked is gone with the first answer"
    third = key.signed(asked(browser, "/sign-in/passkey"), count=6)
    asked(other, "/sign-in/passkey")
    require_refused(post(other, "/sign-in/passkey", third))
    assert post(browser, "/sign-in/passkey", third).headers["location"] == HOME
    assert post(here.client(), "/sign-in/passkey", third).status_code == 403


def test_one_answer_at_two_places_at_one_moment_signs_in_once(here: Hospital) -> None:
    """Of a passkey that does not count, so that nothing but the challenge tells the two apart."""
    made = SoftPasskey()
    assert add(here.signed_in("eleanor"), made).status_code == 303
    answer, challenge = made.signed(b"c" * 32), b"c" * 32
    opens = []

    def once(_: int) -> None:
        with suppress(Refused, NotNow):
            opens.append(here.portal.passkeys.sign_in(answer, challenge=challenge, address="203.0.113.9"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(once, range(16)))
    assert opens == [here.accounts["eleanor"]]


@pytest.mark.parametrize("count", [0, 1, 7, 8])
def test_a_copy_whose_count_is_behind_opens_nothing(here: Hospital, key: SoftPasskey, count: int) -> None:
    assert sign_in(here.client(), key, count=8).status_code == 303
    require_refused(sign_in(here.client(), key, count=count))
    assert sign_in(here.client(), key, count=9).status_code == 303


def test_one_that_does_not_count_signs_in_again_and_again(here: Hospital) -> None:
    """As those that their makers sync; one that began to count goes on."""
    made = SoftPasskey()
    assert add(here.signed_in("eleanor"), made).status_code == 303
    assert [sign_in(here.client(), made, count=each).status_code for each in (0, 0, 3, 0, 4)] == [
        303,
        303,
        303,
        403,
        303,
    ]


def test_a_passkey_that_was_removed_or_whose_account_is_gone_opens_nothing(here: Hospital, key: SoftPasskey) -> None:
    (kept,) = here.portal.passkeys.of(here.accounts["eleanor"])
    here.signed_in("eleanor").post("/devices", {"passkey": kept.lookup.hex()})
    require_refused(sign_in(here.client(), key))
    here.accounts["gone"] = here.portal.accounts.add_operator(name="Gone")
    theirs = SoftPasskey()
    assert add(here.signed_in("gone"), theirs).status_code == 303
    here.portal.accounts.remove(here.accounts["gone"])
    require_refused(sign_in(here.client(), theirs))


def test_nobody_removes_or_takes_over_anothers_passkey(here: Hospital, key: SoftPasskey) -> None:
    (kept,) = here.portal.passkeys.of(here.accounts["eleanor"])
    other = here.signed_in("other")
    other.post("/devices", {"passkey": kept.lookup.hex()})
    require_refused(add(other, key))
    thief = SoftPasskey(id=key.id)
    require_refused(add(other, thief))
    require_refused(sign_in(here.client(), thief))
    assert here.portal.passkeys.of(here.accounts["other"]) == []
    assert sign_in(here.client(), key, count=20).headers["location"] == HOME


def test_the_key_of_one_account_signs_for_no_id_of_another(here: Hospital, key: SoftPasskey) -> None:
    theirs = SoftPasskey()
    assert add(here.signed_in("other"), theirs).status_code == 303
    require_refused(sign_in(here.client(), theirs, id=key.id))
    require_refused(sign_in(here.client(), key, id=theirs.id))


def test_an_id_that_nobody_has_is_checked_and_answered_like_one_that_somebody_has(
    here: Hospital, key: SoftPasskey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both end at a signature that does not hold, after the same steps: neither words nor time say which it was."""
    checked: list[int] = []
    complete = Passkeys.__init__.__globals__["Fido2Server"].authenticate_complete

    def counted(self: Any, state: Any, known: list[AttestedCredentialData], response: Any) -> Any:
        checked.append(len([each for each in known if each.credential_id == websafe_decode(response["rawId"])]))
        return complete(self, state, known, response)

    monkeypatch.setattr("salus.node.services.passkeys.Fido2Server.authenticate_complete", counted)
    said = []
    for id_ in (key.id, SoftPasskey().id):
        came = sign_in(here.client(), SoftPasskey(), id=id_)
        require_refused(came)
        said.append(re.sub(r'name="form" value="[^"]+"', "", came.text))
    assert said[0] == said[1]
    assert checked == [1, 1]


def test_the_key_that_nobody_has_signs_in_nobody(here: Hospital) -> None:
    """It is the same everywhere, so somebody could make it: what it signs for an unknown id is refused, too."""
    known = ec.derive_private_key(int.from_bytes(sha256(b"nobody").digest()), ec.SECP256R1())
    require_refused(sign_in(here.client(), SoftPasskey(key=known)))


def test_what_is_asked_for_signing_in_names_nobody(here: Hospital, key: SoftPasskey) -> None:
    """Accounts cannot be told by what a browser is asked: it is the same for everybody but for the challenge."""
    asked_of = []
    for name in ("eleanor", "nobody", ""):
        browser = here.client()
        came = browser.post("/sign-in/passkey/ask", {"name": name, "user": name}, page="/sign-in")
        asked_of.append(came.json()["publicKey"] | {"challenge": ""})
    assert asked_of[0] == asked_of[1] == asked_of[2]
    assert "allowCredentials" not in asked_of[0]
    assert asked_of[0]["userVerification"] == "required"


def test_a_thousand_tries_are_counted_and_end(here: Hospital, key: SoftPasskey) -> None:
    browser, statuses = here.client(), []
    for _ in range(5):
        challenge = asked(browser, "/sign-in/passkey")
        statuses.append(post(browser, "/sign-in/passkey", SoftPasskey(id=key.id).signed(challenge)).status_code)
    assert statuses == [403] * 5
    said = []
    for number in range(5, 1000):
        challenge = number.to_bytes(32)
        with pytest.raises(Refused) as refused:
            here.portal.passkeys.sign_in(key.signed(challenge, origin="x"), challenge=challenge, address="testclient")
        said.append(refused.value.refusal)
    counted = TRIES_FROM_MAX - 5
    assert said == [Refusal.SIGN_IN_UNFIT] * counted + [Refusal.TOO_MANY] * (995 - counted)
    assert sign_in(browser, key, count=50).status_code == 429
    assert browser.post("/sign-in", {"name": "eleanor", "password": PASSWORD}).status_code == 429, (
        "one count for all ways"
    )


MADE: dict[str, dict[str, Any]] = {
    "on another site": {"origin": "https://evil.example"},
    "for another relying party": {"host": "evil.example"},
    "by nobody present": {"flags": VERIFIED | ATTESTED},
    "by somebody who is not verified": {"flags": PRESENT | ATTESTED},
    "by signing": {"type": "webauthn.get"},
    "without a credential": {"flags": PRESENT | VERIFIED},
    "of nothing": {"attestation": b""},
    "of bytes that end early": {"attestation": b"\x9b" + b"\xff" * 8},
    "of lists in lists": {"attestation": b"\x81" * 20_000},
    "of another thing": {"attestation": b"\x01"},
}


@pytest.mark.parametrize("other", MADE.values(), ids=MADE)
def test_a_passkey_that_was_not_made_here_is_not_kept(here: Hospital, other: dict[str, Any]) -> None:
    before = here.portal.passkeys.of(here.accounts["eleanor"])
    came = add(here.signed_in("eleanor"), SoftPasskey(), **other)
    assert (came.status_code, WORDS in came.text) == (403, True)
    assert here.portal.passkeys.of(here.accounts["eleanor"]) == before


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("", {"origin": ORIGIN}),
        ("theirs", {"origin": ORIGIN}),
        ("own", {"origin": "https://evil.example"}),
        ("own", {"origin": "null"}),
        ("own", {"sec-fetch-site": "cross-site"}),
        ("own", {"sec-fetch-site": "same-site"}),
    ],
)
def test_no_page_of_elsewhere_adds_a_passkey(here: Hospital, form: str, headers: dict[str, str]) -> None:
    """CSRF: a thief's key in the patient's account, by a form that the patient's browser sends."""
    browser, thief = here.signed_in("eleanor"), here.signed_in("other")
    challenge, made = asked(browser, "/devices/passkey"), SoftPasskey()
    thief.get("/devices")
    token = {"": "", "theirs": thief.form, "own": browser.form}[form]
    before = here.portal.passkeys.of(here.accounts["eleanor"])
    fields = {"form": token, "answer": json.dumps(made.made(challenge)), "device": "x"}
    for page in ("/devices/passkey", "/devices/passkey/ask"):
        assert browser.client.post(page, data=fields, headers=headers).status_code == 403, page
    assert here.portal.passkeys.of(here.accounts["eleanor"]) == before


@pytest.mark.promise("P4")
def test_no_id_of_a_passkey_is_logged(
    here: Hospital, key: SoftPasskey, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        sign_in(here.client(), key, count=30)
        sign_in(here.client(), key, count=1)
    said = "".join(capsys.readouterr()) + caplog.text
    assert "passkey.count_went_back" in said
    assert key.id.hex() not in said
