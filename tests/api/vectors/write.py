"""Writes the golden vectors beside it: run once for a new format, never to make a failing test pass.

    python tests/api/vectors/write.py

Keys, nonces and times are counted; only what HPKE and AES-GCM draw is random, so the vectors are what was written once.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from salus.crypto.hashing import sha256
from salus.crypto.hpke import HpkeKey, HpkeSuite, seal_to
from salus.crypto.sealing import SegmentRoot
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, OrganisationId, PermitId
from salus.node.errors import Refusal
from salus.node.exchange import Done, PartAccept, RefusedAnswer, StreamAsk
from salus.node.http_signatures import RequestHead, SignedRequest, sign_answer, sign_request
from salus.node.plain_answers import plain_body
from salus.node.sealed_bodies import ASK_PATH, STREAM_PATH, Route, ask_info, seal_answer, seal_ask
from salus.node.sealed_streams import END, SEGMENT, Frame, StreamEnd, StreamSeal, frame_head, seal_end

HERE = Path(__file__).parent
CHAIN, SENDER, RECIPIENT = "salus-test", OrganisationId("A81001"), OrganisationId("RVJ")
PREFIX = "/north/rvj"
REQUESTER, CUSTODIAN, STRANGER = (SigningKey.from_seed(bytes((number,)) * 32) for number in (1, 2, 3))
HPKE_KEY = HpkeKey.from_seed(HpkeSuite.HYBRID, bytes((4,)) * 32)
CREATED_S = 1_800_000_000
ASK = PartAccept(PermitId(bytes(range(16))), 7, bytes(range(64)))
STREAM = StreamAsk(PermitId(bytes(range(16))), 7, 0)
DONE = Done(0)
SEGMENTS = [b"first segment", b"second segment", b""]

Vector = dict[str, Any]


def route(path: str) -> Route:
    return Route(CHAIN, SENDER, RECIPIENT, PREFIX + path)


def signed(body: bytes, path: str, *, key: SigningKey = REQUESTER, sender: OrganisationId = SENDER) -> SignedRequest:
    head = RequestHead(PREFIX + path, sender, RECIPIENT, sha256(body))
    return sign_request(head, key, created_s=CREATED_S, nonce=bytes(range(16)))


def request_vectors() -> list[Vector]:
    body, answer_key = seal_ask(ASK, to=HPKE_KEY.public, route=route(ASK_PATH))
    fields = signed(body, ASK_PATH).fields()
    plain = encode((answer_key, ASK, b""))
    good: Vector = {"fields": fields, "body": body.hex(), "path": ASK_PATH, "present_s": CREATED_S + 3}
    changed: dict[str, Vector] = {
        **{
            name: {"failure": "unsigned", **good, "fields": fields | change}
            for name, change in unsigned(fields).items()
        },
        **{name: {"failure": "message", **good, **change} for name, change in unfit(plain).items()},
        "a field is missing": good | {"failure": "unsigned", "fields": {"signature": fields["signature"]}},
        "signed by another": good | {"failure": "unsigned", "fields": signed(body, ASK_PATH, key=STRANGER).fields()},
        "sent to the other path": good | {"failure": "unsigned", "path": STREAM_PATH},
        "another body": good | {"failure": "unsigned", "body": (body[:-1] + bytes((body[-1] ^ 1,))).hex()},
        "31 s old": good | {"failure": "time", "present_s": CREATED_S + 31},
        "31 s early": good | {"failure": "time", "present_s": CREATED_S - 31},
    }
    gateway = {"signature-input": f'gw=("@method");keyid="a, b", {fields["signature-input"]}'}
    return [
        {"name": "a member's ask", "failure": "", **good, "answer_key": answer_key.hex(), "ask": encode(ASK).hex()},
        {"name": "beside a gateway's signature", "failure": "", **good, "fields": fields | gateway},
        *({"name": name, **vector} for name, vector in changed.items()),
    ]


def unsigned(fields: dict[str, str]) -> dict[str, dict[str, str]]:
    """Fields that do not go with the rest."""
    given, signature, digest = fields["signature-input"], fields["signature"], fields["content-digest"]
    return {
        "fewer fields covered": {"signature-input": given.replace(' "salus-sender"', "")},
        "another algorithm": {"signature-input": given.replace("ed25519", "hmac-sha256")},
        "another nonce": {"signature-input": given.replace('nonce="00', 'nonce="ff')},
        "our label twice": {"signature-input": f"{given}, {given}"},
        "a byte of the signature": {
            "signature": signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
        },
        "a digest of another kind": {"content-digest": "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"},
        "two digests": {"content-digest": f"{digest}, {digest}"},
        "another recipient": {"salus-recipient": "X99"},
        "another sender": {"salus-sender": "X99"},
    }


def unfit(plain: bytes) -> dict[str, Vector]:
    """Bodies that are well signed and do not open, or not to an ask."""
    return {
        "sealed for another chain": resealed(plain, chain="salus-other"),
        "sealed by another sender": resealed(plain, sender="X99"),
        "sealed for the other path": resealed(plain, path=PREFIX + STREAM_PATH),
        "a number longer than it needs to be": resealed(plain.replace(b"\x94\x06", b"\x94\xcc\x06")),
        "followed by a byte": resealed(plain + b"\x00"),
    }


def resealed(plain: bytes, **changes: str) -> Vector:
    sealed = seal_to(HPKE_KEY.public, plain, info=ask_info(replace(route(ASK_PATH), **changes)))
    return {"fields": signed(sealed, ASK_PATH).fields(), "body": sealed.hex()}


def answer_vectors() -> Vector:
    body, answer_key = seal_ask(ASK, to=HPKE_KEY.public, route=route(ASK_PATH))
    request = signed(body, ASK_PATH)
    answer = Done(7)
    sealed = seal_answer(answer, answer_key=answer_key, route=route(ASK_PATH), ask_digest=sha256(body))
    other_request = sign_request(request.head, REQUESTER, created_s=CREATED_S, nonce=bytes(16))
    refused = plain_body(Refusal.REPLAYED, "expected a request that was not sent before")

    def vector(name: str, failure: str, status: int, body: bytes, **changes: Any) -> Vector:
        key, to = changes.pop("key", CUSTODIAN), changes.pop("to", request)
        fields = sign_answer(to, status=changes.pop("signed_status", status), body=body, key=key, created_s=CREATED_S)
        return {"name": name, "failure": failure, "status": status, "fields": fields, "body": body.hex(), **changes}

    changed = bytearray(sealed)
    changed[-1] ^= 1
    elsewhere = seal_answer(answer, answer_key=answer_key, route=route(STREAM_PATH), ask_digest=sha256(body))
    for_other_ask = seal_answer(answer, answer_key=answer_key, route=route(ASK_PATH), ask_digest=sha256(b""))
    return {
        "request": {"fields": request.fields(), "body": body.hex(), "answer_key": answer_key.hex()},
        "answers": [
            vector("done", "", 200, sealed, answer=encode(answer).hex()),
            vector("a plain refusal", "", 409, refused, refusal=int(Refusal.REPLAYED)),
            vector("signed by another", "answer", 200, sealed, key=STRANGER),
            vector("to another request", "answer", 200, sealed, to=other_request),
            vector("another status", "answer", 200, sealed, signed_status=409),
            vector("a byte changed and signed", "answer", 200, bytes(changed)),
            vector("sealed for the other path", "answer", 200, elsewhere),
            vector("sealed for another ask", "answer", 200, for_other_ask),
            vector("a plain refusal unsigned", "answer", 409, refused, fields={}),
        ],
    }


def stream_vectors() -> Vector:
    body, answer_key = seal_ask(STREAM, to=HPKE_KEY.public, route=route(STREAM_PATH))
    request = signed(body, STREAM_PATH)
    seal = StreamSeal(request, route(STREAM_PATH), answer_key)
    segments: list[Frame] = [(SEGMENT, each) for each in SEGMENTS]

    def end(count: int, verdict: Any = DONE, *, key: SigningKey = CUSTODIAN) -> Frame:
        root = SegmentRoot()
        for each in SEGMENTS[:count]:
            root.add(each)
        return END, seal_end(StreamEnd(count, Digest(root.root()), verdict), seal, key)

    def vector(name: str, failure: str, frames: list[Frame], more: bytes = b"", *, cut: int = 0) -> Vector:
        stream = b"".join(frame_head(frame) + frame[1] for frame in frames) + more
        return {"name": name, "failure": failure, "stream": stream[: len(stream) - cut].hex()}

    withdrawn = RefusedAnswer(Refusal.PERMIT_DEAD, "the permit has ended")
    return {
        "request": {"fields": request.fields(), "body": body.hex(), "answer_key": answer_key.hex()},
        "segments": [each.hex() for each in SEGMENTS],
        "streams": [
            vector("whole", "", [*segments, end(3)]),
            vector("withdrawn after one segment", "refused 5", [segments[0], end(1, withdrawn)]),
            vector("no end", "stream", segments),
            vector("cut within the end", "stream", [*segments, end(3)], cut=1),
            vector("a segment missing", "stream", [*segments[:2], end(3)]),
            vector("two segments exchanged", "stream", [segments[1], segments[0], segments[2], end(3)]),
            vector("signed by another", "stream", [*segments, end(3, key=STRANGER)]),
            vector("bytes after the end", "stream", [*segments, end(3)], b"\x01\x00\x00\x00\x00"),
            vector("a frame that is none", "stream", segments, b"\x03\x00\x00\x00\x00"),
        ],
    }


def main() -> None:
    vectors = {
        "chain": CHAIN,
        "sender": SENDER,
        "recipient": RECIPIENT,
        "endpoint_path": PREFIX,
        "requester_http_key": REQUESTER.public.hex(),
        "custodian_http_key": CUSTODIAN.public.hex(),
        "custodian_hpke_seed": HPKE_KEY.seed.hex(),
        "requests": request_vectors(),
        "ask": answer_vectors(),
        "stream": stream_vectors(),
    }
    (HERE / "exchange.json").write_text(json.dumps(vectors, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
