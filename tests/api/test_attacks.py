"""Attacks on the exchange: each changes one thing in a request that would be heard, and is heard by nobody."""

import socket

import pytest

from salus.api.exchange import desk
from salus.contracts.membership import KeyUse, RotateKey
from salus.contracts.residuals import CertifiedSession, Session, certify_session
from salus.crypto.hpke import HpkeKey, HpkeSuite, seal_to
from salus.crypto.signing import SigningKey
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym, PublicKey
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Ask, HistoryAsk, MatchAsk, PartAsk, RefusedAnswer, SignedMatchAsk, StreamAsk
from salus.node.http_signatures import verify_answer
from salus.node.plain_answers import raise_plain
from salus.node.sealed_bodies import ASK_PATH, STREAM_PATH
from salus.testing.world import HOSPITAL, PRACTICE
from tests.api.attacker import ASK, Came, Forged, answer_in, plain_ask, post, raw, send
from tests.api.exchange_world import STRANGER, SUSPENDED, Served, eventually

pytestmark = pytest.mark.services

Heard = list[tuple[str, Ask]]
DEVICE = OrganisationId("")
NOBODY = OrganisationId("ZZ99")
EPHEMERAL = SigningKey.from_seed(bytes(32))


def http_key(served: Served, organisation: OrganisationId) -> SigningKey:
    return served.world.keys[organisation].signing(KeyUse.HTTP)


def test_the_request_that_all_attacks_start_from_is_heard(served: Served, heard: Heard) -> None:
    honest = Forged(served.world)
    body, answer_key = honest.sealed()
    came = post(served, honest.signed(body), body, honest)
    answer = answer_in(came, honest, body, answer_key)
    assert came.status == 200
    assert isinstance(answer, RefusedAnswer)
    assert answer.refusal == Refusal.PERMIT_DEAD
    assert heard == [(PRACTICE, ASK)]


def require_unheard(came: Came, heard: Heard, status: int, refusal: Refusal) -> None:
    assert heard == []
    assert (came.status, came.refusal) == (status, refusal)


UNSIGNED = {
    "no signature": {"signature": None},
    "no signature input": {"signature-input": None},
    "no digest": {"content-digest": None},
    "no sender": {"salus-sender": None},
    "no recipient": {"salus-recipient": None},
    "nothing but a body": dict.fromkeys(
        ("signature", "signature-input", "content-digest", "salus-sender", "salus-recipient")
    ),
    "sender changed": {"salus-sender": STRANGER},
    "sender changed to a device": {"salus-sender": "device"},
    "recipient changed": {"salus-recipient": PRACTICE},
    "digest downgraded": {"content-digest": "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"},
    "digest of another body": {"content-digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"},
    "two digests": {"content-digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:, md5=:AAAA:"},
    "unsigned, but with a basic password": {"signature": None, "authorization": "Basic cnZqOnJ2ag=="},
}  # fmt: skip


@pytest.mark.parametrize("fields", UNSIGNED.values(), ids=UNSIGNED)
def test_fields_changed(fields: dict[str, str | None], served: Served, heard: Heard) -> None:
    require_unheard(send(served, Forged(served.world, fields=fields)), heard, 401, Refusal.SIGNATURE_UNFIT)


def test_signed_by_another_member(served: Served, heard: Heard) -> None:
    forged = Forged(served.world, key=http_key(served, STRANGER))
    require_unheard(send(served, forged), heard, 401, Refusal.SIGNATURE_UNFIT)


@pytest.mark.parametrize("use", [KeyUse.TRANSACTION, KeyUse.RECEIPT, KeyUse.TICKET])
def test_signed_by_the_senders_key_for_another_use(use: KeyUse, served: Served, heard: Heard) -> None:
    forged = Forged(served.world, key=served.world.keys[PRACTICE].signing(use))
    require_unheard(send(served, forged), heard, 401, Refusal.SIGNATURE_UNFIT)


def test_signed_by_nobody_that_the_ledger_knows(served: Served, heard: Heard) -> None:
    forged = Forged(served.world, sender=NOBODY, key=EPHEMERAL)
    require_unheard(send(served, forged), heard, 403, Refusal.SENDER_UNKNOWN)


def test_signed_by_a_suspended_member(served: Served, heard: Heard) -> None:
    require_unheard(send(served, Forged(served.world, sender=SUSPENDED)), heard, 403, Refusal.SENDER_UNKNOWN)


