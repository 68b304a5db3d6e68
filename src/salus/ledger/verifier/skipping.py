"""A header under a trust store: that it follows from the trusted header, by the skipping rule where others sign now."""

from salus.ledger.comet.header import header_hash
from salus.ledger.comet.light import (
    NotVerified,
    Reason,
    check_not_ahead,
    check_not_expired,
    verify_adjacent,
    verify_signed_header,
    verify_skipping,
)
from salus.ledger.comet.types import Header, SignedHeader, Validator
from salus.ledger.verifier.failure import Checklist, Steps, VerificationFailed
from salus.ledger.verifier.store import TrustStore

CLOCK_DRIFT_S = 10
"""By how much a header may be ahead of the verifier's clock (CometBFT `defaultMaxClockDrift`)."""
SECOND_NS = 10**9
_CHECK = Steps(Checklist.SKIP)
_FITS, _COMMIT = 6, 8
_STEPS = {
    Reason.EXPIRED: 1,
    Reason.TIME_NOT_AFTER: 3,
    Reason.FROM_THE_FUTURE: 4,
    Reason.NEXT_VALIDATORS: 5,
    Reason.HEADER_MALFORMED: _FITS,
    Reason.CHAIN: _FITS,
    Reason.VALIDATORS: _FITS,
    Reason.COMMIT_BLOCK: _FITS,
    Reason.NOT_ENOUGH_TRUST: 7,
}
"""Which step a reason belongs to; all others are the commit's."""


def verify_skip(store: TrustStore, signed: SignedHeader, validators: tuple[Validator, ...], *, now_s: int) -> None:
    """Check a header against the trusted header of a store (CometBFT spec, light client, verification).

    1. The trusted header's time with the trusting period is after now.
    2. At the trusted height: the header is the trusted one.
    3. Higher: its time is later. Lower: earlier.
    4. It is not from the future, by more than 10 seconds.
    5. Right after the trusted header: its validators are those that were announced. At the trusted height or lower:
       they are the trusted header's own.
    6. The header keeps its rules, is of this chain, names `validators`, and the commit is for it.
    7. Further on: trusted validators with more than a third of the trusted power voted for it.
    8. The commit verifies, with more than two thirds of its own validators' power (`verify_commit`).

    Args:
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: with the step.
    """
    trusted = store.signed_header().header
    try:
        if signed.header.height <= trusted.height:
            _verify_earlier(store, trusted, signed, validators, now_s)
        else:
            verify_later(store, trusted, signed, validators, trusted_validators=store.newest.validators, now_s=now_s)
    except NotVerified as error:
        raise failed(error) from error


def verify_later(
    store: TrustStore,
    trusted: Header,
    signed: SignedHeader,
    validators: tuple[Validator, ...],
    *,
    trusted_validators: tuple[Validator, ...],
    now_s: int,
) -> None:
    """Check a header above a trusted one, the next or one further on. Raises NotVerified."""
    period_ns, now_ns, drift_ns = (each * SECOND_NS for each in (store.root.trusting_period_s, now_s, CLOCK_DRIFT_S))
    if signed.header.height == trusted.height + 1:
        verify_adjacent(
            trusted=trusted,
            untrusted=signed,
            validators=validators,
            trusting_period_ns=period_ns,
            now_ns=now_ns,
            clock_drift_ns=drift_ns,
        )
        return
    verify_skipping(
        trusted=trusted,
        trusted_validators=trusted_validators,
        untrusted=signed,
        validators=validators,
        trusting_period_ns=period_ns,
        now_ns=now_ns,
        clock_drift_ns=drift_ns,
    )


def failed(error: NotVerified) -> VerificationFailed:
    """Return the step that a refusal belongs to, with what to do about it."""
    remedy = "ask again, from another node"
    if error.reason is Reason.EXPIRED:
        remedy = "get a new trust file from somebody you trust"
    elif error.reason is Reason.NOT_ENOUGH_TRUST:
        remedy = "bring the trust store up to date with salus follow"
    return _CHECK.fail(_STEPS.get(error.reason, _COMMIT), f"{error}: {remedy}")


def _verify_earlier(
    store: TrustStore, trusted: Header, signed: SignedHeader, validators: tuple[Validator, ...], now_s: int
) -> None:
    header = signed.header
    check_not_expired(trusted, trusting_period_ns=store.root.trusting_period_s * SECOND_NS, now_ns=now_s * SECOND_NS)
    is_same = header.height < trusted.height or header_hash(header) == header_hash(trusted)
    _CHECK.require(2, is_same, f"another header than the trusted one for height {header.height}: evidence, keep both")
    is_earlier = header.height == trusted.height or header.time_ns < trusted.time_ns
    _CHECK.require(3, is_earlier, "the header is lower than the trusted one, and not earlier: ask another node")
    check_not_ahead(header, now_ns=now_s * SECOND_NS, clock_drift_ns=CLOCK_DRIFT_S * SECOND_NS)
    is_own = header.validators_hash == trusted.validators_hash
    _CHECK.require(5, is_own, "it is lower than the trusted header, and others signed it: ask under a newer header")
    verify_signed_header(chain_id=trusted.chain_id, signed=signed, validators=validators)
