"""The clock of an engine, and the guard that stops a ledger whose clock cannot be trusted (DESIGN §4, bad days).

Block times come from the wall clock, so a permit lasts as long as people expect. A clock that jumps while the ledger
runs would end permits early or revive them: the guard notices because a second, monotonic clock does not jump with it.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from salus.engines.base import StartRefused, Unavailable

SECOND_NS = 1_000_000_000
BLOCK_STEP_NS = 1_000_000
"""Block times are whole milliseconds and never equal."""
CLOCK_GAP_NS_MAX = 10 * SECOND_NS
"""How far the two clocks may part while the ledger runs, and how far behind the last block it may start."""
FORWARD_GAP_NOTED_NS = 60 * SECOND_NS
"""At start a forward gap is always accepted; from this size on it is logged."""

log = logging.getLogger("salus.engines")


class Clock(Protocol):
    """Where an engine reads the time; `salus.testing.clock` has one that tests move."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, UTC; may jump."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment; never jumps, and goes on while the machine sleeps."""

    def wait_for(self, condition: threading.Condition, fact: Callable[[], bool], timeout_s: float) -> None:
        """Wait, at most this long, until the fact holds; whoever makes it hold notifies the condition."""


class SystemClock:
    """The machine's own clock."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since the machine started, time asleep included: waking up is no jump of the wall clock."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wait_for(self, condition: threading.Condition, fact: Callable[[], bool], timeout_s: float) -> None:
        """Wait for the fact, at most this long; the caller holds the condition."""
        condition.wait_for(fact, timeout_s)


class ClockGuard:
    """Gives each block its time, or stops the ledger.

    Args:
        last_ns: time of the newest stored block or of genesis; nanoseconds since 1970.

    Raises:
        StartRefused: the clock is more than 10 s behind the newest block.
    """

    def __init__(self, clock: Clock, *, last_ns: int) -> None:
        self._clock = clock
        self._started_wall_ns, self._started_monotonic_ns = self._read()
        gap_ns = self._started_wall_ns - last_ns
        if gap_ns < -CLOCK_GAP_NS_MAX:
            raise StartRefused(
                f"expected a clock at most 10 s behind the newest block, it is {-gap_ns / SECOND_NS:.0f} s behind: "
                "set the clock, or wait"
            )
        if gap_ns > FORWARD_GAP_NOTED_NS:
            log.warning("ledger.forward_gap seconds=%d", gap_ns // SECOND_NS)

    def next_block_ns(self, last_ns: int) -> int:
        """Return the next block's time: the wall clock's, at least one millisecond after the last block.

        Raises:
            ClockUnfit: wall and monotonic clock have parted by more than 10 s since the start.
        """
        wall_ns, monotonic_ns = self._read()
        passed_ns = monotonic_ns - self._started_monotonic_ns
        parted_ns = wall_ns - self._started_wall_ns - passed_ns
        if abs(parted_ns) > CLOCK_GAP_NS_MAX:
            raise ClockUnfit(
                f"expected wall and monotonic clock within 10 s, they parted by {parted_ns / SECOND_NS:.0f} s: "
                "check the time service and start the ledger again"
            )
        return max(last_ns + BLOCK_STEP_NS, wall_ns - wall_ns % BLOCK_STEP_NS)

    def _read(self) -> tuple[int, int]:
        """Wall and monotonic clock of one moment: a machine that slept between two readings has not jumped."""
        while True:
            monotonic_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
            if self._clock.monotonic_ns() - monotonic_ns < SECOND_NS:
                return wall_ns, monotonic_ns


class ClockUnfit(Unavailable):
    """The wall clock jumped while the ledger ran: it stops rather than give blocks a wrong time."""
