"""The golden files of proofs: written from the tables of cases, read and checked with nothing but the verifier.

python -m tests.ledger.proof_vectors
"""

import json
from collections.abc import Sequence
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
    Trust,
    TrustRoot,
    verify_consistency,
    verify_history,
    verify_outcome,
    verify_row,
    verify_state,
)
from salus.ledger.verifier.store import encode_store
from salus.ledger.verifier.trust import encode_trust
from tests.ledger import proof_cases, skip_cases
from tests.ledger.proof_cases import Case, Refused

FOLDER = Path(__file__).parent / "vectors"
FILE = FOLDER / "proofs.json"
SKIPPING_FILE = FOLDER / "skipping.json"
Json = Any


def claim(bundle: Bundle, trust: Trust, *, now_s: int) -> Json:
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
    """Return what the golden file of proofs under a trust root holds."""
    return _written(proof_cases.holding(), proof_cases.refused())


def written_skipping() -> Json:
    """Return what the golden file of proofs under a trust store holds."""
    return _written(skip_cases.holding(), skip_cases.refused())


def trust_file(trust: Trust) -> str:
    """Return the file of a root or a store."""
    return (encode_trust(trust) if isinstance(trust, TrustRoot) else encode_store(trust)).decode()


def _written(holding: Sequence[Case], refused: Sequence[Refused]) -> Json:
    trusts = sorted({trust_file(each.trust) for each in (*holding, *refused)})
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
        "trust_file": trusts.index(trust_file(case.trust)),
        "now_s": case.now_s,
        "file": encode_bundle(case.bundle).hex(),
    }


def _step(case: Refused) -> Json:
    return {"checklist": case.checklist, "step": case.step}


if __name__ == "__main__":
    for file, content in ((FILE, written()), (SKIPPING_FILE, written_skipping())):
        file.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
