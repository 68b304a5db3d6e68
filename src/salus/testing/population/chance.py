"""Seeded chance that gives the same values on every Python version and platform.

The standard library promises that `random()` of a seed never changes; it promises nothing of `choice`, `shuffle` or
`gauss`. So everything here is integer arithmetic on `random()`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Chance:
    """A stream of chance named by a path, such as seed, household 3: each path has its own, whatever others drew."""

    def __init__(self, *path: int | str) -> None:
        """Seed from the whole path; the text form is hashed by the library's stable version 2 seeding."""
        self._random = random.Random("/".join(map(str, path))).random  # noqa: S311 - repeatable on purpose, no secret

    def below(self, limit: int) -> int:
        """An integer from 0 to limit - 1."""
        return int(self._random() * limit)

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + self.below(high - low + 1)

    def per_mille(self, rate: int) -> bool:
        """True in `rate` of a thousand draws."""
        return self._random() * 1000 < rate

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, all as likely."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[Item, int]]) -> Item:
        """One of the items, as likely as its weight."""
        rest = self.below(sum(weight for _, weight in items))
        for item, weight in items:
            rest -= weight
            if rest < 0:
                return item
        raise AssertionError("weights are positive")

    def around(self, middle: int, spread: int) -> int:
        """An integer within `spread` of the middle, likelier near it (sum of three draws)."""
        return middle + (sum(self.between(-spread, spread) for _ in range(3)) // 3)
