"""A signed state: that a state's hash is in a header which the trusted validators signed."""

from dataclasses import dataclass

from salus.ledger.comet.commit import decode_signed_header
from salus.ledger.comet.light import NotVerified, verify_signed_header
from salus.ledger.comet.types import COMMIT, SignedHeader, Validator
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.proofs import AppState, SignedState
from salus.ledger.verifier.failure import Checklist, Steps
from salus.ledger.verifier.skipping import CLOCK_DRIFT_S, SECOND_NS, verify_skip
from salus.ledger.verifier.store import TrustStore
from salus.ledger.verifier.trust import EngineKind, TrustRoot

Trust = TrustRoot | TrustStore
"""What a proof is checked against: a trust root, or the store that grew from one."""
_CHECK = Steps(Checklist.STATE)


@dataclass(frozen=True)
class VerifiedState:
    """A state that the trusted validators signed for.

    Args:
        height: of the header; the state is that after the height before it.
        time_s: the header's time, whole seconds since 1970.
        signers: organisations of the validators that signed, in the set's order; empty for a key that the trust root
            does not name.
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
        names = ", ".join(each or "one that the trust file does not name" for each in self.signers)
        return (
            f"Signed by {len(self.signers)} validators ({names}) with {self.power_signed} of "
            f"{self.power_total} votes. A false proof takes more than a third of the votes, signed for two histories."
        )


def verify_state(trust: Trust, signed: SignedState, *, now_s: int) -> VerifiedState:
    """Check a signed state.

    1. The trust root may still be built on: its trusting period has not ended (CometBFT spec, light client, `expired`).
    2. The header is one canonical `SignedHeader` (docs/spec/header.md).
    3. The validators are the trusted ones.
    4. They signed the header: its form, chain and validators' hash, and a commit with more than two thirds of the power
       and no bad signature (CometBFT `VerifyCommit`, `verify_signed_header`).
    5. The header is not from the future, by more than 10 seconds (CometBFT `light.VerifyAdjacent`).
    6. The header's app hash is the state's (docs/spec/proofs.md, L5).

    With a trust store the checklist `skip` stands in the place of 1, 3, 4 and 5 (`verify_skip`).

    Args:
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: with the step.
    """
    header = verify_header(trust, signed.header, signed.validators, now_s=now_s)
    is_carried = header.header.app_hash == signed.state.app_hash()
    _CHECK.require(6, is_carried, "the signed header carries another state's hash: ask for the proof again")
    return _verified(trust, signed, header)


def verify_header(trust: Trust, data: bytes, validators: tuple[Validator, ...], *, now_s: int) -> SignedHeader:
    """Check a signed header: steps 1 to 5 of `verify_state`. Raises VerificationFailed."""
    if isinstance(trust, TrustStore):
        header = _decode(data)  # 2
        verify_skip(trust, header, validators, now_s=now_s)
        return header
    until_s = trust.trusted_at_s + trust.trusting_period_s
    _CHECK.require(1, now_s < until_s, f"trust ended at {until_s}, now {now_s}: get a newer trust file")
    header = _decode(data)  # 2
    is_trusted = validators == trust.validator_set()
    _CHECK.require(
        3, is_trusted, "expected the validators of the trust file, came others: salus follow, or a newer one"
    )
    try:
        verify_signed_header(chain_id=trust.chain, signed=header, validators=validators)  # 4
    except NotVerified as error:
        raise _CHECK.fail(4, f"{error}: ask for the proof again, from another node") from error
    time_ns = header.header.time_ns
    is_past = time_ns < (now_s + CLOCK_DRIFT_S) * SECOND_NS
    _CHECK.require(5, is_past, f"the header is of {time_ns // SECOND_NS}, now {now_s}: check this machine's clock")
    return header


def _decode(data: bytes) -> SignedHeader:
    try:
        return decode_signed_header(data)
    except EncodingInvalid as error:
        raise _CHECK.fail(2, f"expected a signed header: {error}: ask for the proof again") from error


def _verified(trust: Trust, signed: SignedState, header: SignedHeader) -> VerifiedState:
    voted = [
        validator
        for validator, vote in zip(signed.validators, header.commit.signatures, strict=True)
        if vote.flag == COMMIT
    ]
    return VerifiedState(
        chain=trust.chain,
        engine=trust.engine,
        state=signed.state,
        height=header.header.height,
        time_s=header.header.time_ns // SECOND_NS,
        signers=tuple(trust.organisation_of(each.public_key) for each in voted),
        power_signed=sum(each.power for each in voted),
        power_total=sum(each.power for each in signed.validators),
    )
