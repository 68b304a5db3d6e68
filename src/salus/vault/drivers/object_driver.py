"""What every place for sealed objects can do, and nothing more.

One suite, tests/vault/test_drivers.py, runs on all of them. A driver sees sealed bytes and random names only.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

Span = tuple[int, int]
"""(offset, size), both in bytes; at least one byte."""

_NAME: Final = re.compile(r"[0-9a-f]{32}")


class ObjectDriver(Protocol):
    """Objects by name. Every method raises `Unavailable` when the place cannot be reached or is full."""

    @property
    def size_max_bytes(self) -> int | None:
        """The largest object taken; None when only the place itself is the limit."""

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Store an object whole: durable when this returns, absent (or as before) when it does not.

        An error raised by `pieces` goes through to the caller and stores nothing. Raises `TooLarge`.
        """

    def read(self, name: str, spans: Iterable[Span]) -> Iterator[bytes]:
        """The bytes of each span, in order, holding a few spans at a time; raises `Missing`, or `Damaged` when the
        object ends before a span does."""

    def size(self, name: str) -> int:
        """The object's size in bytes; raises `Missing`."""

    def delete(self, name: str) -> None:
        """Remove an object and whatever an interrupted `put` left of it; an absent one is no error."""

    def names(self) -> Iterator[str]:
        """The names of all whole objects, in any order; what is put or deleted meanwhile may be in it or not."""


def check_name(name: str) -> str:
    """Assert that a name is 32 hexadecimal digits, so that it can never lead out of its place."""
    assert _NAME.fullmatch(name), f"an object's name is 32 hexadecimal digits, got {name!r}"
    return name
