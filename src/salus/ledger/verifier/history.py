"""A history: that these are all events of a pseudonym, none left out, none added, in this order."""

from dataclasses import dataclass

import msgspec

from salus.crypto.hashing import leaf_hash
from salus.ledger.identifiers import Pseudonym
from salus.ledger.machine import HISTORY, NO_HISTORY, History, next_history
from salus.ledger.outcomes import Leaf
from salus.ledger.proofs import HistoryProof
from salus.ledger.verifier.failure import Checklist, Steps
from salus.ledger.verifier.outcome import decode_proved_leaf
from salus.ledger.verifier.row import VerifiedRow, verify_row
from salus.ledger.verifier.state import VerifiedState

_CHECK = Steps(Checklist.HISTORY)


@dataclass(frozen=True)
class VerifiedHistory:
    """All events of a pseudonym up to the verified state, oldest first: n of n."""

    pseudonym: Pseudonym
    leaves: tuple[Leaf, ...]


def verify_history(state: VerifiedState, proof: HistoryProof) -> VerifiedHistory:
    """Check that a history is complete (L5).

    1. The row is that of this pseudonym in `machine.history`.
    2. The row, or that there is none, is in the state (`verify_row`).
    3. As many events are shown as the row counts; none for a pseudonym without a row.
    4. Hashing them one after the other gives the row's head (docs/spec/proofs.md, `next_history`).
    5. Each is one canonical leaf.

    Raises:
        VerificationFailed: with the step, or of the row's own checklist.
    """
    key = HISTORY.key(proof.pseudonym)
    _CHECK.require(1, proof.row.key == key, "expected the history's row of this pseudonym, came another row")
    stated = _decode(verify_row(state, proof.row))  # 2
    count = len(proof.leaves)
    _CHECK.require(3, count == stated.count, f"expected all {stated.count} events, came {count}: ask for all of them")
    running = NO_HISTORY
    for leaf in proof.leaves:
        running = next_history(running, leaf_hash(leaf))
    _CHECK.require(4, running == stated, "an event is missing, changed or out of order: ask for the history again")
    leaves = tuple(decode_proved_leaf(leaf, _CHECK, step=5) for leaf in proof.leaves)
    return VerifiedHistory(proof.pseudonym, leaves)


def _decode(verified: VerifiedRow) -> History:
    if verified.row is None:
        return NO_HISTORY
    try:
        return HISTORY.decode(verified.row)
    except msgspec.DecodeError as error:
        raise _CHECK.fail(2, f"the row is not a history: {error}: use a newer release") from error
