"""What a check found, and how rows that are stored are compared with rows that must be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FINDINGS_PER_SPACE_MAX = 20
"""One lost page would otherwise be told a thousand times."""

Rows = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Finding:
    """Something that does not follow.

    Args:
        space: where; `key` is empty when no single row can be named.
    """

    space: str
    key: bytes
    words: str

    def __str__(self) -> str:
        return f"{self.space} {self.key.hex() or '-'}: {self.words}"


def compare(space: str, expected: Rows, stored: Rows) -> Iterator[Finding]:
    """Yield a finding for each row that is missing, different or too many; both sides ascend by key."""
    for told, finding in enumerate(_differences(space, iter(expected), iter(stored))):
        if told == FINDINGS_PER_SPACE_MAX:
            yield Finding(space, b"", "and more")
            return
        yield finding


def _differences(
    space: str, expected: Iterator[tuple[bytes, bytes]], stored: Iterator[tuple[bytes, bytes]]
) -> Iterator[Finding]:
    # Both ascend: like merging two sorted lists.
    want, have = next(expected, None), next(stored, None)
    while want is not None or have is not None:
        if have is None or (want is not None and want[0] < have[0]):
            assert want is not None
            yield Finding(space, want[0], "a row is missing")
            want = next(expected, None)
        elif want is None or have[0] < want[0]:
            yield Finding(space, have[0], "a row that follows from nothing")
            have = next(stored, None)
        else:
            if want[1] != have[1]:
                yield Finding(space, want[0], "the row does not follow from what it is made of")
            want, have = next(expected, None), next(stored, None)
