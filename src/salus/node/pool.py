"""Threads for work that blocks, and a bound on what may wait for them: what cannot be done soon is not taken on."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from salus.node.errors import Busy

T = TypeVar("T")


class Pool:
    """A pool of threads; places are taken and given back on the event loop only.

    Args:
        waiting_max: how much may wait beyond what has a thread.
    """

    def __init__(self, threads: int, *, waiting_max: int) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="answering")
        self._room = threads + waiting_max

    async def run(self, work: Callable[[], T]) -> T:
        """Run something in a thread. Raises Busy when too much waits already."""
        self.take()
        try:
            return await asyncio.get_running_loop().run_in_executor(self.executor, work)
        finally:
            self.give_back()

    def take(self) -> None:
        """Take one place; only on the event loop. Raises Busy when there is none."""
        if self._room == 0:
            raise Busy("this node has as much to do as it can: try again in a moment")
        self._room -= 1

    def give_back(self) -> None:
        """Give a place back."""
        self._room += 1

    def close(self) -> None:
        """Let running work finish."""
        self.executor.shutdown()