def test_signed_by_a_key_that_was_rotated(served: Served, heard: Heard) -> None:
    old, new = http_key(served, STRANGER), SigningKey.generate()
    assert send(served, Forged(served.world, sender=STRANGER, key=old)).status == 200
    served.world.nodes[STRANGER].submit(RotateKey(organisation=STRANGER, use=KeyUse.HTTP, key=new.public), keys=(new,))
    heard.clear()
    require_unheard(send(served, Forged(served.world, sender=STRANGER, key=old)), heard, 401, Refusal.SIGNATURE_UNFIT)
    assert send(served, Forged(served.world, sender=STRANGER, key=new)).status == 200
    back = SigningKey.generate()
    served.world.nodes[STRANGER].submit(
        RotateKey(organisation=STRANGER, use=KeyUse.HTTP, key=back.public), keys=(back,)
    )
    assert send(served, Forged(served.world, sender=STRANGER, key=new)).status == 401


def test_a_request_to_one_member_relayed_to_another(served: Served, heard: Heard) -> None:
    for_practice = Forged(served.world, sender=HOSPITAL, recipient=PRACTICE)
    require_unheard(send(served, for_practice, to=HOSPITAL), heard, 401, Refusal.SIGNATURE_UNFIT)


def test_a_request_to_one_member_resealed_in_name_for_another(served: Served, heard: Heard) -> None:
    # The practice is asked by the stranger and passes the body on to the hospital as its own.
    asked = Forged(served.world, sender=STRANGER, recipient=PRACTICE)
    body, _ = asked.sealed()
    passed_on = Forged(served.world)
    require_unheard(post(served, passed_on.signed(body), body, passed_on), heard, 400, Refusal.MESSAGE_UNFIT)


def test_anothers_sealed_body_signed_as_ones_own(served: Served, heard: Heard) -> None:
    body, _ = Forged(served.world).sealed()
    thief = Forged(served.world, sender=SUSPENDED, key=http_key(served, SUSPENDED))
    assert post(served, thief.signed(body), body, thief).status == 403
    device = Forged(served.world, sender=DEVICE, key=EPHEMERAL)
    require_unheard(post(served, device.signed(body), body, device), heard, 400, Refusal.MESSAGE_UNFIT)


def test_replayed(served: Served, heard: Heard) -> None:
    forged = Forged(served.world)
    body, _ = forged.sealed()
    request = forged.signed(body)
    assert post(served, request, body, forged).status == 200
    heard.clear()
    for _ in range(3):
        require_unheard(post(served, request, body, forged), heard, 409, Refusal.REPLAYED)


def test_who_saw_only_the_fields_cannot_use_up_the_nonce(served: Served, heard: Heard) -> None:
    forged = Forged(served.world)
    body, _ = forged.sealed()
    request = forged.signed(body)
    require_unheard(post(served, request, b"x" * len(body), forged), heard, 401, Refusal.SIGNATURE_UNFIT)
    assert post(served, request, body, forged).status == 200


@pytest.mark.parametrize(("age_s", "status"), [(29, 200), (-29, 200), (32, 401), (-32, 401), (10**9, 401)])
def test_made_at_another_time(age_s: int, status: int, served: Served) -> None:
    assert send(served, Forged(served.world, age_s=age_s)).status == status


def test_body_swapped(served: Served, heard: Heard) -> None:
    forged = Forged(served.world)
    other, _ = forged.sealed()
    require_unheard(send(served, forged.but(body=other)), heard, 401, Refusal.SIGNATURE_UNFIT)
    require_unheard(send(served, forged.but(body=b"")), heard, 401, Refusal.SIGNATURE_UNFIT)


UNFIT_BODIES = {
    "not sealed": plain_ask([6, bytes(16), 1, bytes(64)]),
    "sealed to a key of the weaker suite": seal_to(
        HpkeKey.from_seed(HpkeSuite.X25519, bytes(32)).public, b"", info=b""
    ),
    "empty": b"",
    "one byte": b"\x02",
    "noise": bytes(2000),
}


@pytest.mark.parametrize("body", UNFIT_BODIES.values(), ids=UNFIT_BODIES)
def test_body_is_no_sealed_ask(body: bytes, served: Served, heard: Heard) -> None:
    forged = Forged(served.world)
    require_unheard(post(served, forged.signed(body), body, forged), heard, 400, Refusal.MESSAGE_UNFIT)


