"""Golden trees, proofs and refused proofs: what a second verifier must answer too (docs/spec/tree.md)."""

import json
from pathlib import Path
from typing import Any

import pytest

from salus.crypto.merkle import ProofInvalid
from salus.ledger.encoding import decoder, encode
from salus.ledger.tree import Tree
from salus.ledger.tree_proof import TreeProof, verify_absent, verify_present
from tests.ledger.tree_by_definition import MemoryRows, root_by_definition

pytestmark = pytest.mark.promise("L5")

Case = dict[str, Any]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "tree.json").read_bytes())
DECODER = decoder(TreeProof)


def named(group: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[group]]


def table_of(case: Case) -> dict[bytes, bytes]:
    return {bytes.fromhex(key): bytes.fromhex(value) for key, value in case["table"]}


def proof_of(case: Case) -> TreeProof:
    return TreeProof(*(bytes.fromhex(part) for part in case["proof"]))


def check(case: Case) -> None:
    root, key = bytes.fromhex(case["root"]), bytes.fromhex(case["key"])
    if case["value"] is None:
        verify_absent(proof_of(case), root=root, key=key)
    else:
        verify_present(proof_of(case), root=root, key=key, value=bytes.fromhex(case["value"]))


@pytest.mark.parametrize("case", named("trees"))
def test_root_and_rows(case: Case) -> None:
    rows = MemoryRows()
    tree = Tree(rows)
    rows.take(tree.update(table_of(case)))
    assert tree.root.hex() == case["root"] == root_by_definition(table_of(case)).hex()
    assert [[key.hex(), row.hex()] for key, row in sorted(rows.items())] == case["rows"]


@pytest.mark.parametrize("case", named("proofs"))
def test_proof_holds_and_is_the_one_that_the_tree_gives(case: Case) -> None:
    check(case)
    assert DECODER.decode(encode(proof_of(case))) == proof_of(case)
    rows = next(each for each in VECTORS["trees"] if each["root"] == case["root"])["rows"]
    tree = Tree(MemoryRows({bytes.fromhex(key): bytes.fromhex(row) for key, row in rows}))
    assert tree.prove(bytes.fromhex(case["key"])) == proof_of(case)


@pytest.mark.parametrize("case", named("refused"))
def test_proof_is_refused_for_its_reason(case: Case) -> None:
    with pytest.raises(ProofInvalid, match=case["failure"]):
        check(case)


def test_every_single_bit_of_a_proof_counts() -> None:
    good = next(each for each in VECTORS["proofs"] if each["name"] == "fifty rows, present")
    for part, hexed in enumerate(good["proof"]):
        data = bytes.fromhex(hexed)
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit >> 3] ^= 1 << (bit & 7)
            proof = [*good["proof"][:part], bytes(changed).hex(), *good["proof"][part + 1 :]]
            with pytest.raises(ProofInvalid):
                check({**good, "proof": proof})
