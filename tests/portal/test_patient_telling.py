"""Telling: by which ways patients are told that there is a notice, and what nobody else learns from it."""

from __future__ import annotations

import json
import re
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from salus.contracts.patients import CancelRecovery, ChangeRecoveryKey, StartRecovery
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.node import outgoing_mail
from salus.node.hooks import Hooks
from salus.node.outgoing_mail import MailAway, Mailer, is_address
from salus.node.services import notices, telling
from salus.node.services.notices import PatientNoticeKind
from salus.node.services.take_over import take_over
from salus.node.services.telling import PushService
from salus.node.services.wishes import Wishes, change
from salus.portal.pages.patient.notices import KINDS
from tests.crypto.test_web_push import opened
from tests.portal.telling_world import (
    ADDRESS,
    BODY,
    SUBJECT,
    WHY,
    Around,
    around,
    chosen,
    confirmed,
    device,
    quiet,
)

__all__ = ["around", "quiet"]


def test_mail_says_that_something_has_changed_and_nothing_else(quiet: Around) -> None:
    browser = confirmed(quiet)
    assert f"We write to {ADDRESS}." in browser.get("/notices/ways").text
    with capture_logs() as logged:
        chosen(quiet.here)
        quiet.tell()
        chosen(quiet.here)
        quiet.tell()
    for _ in range(2):
        message = quiet.mail.next()
        assert (message["to"], message["subject"], message.get_content().replace("\r", "")) == (ADDRESS, SUBJECT, BODY)
        assert message["from"] == "My health record <no-reply@hospital.example>"
    assert quiet.mail.came.empty()  # two things that happened together were told once
    assert quiet.mail.was_secret
    assert "mail.example" not in str(logged)
    assert "telling.told" in str(logged)


def test_mail_is_in_the_language_of_whoever_asked_for_it(quiet: Around) -> None:
    browser = quiet.here.signed_in("eleanor")
    browser.get("/language/cy?from=/notices")
    browser.post("/notices/mail", {"address": ADDRESS})
    code = re.findall(r"\b[0-9]{6}\b", quiet.mail.next().get_content())[0]
    browser.post("/notices/code", {"code": code})
    chosen(quiet.here)
    quiet.tell()
    assert quiet.mail.next()["subject"] == "My health record: mae rhywbeth wedi newid"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "eleanor",
        "a@b",
        "a@b.example\r\nbcc: c@d.example",
        "a@b.example, c@d.example",
        "<a@b.example>",
        '"a b"@c.example',
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        ".a@b.example",
        "a@-b.example",
        "é@b.example",
        f"{'a' * 65}@b.example",
        f"a@{'b.' * 130}example",
    ],
)
def test_what_is_no_address_gets_no_mail(quiet: Around, address: str) -> None:
    assert not is_address(address)
    came = quiet.here.signed_in("eleanor").post("/notices/mail", {"address": address})
    assert came.status_code == 400
    assert quiet.mail.came.empty()


def test_nothing_is_sent_to_an_address_that_nobody_confirmed(quiet: Around) -> None:
    quiet.here.signed_in("eleanor").post("/notices/mail", {"address": ADDRESS})
    assert "code" in quiet.mail.next()["subject"]
    chosen(quiet.here)
    quiet.tell()
    assert quiet.mail.came.empty()


def test_a_code_is_not_guessed(quiet: Around) -> None:
    browser = quiet.here.signed_in("eleanor")
    browser.post("/notices/mail", {"address": ADDRESS})
    code = re.findall(r"\b[0-9]{6}\b", quiet.mail.next().get_content())[0]
    wrong = f"{(int(code) + 1) % 10**6:06}"
    for _ in range(telling.CODE_TRIES_MAX):
        assert browser.post("/notices/code", {"code": wrong}).status_code == 400
    assert browser.post("/notices/code", {"code": code}).status_code == 400
    assert quiet.here.portal.telling.wishes(quiet.here.patient).confirmed == ""


def expire(around: Around) -> None:
    """Eleanor's code is too old."""

    def older(was: Wishes) -> Wishes:
        return msgspec.structs.replace(was, mail=tuple(msgspec.structs.replace(x, code_until_s=0) for x in was.mail))

    change(around.here.node, around.here.portal._rows, around.here.patient, older)


def test_a_code_is_of_one_patient_and_of_its_time(quiet: Around) -> None:
    browser, other = (quiet.here.signed_in(each) for each in ("eleanor", "other"))
    browser.post("/notices/mail", {"address": ADDRESS})
    code = re.findall(r"\b[0-9]{6}\b", quiet.mail.next().get_content())[0]
    other.post("/notices/mail", {"address": "other@mail.example"})
    quiet.mail.next()
    assert other.post("/notices/code", {"code": code}).status_code == 400
    expire(quiet)
    assert browser.post("/notices/code", {"code": code}).status_code == 400
    assert quiet.here.portal.telling.wishes(quiet.here.patient).confirmed == ""


