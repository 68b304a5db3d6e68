"""What threads wait for: a value that another thread gives, and a height that the state will have."""

import heapq
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from salus.engines.base import Unavailable

HEIGHT_AHEAD_MAX = 10_000

T = TypeVar("T")


class Given(Generic[T]):
    """One value that another thread gives."""

    def __init__(self) -> None:
        self._given = threading.Event()
        self._value: list[T] = []

    def give(self, value: T) -> None:
        """Give it."""
        self._value.append(value)
        self._given.set()

    def wait(self, timeout_s: float, words: str) -> T:
        """Return it once it is there. Raises Unavailable with these words."""
        if not self._given.wait(timeout_s):
            raise Unavailable(words)
        return self._value[0]


class HeightWaiters:
    """Who waits for which height."""

    def __init__(self, height: int) -> None:
        self._lock = threading.Lock()
        self._height = height
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._number = 0

    def add(self, height: int, reached: Callable[[int], None]) -> None:
        """Call `reached` at this height, at once when it is there. Raises Unavailable when it is too far ahead."""
        with self._lock:
            now = self._height
            if height > now + HEIGHT_AHEAD_MAX:
                raise Unavailable(f"expected a height near {now}, came {height}: ask when it is nearer")
            if height > now:
                self._number += 1
                heapq.heappush(self._heap, (height, self._number, reached))
                return
        reached(now)

    def reached(self, height: int) -> None:
        """Call all who waited for this height or a lower one."""
        due = []
        with self._lock:
            self._height = height
            while self._heap and self._heap[0][0] <= height:
                due.append(heapq.heappop(self._heap)[2])
        for call in due:
            call(height)
