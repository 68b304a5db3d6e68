"""Validators that do something wrong, each by one change of our own code. Only a process of its own becomes one."""

from collections.abc import Callable

FAULTS: dict[str, Callable[[], None]] = {}


def become(fault: str) -> None:
    """Change this process; the empty name changes nothing."""
    if fault:
        FAULTS[fault]()
