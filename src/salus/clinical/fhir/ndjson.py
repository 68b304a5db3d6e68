"""NDJSON: one resource a line, read at constant memory however long the file is (FHIR Bulk Data)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.resources import RESOURCE_BYTES_MAX, Resource, parse

NEWLINES = b"\r\n"


def read_ndjson(stream: BinaryIO, *, start_line: int = 1) -> Iterator[tuple[int, Resource]]:
    """Each resource with the number of its line; empty lines are skipped.

    Args:
        stream: bytes, read forwards only.
        start_line: the number of the first line read, for a caller that goes on after a fault: the stream stands at
            the line after the one that was refused.

    Raises:
        FhirRejected: at the first line that is not a resource, placed at that line; earlier lines were given out.
    """
    number = start_line
    while line := stream.readline(RESOURCE_BYTES_MAX + len(NEWLINES) + 1):
        body = line.rstrip(NEWLINES)
        if body.strip():
            if len(body) > RESOURCE_BYTES_MAX and not line.endswith(b"\n"):
                skip_line(stream)  # so that a caller can go on with the next one
            yield number, resource_at(number, body)
        number += 1


def resource_at(number: int, body: bytes) -> Resource:
    """Parse one line; faults carry its number."""
    if len(body) > RESOURCE_BYTES_MAX:
        expected = f"a line of at most {RESOURCE_BYTES_MAX:,} bytes"
        hint = "check that the file has one resource a line"
        raise FhirRejected(Fault.TOO_LARGE, expected=expected, came="a longer one", hint=hint, place=f"line {number}")
    try:
        return parse(body)
    except FhirRejected as fault:
        raise fault.at(f"line {number}") from fault


def skip_line(stream: BinaryIO) -> None:
    """Read on to the end of the line, in pieces."""
    while piece := stream.readline(65_536):
        if piece.endswith(b"\n"):
            return
