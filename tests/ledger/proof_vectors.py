"""The golden file of proofs: written from `proof_cases`, read and checked with nothing but the verifier.

python -m tests.ledger.proof_vectors
"""

import json
from pathlib import Path
from typing import Any

from salus.ledger.bundles import (
    Bundle,
    ConsistencyBundle,
    HistoryBundle,
    OutcomeBundle,
    RowBundle,
    encode_bundle,
)
from salus.ledger.verifier import (
    TrustRoot,
    verify_consistency,
    verify_history,
    verify_outcome,
    verify_row,
    verify_state,
)
from salus.ledger.verifier.trust import encode_trust
from tests.ledger import proof_cases
from tests.ledger.proof_cases import Case, Refused

FILE = Path(__file__).parent / "vectors" / "proofs.json"
Json = Any


def claim(bundle: Bundle, trust: TrustRoot, *, now_s: int) -> Json:
    """Check a bundle; return what it then says, as the golden file writes it. Raises VerificationFailed."""
    if isinstance(bundle, ConsistencyBundle):
        extension = verify_consistency(trust, bundle.consistency, now_s=now_s)
        return {"old_log_size": extension.old.state.log_size, "new_log_size": extension.new.state.log_size}
    state = verify_state(trust, bundle.signed, now_s=now_s)
    signed = {"height": state.height, "time_s": state.time_s, "signers": list(state.signers)}
    match bundle:
        case OutcomeBundle():
            outcome = verify_outcome(state, bundle.outcome)
            return {
                **signed,
                "index": outcome.index,
                "leaf_height": outcome.leaf.height,
                "data": outcome.leaf.data.hex(),
            }
        case RowBundle():
            row = verify_row(state, bundle.row)
            return {**signed, "key": row.key.hex(), "row": None if row.row is None else row.row.hex()}
        case HistoryBundle():
            history = verify_history(state, bundle.history)
            return {**signed, "events": [[leaf.code, leaf.data.hex()] for leaf in history.leaves]}
    raise AssertionError("a receipt is checked by the SDK")


def written() -> Json:
    """Return what the golden file holds."""
    holding, refused = proof_cases.holding(), proof_cases.refused()
    trusts = sorted({encode_trust(each.trust).decode() for each in (*holding, *refused)})
    return {
        "trust_files": trusts,
        "holds": [
            {**_case(each, trusts), "claim": claim(each.bundle, each.trust, now_s=each.now_s)} for each in holding
        ],
        "refused": [{**_case(each, trusts), **_step(each)} for each in refused],
    }


def _case(case: Case, trusts: list[str]) -> Json:
    return {
        "name": case.name,
        "trust_file": trusts.index(encode_trust(case.trust).decode()),
        "now_s": case.now_s,
        "file": encode_bundle(case.bundle).hex(),
    }


def _step(case: Refused) -> Json:
    return {"checklist": case.checklist, "step": case.step}


if __name__ == "__main__":
    FILE.write_text(json.dumps(written(), separators=(",", ":")) + "\n", encoding="utf-8")
