"""NDJSON: line by line, at constant memory, with the line named when one is bad."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator

import pytest

from salus.clinical.fhir import Fault, FhirRejected, ndjson, read_ndjson

ONE = b'{"resourceType":"Patient","id":"1"}'
TWO = b'{"resourceType":"Condition","subject":{"reference":"Patient/1"}}'

READ = {
    "two lines": (ONE + b"\n" + TWO + b"\n", [(1, ONE), (2, TWO)]),
    "no newline at the end": (ONE + b"\n" + TWO, [(1, ONE), (2, TWO)]),
    "Windows line ends": (ONE + b"\r\n" + TWO + b"\r\n", [(1, ONE), (2, TWO)]),
    "empty lines are skipped and counted": (b"\n" + ONE + b"\n  \n" + TWO, [(2, ONE), (4, TWO)]),
    "spaces belong to the record": (b" " + ONE + b" \n", [(1, b" " + ONE + b" ")]),
    "empty file": (b"", []),
}


@pytest.mark.parametrize(("source", "expected"), READ.values(), ids=READ)
def test_read(source: bytes, expected: list[tuple[int, bytes]]) -> None:
    assert [(number, resource.body) for number, resource in read_ndjson(io.BytesIO(source))] == expected


def test_a_bad_line_is_named_and_one_can_go_on_after_it() -> None:
    stream = io.BytesIO(ONE + b"\n{broken\n" + TWO)
    lines = read_ndjson(stream)
    assert next(lines)[0] == 1
    with pytest.raises(FhirRejected, match=r"^line 2: expected JSON in UTF-8") as refusal:
        next(lines)
    assert refusal.value.fault is Fault.NOT_JSON
    assert [(number, resource.type) for number, resource in read_ndjson(stream, start_line=3)] == [(3, "Condition")]


def test_a_bundle_in_a_line_cut_in_two_is_named() -> None:
    with pytest.raises(FhirRejected, match=r"^line 1"):
        list(read_ndjson(io.BytesIO(ONE[:10] + b"\n" + ONE[10:])))


@pytest.mark.parametrize("over", [1, 2, 3, 200_000])
def test_a_line_above_the_limit_is_refused_and_skipped(monkeypatch: pytest.MonkeyPatch, over: int) -> None:
    monkeypatch.setattr(ndjson, "RESOURCE_BYTES_MAX", 100)
    stream = io.BytesIO(b'"' + b"x" * (98 + over) + b'"\n' + TWO)
    with pytest.raises(FhirRejected, match=r"^line 1: expected a line of at most 100 bytes") as refusal:
        next(read_ndjson(stream))
    assert refusal.value.fault is Fault.TOO_LARGE
    assert next(read_ndjson(stream, start_line=2))[0] == 2


class Endless(io.RawIOBase):
    """A file of the same line again and again, which takes no memory itself."""

    def __init__(self, line: bytes, count: int) -> None:
        self.lines: Iterator[bytes] = iter([line] * count)

    def readline(self, size: int | None = -1) -> bytes:
        return next(self.lines, b"")


def peak_bytes(count: int) -> int:
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_ndjson(Endless(ONE + b"\n", count))) == count
        return tracemalloc.get_traced_memory()[1] - count * 8
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file() -> None:
    peak_bytes(100)
    long, short = (min(peak_bytes(count) for _ in range(3)) for count in (5_000, 500))  # other threads allocate, too
    assert long < short + 20_000