def test_nobody_is_flooded_with_codes(quiet: Around) -> None:
    browser = quiet.here.signed_in("eleanor")
    statuses = [
        browser.post("/notices/mail", {"address": f"victim{place}@mail.example"}).status_code
        for place in range(telling.CODES_MAX + 1)
    ]
    assert statuses == [303] * telling.CODES_MAX + [429]


def test_an_address_hears_that_it_is_told_no_more(quiet: Around) -> None:
    """Else whoever got into an account could take a person's place unheard."""
    confirmed(quiet)
    browser = confirmed(quiet, "thief@mail.example")
    assert quiet.mail.next()["to"] == ADDRESS
    browser.post("/notices/ways", {"stop": "mail"})
    assert quiet.mail.next()["to"] == "thief@mail.example"
    chosen(quiet.here)
    quiet.tell()
    assert quiet.mail.came.empty()


def test_what_is_not_wanted_is_not_sent_and_is_in_the_portal_all_the_same(quiet: Around) -> None:
    browser = confirmed(quiet)
    browser.post("/notices/ways", {"kinds": ["devices"]})
    chosen(quiet.here)
    quiet.tell()
    assert quiet.mail.came.empty()
    assert KINDS[PatientNoticeKind.CHOICE_MADE].words in browser.get("/notices").text
    device(quiet.here)
    quiet.tell()
    assert quiet.mail.next()["subject"] == SUBJECT


def test_what_was_not_taken_is_sent_again_and_at_last_not_at_all(quiet: Around) -> None:
    confirmed(quiet)
    chosen(quiet.here)
    quiet.mail.refusals = 2
    quiet.tell()
    assert quiet.mail.came.empty()
    quiet.tell()
    assert quiet.mail.refusals == 1, "not before its time"
    for _ in range(2):
        quiet.later()
        quiet.tell()
    assert quiet.mail.next()["subject"] == SUBJECT
    chosen(quiet.here)
    quiet.mail.refusals = telling.TRIES_MAX
    for _ in range(telling.TRIES_MAX + 2):
        quiet.tell()
        quiet.later()
    assert quiet.mail.refusals == 0
    assert quiet.mail.came.empty()


