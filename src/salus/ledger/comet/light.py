"""What follows from a trusted validator set: a commit, a signed header, the header after a trusted one.

Promises: each function returns only if every check held; a refusal carries a permanent word for its reason. Every
signature of a commit is checked, not only the first two thirds, so that no byte of an accepted commit can be changed.
Never skips headers: that is the skipping rule, which stands on these functions.
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
    header, commit = signed.header, signed.commit
    _well_formed(Reason.HEADER_MALFORMED, check_header, header)  # 1
    if header.chain_id != chain_id:
        raise NotVerified(Reason.CHAIN, f"expected a header of {chain_id!r}, came one of {header.chain_id!r}")
    if header.validators_hash != validators_hash(validators):  # 2
        raise NotVerified(Reason.VALIDATORS, "the header names other validators")
    if commit.block_id.hash != header_hash(header):  # 3
        raise NotVerified(Reason.COMMIT_BLOCK, "the commit is for another header")
    verify_commit(  # 4
        chain_id=chain_id, validators=validators, block_id=commit.block_id, height=header.height, commit=commit
    )


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
    if trusted.time_ns + trusting_period_ns <= now_ns:  # 2
        raise NotVerified(Reason.EXPIRED, "the trusted header is too old: fetch a newer one from somebody you trust")
    if header.time_ns <= trusted.time_ns:  # 3
        raise NotVerified(Reason.TIME_NOT_AFTER, "the header is not later than the trusted one")
    if header.time_ns >= now_ns + clock_drift_ns:
        raise NotVerified(Reason.FROM_THE_FUTURE, "the header is from the future: check the clock")
    if header.validators_hash != trusted.next_validators_hash:  # 4
        raise NotVerified(Reason.NEXT_VALIDATORS, "the trusted header announced other validators")
    verify_signed_header(chain_id=trusted.chain_id, signed=untrusted, validators=validators)  # 5


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
