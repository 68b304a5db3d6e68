"""The validator set: addresses, order, and the hash that a header commits to (CometBFT types/validator_set.go)."""

from collections.abc import Iterable, Sequence

from salus.crypto.hashing import sha256
from salus.crypto.signing import PUBLIC_KEY_SIZE_BYTES
from salus.ledger.comet import wire
from salus.ledger.comet.header import ADDRESS_SIZE_BYTES, root_of
from salus.ledger.comet.types import Validator
from salus.ledger.encoding import EncodingInvalid

VALIDATOR_COUNT_MAX = 10_000  # CometBFT `MaxVotesCount`
TOTAL_POWER_MAX = (2**63 - 1) // 8  # CometBFT `MaxTotalVotingPower`


def validator_address(public_key: bytes) -> bytes:
    """The address of an Ed25519 key: the first 20 bytes of its SHA-256."""
    return sha256(public_key)[:ADDRESS_SIZE_BYTES]


def in_order(validators: Iterable[Validator]) -> tuple[Validator, ...]:
    """Put validators in the order of a set: most power first, then by address."""
    return tuple(sorted(validators, key=lambda each: (-each.power, validator_address(each.public_key))))


def encode_validator(validator: Validator) -> bytes:
    """Encode as `SimpleValidator`, the leaf of the set's hash."""
    return wire.message(1, wire.message(1, validator.public_key)) + wire.integer(2, validator.power)


def validators_hash(validators: Sequence[Validator]) -> bytes:
    """The RFC 9162 root over a set, in the order given: the header's `validators_hash`."""
    return root_of(encode_validator(each) for each in validators)


def total_power(validators: Sequence[Validator]) -> int:
    """The sum of the voting powers."""
    return sum(each.power for each in validators)


def check_validators(validators: Sequence[Validator]) -> None:
    """Check that this can be a validator set: not empty, bounded, each key once, powers positive.

    Raises:
        EncodingInvalid: it cannot.
    """
    if not 0 < len(validators) <= VALIDATOR_COUNT_MAX:
        raise EncodingInvalid(f"expected 1 to {VALIDATOR_COUNT_MAX} validators, came {len(validators)}")
    if any(len(each.public_key) != PUBLIC_KEY_SIZE_BYTES for each in validators):
        raise EncodingInvalid(f"expected Ed25519 keys of {PUBLIC_KEY_SIZE_BYTES} bytes")
    if len({each.public_key for each in validators}) != len(validators):
        raise EncodingInvalid("expected each validator once")
    if any(each.power < 1 for each in validators) or total_power(validators) > TOTAL_POWER_MAX:
        raise EncodingInvalid(f"expected powers of at least 1 and at most {TOTAL_POWER_MAX} together")
