"""Who signed the newest blocks and whose clock is off, told from the commits alone."""

import pytest

from salus.engines.attendance import BLOCKS, Attendance, attendance
from salus.engines.headers import header_row
from salus.engines.store import HEADERS, height_key
from salus.ledger.comet import types
from salus.ledger.comet.types import BlockID, Commit, CommitSig, PartSetHeader, SignedHeader, Validator
from salus.ledger.comet.validators import validator_address
from tests.ledger.test_comet_refusals import HEADER

VALIDATORS = tuple(Validator(bytes([number]) * 32, 10) for number in range(4))
BLOCK = BlockID(bytes(32), PartSetHeader(1, bytes(32)))
SECOND_NS = 10**9
Votes = list[float | None]
"""Of one block: when each voted, in seconds after the block's first; None for no vote."""


class Headers:
    """Blocks from height 1 on."""

    def __init__(self, blocks: list[Votes]) -> None:
        self._rows = {height_key(at): row(at, votes) for at, votes in enumerate(blocks, start=1)}

    def get(self, space: str, key: bytes, /) -> bytes | None:
        assert space == HEADERS
        return self._rows.get(key)


def row(height: int, votes: Votes) -> bytes:
    signatures = tuple(
        CommitSig()
        if at_s is None
        else CommitSig(
            types.COMMIT,
            validator_address(validator.public_key),
            height * 100 * SECOND_NS + round(at_s * SECOND_NS),
            bytes(64),
        )
        for validator, at_s in zip(VALIDATORS, votes, strict=True)
    )
    return header_row(SignedHeader(HEADER, Commit(height, 0, BLOCK, signatures=signatures)), VALIDATORS)


ALL: Votes = [0, 0.01, 0.02, 0.03]
CASES: dict[str, tuple[list[Votes], list[tuple[int, int, int]]]] = {
    "no block": ([], []),
    "the newest header may lack a vote": ([ALL, [0, 0, 0, None]], [(1, 1, -10), (1, 1, 0), (1, 1, 10), (1, 1, 20)]),
    "one is away": ([[0, 0, 0, None]] * 3, [(2, 2, 0)] * 3 + [(0, 2, 0)]),
    "one was away": ([[0, 0, 0, None], [0, 0, 0, 0], ALL], [(2, 2, 0)] * 3 + [(1, 2, 0)]),
    "a fast clock": ([[0, 0, 0, 3600]] * 4, [(3, 3, 0)] * 3 + [(3, 3, 3_600_000)]),
    "a slow clock": ([[3600, 3600, 3600, 0]] * 4, [(3, 3, 0)] * 3 + [(3, 3, -3_600_000)]),
    "one odd vote is not a clock": ([[0, 0, 0, 0], [0, 0, 0, 3600], [0, 0, 0, 0], ALL], [(3, 3, 0)] * 4),
    "only the newest count": ([[0, 0, 0, None]] * 9 + [[0, 0, 0, 0]] * (BLOCKS + 1), [(BLOCKS, BLOCKS, 0)] * 4),
}


@pytest.mark.parametrize(("blocks", "expected"), CASES.values(), ids=CASES.keys())
def test_the_attendance(blocks: list[Votes], expected: list[tuple[int, int, int]]) -> None:
    found = attendance(Headers(blocks), height=len(blocks))  # type: ignore[arg-type]
    whole = [Attendance(each.public_key, *said) for each, said in zip(VALIDATORS, expected, strict=False)]
    assert found == whole
