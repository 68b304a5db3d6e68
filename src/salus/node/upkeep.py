"""Upkeep: what a node does by itself, in one of its workers, beside answering: anchor, finish, follow, renew, sweep.

Promises: a task that fails because the world does is tried again at its next time, and keeps no other from its own; a
task that fails because we are wrong ends the worker, so that nobody goes on without anchors (R5).
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import structlog

from salus.engines.base import Unavailable as LedgerUnavailable
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refused
from salus.node.http_peers import node_peers
from salus.node.services import (
    anchor,
    collect,
    deposit,
    enrol,
    erase,
    jobs,
    looks,
    member_directory,
    statements,
    subscriptions,
    take_over,
)
from salus.vault.errors import Rejected, Unavailable

log = structlog.get_logger("salus.upkeep")


@dataclass(frozen=True)
class Task:
    """Something to be done again and again.

    Args:
        every_s: seconds from one end to the next beginning.
    """

    name: str
    every_s: float
    work: Callable[[Node], object]


REDRIVE_AGE_S: Final = 10
"""What is younger is left to the worker that is at it."""


def _redrive(node: Node) -> None:
    enrol.finish_enrolments(node)
    take_over.finish_take_overs(node)
    deposit.redrive(node, age_s=REDRIVE_AGE_S)


TASKS: Final = (
    Task("anchor", 3, anchor.anchor),
    Task("mark_committed", 3, deposit.mark_committed),
    Task("looks", 3, looks.keep_up),
    Task("redrive", 60, _redrive),
    Task("tombstones", 60, erase.follow_tombstones),
    Task("renew_root", 60, lambda node: node.vault.renew_root_if_due()),
    Task("sweep", 600, lambda node: node.vault.sweep()),
    Task("members", 600, member_directory.publish),
    Task("sweep_subscriptions", 600, subscriptions.sweep),
    Task("jobs", 600, jobs.sweep),
    Task("collected", 600, collect.sweep),
)
"""Anchors are due within 5 s of a release (R5)."""


def _collect(node: Node) -> None:
    with closing(node_peers(node)) as peers:
        statements.collect(node, peers)


ASKING_TASKS: Final = (Task("statements", 60, _collect),)
"""What waits for other nodes, in a thread of its own: one that does not answer keeps no anchor waiting."""


class Upkeep:
    """A thread that does tasks when they are due, the first time at once.

    Args:
        on_failure: called when a task fails for a reason that is ours; the thread has ended then.
    """

    def __init__(self, node: Node, *, on_failure: Callable[[], None], tasks: Sequence[Task] = TASKS) -> None:
        self._node = node
        self._on_failure = on_failure
        self._tasks = tasks
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the running task finish, and begin no other."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = dict.fromkeys(range(len(self._tasks)), time.monotonic())
        try:
            while not self._stop.wait(max(0.0, min(due_s.values()) - time.monotonic())):
                number = min(due_s, key=lambda each: due_s[each])
                self._do(self._tasks[number])
                due_s[number] = time.monotonic() + self._tasks[number].every_s
        except BaseException as error:
            log.error("upkeep.failed", error=type(error).__name__)
            self._on_failure()
            raise

    def _do(self, task: Task) -> None:
        try:
            task.work(self._node)
        except (Refused, NotNow, LedgerUnavailable, Unavailable, Rejected) as error:
            log.warning("upkeep.postponed", task=task.name, error=type(error).__name__)
