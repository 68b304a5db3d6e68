"""A row: that a key of the proved tables has a row, or has none, in a verified state."""

from dataclasses import dataclass

from salus.crypto.merkle import ProofInvalid
from salus.ledger.proofs import StateProof
from salus.ledger.tree_proof import verify_absent, verify_present
from salus.ledger.verifier.failure import Checklist, Steps
from salus.ledger.verifier.state import VerifiedState

_CHECK = Steps(Checklist.ROW)


@dataclass(frozen=True)
class VerifiedRow:
    """What stands under a key; `row` is None when nothing does."""

    key: bytes
    row: bytes | None


def verify_row(state: VerifiedState, proof: StateProof) -> VerifiedRow:
    """Check a row of the proved tables, or that there is none (L5).

    1. With a row: the proof leads from key and row to the tree's root (ICS-23 `SmtSpec` existence, docs/spec/tree.md).
    2. Without: it leads from the key's empty place, or from the other leaf that stands there, to the tree's root.

    Raises:
        VerificationFailed: with the step.
    """
    root = state.state.tree_root
    try:
        if proof.row:
            verify_present(proof.proof, root=root, key=proof.key, value=proof.row)  # 1
        else:
            verify_absent(proof.proof, root=root, key=proof.key)  # 2
    except ProofInvalid as error:
        raise _CHECK.fail(1 if proof.row else 2, f"the state has no such row: {error}: ask again") from error
    return VerifiedRow(proof.key, proof.row or None)
