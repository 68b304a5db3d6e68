"""What is compiled when it is first needed, for any number of threads.

Types hold each other, and themselves: whoever compiles one sees what is half made, and nobody else does before all of
it is whole.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Compiled(Generic[V]):
    """Things by name, each made once."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._whole: dict[str, V] = {}
        self._making: dict[str, V] = {}
        self._depth = 0

    def of(self, name: str, make: Callable[[], V]) -> V:
        """Return a thing, made if it is not there yet; one that is half made, to whoever is making it."""
        if name in self._whole:
            return self._whole[name]
        with self._lock:
            for there in (self._whole, self._making):
                if name in there:
                    return there[name]
            self._depth += 1
            try:
                made = self._making[name] = make()
                if self._depth == 1:  # all that it holds is whole as well
                    self._whole |= self._making
            finally:
                self._depth -= 1
                if self._depth == 0:  # also after a failure: what was half made is made again
                    self._making.clear()
            return made

    def begin(self, name: str, value: V) -> None:
        """Say what stands for a thing while `make` makes it."""
        self._making[name] = value
