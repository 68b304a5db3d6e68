"""Commitments: they open field by field, at their place, and say nothing without their salt."""

import hmac
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto.commitments import ContentRoot, FieldOpening, FieldTree, content_root, field_leaf
from salus.crypto.hashing import leaf_hash, tagged
from salus.crypto.merkle import ProofInvalid, root, verify_inclusion

MIB = 1 << 20
SALT = bytes(range(32))
FIELDS = (b"author", b"class", b"label", b"code", b"period")
TREE = FieldTree(tuple(bytes((number,)) * 32 for number in range(5)), FIELDS)


@pytest.mark.promise("P2")
@pytest.mark.parametrize("index", range(5))
def test_each_field_opens_alone(index: int) -> None:
    opening = TREE.open(index)
    opening.verify(TREE.root())
    shown = [opening.salt, opening.field, *opening.path]
    others = [value for at, value in enumerate(FIELDS + TREE.salts) if at % 5 != index]
    assert not set(shown) & set(others)


CHANGED = {
    "another text": FieldOpening(TREE.salts[1], b"Class", 1, 5, TREE.open(1).path),
    "another salt": FieldOpening(TREE.salts[2], b"class", 1, 5, TREE.open(1).path),
    "another place": FieldOpening(TREE.salts[1], b"class", 0, 5, TREE.open(1).path),
    "another size": FieldOpening(TREE.salts[1], b"class", 1, 8, TREE.open(1).path),
    "last of five shown as second of two": FieldOpening(TREE.salts[4], b"period", 1, 2, TREE.open(4).path),
    "salt of another length": FieldOpening(bytes(31), b"class", 1, 5, TREE.open(1).path),
    "size beyond the format": FieldOpening(TREE.salts[1], b"class", 1, 1 << 65, (bytes(32),) * 65),
    "another path": FieldOpening(TREE.salts[1], b"class", 1, 5, TREE.open(0).path),
    "no path": FieldOpening(TREE.salts[1], b"class", 1, 5, ()),
}


@pytest.mark.parametrize("name", CHANGED)
def test_changed_opening_is_refused(name: str) -> None:
    with pytest.raises(ProofInvalid):
        CHANGED[name].verify(TREE.root())


@pytest.mark.promise("P1")
def test_the_same_fields_under_other_salts_have_an_unrelated_root() -> None:
    assert FieldTree(tuple(bytes((number,)) * 32 for number in range(9, 14)), FIELDS).root() != TREE.root()


def test_field_root_is_its_description() -> None:
    leaves = [leaf_hash(hmac.digest(salt, value, "sha256")) for salt, value in zip(TREE.salts, FIELDS, strict=True)]
    assert TREE.root() == tagged("salus/fields/1", (5).to_bytes(8, "big"), root(leaves))
    assert field_leaf(SALT, b"x") == hmac.digest(SALT, b"x", "sha256")


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 5])
def test_content_root_is_its_description(size: int) -> None:
    content = (b"0123456" * (size // 7 + 1))[:size]
    pieces = [content[at : at + MIB] for at in range(0, size, MIB)] or [b""]
    leaves = [hmac.digest(SALT, at.to_bytes(8, "big") + piece, "sha256") for at, piece in enumerate(pieces)]
    assert content_root(SALT, content) == root([leaf_hash(leaf) for leaf in leaves])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0, 5, MIB, MIB + 1, 2 * MIB]), st.sampled_from([999, 65536, MIB - 1, MIB, MIB + 3, 3 * MIB]))
def test_chunks_of_any_size_have_one_root(size: int, step: int) -> None:
    content = memoryview(b"a" * size)
    running = ContentRoot(SALT)
    for at in range(0, size, step):
        running.add(content[at : at + step])
    assert running.root() == running.root() == content_root(SALT, content)


DIFFERENT = {
    "one byte changed": b"b" + bytes(2 * MIB - 1),
    "one byte less": bytes(2 * MIB - 1),
    "one byte more": bytes(2 * MIB + 1),
    "one segment less": bytes(MIB),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_other_content_has_another_root(name: str) -> None:
    assert content_root(SALT, DIFFERENT[name]) != content_root(SALT, bytes(2 * MIB))


def test_equal_segments_have_unequal_leaves() -> None:
    """Else a path would show that a record repeats itself."""
    one, two = content_root(SALT, bytes(MIB)), content_root(SALT, bytes(2 * MIB))
    assert two != root([one, one])


MISUSE: dict[str, Callable[[], object]] = {
    "salt of 31 bytes": lambda: field_leaf(bytes(31), b""),
    "content salt of 33 bytes": lambda: ContentRoot(bytes(33)),
    "one salt for two fields": lambda: FieldTree((SALT, SALT), (b"a", b"b")),
    "salts missing": lambda: FieldTree((SALT,), (b"a", b"b")),
}


@pytest.mark.promise("P2")
@pytest.mark.parametrize("name", MISUSE)
def test_misuse_stops(name: str) -> None:
    with pytest.raises(AssertionError, match="salt"):
        MISUSE[name]()


def test_openings_and_trees_print_nothing_of_the_fields() -> None:
    assert "author" not in repr(TREE) + repr(TREE.open(0))


def test_a_tree_alone_does_not_bind_its_size() -> None:
    """Why the number of fields is hashed in: under the bare RFC 9162 root the last of five passes as second of two."""
    leaves = [leaf_hash(field_leaf(salt, value)) for salt, value in zip(TREE.salts, FIELDS, strict=True)]
    verify_inclusion(leaf_hash=leaves[4], index=1, size=2, path=TREE.open(4).path, root=root(leaves))
