"""Values that must be equal to, or contain, what a profile states; and the values at a path by which slices differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def equals(value: object, fixed: object) -> bool:
    """Whether a JSON value is exactly the fixed one; numbers by their value."""
    if isinstance(fixed, bool) or isinstance(value, bool):
        return value is fixed
    return value == fixed


def contains(value: object, pattern: object) -> bool:
    """Whether a JSON value has everything that the pattern has (R4, ElementDefinition.pattern[x])."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and contains(value[name], each) for name, each in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(one, each) for one in value) for each in pattern)
    return equals(value, pattern)


def at_path(item: Any, path: str) -> Iterator[Any]:
    """The values at a dotted path; an element that is a choice is found under any of its names."""
    if path in ("", "$this"):
        yield item
        return
    name, _, rest = path.partition(".")
    if name == "$this":
        yield from at_path(item, rest)
        return
    for value in named(item, name):
        for each in value if isinstance(value, list) else [value]:
            yield from at_path(each, rest)


def named(item: Any, name: str) -> Iterator[Any]:
    """The values under a name, or under the names of a choice."""
    if not isinstance(item, dict):
        return
    if name in item:
        yield item[name]
    elif not name.endswith("[x]"):
        start = len(name)
        yield from (value for key, value in item.items() if key.startswith(name) and key[start : start + 1].isupper())
    else:
        yield from named(item, name.removesuffix("[x]"))
