"""Wrapped keys: 60 bytes that open under one key-encryption key for one use."""

import pytest

from salus.crypto.sealing import SealBroken, seal, unwrap, wrap

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def with_byte(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes((value,)) + data[at + 1 :]


WRAPPED = wrap(KEY, OTHER_KEY, b"use")

BROKEN_WRAPS: dict[str, tuple[bytes, bytes, bytes, str]] = {
    "nothing": (KEY, b"", b"use", "has 60 bytes, got 0"),
    "one byte missing": (KEY, WRAPPED[:-1], b"use", "has 60 bytes, got 59"),
    "one byte more": (KEY, WRAPPED + b"\0", b"use", "has 60 bytes, got 61"),
    "nonce changed": (KEY, with_byte(WRAPPED, 0, WRAPPED[0] ^ 1), b"use", "was changed"),
    "key changed": (KEY, with_byte(WRAPPED, 12, WRAPPED[12] ^ 1), b"use", "was changed"),
    "tag changed": (KEY, with_byte(WRAPPED, 59, WRAPPED[59] ^ 1), b"use", "was changed"),
    "other key-encryption key": (OTHER_KEY, WRAPPED, b"use", "under another key"),
    "other use": (KEY, WRAPPED, b"use 2", "for another use"),
}


def test_a_wrapped_key_unwraps() -> None:
    assert (unwrap(KEY, WRAPPED, b"use"), len(WRAPPED)) == (OTHER_KEY, 60)
    assert wrap(KEY, OTHER_KEY, b"use") != WRAPPED


@pytest.mark.parametrize("name", BROKEN_WRAPS)
def test_broken_wrap_is_refused_by_name(name: str) -> None:
    kek, wrapped, associated, words = BROKEN_WRAPS[name]
    with pytest.raises(SealBroken, match=words):
        unwrap(kek, wrapped, associated)


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_keys_have_32_bytes(size: int) -> None:
    key = bytes(size)
    with pytest.raises(AssertionError, match="32 bytes"):
        wrap(key, KEY, b"")
    with pytest.raises(AssertionError, match="32 bytes"):
        wrap(KEY, key, b"")
    with pytest.raises(AssertionError, match="32 bytes"):
        unwrap(key, WRAPPED, b"")
    with pytest.raises(AssertionError, match="32 bytes"):
        seal(key, b"", b"")
