"""Rows of the search index: what a resource is found by, as columns that a database compares.

Where only equality counts, a keyed hash stands for the value: whoever takes the database reads no code, no identifier
and no reference from it. Words and dates have to be there as they are, so that they can be searched by their beginning
and put in order.
"""

import hmac
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import msgspec

from salus.clinical.fhir.search.values import (
    DateValue,
    IndexValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)

HASH_BYTES: Final = 12
OPEN: Final = 1e300
"""Stands for an end that is open; beyond every time and number that is indexed."""
PARTS: Final = 8
"""How many components a composite may have; the group and the component share one column."""

_encode = msgspec.msgpack.Encoder().encode


class TokenRow(msgspec.Struct, frozen=True):
    """A row of `node_tokens`, without its resource."""

    parameter: int
    part: int
    value: bytes


class TextRow(msgspec.Struct, frozen=True):
    """A row of `node_texts`, without its resource."""

    parameter: int
    text: str


class RangeRow(msgspec.Struct, frozen=True):
    """A row of `node_ranges`, without its resource; `low` is included, `high` is not, unless both are equal."""

    parameter: int
    part: int
    unit: bytes
    low: float
    high: float


AnyRow = TokenRow | TextRow | RangeRow


class Keyed:
    """The hashes that stand for values, under one node's key.

    Each says first what it is of, so that no two kinds of value share one.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, kind: str, *parts: str) -> bytes:
        """Return the hash of a value's parts."""
        return hmac.digest(self._key, _encode((kind, *parts)), "sha256")[:HASH_BYTES]

    def code(self, value: str) -> bytes:
        """Of a code or identifier in any system."""
        return self.of("code", value)

    def token(self, system: str, value: str) -> bytes:
        """Of a code or identifier in a system; empty for none."""
        return self.of("token", system, value)

    def system(self, system: str) -> bytes:
        """Of anything in a system."""
        return self.of("system", system)

    def of_type(self, type_system: str, type_code: str, value: str) -> bytes:
        """Of an identifier of a type."""
        return self.of("of-type", type_system, type_code, value)

    def reference(self, type_name: str, logical_id: str) -> bytes:
        """Of a resource of this server."""
        return self.of("reference", type_name, logical_id)

    def address(self, url: str) -> bytes:
        """Of an address, or of a URI as it is written."""
        return self.of("address", url)

    def referred(self, system: str, value: str) -> bytes:
        """Of a reference by identifier."""
        return self.of("identifier", system, value)

    def exact(self, text: str) -> bytes:
        """Of a string as it is written."""
        return self.of("exact", text)

    def unit(self, system: str, code: str) -> bytes:
        """Of a coded unit; without a system, of the unit in words."""
        return self.of("unit", system, code)

    def base_unit(self, unit: str) -> bytes:
        """Of UCUM's base units."""
        return self.of("base-unit", unit)


@lru_cache(maxsize=8192)
def parameter_number(type_name: str, code: str) -> int:
    """Return the number that stands for a type's parameter; a test shows that no two share one."""
    return zlib.crc32(f"{type_name}.{code}".encode()) & 0x7FFF_FFFF


def rows_of(keyed: Keyed, type_name: str, value: IndexValue) -> Iterator[AnyRow]:
    """Yield the rows of one value of a resource of a type."""
    parameter = parameter_number(type_name, value.code)
    part = value.group * PARTS + value.part
    match value:
        case StringValue():
            yield TextRow(parameter, value.folded)
            yield TokenRow(parameter, part, keyed.exact(value.text))
        case TokenValue():
            yield from (TokenRow(parameter, part, each) for each in _token_hashes(keyed, value))
            if value.text:
                yield TextRow(parameter, value.text)
        case ReferenceValue():
            yield from (TokenRow(parameter, part, each) for each in _reference_hashes(keyed, value))
        case UriValue():
            yield TokenRow(parameter, part, keyed.address(value.uri))
            yield TextRow(parameter, value.uri)
        case DateValue():
            yield RangeRow(parameter, part, b"", *_ends(value.from_ms, value.to_ms))
        case NumberValue():
            yield RangeRow(parameter, part, b"", *_ends(value.low, value.high))
        case QuantityValue():
            yield from _quantity_rows(keyed, parameter, part, value)


def _token_hashes(keyed: Keyed, value: TokenValue) -> Iterator[bytes]:
    if value.value is not None:
        yield keyed.code(value.value)
        yield keyed.token(value.system or "", value.value)
        if value.type_code is not None:
            yield keyed.of_type(value.type_system or "", value.type_code, value.value)
    if value.system is not None:
        yield keyed.system(value.system)


def _reference_hashes(keyed: Keyed, value: ReferenceValue) -> Iterator[bytes]:
    if value.id is not None:
        yield keyed.reference(value.type or "", value.id)
    if value.url is not None:
        yield keyed.address(value.url)
        if value.version is not None:
            yield keyed.address(f"{value.url}|{value.version}")
    if value.identifier_value is not None:
        yield keyed.referred(value.identifier_system or "", value.identifier_value)


def _quantity_rows(keyed: Keyed, parameter: int, part: int, value: QuantityValue) -> Iterator[RangeRow]:
    ends = _ends(value.low, value.high)
    yield RangeRow(parameter, part, b"", *ends)
    if value.unit_code is not None:
        yield RangeRow(parameter, part, keyed.unit(value.system or "", value.unit_code), *ends)
    for each in {value.unit_code, value.unit} - {None}:
        yield RangeRow(parameter, part, keyed.unit("", str(each)), *ends)
    if value.base_unit is not None:
        yield RangeRow(parameter, part, keyed.base_unit(value.base_unit), *_ends(value.base_low, value.base_high))


def _ends(low: float | None, high: float | None) -> tuple[float, float]:
    return (-OPEN if low is None else float(low), OPEN if high is None else float(high))
