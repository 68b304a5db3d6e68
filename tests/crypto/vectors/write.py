"""Writes the golden vectors beside it: run once for a new format, never to make a failing test pass.

    python tests/crypto/vectors/write.py

Keys and randomness are counted bytes, so that a second writer finds the same; only HPKE messages are random.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from salus.crypto import sealing
from salus.crypto.commitments import FieldTree, content_root
from salus.crypto.derive import branch, ticket_key
from salus.crypto.hpke import HpkeKey, HpkeSuite, seal_to

HERE = Path(__file__).parent
MIB = 1 << 20
DATA_KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
ASSOCIATED = b"salus-test" + bytes(range(16)) + (1).to_bytes(4, "big")
NONCE = bytes(range(0x40, 0x4C))
STREAM_SALT = bytes(range(0x60, 0x80))
STREAM_PREFIX = bytes(range(0x80, 0x87))


def pattern(size: int) -> bytes:
    """Byte i is i modulo 251."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def sealed_with(plaintext: bytes, *randomness: bytes) -> bytes:
    """Seal with chosen randomness, as no caller can."""
    drawn: Iterator[bytes] = iter(randomness)
    with patch("os.urandom", lambda size: next(drawn)):
        return sealing.seal(DATA_KEY, plaintext, ASSOCIATED)


def flipped(data: bytes, at: int) -> str:
    return (data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]).hex()


def replaced(data: bytes, at: int, value: int) -> str:
    return (data[:at] + bytes((value,)) + data[at + 1 :]).hex()


def sealing_vectors() -> dict[str, Any]:
    letter = sealed_with(b"a letter", NONCE)
    return {
        "data_key": DATA_KEY.hex(),
        "associated": ASSOCIATED.hex(),
        "key_commitment": sealing.key_commitment(DATA_KEY).hex(),
        "one_shot_key": sealing.one_shot_key(DATA_KEY).hex(),
        "stream_key": sealing.stream_key(DATA_KEY).hex(),
        "one_shot": [
            {"name": name, "plaintext": text.hex(), "nonce": NONCE.hex(), **described(text, NONCE)}
            for name, text in {"empty": b"", "one byte": b"\xff", "a letter": b"a letter"}.items()
        ],
        "pattern": [
            {"name": "largest one shot", "size_bytes": MIB, "nonce": NONCE.hex(), **digested(MIB, NONCE)},
            *(
                {
                    "name": name,
                    "size_bytes": size,
                    "stream_salt": STREAM_SALT.hex(),
                    "stream_prefix": STREAM_PREFIX.hex(),
                    **digested(size, STREAM_SALT, STREAM_PREFIX),
                }
                for name, size in {
                    "smallest stream": MIB + 1,
                    "two full segments": 2 * MIB - 72,
                    "two full segments and a byte": 2 * MIB - 71,
                }.items()
            ),
        ],
        "broken_one_shot": broken_one_shot(letter),
        "broken_stream": broken_stream(),
    }


def described(text: bytes, *randomness: bytes) -> dict[str, str]:
    sealed = sealed_with(text, *randomness)
    return {"sealed": sealed.hex(), "root": sealing.sealed_root(sealing.segments(sealed)).hex()}


def digested(size: int, *randomness: bytes) -> dict[str, Any]:
    sealed = sealed_with(pattern(size), *randomness)
    return {
        "head": sealed[:82].hex(),
        "sealed_size_bytes": len(sealed),
        "sealed_sha256": hashlib.sha256(sealed).hexdigest(),
        "segment_sizes_bytes": [len(segment) for segment in sealing.segments(sealed)],
        "root": sealing.sealed_root(sealing.segments(sealed)).hex(),
    }


def broken_one_shot(letter: bytes) -> list[dict[str, str]]:
    rows = [
        ("nothing", "", "header"),
        ("header cut short", letter[:41].hex(), "header"),
        ("format 0", replaced(letter, 0, 0), "format"),
        ("format 2", replaced(letter, 0, 2), "format"),
        ("suite 0", replaced(letter, 1, 0), "suite"),
        ("suite of streams", replaced(letter, 1, 2), "suite"),
        ("size of a stream", replaced(letter, 38, 1), "suite"),
        ("size beyond any stream", replaced(letter, 34, 0x80), "suite"),
        ("size one more", replaced(letter, 41, 9), "size"),
        ("size one less", replaced(letter, 41, 7), "size"),
        ("last byte missing", letter[:-1].hex(), "size"),
        ("one byte more", letter.hex() + "00", "size"),
        ("header alone", letter[:42].hex(), "size"),
        ("commitment, first bit", flipped(letter, 2), "commitment"),
        ("commitment, last bit", flipped(letter, 33), "commitment"),
        ("nonce", flipped(letter, 42), "segment"),
        ("ciphertext", flipped(letter, 54), "segment"),
        ("tag", flipped(letter, 77), "segment"),
    ]
    cases = [{"name": name, "sealed": sealed, "failure": failure} for name, sealed, failure in rows]
    other_key = {"name": "other data key", "sealed": letter.hex(), "data_key": OTHER_KEY.hex(), "failure": "commitment"}
    other_associated = {
        "name": "other associated data",
        "sealed": letter.hex(),
        "associated": "00",
        "failure": "segment",
    }
    no_associated = {"name": "no associated data", "sealed": letter.hex(), "associated": "", "failure": "segment"}
    return [*cases, other_key, other_associated, no_associated]