NOT_CANONICAL = {
    "a longer number": plain_ask([6, bytes(16), 1, bytes(64)]).replace(b"\x94\x06", b"\x94\xcc\x06"),
    "more after it": plain_ask([6, bytes(16), 1, bytes(64)]) + b"\x00",
    "a field more": plain_ask([6, bytes(16), 1, bytes(64), 1]),
    "a short permit": plain_ask([6, bytes(15), 1, bytes(64)]),
    "an unknown ask": plain_ask([77]),
    "an answer": plain_ask([11, 0]),
    "a deep nest": b"\x91" * 5000,
}


@pytest.mark.parametrize("plain", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_ask_is_not_canonical(plain: bytes, served: Served, heard: Heard) -> None:
    require_unheard(send(served, Forged(served.world, plain=plain)), heard, 400, Refusal.MESSAGE_UNFIT)


def test_of_another_chain(served: Served, heard: Heard) -> None:
    require_unheard(send(served, Forged(served.world, chain="salus-other")), heard, 400, Refusal.MESSAGE_UNFIT)


PLACES = {
    "signed for the stream path": ({"signed_path": STREAM_PATH}, 401),
    "sent to the stream path": ({"path": STREAM_PATH}, 401),
    "an ask that is no stream, on the stream path": ({"path": STREAM_PATH, "signed_path": STREAM_PATH}, 400),
    "with a query": ({"path": f"{ASK_PATH}?recipient=RVJ"}, 400),
    "with a slash more": ({"path": f"{ASK_PATH}/"}, 404),
    "above the exchange": ({"path": "/exchange/1/../../admin"}, 404),
    "an older version": ({"path": "/exchange/0/ask"}, 404),
    "by GET": ({"method": "GET"}, 405),
    "by PUT": ({"method": "PUT"}, 405),
    "by OPTIONS": ({"method": "OPTIONS"}, 405),
    "by a method of nobody's": ({"method": "BREW"}, 400),
}


@pytest.mark.parametrize(("changes", "status"), PLACES.values(), ids=PLACES)
def test_sent_elsewhere(changes: dict[str, str], status: int, served: Served, heard: Heard) -> None:
    came = send(served, Forged(served.world).but(**changes))
    assert heard == []
    assert came.status == status
    assert "location" not in came.fields
    assert came.fields["content-type"] == "application/json"


FIELDS_NOBODY_TRUSTS = {
    "host": "evil.example",
    "x-forwarded-host": "evil.example",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-proto": "https",
    "forwarded": "for=203.0.113.9;host=evil.example",
    "x-original-url": "/exchange/1/stream",
    "x-http-method-override": "GET",
    "salus-address": "127.0.0.1",
}


@pytest.mark.parametrize(("name", "value"), FIELDS_NOBODY_TRUSTS.items())
def test_fields_that_nobody_trusts_change_nothing(name: str, value: str, served: Served, heard: Heard) -> None:
    assert send(served, Forged(served.world, fields={name: value})).status == 200
    assert heard == [(PRACTICE, ASK)]
    for path in ("/exchange/1/ask/", "/", "/exchange/1/status"):
        came = raw(served, "GET", path, b"", {name: value})
        assert value.encode() not in came.body
        assert value not in "".join(came.fields.values())


def test_a_field_twice(served: Served, heard: Heard) -> None:
    forged = Forged(served.world)
    body, _ = forged.sealed()
    lines = [f"POST {ASK_PATH} HTTP/1.1", "host: x", f"content-length: {len(body)}", "salus-sender: X99"]
    lines += [f"{name}: {value}" for name, value in forged.signed(body).fields().items()]
    with socket.create_connection(("127.0.0.1", served.ports[HOSPITAL]), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        assert connection.recv(12) == b"HTTP/1.1 401"
    assert heard == []


MARK = "ZWNoby1tYXJr"


@pytest.mark.promise("P4")
def test_nothing_of_a_request_comes_back_or_is_logged(
    served: Served, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    forged = Forged(served.world)
    attempts = [
        raw(served, "POST", f"/{MARK}", MARK.encode(), {"x-mark": MARK}),
        raw(served, MARK, ASK_PATH, MARK.encode(), {}),
        raw(served, "POST", f"{ASK_PATH}?{MARK}", MARK.encode(), {}),
        send(served, forged.but(fields={"salus-sender": MARK})),
        send(served, forged.but(fields={"signature-input": f"salus={MARK}"})),
        send(served, forged.but(plain=plain_ask([6, MARK.encode(), 1, bytes(64)]))),
        send(served, forged.but(plain=plain_ask([1, MARK]))),
    ]
    captured = capfd.readouterr()
    for came in attempts:
        assert MARK.encode() not in came.body
        assert MARK not in "".join(came.fields.values())
        assert came.status >= 400
    assert MARK not in captured.out + captured.err + caplog.text


@pytest.mark.promise("P4")
def test_a_failure_of_ours_is_said_and_logged_without_its_words(
    served: Served, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(f"the patient is called {MARK}")

    monkeypatch.setattr(desk, "answer", fail)
    came = send(served, Forged(served.world))
    assert (came.status, came.refusal) == (500, 0)
    assert eventually(lambda: "RuntimeError" in caplog.text)
    captured = capfd.readouterr()
    assert MARK not in captured.out + captured.err + caplog.text + str(came.body)
    assert "test_attacks.py" in caplog.text


def test_plain_refusals_are_signed_for_their_request_and_no_other(served: Served) -> None:
    forged = Forged(served.world, age_s=1000)
    body, _ = forged.sealed()
    request, other = forged.signed(body), forged.signed(body)
    came = post(served, request, body, forged)
    key = http_key(served, HOSPITAL).public
    verify_answer(request, status=came.status, fields=came.fields, body=came.body, key=key)
    with pytest.raises(Refused) as refused:
        raise_plain(came.body)
    assert refused.value.refusal is Refusal.SIGNATURE_UNFIT
    with pytest.raises(Exception, match="not that key's over this answer"):
        verify_answer(other, status=came.status, fields=came.fields, body=came.body, key=key)


# Devices


def device_answer(served: Served, ask: Ask, *, key: SigningKey = EPHEMERAL, sender: OrganisationId = DEVICE) -> object:
    forged = Forged(served.world, ask=ask, sender=sender, key=key)
    body, answer_key = forged.sealed()
    came = post(served, forged.signed(body), body, forged)
    assert came.status == 200
    return answer_in(came, forged, body, answer_key)


SESSION = CertifiedSession(Session(PublicKey(EPHEMERAL.public), HOSPITAL, 0, 1), bytes(64))
MATCH = MatchAsk("9990000018", "1980-02-29", SESSION, CommittedFields(b"", ()))
FOR_MEMBERS = {
    "a match": MATCH,
    "a match that is signed": SignedMatchAsk(MATCH, 0, bytes(16), bytes(64)),
    "a part": PartAsk(PermitId(bytes(16)), 1, 1, CommittedFields(b"", ()), b""),
    "slots": ASK,
    "a stream": StreamAsk(PermitId(bytes(16)), 1, 0),
}


@pytest.mark.promise("R1")
@pytest.mark.parametrize("ask", FOR_MEMBERS.values(), ids=FOR_MEMBERS)
def test_a_device_may_not_ask_what_members_may(ask: Ask, served: Served, heard: Heard) -> None:
    answer = device_answer(served, ask)
    assert isinstance(answer, RefusedAnswer)
    assert answer.refusal == Refusal.SENDER_UNKNOWN
    assert heard == []


def test_a_device_may_not_have_a_stream(served: Served) -> None:
    ask = StreamAsk(PermitId(bytes(16)), 1, 0)
    device = Forged(served.world, ask=ask, sender=DEVICE, key=EPHEMERAL, path=STREAM_PATH, signed_path=STREAM_PATH)
    assert send(served, device).refusal == Refusal.MESSAGE_UNFIT


@pytest.mark.promise("R4")
def test_a_certified_session_is_worth_nothing_without_its_key(served: Served, heard: Heard) -> None:
    session_key, patient = SigningKey.generate(), SigningKey.generate()
    session = certify_session(Session(PublicKey(session_key.public), HOSPITAL, 0, 1 << 39), patient)
    ask = HistoryAsk(Pseudonym(bytes(16)), session)
    for sender, key in ((DEVICE, EPHEMERAL), (PRACTICE, http_key(served, PRACTICE))):
        answer = device_answer(served, ask, key=key, sender=sender)
        assert isinstance(answer, RefusedAnswer)
        assert answer.refusal == Refusal.SESSION_UNFIT
    assert heard == []


# Answers


def test_an_answer_to_one_request_shown_for_another(served: Served) -> None:
    forged = Forged(served.world)
    body, answer_key = forged.sealed()
    first, second = forged.signed(body), forged.signed(body)
    came = post(served, first, body, forged)
    key = http_key(served, HOSPITAL).public
    verify_answer(first, status=200, fields=came.fields, body=came.body, key=key)
    with pytest.raises(Exception, match="not that key's over this answer"):
        verify_answer(second, status=200, fields=came.fields, body=came.body, key=key)
    other_body, _ = forged.sealed()
    with pytest.raises(NotNow):
        answer_in(came, forged, other_body, answer_key)
