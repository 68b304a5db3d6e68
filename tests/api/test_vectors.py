"""Golden vectors of the exchange: what was written once is read for ever, by our code and by a second reading."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from salus.crypto.hpke import HpkeKey, HpkeSuite
from salus.crypto.signing import SignatureInvalid, verify_tagged
from salus.ledger.encoding import decoder, encode
from salus.ledger.identifiers import OrganisationId
from salus.node.errors import NotNow, Refused
from salus.node.exchange import SignedMatchAsk
from salus.node.http_signatures import MessageUnsigned, check_digest, read_request, verify_answer
from salus.node.plain_answers import raise_plain
from salus.node.sealed_bodies import ASK_PATH, STREAM_PATH, Route, open_answer, open_ask
from salus.node.sealed_streams import StreamSeal, read_segments
from salus.node.services.match import MATCH_TAG, match_terms
from tests.api.second_reader import Failed, SecondReader, Vector

VECTORS = json.loads((Path(__file__).parent / "vectors" / "exchange.json").read_text(encoding="utf-8"))
MATCH = json.loads((Path(__file__).parent / "vectors" / "match.json").read_text(encoding="utf-8"))
SIGNED_MATCH = decoder(SignedMatchAsk)
REQUESTS, ASK, STREAM = VECTORS["requests"], VECTORS["ask"], VECTORS["stream"]
SECOND = SecondReader(VECTORS)
HPKE_KEY = HpkeKey.from_seed(HpkeSuite.HYBRID, bytes.fromhex(VECTORS["custodian_hpke_seed"]))
CUSTODIAN_KEY = bytes.fromhex(VECTORS["custodian_http_key"])


def route(path: str) -> Route:
    sender, recipient = OrganisationId(VECTORS["sender"]), OrganisationId(VECTORS["recipient"])
    return Route(VECTORS["chain"], sender, recipient, VECTORS["endpoint_path"] + path)


def named(vectors: list[Vector]) -> Any:
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


def heard_by_us(vector: Vector) -> tuple[bytes, bytes]:
    """(answer key, ask), checked in the order of the specification."""
    try:
        request = read_request(vector["fields"], path=VECTORS["endpoint_path"] + vector["path"])
        if request.head.recipient != VECTORS["recipient"]:
            raise Failed("unsigned")
        if abs(vector["present_s"] - request.created_s) > 30:
            raise Failed("time")
        if request.key.hex() != VECTORS["requester_http_key"]:
            raise Failed("unsigned")
        request.verify()
        check_digest(request.head.digest, bytes.fromhex(vector["body"]))
        opened = open_ask(HPKE_KEY, bytes.fromhex(vector["body"]), route(vector["path"]))
    except MessageUnsigned as error:
        raise Failed("unsigned") from error
    except Refused as error:
        raise Failed("message") from error
    return opened.answer_key, encode(opened.ask)


@named(REQUESTS)
@pytest.mark.parametrize("hear", [heard_by_us, SECOND.request], ids=["ours", "second reader"])
def test_request(hear: Any, vector: Vector) -> None:
    if vector["failure"]:
        with pytest.raises(Failed, match=vector["failure"]):
            hear(vector)
        return
    answer_key, ask = hear(vector)
    assert (answer_key.hex(), ask.hex()) == (REQUESTS[0]["answer_key"], REQUESTS[0]["ask"])


def answered_to_us(request: Vector, vector: Vector) -> bytes:
    body = bytes.fromhex(vector["body"])
    signed = read_request(request["fields"], path=VECTORS["endpoint_path"] + ASK_PATH)
    try:
        verify_answer(signed, status=vector["status"], fields=vector["fields"], body=body, key=CUSTODIAN_KEY)
        if vector["status"] != 200:
            return body
        answer_key = bytes.fromhex(request["answer_key"])
        return encode(open_answer(body, answer_key=answer_key, route=route(ASK_PATH), ask_digest=signed.head.digest))
    except (MessageUnsigned, NotNow) as error:
        raise Failed("answer") from error


@named([vector for vector in ASK["answers"] if vector["failure"]])
@pytest.mark.parametrize("read", [answered_to_us, SECOND.answer], ids=["ours", "second reader"])
def test_answer_refused(read: Any, vector: Vector) -> None:
    with pytest.raises(Failed, match=vector["failure"]):
        read(ASK["request"], vector)


def test_sealed_answer() -> None:
    [vector] = [each for each in ASK["answers"] if "answer" in each]
    assert answered_to_us(ASK["request"], vector).hex() == vector["answer"]
    answer, padding = msgspec.msgpack.decode(SECOND.answer(ASK["request"], vector))
    assert msgspec.msgpack.encode(answer).hex() == vector["answer"]
    assert not any(padding)


def test_plain_answer() -> None:
    [vector] = [each for each in ASK["answers"] if "refusal" in each]
    body = answered_to_us(ASK["request"], vector)
    assert SECOND.answer(ASK["request"], vector) == body
    with pytest.raises(Refused) as refused:
        raise_plain(body)
    assert refused.value.refusal == vector["refusal"]


def streamed_to_us(request: Vector, stream: bytes) -> list[bytes]:
    signed = read_request(request["fields"], path=VECTORS["endpoint_path"] + STREAM_PATH)
    seal = StreamSeal(signed, route(STREAM_PATH), bytes.fromhex(request["answer_key"]))
    try:
        return list(read_segments([stream], seal, CUSTODIAN_KEY))
    except NotNow as error:
        raise Failed("stream") from error
    except Refused as error:
        raise Failed(f"refused {error.refusal}") from error


@named(STREAM["streams"])
@pytest.mark.parametrize("read", [streamed_to_us, SECOND.stream], ids=["ours", "second reader"])
def test_stream(read: Any, vector: Vector) -> None:
    stream = bytes.fromhex(vector["stream"])
    if vector["failure"]:
        with pytest.raises(Failed, match=vector["failure"]):
            read(STREAM["request"], stream)
        return
    assert [each.hex() for each in read(STREAM["request"], stream)] == STREAM["segments"]


def match_by_us(vector: Vector) -> list[Any]:
    signed = SIGNED_MATCH.decode(bytes.fromhex(vector["match"]))
    terms = match_terms(signed, chain=vector["chain"], sender=vector["sender"], asked=vector["recipient"])
    try:
        verify_tagged(signed.ask.session.session.session_key, MATCH_TAG, terms, signed.signature)
    except SignatureInvalid as error:
        raise Failed("unsigned") from error
    return msgspec.msgpack.decode(encode(signed))


@pytest.mark.parametrize("read", [match_by_us, SECOND.match], ids=["ours", "second reader"])
def test_signed_match(read: Any) -> None:
    number, match, at_s, nonce, signature = read(MATCH)
    assert (number, match[:2], at_s, nonce) == (14, [1, "9990000018"], 1_800_000_003, bytes(range(16)))
    changes = [
        *({end: "X99"} for end in ("chain", "sender", "recipient")),
        *(
            {"match": msgspec.msgpack.encode(changed).hex()}
            for changed in (
                [number, [*match[:2], "1980-02-28", *match[3:]], at_s, nonce, signature],
                [number, match, at_s + 1, nonce, signature],
                [number, match, at_s, bytes(16), signature],
            )
        ),
    ]
    for change in changes:
        with pytest.raises(Failed, match="unsigned"):
            read(MATCH | change)


def test_every_failure_that_one_message_can_show_has_a_vector() -> None:
    page = (Path(__file__).parents[2] / "docs" / "spec" / "exchange.md").read_text(encoding="utf-8")
    said = set(re.findall(r"\*(unsigned|time|message|answer|stream)\*", page))
    failures = {
        each["failure"].split()[0] for each in (*REQUESTS, *ASK["answers"], *STREAM["streams"]) if each["failure"]
    }
    assert failures - {"refused"} == said
