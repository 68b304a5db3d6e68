"""Bundles: what the other end anchored is found out from one's own receipts."""

import pytest

from salus.crypto.hashing import sha256
from salus.ledger.bundles import GUESSES_MAX, anchor_root, find_anchored, show_anchor
from salus.ledger.identifiers import Digest, PermitId
from salus.ledger.proofs import OutcomeProof
from salus.ledger.receipts import Anchored, Conclusion, Receipt, Statement, anchored_leaf

OPENED, MISSING, SENT = Conclusion.OPENED, Conclusion.SLOT_MISSING, Conclusion.SLOT_SENT
RECEIPTS = [
    Receipt(Statement(1, "chain", PermitId(bytes(16)), part, Digest(sha256(b"%d" % part))), bytes(64), bytes(64))
    for part in range(1, 21)
]


def root_of(conclusions: list[Conclusion]) -> Digest:
    leaves = [anchored_leaf(Anchored(receipt, said)) for receipt, said in zip(RECEIPTS, conclusions, strict=False)]
    return anchor_root(leaves)


@pytest.mark.promise("R5")
@pytest.mark.parametrize(
    "conclusions",
    [
        [OPENED],
        [MISSING],
        [OPENED, OPENED, OPENED],
        [OPENED, MISSING, OPENED],
        [MISSING] * 4,
        [OPENED] * 20,
        [MISSING] * 20,
    ],
    ids=["opened", "missing", "three opened", "one missing", "fewer parts", "many opened", "many missing"],
)
def test_what_the_other_end_anchored_is_found(conclusions: list[Conclusion]) -> None:
    found = find_anchored(root_of(conclusions), RECEIPTS, (OPENED, MISSING))
    assert [each.conclusion for each in found] == conclusions
    assert [each.receipt for each in found] == RECEIPTS[: len(conclusions)]


@pytest.mark.parametrize(
    "root",
    [root_of([SENT]), root_of([OPENED] * 19 + [MISSING]), anchor_root([])],
    ids=["another conclusion", "too many to try", "nothing"],
)
def test_what_cannot_be_found_is_not_invented(root: Digest) -> None:
    assert GUESSES_MAX < 2**19
    assert find_anchored(root, RECEIPTS, (OPENED, MISSING)) == []


@pytest.mark.promise("R5")
def test_an_anchor_shows_one_receipt_and_hashes_of_the_others() -> None:
    anchored = [Anchored(receipt, OPENED) for receipt in RECEIPTS[:3]]
    shown = show_anchor(OutcomeProof(b"", 0, ()), anchored, 1)
    assert shown.conclusion is OPENED
    assert anchor_root(shown.leaves) == root_of([OPENED] * 3)
    assert anchored_leaf(anchored[1]) == shown.leaves[1]
