"""Hashes: known answers, and that a tagged hash can be made in one way only."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto.hashing import EMPTY_ROOT, leaf_hash, node_hash, sha256, tag_prefix, tagged

tags = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255)
part_lists = st.lists(st.binary(max_size=40), max_size=4)

KNOWN = {
    "sha256 of abc (FIPS 180-4)": (
        sha256(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ),
    "empty root (RFC 6962 2.1)": (EMPTY_ROOT, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "leaf hash of nothing (certificate-transparency-go)": (
        leaf_hash(b""),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_answer(name: str) -> None:
    got, want = KNOWN[name]
    assert got.hex() == want


def test_tagged_is_its_description() -> None:
    described = b"\x05salus" + (1).to_bytes(8, "big") + b"a" + (0).to_bytes(8, "big")
    assert tagged("salus", b"a", b"") == hashlib.sha256(described).digest()


@given(st.tuples(tags, part_lists), st.tuples(tags, part_lists))
def test_two_tagged_inputs_never_hash_alike(one: tuple[str, list[bytes]], other: tuple[str, list[bytes]]) -> None:
    assert (tagged(one[0], *one[1]) == tagged(other[0], *other[1])) == (one == other)


SHIFTED = {
    "byte moved between parts": (("t", b"ab", b"c"), ("t", b"a", b"bc")),
    "part split": (("t", b"ab"), ("t", b"a", b"b")),
    "empty part added": (("t", b"a"), ("t", b"a", b"")),
    "byte moved from tag to part": (("ta", b"b"), ("t", b"ab")),
    "parts looking like a length": (("t", b"\0" * 8), ("t", b"", b"")),
}


@pytest.mark.parametrize("name", SHIFTED)
def test_shifted_parts_hash_differently(name: str) -> None:
    (tag_one, *parts_one), (tag_other, *parts_other) = SHIFTED[name]
    assert tagged(str(tag_one), *parts_one) != tagged(str(tag_other), *parts_other)  # type: ignore[arg-type]


@pytest.mark.parametrize("tag", ["", "x" * 256])
def test_a_tag_must_fit_its_length_byte(tag: str) -> None:
    with pytest.raises(AssertionError, match="1 to 255"):
        tag_prefix(tag)


def test_a_tag_is_ascii() -> None:
    with pytest.raises(UnicodeEncodeError):
        tag_prefix("é")


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_node_is_never_a_leaf(left: bytes, right: bytes) -> None:
    assert node_hash(left, right) != leaf_hash(left + right)


def test_a_leaf_may_be_a_view() -> None:
    data = bytes(range(256)) * 5000
    assert leaf_hash(memoryview(data)) == sha256(b"\x00" + data)
