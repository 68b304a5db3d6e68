"""Who signs the blocks, and whose clock is off: read from the commits of the newest headers.

A commit has each validator's vote with the time by that validator's clock. One that is down, cut off or halted because
it computed something else has no vote there; one whose clock is fast shows itself. CometBFT lets no vote be earlier
than the block before, so a slow clock is only seen where it is: there the newest header comes from the future.
"""

import statistics
from collections.abc import Sequence

import msgspec

from salus.engines.base import SealedHeight, Snapshot
from salus.engines.headers import MILLISECOND_NS, read_header
from salus.ledger.comet.types import ABSENT

BLOCKS = 8


class Attendance(msgspec.Struct, frozen=True):
    """How one validator took part in the newest blocks.

    Args:
        signed: how many of the last `of` blocks have its vote.
        ahead_ms: how much later its votes are than the middle one for the same block, in the middle of its votes; 0
            without any.
    """

    public_key: bytes
    signed: int
    of: int
    ahead_ms: int


def attendance(snapshot: Snapshot, *, height: int) -> list[Attendance]:
    """Return the attendance of each validator of the newest complete commit, in their order; none without one.

    Args:
        height: of the state. The newest header may not have all votes yet, so the one below it is the first.
    """
    heights = range(height - 1, max(0, height - 1 - BLOCKS), -1)
    sealed = [found for each in heights if (found := read_header(snapshot, each)) is not None]
    return [_of(each.public_key, sealed) for each in sealed[0].validators] if sealed else []


def _of(public_key: bytes, sealed: Sequence[SealedHeight]) -> Attendance:
    ahead_ms = [each for block in sealed if (each := _ahead_ms(public_key, block)) is not None]
    middle_ms = int(statistics.median(ahead_ms)) if ahead_ms else 0
    return Attendance(public_key, signed=len(ahead_ms), of=len(sealed), ahead_ms=middle_ms)


def _ahead_ms(public_key: bytes, block: SealedHeight) -> int | None:
    """None when the validator has no vote for the block."""
    voted = {
        validator.public_key: vote.time_ns
        for validator, vote in zip(block.validators, block.signed.commit.signatures, strict=True)
        if vote.flag != ABSENT
    }
    if public_key not in voted:
        return None
    return (voted[public_key] - statistics.median_low(voted.values())) // MILLISECOND_NS
