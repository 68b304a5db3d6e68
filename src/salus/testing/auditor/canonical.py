"""MessagePack in its one canonical form (docs/spec/machine.md, Encoding), by hand.

Values are int, bytes, str, bool and list. The decoder refuses every byte string that the encoder does not make.
"""

import unicodedata
from typing import Final

Value = int | bytes | str | bool | list["Value"]

DEPTH_MAX: Final = 64
_INT_MIN, _INT_END = -(1 << 63), 1 << 64


class NotCanonical(Exception):
    """Not the one encoding of a value."""


def encode(value: Value) -> bytes:
    """Return the one encoding of a value."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _encode_int(value)
    if isinstance(value, bytes):
        return _head(len(value), small=None, sized=(0xC4, 0xC5, 0xC6)) + value
    if isinstance(value, str):
        data = value.encode()
        return _head(len(data), small=(0xA0, 32), sized=(0xD9, 0xDA, 0xDB)) + data
    return _head(len(value), small=(0x90, 16), sized=(None, 0xDC, 0xDD)) + b"".join(map(encode, value))


def decode(data: bytes) -> Value:
    """Return the value of canonical bytes. Raises NotCanonical."""
    try:
        value, end = _decode(data, 0, DEPTH_MAX)
    except (IndexError, UnicodeDecodeError) as error:
        raise NotCanonical(str(error)) from error
    if end != len(data):
        raise NotCanonical(f"{len(data) - end} bytes too many")
    if encode(value) != data:
        raise NotCanonical("not the shortest form")
    return value


def _encode_int(value: int) -> bytes:
    if -32 <= value < 128:
        return value.to_bytes(1, "big", signed=value < 0)
    for power, (unsigned, signed) in enumerate(((0xCC, 0xD0), (0xCD, 0xD1), (0xCE, 0xD2), (0xCF, 0xD3))):
        size = 1 << power
        if 0 <= value < 1 << 8 * size:
            return bytes([unsigned]) + value.to_bytes(size, "big")
        if -(1 << 8 * size - 1) <= value < 0:
            return bytes([signed]) + value.to_bytes(size, "big", signed=True)
    raise NotCanonical(f"no integer of 64 bits: {value}")


def _head(size: int, *, small: tuple[int, int] | None, sized: tuple[int | None, int, int]) -> bytes:
    """The bytes before a string or an array: its kind and its size."""
    if small is not None and size < small[1]:
        return bytes([small[0] | size])
    if sized[0] is not None and size < 1 << 8:
        return bytes([sized[0], size])
    if size < 1 << 16:
        return bytes([sized[1]]) + size.to_bytes(2, "big")
    return bytes([sized[2]]) + size.to_bytes(4, "big")


def _decode(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    kind = data[at]
    if kind < 0x80 or kind >= 0xE0:
        return int.from_bytes(data[at : at + 1], "big", signed=kind >= 0xE0), at + 1
    if kind in (0xC2, 0xC3):
        return kind == 0xC3, at + 1
    if 0xCC <= kind <= 0xD3:
        size = 1 << (kind - 0xCC) % 4
        return int.from_bytes(_take(data, at + 1, size), "big", signed=kind >= 0xD0), at + 1 + size
    if 0xA0 <= kind < 0xC0:
        return _text(_take(data, at + 1, kind - 0xA0)), at + 1 + kind - 0xA0
    if 0x90 <= kind < 0xA0:
        return _array(data, at + 1, kind - 0x90, depth)
    return _decode_sized(data, at, kind, depth)


def _decode_sized(data: bytes, at: int, kind: int, depth: int) -> tuple[Value, int]:
    widths = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4}
    if kind not in widths:
        raise NotCanonical(f"no such kind of value: {kind:#x}")
    start = at + 1 + widths[kind]
    size = int.from_bytes(_take(data, at + 1, widths[kind]), "big")
    if kind in (0xDC, 0xDD):
        return _array(data, start, size, depth)
    content = _take(data, start, size)
    return (content if kind in (0xC4, 0xC5, 0xC6) else _text(content)), start + size


def _array(data: bytes, at: int, size: int, depth: int) -> tuple[Value, int]:
    if depth == 0:
        raise NotCanonical("nested too deeply")
    if size > len(data):
        raise NotCanonical("an array longer than its bytes")
    items: list[Value] = []
    for _ in range(size):
        item, at = _decode(data, at, depth - 1)
        items.append(item)
    return items, at


def _take(data: bytes, at: int, size: int) -> bytes:
    taken = data[at : at + size]
    if len(taken) < size:
        raise NotCanonical("cut short")
    return taken


def _text(data: bytes) -> str:
    text = data.decode()
    table = unicodedata.ucd_3_2_0
    known = "".join("\n" if table.category(each) == "Cn" else each for each in text)  # what 3.2 has not, parts the text
    if table.normalize("NFC", known) != known:
        raise NotCanonical("text is not NFC")
    return text
