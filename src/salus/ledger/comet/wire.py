"""The part of protobuf's wire format that CometBFT's types use (protobuf.dev, "Encoding").

Writing is canonical: fields ascending, zero values left out, varints as short as they can be. Reading is lenient about
order and strict about sizes: whoever decodes re-encodes and compares, so only canonical bytes are ever accepted.
"""

from collections.abc import Callable
from functools import cache
from typing import TypeVar

from salus.ledger.encoding import EncodingInvalid

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_VARINT_SIZE_MAX_BYTES = 10
_WORD = 1 << 64
_SIGN = 1 << 63

T = TypeVar("T")


def varint(value: int) -> bytes:
    """Encode an integer; negative ones, as int64 and int32 do, in ten bytes of two's complement."""
    rest = value % _WORD
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def integer(number: int, value: int) -> bytes:
    """Field `number` as a varint; nothing for zero."""
    return _tag(number, VARINT) + varint(value) if value else b""


def sfixed64(number: int, value: int) -> bytes:
    """Field `number` as eight bytes, little-endian; nothing for zero."""
    return _tag(number, FIXED64) + value.to_bytes(8, "little", signed=True) if value else b""


def text(number: int, value: str) -> bytes:
    """Field `number` as UTF-8; nothing for the empty string."""
    return blob(number, value.encode())


def blob(number: int, value: bytes) -> bytes:
    """Field `number` as bytes; nothing for no bytes."""
    return message(number, value) if value else b""


def message(number: int, encoded: bytes) -> bytes:
    """Field `number` as bytes or an embedded message, written even when it is empty."""
    return _tag(number, LENGTH) + delimited(encoded)


def delimited(encoded: bytes) -> bytes:
    """A message with its length in front."""
    return varint(len(encoded)) + encoded


class Fields:
    """The fields of one message, read and not yet judged.

    Args:
        data: the message.
        kinds: field number → wire type, for every field that may occur.
        skip_unknown: pass over other fields: for messages that a newer release of their sender may have added to.

    Raises:
        EncodingInvalid: cut off, an unknown field, or a field of another wire type.
    """

    def __init__(self, data: bytes, kinds: dict[int, int], *, skip_unknown: bool = False) -> None:
        self._values: dict[int, list[int | bytes]] = {}
        at = 0
        while at < len(data):
            tag, at = _read_varint(data, at)
            number, kind = tag >> 3, tag & 7
            is_skipped = skip_unknown and number not in kinds and kind in _READERS
            if kinds.get(number) != kind and not is_skipped:
                raise EncodingInvalid(f"unknown field {number} of wire type {kind}")
            value, at = _READERS[kind](data, at)
            if not is_skipped:
                self._values.setdefault(number, []).append(value)

    def numbers(self) -> tuple[int, ...]:
        """Return which fields there are, each once."""
        return tuple(self._values)

    def integer(self, number: int) -> int:
        """Return a field as int64, zero when it is absent."""
        value = self._single(number, 0)
        assert isinstance(value, int)
        return value - _WORD if value & _SIGN else value

    def blob(self, number: int, *, size_max_bytes: int) -> bytes:
        """Return a field's bytes, none when it is absent."""
        value = self._single(number, b"")
        return _bounded(value, size_max_bytes)

    def text(self, number: int, *, size_max_bytes: int) -> str:
        """Return a field as text, empty when it is absent."""
        try:
            return self.blob(number, size_max_bytes=size_max_bytes).decode()
        except UnicodeDecodeError as error:
            raise EncodingInvalid(f"field {number} is not UTF-8") from error

    def blobs(self, number: int, *, size_max_bytes: int, count_max: int) -> list[bytes]:
        """Return a repeated field."""
        values = self._values.get(number, [])
        if len(values) > count_max:
            raise EncodingInvalid(f"expected field {number} at most {count_max} times, came {len(values)} times")
        return [_bounded(value, size_max_bytes) for value in values]

    def _single(self, number: int, absent: int | bytes) -> int | bytes:
        values = self._values.get(number, [absent])
        if len(values) > 1:
            raise EncodingInvalid(f"expected field {number} once, came {len(values)} times")
        return values[0]


def decode_canonical(data: bytes, parse: Callable[[bytes], T], encode: Callable[[T], bytes]) -> T:
    """Parse bytes and insist that they are what the parsed value encodes to.

    Raises:
        EncodingInvalid: not this message, out of bounds, or not canonical.
    """
    value = parse(data)
    if encode(value) != data:
        raise EncodingInvalid("expected the canonical encoding: these bytes re-encode to others")
    return value


@cache  # fields are constants of this program
def _tag(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def _bounded(value: int | bytes, size_max_bytes: int) -> bytes:
    assert isinstance(value, bytes)
    if len(value) > size_max_bytes:
        raise EncodingInvalid(f"expected at most {size_max_bytes} bytes in a field, came {len(value)}")
    return value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + _VARINT_SIZE_MAX_BYTES]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if value >= _WORD:
                raise EncodingInvalid("a varint exceeds 64 bits")
            return value, at + place + 1
    raise EncodingInvalid("a varint is cut off or too long")


def _read_fixed64(data: bytes, at: int) -> tuple[int, int]:
    return _read_fixed(data, at, 8)


def _read_fixed32(data: bytes, at: int) -> tuple[int, int]:
    return _read_fixed(data, at, 4)


def _read_fixed(data: bytes, at: int, size_bytes: int) -> tuple[int, int]:
    if at + size_bytes > len(data):
        raise EncodingInvalid("a fixed field is cut off")
    return int.from_bytes(data[at : at + size_bytes], "little"), at + size_bytes


def _read_length(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _read_varint(data, at)
    if at + size > len(data):
        raise EncodingInvalid("a field is cut off")
    return data[at : at + size], at + size


_READERS: dict[int, Callable[[bytes, int], tuple[int | bytes, int]]] = {
    VARINT: _read_varint,
    FIXED64: _read_fixed64,
    LENGTH: _read_length,
    FIXED32: _read_fixed32,
}