def test_after_a_crash_it_is_sent_rather_once_more_than_never(quiet: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed(quiet)
    chosen(quiet.here)
    teller = quiet.here.portal.telling
    teller.follow()
    with monkeypatch.context() as patch:
        patch.setattr(teller, "_change", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            teller.tell()
    assert quiet.mail.next()["subject"] == SUBJECT
    teller.tell()
    assert quiet.mail.came.empty(), "leased"
    quiet.later()
    teller.tell()
    assert quiet.mail.next()["subject"] == SUBJECT


def test_a_crash_between_a_notice_and_that_it_is_to_be_told_leaves_neither(
    quiet: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed(quiet)
    chosen(quiet.here)
    with monkeypatch.context() as patch:
        patch.setattr(telling, "change", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            quiet.here.portal.telling.follow()
    quiet.tell()
    assert quiet.mail.next()["subject"] == SUBJECT


def test_a_mail_server_that_cannot_be_trusted_gets_nothing(quiet: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing_mail, "TIMEOUT_S", 1.0)
    portal_mailer = quiet.here.portal.telling.mailer
    assert portal_mailer is not None
    for more in ({"authorities": ""}, {"password": "another"}, {"has_tls": False}):
        given = {name: getattr(portal_mailer, name) for name in portal_mailer.__dataclass_fields__} | more
        with pytest.raises(MailAway) as away:
            Mailer(**given).send(ADDRESS, subject="a", body="b")
        assert "mail.example" not in str(away.value)
    assert quiet.mail.came.empty()


# Browsers


class Maker:
    """A browser of Eleanor's that may be told, at its maker's service."""

    def __init__(self, url: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        self.auth = secrets.token_bytes(16)
        keys = {"p256dh": _text(self.point), "auth": _text(self.auth)}
        self.answer = json.dumps({"endpoint": url, "expirationTime": None, "keys": keys})

    def opened(self, body: bytes) -> str:
        return opened(body, self.key, self.point, self.auth).decode()


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def test_a_browser_is_told_what_only_it_can_read(quiet: Around) -> None:
    browser, maker = quiet.here.signed_in("eleanor"), Maker(quiet.browsers.url)
    browser.post("/notices/push", {"answer": maker.answer}, page="/notices/ways")
    with capture_logs() as logged:
        chosen(quiet.here)
        quiet.tell()
    told = quiet.browsers.next()
    fields = {name.lower(): value for name, value in told.fields.items()}
    assert maker.opened(told.body) == f"{SUBJECT}\n{BODY.strip()}"
    assert (told.method, fields["content-encoding"], fields["ttl"]) == ("POST", "aes128gcm", "86400")
    assert fields["authorization"].startswith("vapid t=")
    assert b"record" not in told.body
    assert quiet.browsers.url not in str(logged)
    page = browser.get("/notices/ways").text
    (name,) = re.findall(r'name="stop" value="([0-9a-f]+)"', page)
    quiet.here.signed_in("other").post("/notices/ways", {"stop": name})
    assert quiet.here.portal.telling.wishes(quiet.here.patient).pushes
    browser.post("/notices/ways", {"stop": name})
    chosen(quiet.here)
    quiet.tell()
    assert quiet.browsers.nothing(0.2)


@pytest.mark.parametrize(("status", "is_kept"), [(404, False), (410, False), (429, True), (500, True)])
def test_a_browser_that_is_gone_is_forgotten(quiet: Around, status: int, *, is_kept: bool) -> None:
    maker = Maker(quiet.browsers.url)
    quiet.here.signed_in("eleanor").post("/notices/push", {"answer": maker.answer}, page="/notices/ways")
    quiet.browsers.answers.put(status)
    chosen(quiet.here)
    quiet.tell()
    quiet.browsers.next()
    assert bool(quiet.here.portal.telling.wishes(quiet.here.patient).pushes) is is_kept
    quiet.later()
    quiet.tell()
    assert quiet.browsers.nothing(0.2) is not is_kept


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "{}",
        '{"endpoint": "https://push.example/a"}',
        Maker("http://push.example/a").answer.replace("http://", "ftp://"),
        Maker("https://user@push.example/a").answer,
        Maker("file:///etc/passwd").answer,
        Maker("https://push.example/a").answer.replace('"auth": "', '"auth": "AAAA'),
    ],
)
def test_what_is_no_browser_is_not_told(quiet: Around, answer: str) -> None:
    came = quiet.here.signed_in("eleanor").post("/notices/push", {"answer": answer}, page="/notices/ways")
    assert came.status_code in (400, 403)
    assert not quiet.here.portal.telling.wishes(quiet.here.patient).pushes


def test_nothing_inside_is_reached(quiet: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSRF: a browser's address that means a machine of the hospital's."""
    teller, maker = quiet.here.portal.telling, Maker(quiet.browsers.url)
    assert teller.push is not None
    outside = PushService(teller.push.key, teller.push.contact, Hooks(tls=teller.push.hooks.tls))
    monkeypatch.setattr(teller, "push", outside)
    quiet.here.signed_in("eleanor").post("/notices/push", {"answer": maker.answer}, page="/notices/ways")
    chosen(quiet.here)
    quiet.tell()
    assert quiet.browsers.nothing(0.2)
    assert not teller.wishes(quiet.here.patient).pushes


def test_only_so_many_browsers_are_told(quiet: Around) -> None:
    browser = quiet.here.signed_in("eleanor")
    for place in range(telling.PUSHES_MAX + 2):
        answer = Maker(f"{quiet.browsers.url}/{place}").answer
        browser.post("/notices/push", {"answer": answer}, page="/notices/ways")
    kept = [each.endpoint.rpartition("/")[2] for each in quiet.here.portal.telling.wishes(quiet.here.patient).pushes]
    assert kept == [f"{place}" for place in range(2, telling.PUSHES_MAX + 2)]


def test_the_worker_is_a_script_that_may_load_nothing(quiet: Around) -> None:
    came = quiet.here.client().get("/push.js")
    assert came.headers["content-type"].startswith("text/javascript")
    assert came.headers["content-security-policy"] == "default-src 'none'"
    assert "fetch(" not in came.text


def test_what_a_copy_of_the_database_has_of_an_address_is_nothing(quiet: Around) -> None:
    confirmed(quiet)
    for path in Path(quiet.here.made.folder).rglob("node.db*"):
        assert b"mail.example" not in path.read_bytes()


def test_that_somebody_takes_their_place_is_told_whatever_they_want(quiet: Around) -> None:
    here, teller = quiet.here, quiet.here.portal.telling
    account = here.portal.accounts.find(here.accounts["other"])
    assert account is not None
    hers = Pseudonym(account.pseudonym)
    teller.begin_mail(hers, ADDRESS, language="en")
    assert teller.confirm_mail(hers, re.findall(r"\b[0-9]{6}\b", quiet.mail.next().get_content())[0])
    teller.choose(hers, list(PatientNoticeKind))
    own, first, new = (SigningKey.from_seed(secrets.token_bytes(32)) for _ in range(3))
    take_over(here.node, hers, own)
    quiet.tell()
    assert quiet.mail.came.empty()
    recovery_key = ChangeRecoveryKey(hers, PublicKey(first.public), Digest(b""), WHY)
    start = StartRecovery(hers, PublicKey(new.public), WHY)
    for message, keys in ((recovery_key, (own,)), (start, (first, new)), (CancelRecovery(hers, WHY), (own,))):
        here.node.submit_signed((message,), keys)
        quiet.tell()
        assert quiet.mail.next()["subject"] == SUBJECT
    kinds = [each.kind for each in notices.newest(here.node, hers, start=0, count=9)]
    assert kinds == [PatientNoticeKind.RECOVERY] * 3 + [PatientNoticeKind.DEVICE_ADDED]
