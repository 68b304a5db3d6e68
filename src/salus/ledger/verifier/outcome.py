"""An outcome: that a leaf is in the log of a verified state."""

from dataclasses import dataclass

from salus.crypto.hashing import leaf_hash
from salus.crypto.merkle import ProofInvalid, verify_inclusion
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.outcomes import Leaf, decode_leaf
from salus.ledger.proofs import OutcomeProof
from salus.ledger.verifier.failure import Checklist, Steps
from salus.ledger.verifier.state import VerifiedState

_CHECK = Steps(Checklist.OUTCOME)


@dataclass(frozen=True)
class VerifiedOutcome:
    """What the ledger answered, and at which index of the log: an earlier index is an earlier outcome."""

    leaf: Leaf
    index: int


def verify_outcome(state: VerifiedState, proof: OutcomeProof) -> VerifiedOutcome:
    """Check that an outcome, however old, is in the log (L5).

    1. The index is within the log of this state.
    2. The path leads from the leaf's hash at its index to the log's root (RFC 9162 2.1.3.2).
    3. The leaf is one canonical leaf (docs/spec/proofs.md).

    Raises:
        VerificationFailed: with the step.
    """
    size = state.state.log_size
    _CHECK.require(1, proof.index < size, f"expected an index below {size}, came {proof.index}")
    try:
        verify_inclusion(  # 2
            leaf_hash=leaf_hash(proof.leaf), index=proof.index, size=size, path=proof.path, root=state.state.log_root
        )
    except ProofInvalid as error:
        raise _CHECK.fail(2, f"the outcome is not in the log: {error}: ask for the proof again") from error
    return VerifiedOutcome(decode_proved_leaf(proof.leaf, _CHECK, step=3), proof.index)  # 3


def decode_proved_leaf(data: bytes, check: Steps, *, step: int) -> Leaf:
    """Parse a leaf that is in the log. Raises VerificationFailed: then the log is of a format not known here."""
    try:
        return decode_leaf(data)
    except EncodingInvalid as error:
        raise check.fail(step, f"the ledger has it, but not as a leaf: {error}: use a newer release") from error
