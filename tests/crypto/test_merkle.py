"""RFC 9162 trees: the published good and forged proofs, and the laws that every list of leaves obeys."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto.hashing import EMPTY_ROOT, leaf_hash, node_hash
from salus.crypto.merkle import (
    Frontier,
    ProofInvalid,
    consistency_path,
    inclusion_path,
    root,
    root_from_path,
    verify_consistency,
    verify_inclusion,
)

pytestmark = pytest.mark.promise("L5")

# The eight leaves of certificate-transparency's own tests, and the root of each prefix.
LEAVES = [leaf_hash(bytes.fromhex(x)) for x in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

leaf_lists = st.lists(st.binary(max_size=8).map(leaf_hash), min_size=1, max_size=40)


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1 word for word, to compare the fast one with."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(by_definition(leaves[:split]), by_definition(leaves[split:]))


@pytest.mark.parametrize("size", range(9))
def test_known_root(size: int) -> None:
    assert root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize("size", range(9))
def test_frontier_has_the_known_root_at_every_size(size: int) -> None:
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.add(leaf)
    assert (frontier.root().hex(), frontier.size) == (ROOTS[size], size)


@given(leaf_lists)
def test_root_is_the_definition(leaves: list[bytes]) -> None:
    assert root(leaves) == by_definition(leaves)


@given(leaf_lists)
def test_frontier_is_the_definition_and_its_copy_stands_still(leaves: list[bytes]) -> None:
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    twin = frontier.copy()
    frontier.add(leaf_hash(b"one more"))
    assert twin.root() == by_definition(leaves)
    assert frontier.root() == by_definition([*leaves, leaf_hash(b"one more")])


@settings(max_examples=60)
@given(leaf_lists)
def test_every_leaf_is_included_and_only_at_its_place(leaves: list[bytes]) -> None:
    whole = root(leaves)
    for index, leaf in enumerate(leaves):
        path = inclusion_path(leaves, index)
        assert root_from_path(leaf, index, len(leaves), path) == whole
        for elsewhere in range(len(leaves) + 1):
            if elsewhere == len(leaves) or leaves[elsewhere] != leaf:
                with pytest.raises(ProofInvalid):
                    verify_inclusion(leaf_hash=leaf, index=elsewhere, size=len(leaves), path=path, root=whole)


@settings(max_examples=60)
@given(leaf_lists, st.data())
def test_one_changed_bit_breaks_inclusion(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    parts = [leaves[index], root(leaves), *inclusion_path(leaves, index)]
    at, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[at] = flipped(parts[at], bit)
    leaf, whole, *path = parts
    with pytest.raises(ProofInvalid, match="another root"):
        verify_inclusion(leaf_hash=leaf, index=index, size=len(leaves), path=path, root=whole)


@settings(max_examples=60)
@given(leaf_lists)
def test_every_prefix_is_consistent_and_with_no_other_size(leaves: list[bytes]) -> None:
    for old_size in range(1, len(leaves) + 1):
        path = consistency_path(leaves, old_size)
        claim = {"old_root": root(leaves[:old_size]), "new_root": root(leaves), "path": path}
        verify_consistency(old_size=old_size, new_size=len(leaves), **claim)  # type: ignore[arg-type]
        if old_size < len(leaves):
            with pytest.raises(ProofInvalid):
                verify_consistency(old_size=old_size + 1, new_size=len(leaves), **claim)  # type: ignore[arg-type]


@settings(max_examples=60)
@given(leaf_lists, st.data())
def test_rewritten_history_is_inconsistent(leaves: list[bytes], data: st.DataObject) -> None:
    old_size = data.draw(st.integers(1, len(leaves)))
    changed = data.draw(st.integers(0, old_size - 1))
    rewritten = [*leaves, leaf_hash(b"later")]
    rewritten[changed] = leaf_hash(b"a leaf longer than those drawn")
    with pytest.raises(ProofInvalid):
        verify_consistency(
            old_size=old_size,
            old_root=root(leaves[:old_size]),
            new_size=len(rewritten),
            new_root=root(rewritten),
            path=consistency_path(rewritten, old_size),
        )


REFUSED_INCLUSION: dict[str, tuple[dict[str, Any], str]] = {
    "index is the size": ({"index": 7}, "outside a tree of size 7"),
    "negative index": ({"index": -1}, "outside a tree of size 7"),
    "empty tree": ({"size": 0}, "outside a tree of size 0"),
    "path too short": ({"path": inclusion_path(LEAVES[:7], 3)[:-1]}, "too short"),
    "path too long": ({"path": [*inclusion_path(LEAVES[:7], 3), LEAVES[0]]}, "too long"),
    "no path": ({"path": []}, "too short"),
    "short hash in the path": ({"path": [b"x" * 31, *inclusion_path(LEAVES[:7], 3)[1:]]}, "must have 32 bytes"),
    "short leaf hash": ({"leaf_hash": b""}, "must have 32 bytes"),
    "other root": ({"root": EMPTY_ROOT}, "another root"),
}


@pytest.mark.parametrize("name", REFUSED_INCLUSION)
def test_inclusion_refused(name: str) -> None:
    change, words = REFUSED_INCLUSION[name]
    good = {"leaf_hash": LEAVES[3], "index": 3, "size": 7, "path": inclusion_path(LEAVES[:7], 3)}
    claim = {**good, "root": root(LEAVES[:7]), **change}
    with pytest.raises(ProofInvalid, match=words):
        verify_inclusion(**claim)


REFUSED_CONSISTENCY: dict[str, tuple[dict[str, Any], str]] = {
    "old size is zero": ({"old_size": 0, "old_root": EMPTY_ROOT, "path": []}, "not between 1 and"),
    "old size after new": ({"old_size": 8}, "not between 1 and"),
    "equal sizes, two roots": ({"old_size": 7, "path": []}, "for one size 7"),
    "equal sizes, a path": ({"old_size": 7, "old_root": root(LEAVES[:7])}, "for one size 7"),
    "path too short": ({"path": consistency_path(LEAVES[:7], 3)[:-1]}, "too short"),
    "path too long": ({"path": [*consistency_path(LEAVES[:7], 3), LEAVES[0]]}, "too long"),
    "no path": ({"path": []}, "is empty"),
    "old root changed": ({"old_root": LEAVES[0]}, "other roots"),
    "new root changed": ({"new_root": LEAVES[0]}, "other roots"),
    "short old root": ({"old_root": b""}, "must have 32 bytes"),
}


@pytest.mark.parametrize("name", REFUSED_CONSISTENCY)
def test_consistency_refused(name: str) -> None:
    change, words = REFUSED_CONSISTENCY[name]
    good = {"old_size": 3, "old_root": root(LEAVES[:3]), "new_size": 7, "new_root": root(LEAVES[:7])}
    claim = {**good, "path": consistency_path(LEAVES[:7], 3), **change}
    with pytest.raises(ProofInvalid, match=words):
        verify_consistency(**claim)


def test_published_inclusion_proofs(shared_data: Path) -> None:
    assert judged(shared_data, "inclusion", inclusion_accepts) == {"accepted": 3, "refused": 46}


def test_published_consistency_proofs(shared_data: Path) -> None:
    assert judged(shared_data, "consistency", consistency_accepts) == {"accepted": 4, "refused": 45}


def test_published_subtree_inclusion_proofs(shared_data: Path) -> None:
    got = judged(shared_data, "subtreeinclusion", subtree_inclusion_accepts)
    assert got["accepted"] > 0
    assert got["refused"] > got["accepted"]


def judged(shared_data: Path, folder: str, accepts: Any) -> dict[str, int]:
    """Every case must be judged as its file says; returns how many were of each kind."""
    counts = {"accepted": 0, "refused": 0}
    for file in sorted((shared_data / "ledger" / "merkle-rfc6962" / folder).rglob("*.json")):
        case = json.loads(file.read_text())
        assert accepts(case) == (not case["wantErr"]), f"{file}: {case['desc']}"
        counts["refused" if case["wantErr"] else "accepted"] += 1
    return counts


def inclusion_accepts(case: dict[str, Any]) -> bool:
    return accepted(
        verify_inclusion,
        leaf_hash=base64.b64decode(case["leafHash"]),
        index=case["leafIdx"],
        size=case["treeSize"],
        path=hashes_of(case),
        root=base64.b64decode(case["root"]),
    )


def subtree_inclusion_accepts(case: dict[str, Any]) -> bool:
    # A subtree [start, end) is a tree of its own once start and leaf are counted from it, and if it is aligned.
    start, end = case["start"], case["end"]
    aligned = start < end and start % (1 << (end - start - 1).bit_length()) == 0
    return aligned and accepted(
        verify_inclusion,
        leaf_hash=base64.b64decode(case["leafHash"]),
        index=case["leafIdx"] - start,
        size=end - start,
        path=hashes_of(case),
        root=base64.b64decode(case["root"]),
    )


def consistency_accepts(case: dict[str, Any]) -> bool:
    return accepted(
        verify_consistency,
        old_size=case["size1"],
        old_root=base64.b64decode(case["root1"]),
        new_size=case["size2"],
        new_root=base64.b64decode(case["root2"]),
        path=hashes_of(case),
    )


def hashes_of(case: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(x) for x in case["proof"] or []]


def accepted(check: Any, **claim: Any) -> bool:
    try:
        check(**claim)
    except ProofInvalid:
        return False
    return True


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
