"""Size of a proof and the time to check it, with the signed header of four validators (DESIGN §9)."""

from bench.measure import Line, latencies
from salus.ledger.encoding import encode
from salus.ledger.proofs import OutcomeProof
from salus.ledger.verifier.outcome import verify_outcome
from salus.ledger.verifier.state import verify_state
from tests.ledger.proof_world import NOW_S, toy_ledger, write_notes
from tests.ledger.test_proofs import PATH, largest_leaf

OUTCOMES = 2000


def run() -> list[Line]:
    """Measure on a log of some outcomes; sizes are for a log of 2^24."""
    made = toy_ledger(validators=4)
    write_notes(made, *range(OUTCOMES))
    signed, trust = made.signed_state(), made.trust()
    proof = made.prove_outcome(OUTCOMES // 2, signed.state)
    took = latencies(lambda: verify_outcome(verify_state(trust, signed, now_s=NOW_S), proof), count=300)
    largest = OutcomeProof(largest_leaf(), (1 << 24) - 1, PATH)
    alone, whole = len(encode(largest)), len(encode((signed, largest)))
    return [
        Line("proof of an outcome in a log of 2^24", "≤ 2 kB", f"{alone:,} bytes", alone <= 2000, {"bytes": alone}),
        Line(
            "the same with the signed header of four validators",
            "≤ 4 kB, ≤ 3 ms to verify",
            f"{whole:,} bytes, {took.median:.2f} ms",
            whole <= 4000 and took.median <= 3,
            {"bytes": whole, "ms": took.raw()},
        ),
    ]
