"""Upkeep: tasks are done when due, failures of the world postpone one of them, our own end the worker."""

import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from salus.engines.base import Unavailable as LedgerUnavailable
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.upkeep import ASKING_TASKS, TASKS, Task, Upkeep
from salus.vault.errors import Damaged, Unavailable

PATIENCE_S = 60


class Counted:
    """A task that fails as it is told, and counts."""

    def __init__(self, error: Exception | None = None, *, until: int = 3) -> None:
        self.count = 0
        self.enough = threading.Event()
        self._error = error
        self._until = until

    def __call__(self, _node: object) -> None:
        self.count += 1
        if self.count >= self._until:
            self.enough.set()
        if self._error is not None:
            raise self._error


def kept_up(*work: Callable[[object], None], on_failure: Callable[[], None] = lambda: None) -> Upkeep:
    tasks = [Task(f"task {number}", 0.01, each) for number, each in enumerate(work)]
    return Upkeep(None, on_failure=on_failure, tasks=tasks)


OF_THE_WORLD = [
    NotNow("later"),
    Refused(Refusal.LEDGER_REJECTED, "no"),
    LedgerUnavailable("away"),
    Unavailable("away"),
    Damaged("segment", "not what was stored"),
]


@pytest.mark.parametrize("error", OF_THE_WORLD, ids=lambda error: f"{type(error).__module__}.{type(error).__name__}")
def test_a_failure_of_the_world_is_tried_again_and_hinders_no_other(error: Exception) -> None:
    failing, other = Counted(error), Counted()
    with closing(kept_up(failing, other)):
        assert failing.enough.wait(PATIENCE_S)
        assert other.enough.wait(PATIENCE_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failure_of_ours_ends_the_worker() -> None:
    ended = threading.Event()
    with closing(kept_up(Counted(AssertionError("we are wrong")), on_failure=ended.set)):
        assert ended.wait(PATIENCE_S)


def test_nothing_is_begun_after_close() -> None:
    work = Counted(until=1)
    upkeep = kept_up(work)
    assert work.enough.wait(PATIENCE_S)
    upkeep.close()
    count = work.count
    assert threading.Event().wait(0.05) is False
    assert work.count == count


@pytest.mark.promise("R5")
def test_what_a_node_does_by_itself_and_how_often() -> None:
    every_s = {task.name: task.every_s for task in TASKS}
    care = {"anchor", "mark_committed", "redrive", "tombstones", "renew_root", "sweep"}
    assert every_s.keys() == care | {"collected", "jobs", "looks", "members", "sweep_subscriptions"}
    assert every_s["anchor"] <= 5
    assert max(every_s["redrive"], every_s["tombstones"], every_s["renew_root"]) <= 60
    assert {task.name for task in ASKING_TASKS} == {"statements"}, "what waits for others is in a thread of its own"
