"""How a figure is taken: repeated, and told as minimum, median and maximum; and what a line of the table is."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Line:
    """One line of the budget table.

    Args:
        what: what was measured.
        budget: what DESIGN §9 asks, in words.
        measured: what came, in words.
        held: whether the budget is held; None where there is nothing to compare with.
        raw: the numbers behind it.
    """

    what: str
    budget: str
    measured: str
    held: bool | None
    raw: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """Several readings of one thing."""

    readings: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.readings)

    def percentile(self, percent: int) -> float:
        """The reading that this many percent do not exceed."""
        ordered = sorted(self.readings)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]

    def raw(self) -> dict[str, float]:
        """Minimum, median and maximum."""
        return {"min": min(self.readings), "median": self.median, "max": max(self.readings)}


def rate(work: Callable[[], int], *, seconds: float = 1.5, rounds: int = 3) -> Spread:
    """Call `work`, which returns how many things it did, for some time in each round; return things per second."""
    readings = []
    for _ in range(rounds):
        done, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            done += work()
        readings.append(done / (time.perf_counter() - begun))
    return Spread(tuple(readings))


def latencies(work: Callable[[], object], *, count: int) -> Spread:
    """Call `work` a number of times; return milliseconds of each call."""
    readings = []
    for _ in range(count):
        begun = time.perf_counter()
        work()
        readings.append((time.perf_counter() - begun) * 1000)
    return Spread(tuple(readings))


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Append the seconds that the block took."""
    begun = time.perf_counter()
    yield
    into.append(time.perf_counter() - begun)
