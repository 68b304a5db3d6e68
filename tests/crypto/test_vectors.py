"""Golden vectors: what was written once is read for ever, by our code and by a second reading of the spec.

`SecondReader` is written from docs/spec/sealing.md alone, imports nothing of salus, and must agree on every vector.
"""

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.crypto import sealing
from salus.crypto.commitments import FieldOpening, FieldTree, content_root
from salus.crypto.derive import branch, ticket_key
from salus.crypto.hpke import HpkeKey, open_with
from salus.crypto.sealing import SealBroken

MIB = 1 << 20
VECTORS = {name: json.loads((Path(__file__).parent / "vectors" / f"{name}.json").read_text()) for name in (
    "sealing", "wrapping", "hpke", "derive", "commitments",
)}  # fmt: skip
SEALING, WRAPPING, HPKE = VECTORS["sealing"], VECTORS["wrapping"], VECTORS["hpke"]
LAST_STREAM = SEALING["pattern"][-1]

# The spec's word for a failure -> our words for it.
WORDS = {
    "header": "bytes of header",
    "format": "expected sealed format",
    "suite": "suite .* is not the one|sealed for suite",
    "size": "should have .* bytes|has 60 bytes",
    "commitment": "commits to",
    "stream header": "streaming header",
    "segment": "segment .* was changed",
    "key": "wrapped key was changed",
    "message": "message was changed",
}


class Failed(Exception):
    """The second reader's failure, with the spec's word for it."""


class SecondReader:
    """Opens sealed objects as docs/spec/sealing.md describes, step by step."""

    @staticmethod
    def expand(secret: bytes, salt: bytes, info: bytes) -> bytes:
        return hmac.digest(hmac.digest(salt or bytes(32), secret, "sha256"), info + b"\x01", "sha256")

    @classmethod
    def derived(cls, data_key: bytes, name: bytes) -> bytes:
        return cls.expand(data_key, b"", bytes((len(name),)) + name)

    @classmethod
    def open(cls, data_key: bytes, sealed: bytes, associated: bytes) -> bytes:
        # 1 header, 2 format, 3 suite
        if len(sealed) < 42:
            raise Failed("header")
        if sealed[0] != 1:
            raise Failed("format")
        size = int.from_bytes(sealed[34:42], "big")
        if sealed[1] != (1 if size <= MIB else 2) or size > MIB - 56 + (2**32 - 1) * (MIB - 16):
            raise Failed("suite")
        # 4 size
        count = 1 if size <= MIB else 1 + (size - (MIB - 56) + MIB - 17) // (MIB - 16)
        if len(sealed) != 42 + size + 16 * count + (12 if size <= MIB else 40):
            raise Failed("size")
        # 5 commitment
        if sealed[2:34] != cls.derived(data_key, b"salus/seal/commitment/1"):
            raise Failed("commitment")
        body, bound = sealed[42:], sealed[:42] + associated
        if size <= MIB:
            return cls.decrypt(cls.derived(data_key, b"salus/seal/one-shot/1"), body[:12], body[12:], bound)
        # 6 stream header
        if body[0] != 40:
            raise Failed("stream header")
        key = cls.expand(cls.derived(data_key, b"salus/seal/stream/1"), body[1:33], bound)
        # 7 segments
        text = b""
        for index in range(count):
            segment = body[40:MIB] if index == 0 else body[index * MIB : (index + 1) * MIB]
            nonce = body[33:40] + index.to_bytes(4, "big") + (b"\x01" if index == count - 1 else b"\x00")
            text += cls.decrypt(key, nonce, segment, b"")
        return text

    @staticmethod
    def decrypt(key: bytes, nonce: bytes, body: bytes, associated: bytes) -> bytes:
        try:
            return AESGCM(key).decrypt(nonce, body, associated)
        except InvalidTag:
            raise Failed("segment") from None


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def given(case: dict[str, Any], name: str) -> bytes:
    """What a case says, or else what the file says for all."""
    return bytes.fromhex(case.get(name, SEALING[name]))


