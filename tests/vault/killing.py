"""Kill a process at a chosen point of its work on files and transactions, and count the points there are."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from sqlalchemy import Engine, event

HANGS_AFTER_S = 60
POINTS_MAX = 400
PATCHED = ("fsync", "replace", "unlink", "write", "mkdir")


# Every third point in `make test`, every point in `make long`.
STRIDES = (3, pytest.param(1, marks=pytest.mark.long))


def points(stride: int) -> Iterable[int]:
    """The points to die at, until the work ends before one; with a stride, some of them."""
    return range(0, POINTS_MAX, stride)


def run_and_kill(work: Callable[[], object], at_point: int) -> bool:
    """Fork, run `work`, and SIGKILL the child when it comes to a point; False when it ended before that point.

    Points lie before and after each fsync, rename, removal, write and commit.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            install(at_point)
            work()
            status = 0
        finally:
            os._exit(status)
    status = wait(child)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed by itself"
    return os.WIFSIGNALED(status)


def wait(child: int) -> int:
    """The status of a child; one that hangs is killed and is a failure."""
    end_s = time.monotonic() + HANGS_AFTER_S
    while time.monotonic() < end_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"the work did not end within {HANGS_AFTER_S} s")


def install(at_point: int) -> None:
    """Count the points of this process from now on, and die at one."""
    passed = 0

    def point() -> None:
        nonlocal passed
        if passed == at_point:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    for name in PATCHED:
        setattr(os, name, between_points(getattr(os, name), point))
    # SQLAlchemy tells before it commits; the point after is the next of the file system's, or the end
    event.listen(Engine, "commit", lambda _connection: point())


def between_points(call: Callable[..., Any], point: Callable[[], None]) -> Callable[..., Any]:
    """The same call with a point before and one after it."""

    def called(*arguments: Any, **named: Any) -> Any:
        point()
        answer = call(*arguments, **named)
        point()
        return answer

    return called
