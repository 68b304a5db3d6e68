"""JSON read and written again: no digit, no order and no character is lost."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.exact_json import read_exact, write_exact

KEPT = [
    b'{"a":1.50,"b":1E2,"c":-0.0,"d":-0,"e":0.10e-3,"f":123456789012345678901234567890.10}',
    b'{"z":1,"a":[1,2.0,{"b":null}],"_z":true}',
    '{"a":"é ☃ \\" \\\\ / \\n"}'.encode(),
    b"[]",
    b"1.0",
    b'"text"',
]


@pytest.mark.parametrize("source", KEPT)
def test_written_as_it_was_read(source: bytes) -> None:
    assert write_exact(read_exact(source)) == source


def test_a_number_can_be_calculated_with() -> None:
    assert read_exact(b"1.50") == Decimal("1.5")
    assert read_exact(b"1.50") + 1 == Decimal("2.50")


REFUSED = {
    "key twice": (b'{"a":1,"a":2}', Fault.DUPLICATE_KEY),
    "cut off": (b"{", Fault.NOT_JSON),
    "NaN": (b"NaN", Fault.NOT_JSON),
    "endless number": (b"9" * 5_000, Fault.NOT_JSON),
    "65 levels": (b"[" * 65 + b"]" * 65, Fault.TOO_DEEP),
    "100,000 levels": (b"[" * 100_000, Fault.TOO_DEEP),
}


@pytest.mark.parametrize(("source", "fault"), REFUSED.values(), ids=REFUSED)
def test_refused(source: bytes, fault: Fault) -> None:
    with pytest.raises(FhirRejected) as refusal:
        read_exact(source)
    assert refusal.value.fault is fault


def test_every_official_example(shared_data: Path) -> None:
    files = sorted((shared_data / "fhir" / "r4-examples").glob("*.json"))
    assert len(files) > 300
    for file in files:
        source = file.read_bytes()
        written = write_exact(read_exact(source))
        assert literals(written) == literals(source), file.name


def literals(source: bytes) -> object:
    """JSON with its numbers as they are written, and its pairs in order."""
    return json.loads(source, parse_float=str, parse_int=str, object_pairs_hook=list)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5))
def test_any_decimal(number: Decimal) -> None:
    source = format(number, "f").encode()
    assert write_exact(read_exact(source)) == source
