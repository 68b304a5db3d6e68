"""Every single change to a MessagePack file: each number, byte string, text and list in it, one at a time.

A proof that holds must hold in one form only, so a test can demand that each of these is refused.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

Value = Any
Place = tuple[int, ...]


def single_changes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (where and what, the changed file)."""
    root = msgspec.msgpack.decode(data)
    for place, value in _walk(root, ()):
        for what, changed in _changes(value):
            yield f"{'.'.join(map(str, place))} {what}", msgspec.msgpack.encode(_replaced(root, place, changed))


def bit_flips(data: bytes, *, every: int) -> Iterator[tuple[str, bytes]]:
    """Yield the file with one bit changed, in every `every`-th byte."""
    for at in range(0, len(data), every):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        yield f"byte {at}", bytes(changed)


def _walk(value: Value, place: Place) -> Iterator[tuple[Place, Value]]:
    yield place, value
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, (*place, index))


def _changes(value: Value) -> Iterator[tuple[str, Value]]:
    if isinstance(value, bool):
        yield "negated", not value
    elif isinstance(value, int):
        yield "plus one", value + 1
        yield "minus one", value - 1
    elif isinstance(value, bytes):
        yield from _byte_changes(value)
    elif isinstance(value, str):
        yield "longer", value + "X"
        yield "shorter", value[:-1]
    elif isinstance(value, list):
        yield from _list_changes(value)


def _byte_changes(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "one byte more", value + b"\x00"
    if value:
        yield "one byte less", value[:-1]
        yield "first bit", bytes([value[0] ^ 0x80]) + value[1:]
        yield "last bit", value[:-1] + bytes([value[-1] ^ 1])
        middle = len(value) // 2
        yield "middle bit", value[:middle] + bytes([value[middle] ^ 8]) + value[middle + 1 :]


def _list_changes(value: list[Value]) -> Iterator[tuple[str, list[Value]]]:
    if value:
        yield "first left out", value[1:]
        yield "last left out", value[:-1]
        yield "last twice", [*value, value[-1]]
    if len(value) > 1 and value[0] != value[1]:
        yield "first two exchanged", [value[1], value[0], *value[2:]]


def _replaced(root: Value, place: Place, changed: Value) -> Value:
    if not place:
        return changed
    index = place[0]
    return [*root[:index], _replaced(root[index], place[1:], changed), *root[index + 1 :]]
