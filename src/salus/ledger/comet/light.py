"""What follows from a trusted validator set: a commit, a signed header, the header after a trusted one, a later one.

Promises: each function returns only if every check held; a refusal carries a permanent word for its reason. Every
signature of a commit is checked, not only the first two thirds, so that no byte of an accepted commit can be changed.
Never asks for headers: `verifier.follow` says which ones it needs.
Sources: CometBFT 0.38 types/validation.go, light/verifier.go.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TypeVar

from salus.crypto.signing import SignatureInvalid, verify_zip215
from salus.ledger.comet.commit import check_commit, vote_sign_bytes
from salus.ledger.comet.header import check_header, header_hash
from salus.ledger.comet.types import ABSENT, COMMIT, BlockID, Commit, Header, SignedHeader, Validator
from salus.ledger.comet.validators import check_validators, total_power, validator_address, validators_hash
from salus.ledger.encoding import EncodingInvalid

T = TypeVar("T")


class Reason(StrEnum):
    """Why a header or a commit was refused; the words are permanent."""

    VALIDATORS_MALFORMED = "validators-malformed"
    HEADER_MALFORMED = "header-malformed"
    COMMIT_MALFORMED = "commit-malformed"
    SIGNATURE_COUNT = "signature-count"
    COMMIT_HEIGHT = "commit-height"
    COMMIT_BLOCK = "commit-block"
    SIGNER = "signer"
    SIGNATURE = "signature"
    POWER = "power"
    CHAIN = "chain"
    VALIDATORS = "validators"
    NOT_ADJACENT = "not-adjacent"
    EXPIRED = "expired"
    TIME_NOT_AFTER = "time-not-after"
    FROM_THE_FUTURE = "from-the-future"
    NEXT_VALIDATORS = "next-validators"
    NOT_LATER = "not-later"
    TRUSTED_VALIDATORS = "trusted-validators"
    NOT_ENOUGH_TRUST = "not-enough-trust"


class NotVerified(Exception):
    """The header or commit does not follow from what is trusted."""

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(f"{reason}: {words}")
        self.reason = reason


def verify_commit(
    *, chain_id: str, validators: Sequence[Validator], block_id: BlockID, height: int, commit: Commit
) -> None:
    """Check that validators with more than two thirds of the power signed for a block (`VerifyCommit`).

    1. The commit is well formed and has one entry per validator. 2. It is for this height and block. 3. Each entry that
    is not absent names its validator, whose signature holds by ZIP-215. 4. More than two thirds of the power voted for
    the block; votes for none do not count.

    Args:
        validators: the trusted set, in its order.

    Raises:
        NotVerified: with the reason.
    """
    _well_formed(Reason.VALIDATORS_MALFORMED, check_validators, validators)
    _well_formed(Reason.COMMIT_MALFORMED, check_commit, commit)  # 1
    if len(commit.signatures) != len(validators):
        words = f"expected {len(validators)} signatures, came {len(commit.signatures)}"
        raise NotVerified(Reason.SIGNATURE_COUNT, words)
    if commit.height != height:  # 2
        raise NotVerified(Reason.COMMIT_HEIGHT, f"expected a commit for height {height}, came {commit.height}")
    if commit.block_id != block_id:
        raise NotVerified(Reason.COMMIT_BLOCK, "the commit is for another block")
    for index in range(len(validators)):  # 3
        _verify_vote(chain_id, commit, index, validators[index])
    signed = sum(
        validator.power
        for validator, signature in zip(validators, commit.signatures, strict=True)
        if signature.flag == COMMIT
    )
    if 3 * signed <= 2 * total_power(validators):  # 4
        raise NotVerified(Reason.POWER, f"expected more than 2/3 of {total_power(validators)}, came {signed}")


def verify_signed_header(*, chain_id: str, signed: SignedHeader, validators: Sequence[Validator]) -> None:
    """Check that a trusted validator set signed this header.

    1. The header is well formed and of this chain. 2. It names these validators. 3. The commit is for its hash.
    4. `verify_commit` holds.

    Raises:
        NotVerified: with the reason.
    """
    _check_fits(chain_id, signed, validators)  # 1 to 3
    _verify_own_commit(chain_id, signed, validators)  # 4


def verify_adjacent(
    *,
    trusted: Header,
    untrusted: SignedHeader,
    validators: Sequence[Validator],
    trusting_period_ns: int,
    now_ns: int,
    clock_drift_ns: int,
) -> None:
    """Check the header right after a trusted one (`light.VerifyAdjacent`).

    1. The heights follow each other. 2. The trusted header has not expired. 3. The new header is later than it, and not
    from the future. 4. Its validators are the ones that the trusted header announced. 5. They signed it.

    Args:
        validators: those of the untrusted header, in their order.
        trusting_period_ns: how long after its time a trusted header may be built on.
        now_ns: the verifier's time.
        clock_drift_ns: by how much a header may be ahead of `now_ns`.

    Raises:
        NotVerified: with the reason.
    """
    header = untrusted.header
    if header.height != trusted.height + 1:  # 1
        raise NotVerified(Reason.NOT_ADJACENT, f"expected height {trusted.height + 1}, came {header.height}")
    check_not_expired(trusted, trusting_period_ns=trusting_period_ns, now_ns=now_ns)  # 2
    if header.time_ns <= trusted.time_ns:  # 3
        raise NotVerified(Reason.TIME_NOT_AFTER, "the header is not later than the trusted one")
    check_not_ahead(header, now_ns=now_ns, clock_drift_ns=clock_drift_ns)
    if header.validators_hash != trusted.next_validators_hash:  # 4
        raise NotVerified(Reason.NEXT_VALIDATORS, "the trusted header announced other validators")
    verify_signed_header(chain_id=trusted.chain_id, signed=untrusted, validators=validators)  # 5


def verify_skipping(
    *,
    trusted: Header,
    trusted_validators: Sequence[Validator],
    untrusted: SignedHeader,
    validators: Sequence[Validator],
    trusting_period_ns: int,
    now_ns: int,
    clock_drift_ns: int,
) -> None:
    """Check a header further on than the next after a trusted one (`light.VerifyNonAdjacent`, trust level 1/3).

    1. Its height is at least two more. 2. The trusted header has not expired. 3. The new header is later than it, and
    not from the future. 4. The trusted validators are those that the trusted header names. 5. The new header is of this
    chain, names its validators, and its commit is for it. 6. Trusted validators with more than a third of the trusted
    power voted for it: at least one of them keeps the rules. 7. `verify_commit` holds with its own validators.

    Args:
        trusted_validators: those of the trusted header's height or of the next, in their order.
        validators, trusting_period_ns, now_ns, clock_drift_ns: as of `verify_adjacent`.

    Raises:
        NotVerified: with the reason; NOT_ENOUGH_TRUST alone may be mended by a header in between.
    """
    header = untrusted.header
    if header.height < trusted.height + 2:  # 1
        raise NotVerified(Reason.NOT_LATER, f"expected height {trusted.height + 2} or more, came {header.height}")
    check_not_expired(trusted, trusting_period_ns=trusting_period_ns, now_ns=now_ns)  # 2
    if header.time_ns <= trusted.time_ns:  # 3
        raise NotVerified(Reason.TIME_NOT_AFTER, "the header is not later than the trusted one")
    check_not_ahead(header, now_ns=now_ns, clock_drift_ns=clock_drift_ns)
    if validators_hash(trusted_validators) not in (trusted.validators_hash, trusted.next_validators_hash):  # 4
        raise NotVerified(Reason.TRUSTED_VALIDATORS, "the trusted header names other validators")
    _check_fits(trusted.chain_id, untrusted, validators)  # 5
    _check_overlap(trusted_validators, untrusted.commit, validators)  # 6
    _verify_own_commit(trusted.chain_id, untrusted, validators)  # 7


def check_not_expired(trusted: Header, *, trusting_period_ns: int, now_ns: int) -> None:
    """Check that a trusted header may still be built on. Raises NotVerified."""
    if trusted.time_ns + trusting_period_ns <= now_ns:
        raise NotVerified(Reason.EXPIRED, "the trusted header is too old: fetch a newer one from somebody you trust")


def check_not_ahead(header: Header, *, now_ns: int, clock_drift_ns: int) -> None:
    """Check that a header is not from the future. Raises NotVerified."""
    if header.time_ns >= now_ns + clock_drift_ns:
        raise NotVerified(Reason.FROM_THE_FUTURE, "the header is from the future: check the clock")


def _check_fits(chain_id: str, signed: SignedHeader, validators: Sequence[Validator]) -> None:
    header = signed.header
    _well_formed(Reason.HEADER_MALFORMED, check_header, header)
    if header.chain_id != chain_id:
        raise NotVerified(Reason.CHAIN, f"expected a header of {chain_id!r}, came one of {header.chain_id!r}")
    if header.validators_hash != validators_hash(validators):
        raise NotVerified(Reason.VALIDATORS, "the header names other validators")
    if signed.commit.block_id.hash != header_hash(header):
        raise NotVerified(Reason.COMMIT_BLOCK, "the commit is for another header")


def _check_overlap(trusted: Sequence[Validator], commit: Commit, validators: Sequence[Validator]) -> None:
    # Whether the votes are signed is for `verify_commit`, which reads the same places.
    power = {each.public_key: each.power for each in trusted}
    voted = {each.public_key for each, vote in zip(validators, commit.signatures, strict=False) if vote.flag == COMMIT}
    overlap = sum(power[key] for key in power.keys() & voted)
    if 3 * overlap <= total_power(trusted):
        words = f"expected votes of more than 1/3 of {total_power(trusted)}, came {overlap}: a header in between helps"
        raise NotVerified(Reason.NOT_ENOUGH_TRUST, words)


def _verify_own_commit(chain_id: str, signed: SignedHeader, validators: Sequence[Validator]) -> None:
    commit = signed.commit
    verify_commit(
        chain_id=chain_id,
        validators=validators,
        block_id=commit.block_id,
        height=signed.header.height,
        commit=commit,
    )


def _verify_vote(chain_id: str, commit: Commit, index: int, validator: Validator) -> None:
    vote = commit.signatures[index]
    if vote.flag == ABSENT:
        return
    if vote.validator_address != validator_address(validator.public_key):
        raise NotVerified(Reason.SIGNER, f"signature {index} names another validator")
    try:
        verify_zip215(validator.public_key, vote_sign_bytes(chain_id, commit, index), vote.signature)
    except SignatureInvalid as error:
        raise NotVerified(Reason.SIGNATURE, f"signature {index} is not its validator's") from error


def _well_formed(reason: Reason, check: Callable[[T], None], value: T) -> None:
    try:
        check(value)
    except EncodingInvalid as error:
        raise NotVerified(reason, str(error)) from error