def broken_stream() -> list[dict[str, Any]]:
    """Changes to "two full segments and a byte", one each."""
    return [
        {"name": "suite of one shots", "set_byte": [1, 1], "failure": "suite"},
        {"name": "commitment", "flip_bit_0_of_byte": 2, "failure": "commitment"},
        {"name": "stream header length", "set_byte": [42, 39], "failure": "stream header"},
        {"name": "stream salt", "flip_bit_0_of_byte": 43, "failure": "segment"},
        {"name": "stream nonce prefix", "flip_bit_0_of_byte": 81, "failure": "segment"},
        {"name": "first byte of ciphertext", "flip_bit_0_of_byte": 82, "failure": "segment"},
        {"name": "last byte of segment 0", "flip_bit_0_of_byte": 42 + MIB - 1, "failure": "segment"},
        {"name": "first byte of segment 1", "flip_bit_0_of_byte": 42 + MIB, "failure": "segment"},
        {"name": "last byte", "flip_bit_0_of_byte": 42 + 2 * MIB + 16, "failure": "segment"},
        {"name": "last segment missing", "keep_bytes": 42 + 2 * MIB, "failure": "size"},
        {"name": "last byte missing", "keep_bytes": 42 + 2 * MIB + 16, "failure": "size"},
        {"name": "one byte more", "append": "00", "failure": "size"},
        {
            "name": "last segment missing and the size made to fit",
            "keep_bytes": 42 + 2 * MIB,
            "set_size_bytes": 2 * MIB - 72,
            "failure": "segment",
        },
        {"name": "other associated data", "associated": "00", "failure": "segment"},
        {"name": "other data key", "data_key": OTHER_KEY.hex(), "failure": "commitment"},
    ]


def wrapping_vectors() -> dict[str, Any]:
    with patch("os.urandom", lambda size: NONCE):
        wrapped = sealing.wrap(OTHER_KEY, DATA_KEY, ASSOCIATED)
    rows = [
        ("nothing", "", "size"),
        ("last byte missing", wrapped[:-1].hex(), "size"),
        ("one byte more", wrapped.hex() + "00", "size"),
        ("nonce", flipped(wrapped, 0), "key"),
        ("ciphertext", flipped(wrapped, 12), "key"),
        ("tag", flipped(wrapped, 59), "key"),
    ]
    return {
        "kek": OTHER_KEY.hex(),
        "associated": ASSOCIATED.hex(),
        "nonce": NONCE.hex(),
        "key": DATA_KEY.hex(),
        "wrapped": wrapped.hex(),
        "broken": [
            *({"name": name, "wrapped": changed, "failure": failure} for name, changed, failure in rows),
            {"name": "other key-encryption key", "wrapped": wrapped.hex(), "kek": DATA_KEY.hex(), "failure": "key"},
            {"name": "other associated data", "wrapped": wrapped.hex(), "associated": "", "failure": "key"},
        ],
    }


def hpke_vectors() -> dict[str, Any]:
    return {"info": b"permit".hex(), "plaintext": DATA_KEY.hex(), "suites": [hpke_suite(suite) for suite in HpkeSuite]}


def hpke_suite(suite: HpkeSuite) -> dict[str, Any]:
    key = HpkeKey.from_seed(suite, OTHER_KEY)
    sealed = seal_to(key.public, DATA_KEY, info=b"permit")
    rows = [
        ("nothing", "", "suite"),
        ("other suite", replaced(sealed, 0, 3 - suite), "suite"),
        ("suite alone", sealed[:1].hex(), "message"),
        ("encapsulated key, first bit", flipped(sealed, 1), "message"),
        ("ciphertext", flipped(sealed, len(sealed) - 17), "message"),
        ("tag", flipped(sealed, len(sealed) - 1), "message"),
        ("last byte missing", sealed[:-1].hex(), "message"),
        ("one byte more", sealed.hex() + "00", "message"),
    ]
    return {
        "suite": int(suite),
        "private": key.private.hex(),
        "public": key.public.hex(),
        "sealed": sealed.hex(),
        "broken": [
            *({"name": name, "sealed": changed, "failure": failure} for name, changed, failure in rows),
            {"name": "other info", "sealed": sealed.hex(), "info": b"permit 2".hex(), "failure": "message"},
        ],
    }


def derive_vectors() -> dict[str, Any]:
    paths = [("signing",), ("hpke",), ("recovery",), ("signing", "00" * 16), ("hpke", "00" * 16)]
    return {
        "seed": DATA_KEY.hex(),
        "branches": [{"path": path, "secret": branch(DATA_KEY, *path).hex()} for path in paths],
        "bearer_secret": DATA_KEY[:16].hex(),
        "ticket_seed": ticket_key(DATA_KEY[:16]).seed.hex(),
        "ticket_public": ticket_key(DATA_KEY[:16]).public.hex(),
    }


def commitment_vectors() -> dict[str, Any]:
    salts = tuple(bytes((number,)) * 32 for number in range(5))
    tree = FieldTree(salts, (b"", b"one", b"two", b"three", b"four"))
    openings = [tree.open(index) for index in range(5)]
    return {
        "root": tree.root().hex(),
        "openings": [
            {"salt": each.salt.hex(), "field": each.field.hex(), "index": each.index, "size": each.size}
            | {"path": [sibling.hex() for sibling in each.path]}
            for each in openings
        ],
        "content_salt": DATA_KEY.hex(),
        "content": [
            {"size_bytes": size, "root": content_root(DATA_KEY, pattern(size)).hex()}
            for size in (0, 1, MIB, MIB + 1, 3 * MIB)
        ],
    }


def main() -> None:
    """Write every file."""
    files = {
        "sealing": sealing_vectors,
        "wrapping": wrapping_vectors,
        "hpke": hpke_vectors,
        "derive": derive_vectors,
        "commitments": commitment_vectors,
    }
    for name, make in files.items():
        (HERE / f"{name}.json").write_text(json.dumps(make(), indent=1) + "\n")


if __name__ == "__main__":
    main()
