"""Verdicts: what the check of a file came to, as a value, for programs that show it to somebody else.

The same check as `verify.verify_file`; what fails is told, never raised.
"""

from dataclasses import dataclass, field

from salus.ledger.verifier import TrustRootInvalid, VerificationFailed
from salus.ledger.verifier.store import decode_trust_file
from salus.sdk.verify import verify_file

TRUST_CHECK = "trust file"


@dataclass(frozen=True)
class Verdict:
    """What came of a check.

    Args:
        is_genuine: whether every step held: what the file says is so.
        kind: receipt, history, outcome, row or consistency; empty for a file that proves nothing.
        lines: in plain words what it shows, or which step failed and what to do.
        faults: what somebody did wrong, each proved by a genuine file.
        check: the checklist that failed, and `step` its number in docs/spec; empty and 0 when all held.
    """

    is_genuine: bool
    kind: str = ""
    lines: tuple[str, ...] = field(default=(), repr=False)
    faults: tuple[str, ...] = field(default=(), repr=False)
    check: str = ""
    step: int = 0


def verdict_on(file: bytes, trust_file: bytes, *, now_s: int) -> Verdict:
    """Return what the check of a file against a trust file comes to; raises nothing for what strangers send.

    Args:
        now_s: the verifier's clock, seconds since 1970.
    """
    try:
        verified = verify_file(file, decode_trust_file(trust_file), now_s=now_s)
    except TrustRootInvalid as error:
        return Verdict(is_genuine=False, lines=(str(error),), check=TRUST_CHECK)
    except VerificationFailed as failed:
        return Verdict(is_genuine=False, lines=(failed.words,), check=str(failed.checklist), step=failed.step)
    return Verdict(is_genuine=True, kind=verified.kind, lines=verified.lines, faults=verified.faults)
