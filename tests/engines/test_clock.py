"""The clock guard: block times that never stand still, and clocks that cannot be trusted."""

import logging
import threading

import pytest

from salus.engines.base import StartRefused
from salus.engines.clock import BLOCK_STEP_NS, SECOND_NS, Clock, ClockGuard, ClockUnfit, SystemClock
from salus.testing.clock import FakeClock

NOW_S = 1_800_000_000
NOW_NS = NOW_S * SECOND_NS


@pytest.mark.parametrize(
    ("last_ns", "want_ns"),
    [
        pytest.param(NOW_NS - SECOND_NS, NOW_NS, id="the clock's time when it is later"),
        pytest.param(NOW_NS, NOW_NS + BLOCK_STEP_NS, id="one step more when it is the same"),
        pytest.param(NOW_NS + 9 * SECOND_NS, NOW_NS + 9 * SECOND_NS + BLOCK_STEP_NS, id="one step more when behind"),
    ],
)
def test_block_times_only_rise(last_ns: int, want_ns: int) -> None:
    assert ClockGuard(FakeClock(NOW_S), last_ns=last_ns).next_block_ns(last_ns) == want_ns


def test_block_times_are_whole_milliseconds() -> None:
    clock = FakeClock(NOW_S)
    guard = ClockGuard(clock, last_ns=NOW_NS)
    clock.advance(0.0123456)
    assert guard.next_block_ns(NOW_NS) == NOW_NS + 12 * BLOCK_STEP_NS


@pytest.mark.parametrize("seconds", [600, -600, 11, -11])
def test_a_clock_that_jumps_stops_the_ledger(seconds: int) -> None:
    clock = FakeClock(NOW_S)
    guard = ClockGuard(clock, last_ns=NOW_NS)
    clock.advance(3600)
    clock.jump(seconds)
    with pytest.raises(ClockUnfit, match="start the ledger again"):
        guard.next_block_ns(NOW_NS)


@pytest.mark.parametrize("seconds", [10, -10, 1])
def test_a_clock_that_is_corrected_a_little_goes_on(seconds: int) -> None:
    clock = FakeClock(NOW_S)
    guard = ClockGuard(clock, last_ns=NOW_NS)
    clock.advance(3600)
    clock.jump(seconds)
    assert guard.next_block_ns(NOW_NS) == NOW_NS + (3600 + seconds) * SECOND_NS


def test_a_clock_behind_the_newest_block_does_not_start() -> None:
    with pytest.raises(StartRefused, match="600 s behind"):
        ClockGuard(FakeClock(NOW_S), last_ns=NOW_NS + 600 * SECOND_NS)


def test_a_long_absence_is_accepted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        guard = ClockGuard(FakeClock(NOW_S), last_ns=NOW_NS - 3600 * SECOND_NS)
    assert guard.next_block_ns(0) == NOW_NS
    assert [record.getMessage() for record in caplog.records] == ["ledger.forward_gap seconds=3600"]


def test_waiting_on_the_fake_clock_ends_when_time_passes() -> None:
    clock, condition, ended = FakeClock(), threading.Condition(), threading.Event()

    def let_time_pass() -> None:
        while not ended.wait(0.005):
            clock.advance(1.0)

    passing = threading.Thread(target=let_time_pass)
    passing.start()
    with condition:
        clock.wait_for(condition, lambda: False, 2.0)
    ended.set()
    passing.join()
    assert clock.monotonic_ns() >= 2 * SECOND_NS


@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()])
def test_waiting_ends_when_the_fact_holds(clock: Clock) -> None:
    condition = threading.Condition()
    told: list[bool] = []

    def tell() -> None:
        with condition:
            told.append(True)
            condition.notify()

    threading.Timer(0.02, tell).start()
    with condition:
        clock.wait_for(condition, lambda: bool(told), 60.0)
    assert told == [True]


def test_the_system_clock_rises() -> None:
    clock = SystemClock()
    assert clock.monotonic_ns() <= clock.monotonic_ns()
    assert clock.wall_ns() > NOW_NS - 10**18


class Sleeping(FakeClock):
    """A machine that is put to sleep after each of the first readings of its monotonic clock."""

    naps = 2

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock was made; whoever asks then loses an hour."""
        now_ns = super().monotonic_ns()
        if self.naps:
            self.naps -= 1
            self.advance(3600)
        return now_ns


def test_a_machine_that_sleeps_between_two_readings_has_not_jumped() -> None:
    # Found by the simulator: clock moved by hand between the two readings, and the ledger stopped.
    clock = Sleeping()
    guard = ClockGuard(clock, last_ns=0)
    clock.naps = 2
    assert guard.next_block_ns(0) == clock.wall_ns()
