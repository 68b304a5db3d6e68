"""Bodies: open for the one they were sealed for, in the one form that they have, and tell nothing by their size."""

from dataclasses import replace

import msgspec
import pytest

from salus.contracts.residuals import CertifiedSession, Session
from salus.crypto.hpke import HpkeKey, HpkeSuite, seal_to
from salus.crypto.sealing import new_key
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, PublicKey
from salus.node import sealed_bodies
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Done, MatchAnswer, MatchAsk, NotNowAnswer, PartAccept, RefusedAnswer
from salus.node.sealed_bodies import ASK_PATH, PADDED_TO_BYTES, STREAM_PATH, Route, open_answer, open_ask, seal_answer

KEY = HpkeKey.from_seed(HpkeSuite.HYBRID, bytes(32))
ROUTE = Route("salus-test", OrganisationId("A81001"), OrganisationId("RVJ"), ASK_PATH)
ASK = PartAccept(PermitId(bytes(16)), 1, bytes(64))
DIGEST = bytes(range(32))

OTHER_ROUTES = {
    "another chain": replace(ROUTE, chain="salus-other"),
    "another sender": replace(ROUTE, sender=OrganisationId("X99")),
    "a device": replace(ROUTE, sender=OrganisationId("")),
    "another recipient": replace(ROUTE, recipient=OrganisationId("X99")),
    "another path": replace(ROUTE, path=STREAM_PATH),
}


def sealed(plain: bytes) -> bytes:
    return seal_to(KEY.public, plain, info=sealed_bodies.ask_info(ROUTE))


def test_an_ask_opens_with_the_key_of_its_answer() -> None:
    body, answer_key = sealed_bodies.seal_ask(ASK, to=KEY.public, route=ROUTE)
    opened = open_ask(KEY, body, ROUTE)
    assert opened.ask == ASK
    assert opened.answer_key == answer_key
    assert answer_key.hex() not in repr(opened)


def test_each_ask_has_its_own_answer_key() -> None:
    keys = {sealed_bodies.seal_ask(ASK, to=KEY.public, route=ROUTE)[1] for _ in range(5)}
    assert len(keys) == 5


@pytest.mark.parametrize("route", OTHER_ROUTES.values(), ids=OTHER_ROUTES)
def test_an_ask_opens_nowhere_else(route: Route) -> None:
    body, _ = sealed_bodies.seal_ask(ASK, to=KEY.public, route=ROUTE)
    with pytest.raises(Refused) as refused:
        open_ask(KEY, body, route)
    assert refused.value.refusal is Refusal.MESSAGE_UNFIT


@pytest.mark.parametrize("route", OTHER_ROUTES.values(), ids=OTHER_ROUTES)
def test_an_answer_opens_nowhere_else(route: Route) -> None:
    key = new_key()
    body = seal_answer(Done(0), answer_key=key, route=ROUTE, ask_digest=DIGEST)
    assert open_answer(body, answer_key=key, route=ROUTE, ask_digest=DIGEST) == Done(0)
    with pytest.raises(NotNow):
        open_answer(body, answer_key=key, route=route, ask_digest=DIGEST)


def test_an_answer_opens_for_its_ask_and_with_its_key_alone() -> None:
    key = new_key()
    body = seal_answer(Done(0), answer_key=key, route=ROUTE, ask_digest=DIGEST)
    with pytest.raises(NotNow):
        open_answer(body, answer_key=key, route=ROUTE, ask_digest=DIGEST[::-1])
    with pytest.raises(NotNow):
        open_answer(body, answer_key=new_key(), route=ROUTE, ask_digest=DIGEST)


GOOD = [bytes(32), [6, bytes(16), 1, bytes(64)], b""]
NOT_CANONICAL = {
    "nothing": b"",
    "no MessagePack": b"\xc1",
    "cut": encode(GOOD)[:-1],
    "followed by more": encode(GOOD) + b"\x00",
    "a number longer than it needs to be": encode(GOOD).replace(b"\x94\x06", b"\x94\xcc\x06"),
    "an array with a longer header": b"\xdc\x00\x03" + encode(GOOD)[1:],
    "a field more": encode([*GOOD, 1]),
    "a field fewer": encode(GOOD[:2]),
    "an ask with a field more": encode([bytes(32), [6, bytes(16), 1, bytes(64), 0], b""]),
    "an unknown ask": encode([bytes(32), [99, bytes(16)], b""]),
    "an answer instead": encode([bytes(32), [11, 0], b""]),
    "a short key": encode([bytes(31), *GOOD[1:]]),
    "a part of number 0": encode([bytes(32), [6, bytes(16), 0, bytes(64)], b""]),
    "a map": msgspec.msgpack.encode({"answer_key": bytes(32)}),
    "too much padding": encode([*GOOD[:2], bytes(256)]),
}


@pytest.mark.parametrize("plain", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_an_ask_has_one_form(plain: bytes) -> None:
    assert open_ask(KEY, sealed(encode(GOOD)), ROUTE).ask == ASK
    with pytest.raises(Refused) as refused:
        open_ask(KEY, sealed(plain), ROUTE)
    assert refused.value.refusal is Refusal.MESSAGE_UNFIT


def test_an_ask_to_a_key_of_the_weaker_suite_does_not_open() -> None:
    weak = HpkeKey.from_seed(HpkeSuite.X25519, bytes(32))
    body, _ = sealed_bodies.seal_ask(ASK, to=weak.public, route=ROUTE)
    with pytest.raises(Refused):
        open_ask(KEY, body, ROUTE)


@pytest.mark.promise("R1")
def test_nothing_and_a_refusal_are_as_long_as_a_match() -> None:
    answers: list[Answer] = [
        MatchAnswer(bytes(16)),
        MatchAnswer(b""),
        RefusedAnswer(Refusal.PERSON_UNFIT, "the certificate is unknown, revoked or expired: certify the person"),
        NotNowAnswer("the ledger does not answer (no answer in time: send the same bytes again): send the same again"),
    ]
    sizes = {len(seal_answer(each, answer_key=bytes(32), route=ROUTE, ask_digest=DIGEST)) for each in answers}
    assert len(sizes) == 1


def test_asks_for_different_people_by_different_people_are_of_one_length() -> None:
    session = CertifiedSession(Session(PublicKey(bytes(32)), OrganisationId("RVJ"), 0, 1), bytes(64))
    sizes = set()
    for name in (b"Dr Li", b"Dr Featherstonehaugh-Cholmondeley"):
        ask = MatchAsk("9990000018", "1980-02-29", session, CommittedFields(bytes(32), (name,)))
        sizes.add(len(sealed_bodies.seal_ask(ask, to=KEY.public, route=ROUTE)[0]))
    assert len(sizes) == 1


@pytest.mark.parametrize("size_bytes", range(0, 2 * PADDED_TO_BYTES, 7))
def test_every_size_is_rounded_up(size_bytes: int) -> None:
    key = new_key()
    answer = NotNowAnswer("x" * size_bytes)
    body = seal_answer(answer, answer_key=key, route=ROUTE, ask_digest=DIGEST)
    assert open_answer(body, answer_key=key, route=ROUTE, ask_digest=DIGEST) == answer
    assert (len(body) - 70) % PADDED_TO_BYTES == 0


def test_a_refusal_of_a_newer_release_is_not_now() -> None:
    body = seal_answer(RefusedAnswer(9999, "?"), answer_key=bytes(32), route=ROUTE, ask_digest=DIGEST)
    with pytest.raises(NotNow):
        open_answer(body, answer_key=bytes(32), route=ROUTE, ask_digest=DIGEST)
