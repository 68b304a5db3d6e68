"""A second reading of the exchange, from docs/spec/exchange.md and sealing.md alone; imports nothing of salus."""

import base64
import hashlib
import hmac
import re
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

Vector = dict[str, Any]
FIELDS = {"signature", "signature-input", "content-digest", "salus-sender", "salus-recipient"}
REQUEST_FORM = re.compile(
    re.escape('("@method" "@path" "content-digest" "salus-sender" "salus-recipient")')
    + r';created=(0|[1-9]\d*);nonce="[0-9a-f]{32}";keyid="([0-9a-f]{64})";alg="ed25519";tag="salus-request-1"'
)
ANSWER_FORM = re.compile(
    re.escape('("@status" "content-digest" "content-digest";req "signature";req;key="salus")')
    + r';created=\d+;keyid="([0-9a-f]{64})";alg="ed25519";tag="salus-answer-1"'
)


class Failed(Exception):
    """A failure, with the specification's word for it."""


class SecondReader:
    """Reads requests, answers and streams between two ends whose keys are known."""

    def __init__(self, world: Vector) -> None:
        self.world = world

    def request(self, vector: Vector) -> tuple[bytes, bytes]:
        """(answer key, ask) of a request that the custodian hears."""
        fields, body = vector["fields"], bytes.fromhex(vector["body"])
        if not set(fields) >= FIELDS:
            raise Failed("unsigned")
        parameters = member(fields["signature-input"])
        found = REQUEST_FORM.fullmatch(parameters)
        if found is None or fields["salus-recipient"] != self.world["recipient"]:
            raise Failed("unsigned")
        if abs(vector["present_s"] - int(found[1])) > 30:
            raise Failed("time")
        if found[2] != self.world["requester_http_key"]:
            raise Failed("unsigned")
        path = self.world["endpoint_path"] + vector["path"]
        names = ("content-digest", "salus-sender", "salus-recipient")
        lines = ['"@method": POST', f'"@path": {path}', *(f'"{name}": {fields[name]}' for name in names)]
        require_signed(found[2], lines, parameters, member(fields["signature"]))
        if fields["content-digest"] != digest_field(body):
            raise Failed("unsigned")
        return self.opened(body, path)

    def match(self, vector: Vector) -> list[Any]:
        """[number, match, time, nonce, signature] of a match that its session signed."""
        signed = msgspec.msgpack.decode(bytes.fromhex(vector["match"]))
        _, match, at_s, nonce, signature = signed
        ends = [vector["chain"], vector["sender"], vector["recipient"]]
        message = b"\x0dsalus/match/1" + msgspec.msgpack.encode([*ends, at_s, nonce, match])
        try:
            Ed25519PublicKey.from_public_bytes(match[3][0][0]).verify(signature, message)
        except InvalidSignature as error:
            raise Failed("unsigned") from error
        return signed

    def opened(self, body: bytes, path: str) -> tuple[bytes, bytes]:
        """HPKE, hybrid suite (sealing.md), and one canonical ask."""
        expanded = hashlib.shake_256(bytes.fromhex(self.world["custodian_hpke_seed"])).digest(96)
        key = MLKEM768X25519PrivateKey(
            MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])
        )
        info = msgspec.msgpack.encode(["salus/ask/1", *self.between(), path])
        try:
            plain = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(body[1:], key, info)
            value = msgspec.msgpack.decode(plain)
        except (InvalidTag, msgspec.DecodeError) as error:
            raise Failed("message") from error
        if msgspec.msgpack.encode(value) != plain or len(value) != 3:
            raise Failed("message")
        return value[0], msgspec.msgpack.encode(value[1])

    def answer(self, request: Vector, vector: Vector) -> bytes:
        """What is inside a sealed answer, or a plain answer's body."""
        fields, body = vector["fields"], bytes.fromhex(vector["body"])
        try:
            parameters = member(fields.get("signature-input", ""))
            found = ANSWER_FORM.fullmatch(parameters)
            if found is None or found[1] != self.world["custodian_http_key"]:
                raise Failed("unsigned")
            lines = [
                f'"@status": {vector["status"]}',
                f'"content-digest": {digest_field(body)}',
                f'"content-digest";req: {request["fields"]["content-digest"]}',
                f'"signature";req;key="salus": {member(request["fields"]["signature"])}',
            ]
            require_signed(found[1], lines, parameters, member(fields["signature"]))
            return body if vector["status"] != 200 else self.unsealed(request, body, "/exchange/1/ask")
        except (Failed, InvalidTag) as error:
            raise Failed("answer") from error

    def unsealed(self, request: Vector, sealed: bytes, path: str) -> bytes:
        """A sealed object of suite 01 (sealing.md) under the answer key."""
        asked = hashlib.sha256(bytes.fromhex(request["body"])).digest()
        bound = msgspec.msgpack.encode(["salus/answer/1", *self.between(), self.world["endpoint_path"] + path, asked])
        name = b"salus/seal/one-shot/1"
        extracted = hmac.digest(bytes(32), bytes.fromhex(request["answer_key"]), "sha256")
        key = hmac.digest(extracted, bytes((len(name),)) + name + b"\x01", "sha256")
        return AESGCM(key).decrypt(sealed[42:54], sealed[54:], sealed[:42] + bound)

    def stream(self, request: Vector, stream: bytes) -> list[bytes]:
        """The segments of a stream that is whole."""
        segments: list[bytes] = []
        end = b""
        while stream:
            kind, size = stream[0], int.from_bytes(stream[1:5], "big")
            data, stream = stream[5 : 5 + size], stream[5 + size :]
            if end or len(data) != size or kind not in (1, 2):
                raise Failed("stream")
            if kind == 2:
                end = data
            else:
                segments.append(data)
        if not end:
            raise Failed("stream")
        self.require_end(request, end, segments)
        return segments

    def require_end(self, request: Vector, sealed: bytes, segments: list[bytes]) -> None:
        """The custodian's word about a stream."""
        end, signature = msgspec.msgpack.decode(self.unsealed(request, sealed, "/exchange/1/stream"))
        asked = hashlib.sha256(bytes.fromhex(request["body"])).digest()
        by_requester = base64.b64decode(member(request["fields"]["signature"]).strip(":"))
        name = b"salus/stream-end/1"
        message = msgspec.msgpack.encode([self.world["chain"], asked, by_requester, end])
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.world["custodian_http_key"]))
            key.verify(signature, bytes((len(name),)) + name + message)
        except InvalidSignature as error:
            raise Failed("stream") from error
        if end[2][0] == 12:
            raise Failed(f"refused {end[2][1]}")
        if end[:2] != [len(segments), root(segments)]:
            raise Failed("stream")

    def between(self) -> tuple[str, str, str]:
        """Chain, sender, recipient."""
        return self.world["chain"], self.world["sender"], self.world["recipient"]


def member(field: str) -> str:
    """Our member of a dictionary field; commas inside strings separate nothing."""
    members = re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', field)
    found = [each.strip() for each in members if each.strip().startswith("salus=")]
    if len(found) != 1:
        raise Failed("unsigned")
    return found[0].removeprefix("salus=")


def require_signed(key: str, lines: list[str], parameters: str, signature: str) -> None:
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    try:
        raw = base64.b64decode(signature.strip(":"))
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(raw, base.encode())
    except (InvalidSignature, ValueError) as error:
        raise Failed("unsigned") from error


def digest_field(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def root(segments: list[bytes]) -> bytes:
    """RFC 9162 2.1.1."""
    if len(segments) == 1:
        return hashlib.sha256(b"\x00" + segments[0]).digest()
    middle = 1 << (len(segments) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(segments[:middle]) + root(segments[middle:])).digest()
