"""The verifier: bytes of a proof and a trust root in, a verified claim out, or `VerificationFailed`.

Pure: no clock, no disk, no network; whoever has this folder and a trust root needs nobody's server (L5).
One file per kind of claim, each a numbered checklist; `docs/spec/proofs.md` is enough to write a second one.
"""

from salus.ledger.verifier.consistency import VerifiedExtension, verify_consistency
from salus.ledger.verifier.failure import Checklist, VerificationFailed
from salus.ledger.verifier.follow import Conversation, Followed, Source, Wanted, begin, follow
from salus.ledger.verifier.history import VerifiedHistory, verify_history
from salus.ledger.verifier.outcome import VerifiedOutcome, verify_outcome
from salus.ledger.verifier.row import VerifiedRow, verify_row
from salus.ledger.verifier.state import Trust, VerifiedState, verify_header, verify_state
from salus.ledger.verifier.store import Conflict, TrustStore
from salus.ledger.verifier.trust import EngineKind, TrustedValidator, TrustRoot, TrustRootInvalid

__all__ = [
    "Checklist",
    "Conflict",
    "Conversation",
    "EngineKind",
    "Followed",
    "Source",
    "Trust",
    "TrustRoot",
    "TrustRootInvalid",
    "TrustStore",
    "TrustedValidator",
    "VerificationFailed",
    "VerifiedExtension",
    "VerifiedHistory",
    "VerifiedOutcome",
    "VerifiedRow",
    "VerifiedState",
    "Wanted",
    "begin",
    "follow",
    "verify_consistency",
    "verify_header",
    "verify_history",
    "verify_outcome",
    "verify_row",
    "verify_state",
]
