"""Our tree and ICS-23's SmtSpec are one format: the published proofs hold here, and ours hold there."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto.merkle import ProofInvalid
from salus.ledger.ics23 import existence_proof
from salus.ledger.tree import Tree
from salus.ledger.tree_proof import TreeProof, tree_proof, verify_present
from tests.ledger.ics23_reader import (
    EMPTY_CHILD,
    Existence,
    Ics23Invalid,
    InnerOp,
    LeafOp,
    apply_leaf,
    calculate,
    check_smt_spec,
    is_left,
    read_commitment,
    read_existence,
    verify_membership,
    verify_non_membership,
)
from tests.ledger.tree_by_definition import MemoryRows

pytestmark = pytest.mark.promise("L5")


def published(shared_data: Path, name: str) -> Any:
    return json.loads((shared_data / "ledger" / "ics23" / name).read_bytes())


def in_our_form(proof: Existence) -> TreeProof:
    """ICS-23 lists the operations upwards; the sibling is what is not the prefix byte."""
    siblings = [step.suffix if is_left(step) else step.prefix[1:] for step in reversed(proof.path)]
    return tree_proof(siblings, b"")


def neighbours(shared_data: Path, name: str) -> list[Existence]:
    read = read_commitment(bytes.fromhex(published(shared_data, f"smt/{name}.json")["proof"]))
    return [each for each in (read if isinstance(read, tuple) else (read,)) if each is not None]


@pytest.mark.parametrize("name", ["exist_middle", "nonexist_left", "nonexist_right"])
def test_published_leaf_holds_by_our_check(shared_data: Path, name: str) -> None:
    root = bytes.fromhex(published(shared_data, f"smt/{name}.json")["root"])
    for proof in neighbours(shared_data, name):
        verify_present(in_our_form(proof), root=root, key=proof.key, value=proof.value)
        with pytest.raises(ProofInvalid):
            verify_present(in_our_form(proof), root=root, key=proof.key, value=b"another")


@pytest.mark.parametrize("name", ["exist_middle", "nonexist_left", "nonexist_right"])
def test_published_proof_comes_out_of_ours_byte_for_byte(shared_data: Path, name: str) -> None:
    raw = published(shared_data, f"smt/{name}.json")["proof"]
    for proof in neighbours(shared_data, name):
        again = existence_proof(in_our_form(proof), key=proof.key, value=proof.value)
        assert again.hex() in raw


def test_published_existence(shared_data: Path) -> None:
    case = published(shared_data, "smt/exist_middle.json")
    proof = read_commitment(bytes.fromhex(case["proof"]))
    assert isinstance(proof, Existence)
    verify_membership(proof, *(bytes.fromhex(case[name]) for name in ("root", "key", "value")))


@pytest.mark.parametrize("name", ["nonexist_left", "nonexist_right"])
def test_published_non_existence(shared_data: Path, name: str) -> None:
    case = published(shared_data, f"smt/{name}.json")
    proof = read_commitment(bytes.fromhex(case["proof"]))
    assert isinstance(proof, tuple)
    root, key = bytes.fromhex(case["root"]), bytes.fromhex(case["key"])
    verify_non_membership(proof, root, key)
    with pytest.raises(Ics23Invalid):
        verify_non_membership(proof[::-1], root, key)


@given(st.dictionaries(st.binary(min_size=1, max_size=4), st.binary(min_size=1, max_size=4), min_size=1, max_size=60))
@settings(max_examples=80, deadline=None)
def test_our_proofs_satisfy_the_spec(table: dict[bytes, bytes]) -> None:
    rows = MemoryRows()
    tree = Tree(rows)
    rows.take(tree.update({**table}))
    for key, value in table.items():
        proof = read_existence(existence_proof(tree.prove(key), key=key, value=value))
        verify_membership(proof, tree.root, key, value)


def test_empty_siblings_are_written_as_the_spec_has_them() -> None:
    proof = tree_proof([b"\x05" * 32, EMPTY_CHILD, b"\x06" * 32], b"")
    path = read_existence(existence_proof(proof, key=b"key", value=b"value")).path
    assert [step.suffix or step.prefix[1:] for step in path] == [b"\x06" * 32, EMPTY_CHILD, b"\x05" * 32]


# The published tables of single operations: those that SmtSpec's hash and length operations can express.


def leaf_operation(raw: dict[str, Any]) -> LeafOp:
    prefix = base64.b64decode(raw.get("prefix", ""))
    return LeafOp(*(raw.get(name, 0) for name in ("hash", "prehash_key", "prehash_value", "length")), prefix=prefix)


def blob(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def test_published_leaf_operations(shared_data: Path) -> None:
    done = 0
    for name, case in published(shared_data, "TestLeafOpData.json").items():
        try:
            result = apply_leaf(leaf_operation(case["Op"]), blob(case["Key"]), blob(case["Value"]))
        except NotImplementedError:
            continue
        except Ics23Invalid:
            assert case["IsErr"], name
        else:
            assert (case["IsErr"], result) == (False, blob(case["Expected"])), name
        done += 1
    assert done == 4


def existence(raw: dict[str, Any]) -> Existence:
    path = tuple(
        InnerOp(each.get("hash", 0), blob(each.get("prefix")), blob(each.get("suffix"))) for each in raw["path"]
    )
    return Existence(blob(raw["key"]), blob(raw["value"]), leaf_operation(raw["leaf"]), path)


def test_published_existence_calculations(shared_data: Path) -> None:
    done = 0
    for name, case in published(shared_data, "TestExistenceProofData.json").items():
        if "leaf" not in case["Proof"]:
            assert case["IsErr"]  # our form always has its leaf
            continue
        try:
            result = calculate(existence({"path": [], **case["Proof"]}))
        except NotImplementedError:
            continue
        assert (case["IsErr"], result) == (False, blob(case["Expected"])), name
        done += 1
    assert done == 2


def test_no_proof_of_another_spec_passes_for_ours(shared_data: Path) -> None:
    refused = 0
    for case in published(shared_data, "TestCheckAgainstSpecData.json").values():
        if "leaf" in case["Proof"]:
            with pytest.raises(Ics23Invalid):
                check_smt_spec(existence({"path": [], **case["Proof"]}))
            refused += 1
    assert refused > 0