def sealed_by_us(monkeypatch: pytest.MonkeyPatch, text: bytes, case: dict[str, Any]) -> bytes:
    drawn = iter([case["nonce"]] if "nonce" in case else [case["stream_salt"], case["stream_prefix"]])
    monkeypatch.setattr("os.urandom", lambda size: bytes.fromhex(next(drawn)))
    return sealing.seal(given({}, "data_key"), text, given({}, "associated"))


def opened_twice(sealed: bytes, case: dict[str, Any]) -> bytes:
    """Open with both readers, which must agree on the text, or on the failure, which is raised."""
    arguments = given(case, "data_key"), sealed, given(case, "associated")
    try:
        second = SecondReader.open(*arguments)
    except Failed as failed:
        with pytest.raises(SealBroken, match=WORDS[str(failed)]):
            sealing.open_sealed(*arguments)
        raise
    assert sealing.open_sealed(*arguments) == second
    return second


@pytest.mark.parametrize("case", SEALING["one_shot"], ids=lambda case: case["name"])
def test_one_shot(monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    text, sealed = bytes.fromhex(case["plaintext"]), bytes.fromhex(case["sealed"])
    assert opened_twice(sealed, {}) == text
    assert sealing.sealed_root([sealed]).hex() == case["root"]
    assert sealed_by_us(monkeypatch, text, case) == sealed


@pytest.mark.parametrize("case", SEALING["pattern"], ids=lambda case: case["name"])
def test_pattern(monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    sealed = sealed_by_us(monkeypatch, pattern(case["size_bytes"]), case)
    assert (len(sealed), sealed[:82].hex()) == (case["sealed_size_bytes"], case["head"])
    assert hashlib.sha256(sealed).hexdigest() == case["sealed_sha256"]
    assert [len(segment) for segment in sealing.segments(sealed)] == case["segment_sizes_bytes"]
    assert sealing.sealed_root(sealing.segments(sealed)).hex() == case["root"]
    assert opened_twice(sealed, {}) == pattern(case["size_bytes"])


@pytest.mark.promise("R6")
@pytest.mark.parametrize("case", SEALING["broken_one_shot"], ids=lambda case: case["name"])
def test_broken_one_shot(case: dict[str, Any]) -> None:
    with pytest.raises(Failed, match=f"^{case['failure']}$"):
        opened_twice(bytes.fromhex(case["sealed"]), case)


@pytest.mark.promise("R6")
@pytest.mark.parametrize("case", SEALING["broken_stream"], ids=lambda case: case["name"])
def test_broken_stream(monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    sealed = bytearray(sealed_by_us(monkeypatch, pattern(LAST_STREAM["size_bytes"]), LAST_STREAM))
    sealed = sealed[: case.get("keep_bytes")] + bytes.fromhex(case.get("append", ""))
    if "flip_bit_0_of_byte" in case:
        sealed[case["flip_bit_0_of_byte"]] ^= 1
    if "set_byte" in case:
        at, value = case["set_byte"]
        sealed[at] = value
    if "set_size_bytes" in case:
        sealed[34:42] = case["set_size_bytes"].to_bytes(8, "big")
    with pytest.raises(Failed, match=f"^{case['failure']}$"):
        opened_twice(bytes(sealed), case)


def test_derived_data_keys() -> None:
    data_key = given({}, "data_key")
    for name, make in {
        "key_commitment": sealing.key_commitment,
        "one_shot_key": sealing.one_shot_key,
        "stream_key": sealing.stream_key,
    }.items():
        assert make(data_key).hex() == SEALING[name]


def test_wrapped_key(monkeypatch: pytest.MonkeyPatch) -> None:
    kek, key, associated, nonce = (bytes.fromhex(WRAPPING[x]) for x in ("kek", "key", "associated", "nonce"))
    wrapped = nonce + AESGCM(kek).encrypt(nonce, key, associated)
    assert wrapped.hex() == WRAPPING["wrapped"]
    assert sealing.unwrap(kek, wrapped, associated) == key
    monkeypatch.setattr("os.urandom", lambda size: nonce)
    assert sealing.wrap(kek, key, associated) == wrapped


@pytest.mark.parametrize("case", WRAPPING["broken"], ids=lambda case: case["name"])
def test_broken_wrap(case: dict[str, Any]) -> None:
    kek, wrapped, associated = (bytes.fromhex({**WRAPPING, **case}[x]) for x in ("kek", "wrapped", "associated"))
    with pytest.raises(SealBroken, match=WORDS[case["failure"]]):
        sealing.unwrap(kek, wrapped, associated)


@pytest.mark.parametrize("suite", HPKE["suites"], ids=lambda suite: f"suite {suite['suite']}")
def test_hpke_message(suite: dict[str, Any]) -> None:
    key = HpkeKey.from_private(bytes.fromhex(suite["private"]))
    assert (key.suite, key.public.hex()) == (suite["suite"], suite["public"])
    opened = open_with(key, bytes.fromhex(suite["sealed"]), info=bytes.fromhex(HPKE["info"]))
    assert opened.hex() == HPKE["plaintext"]


@pytest.mark.parametrize(
    ("suite", "case"),
    [
        pytest.param(suite, case, id=f"{suite['suite']}: {case['name']}")
        for suite in HPKE["suites"]
        for case in suite["broken"]
    ],
)
def test_broken_hpke_message(suite: dict[str, Any], case: dict[str, Any]) -> None:
    key = HpkeKey.from_private(bytes.fromhex(suite["private"]))
    with pytest.raises(SealBroken, match=WORDS[case["failure"]]):
        open_with(key, bytes.fromhex(case["sealed"]), info=bytes.fromhex(case.get("info", HPKE["info"])))


def test_derived_secrets() -> None:
    """Frozen: the keys of patients and of printed tickets depend on them."""
    vectors = VECTORS["derive"]
    for case in vectors["branches"]:
        assert branch(bytes.fromhex(vectors["seed"]), *case["path"]).hex() == case["secret"]
    ticket = ticket_key(bytes.fromhex(vectors["bearer_secret"]))
    assert (ticket.seed.hex(), ticket.public.hex()) == (vectors["ticket_seed"], vectors["ticket_public"])


def test_commitments() -> None:
    vectors = VECTORS["commitments"]
    openings = [
        FieldOpening(
            salt=bytes.fromhex(case["salt"]),
            field=bytes.fromhex(case["field"]),
            index=case["index"],
            size=case["size"],
            path=tuple(bytes.fromhex(sibling) for sibling in case["path"]),
        )
        for case in vectors["openings"]
    ]
    for opening in openings:
        opening.verify(bytes.fromhex(vectors["root"]))
    tree = FieldTree(tuple(each.salt for each in openings), tuple(each.field for each in openings))
    assert [tree.open(index) for index in range(5)] == openings
    for case in vectors["content"]:
        assert content_root(bytes.fromhex(vectors["content_salt"]), pattern(case["size_bytes"])).hex() == case["root"]


def test_every_failure_of_the_format_has_a_vector() -> None:
    rows = [*SEALING["broken_one_shot"], *SEALING["broken_stream"], *WRAPPING["broken"]]
    rows += [case for suite in HPKE["suites"] for case in suite["broken"]]
    assert {row["failure"] for row in rows} == set(WORDS)


def test_the_spec_names_every_failure() -> None:
    spec = (Path(__file__).parents[2] / "docs" / "spec" / "sealing.md").read_text()
    missing = [word for word in WORDS if not re.search(rf"\*{word}\*", spec)]
    assert missing == []
