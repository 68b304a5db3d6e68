"""Consistency: that the log of a newer signed state begins with all outcomes of an older one."""

from dataclasses import dataclass

from salus.crypto import merkle
from salus.crypto.merkle import ProofInvalid
from salus.ledger.proofs import ConsistencyProof
from salus.ledger.verifier.failure import Checklist, Steps
from salus.ledger.verifier.state import Trust, VerifiedState, verify_state

_CHECK = Steps(Checklist.CONSISTENCY)


@dataclass(frozen=True)
class VerifiedExtension:
    """Two states of one chain, of which the newer kept every outcome of the older."""

    old: VerifiedState
    new: VerifiedState


def verify_consistency(trust: Trust, proof: ConsistencyProof, *, now_s: int) -> VerifiedExtension:
    """Check that nothing was taken out of the log, and nothing put before its end.

    1. Both states are signed (`verify_state`).
    2. The newer header does not come first.
    3. One height has one state, and the newer log has at least as many outcomes.
    4. The path leads from the older root to the newer one (RFC 9162 2.1.4.2). An empty log is the beginning of every
       log: then the path is empty.

    Args:
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: with the step, or of the state's own checklist. When step 1 holds and another does not, the
            two headers together are evidence against their signers: keep the file.
    """
    old = verify_state(trust, proof.old, now_s=now_s)  # 1
    new = verify_state(trust, proof.new, now_s=now_s)
    _CHECK.require(2, new.height >= old.height, f"height {new.height} is older than {old.height}: change their places")
    is_one = new.height > old.height or new.state == old.state
    _CHECK.require(3, is_one, f"two states were signed for height {new.height}: evidence, keep this file")
    sizes = f"{old.state.log_size} outcomes before, {new.state.log_size} after"
    _CHECK.require(3, new.state.log_size >= old.state.log_size, f"{sizes}: evidence, keep this file")
    if old.state.log_size == 0:  # 4
        _CHECK.require(4, not proof.path, "an empty log needs no path: ask for the proof again")
        return VerifiedExtension(old, new)
    try:
        merkle.verify_consistency(
            old_size=old.state.log_size,
            old_root=old.state.log_root,
            new_size=new.state.log_size,
            new_root=new.state.log_root,
            path=proof.path,
        )
    except ProofInvalid as error:
        raise _CHECK.fail(4, f"the newer log does not begin with the older one: {error}: keep this file") from error
    return VerifiedExtension(old, new)
