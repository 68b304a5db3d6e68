"""A signed state: that a state's hash is in a header which the trusted validators signed."""

from dataclasses import dataclass

from salus.ledger.comet.commit import decode_signed_header
from salus.ledger.comet.light import NotVerified, verify_signed_header
from salus.ledger.comet.types import COMMIT, SignedHeader
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.proofs import AppState, SignedState
from salus.ledger.verifier.failure import Checklist, Steps
from salus.ledger.verifier.trust import EngineKind, TrustRoot

CLOCK_DRIFT_S = 10
"""By how much a header may be ahead of the verifier's clock (CometBFT `defaultMaxClockDrift`)."""
_SECOND_NS = 10**9
_CHECK = Steps(Checklist.STATE)


@dataclass(frozen=True)
class VerifiedState:
    """A state that the trusted validators signed for.

    Args:
        height: of the header; the state is that after the height before it.
        time_s: the header's time, whole seconds since 1970.
        signers: organisations of the validators that signed, in the set's order.
        power_signed: their voting power together; `power_total` is that of the whole set.
    """

    chain: str
    engine: EngineKind
    state: AppState
    height: int
    time_s: int
    signers: tuple[str, ...]
    power_signed: int
    power_total: int

    def trust_words(self) -> str:
        """Say in one sentence what this rests on."""
        if self.engine is EngineKind.EMBEDDED:
            return (
                f"Embedded ledger: trust is one key. Whoever holds the key of {self.signers[0]} could have written "
                "another history; nobody else could."
            )
        return (
            f"Signed by {len(self.signers)} validators ({', '.join(self.signers)}) with {self.power_signed} of "
            f"{self.power_total} votes. A false proof takes more than a third of the votes, signed for two histories."
        )


def verify_state(trust: TrustRoot, signed: SignedState, *, now_s: int) -> VerifiedState:
    """Check a signed state.

    1. The trust root may still be built on: its trusting period has not ended (CometBFT spec, light client, `expired`).
    2. The header is one canonical `SignedHeader` (docs/spec/header.md).
    3. The validators are the trusted ones. (A set that changed since is for the skipping rule, which is not here yet.)
    4. They signed the header: its form, chain and validators' hash, and a commit with more than two thirds of the power
       and no bad signature (CometBFT `VerifyCommit`, `verify_signed_header`).
    5. The header is not from the future, by more than 10 seconds (CometBFT `light.VerifyAdjacent`).
    6. The header's app hash is the state's (docs/spec/proofs.md, L5).

    Args:
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: with the step.
    """
    until_s = trust.trusted_at_s + trust.trusting_period_s
    _CHECK.require(1, now_s < until_s, f"trust ended at {until_s}, now {now_s}: get a newer trust file")
    header = _decode(signed.header)  # 2
    validators = trust.validator_set()
    _CHECK.require(3, signed.validators == validators, "expected the validators of the trust file, came others")
    try:
        verify_signed_header(chain_id=trust.chain, signed=header, validators=validators)  # 4
    except NotVerified as error:
        raise _CHECK.fail(4, f"{error}: ask for the proof again, from another node") from error
    time_ns = header.header.time_ns
    is_past = time_ns < (now_s + CLOCK_DRIFT_S) * _SECOND_NS
    _CHECK.require(5, is_past, f"the header is of {time_ns // _SECOND_NS}, now {now_s}: check this machine's clock")
    is_carried = header.header.app_hash == signed.state.app_hash()
    _CHECK.require(6, is_carried, "the signed header carries another state's hash: ask for the proof again")
    return _verified(trust, signed.state, header)


def _decode(data: bytes) -> SignedHeader:
    try:
        return decode_signed_header(data)
    except EncodingInvalid as error:
        raise _CHECK.fail(2, f"expected a signed header: {error}: ask for the proof again") from error


def _verified(trust: TrustRoot, state: AppState, signed: SignedHeader) -> VerifiedState:
    voted = [
        validator
        for validator, vote in zip(trust.validator_set(), signed.commit.signatures, strict=True)
        if vote.flag == COMMIT
    ]
    return VerifiedState(
        chain=trust.chain,
        engine=trust.engine,
        state=state,
        height=signed.header.height,
        time_s=signed.header.time_ns // _SECOND_NS,
        signers=tuple(trust.organisation_of(each.public_key) for each in voted),
        power_signed=sum(each.power for each in voted),
        power_total=sum(each.power for each in trust.validators),
    )
