"""Values of primitive types, one row each: what is accepted, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.validation.primitives import ACCEPT, CHECKS

ACCEPTED = {
    "base64Binary": ["aGVsbG8=", "aGVs bG8=\n", "AA=="],
    "boolean": [True, False],
    "canonical": ["http://example.org/a|1.0", "#a"],
    "code": ["a", "a b", "🙂"],
    "date": ["2024", "2024-02", "2024-02-28", "2024-02-29", "0001-12-31"],
    "dateTime": ["2024", "2024-02-29", "2024-02-29T23:59:60Z", "2024-02-28T00:00:00.123+14:00"],
    "decimal": [1, 1.5, -0.0, Decimal("1.50")],
    "id": ["a", "A-1.b", "9" * 64],
    "instant": ["2024-02-29T23:59:59Z", "2024-02-28T23:59:59Z", "2024-12-31T00:00:00.1-05:30"],
    "integer": [0, -(2**31), 2**31 - 1],
    "markdown": ["*a*", "*a*\n<b>b</b>"],
    "oid": ["urn:oid:2.16.840.1"],
    "positiveInt": [1],
    "string": ["a", "a\r\n\tb", "p < 0.05", "ärztlich 日本"],
    "time": ["23:59:59", "00:00:00.5"],
    "unsignedInt": [0],
    "uri": ["urn:x", "http://a"],
    "url": ["http://a"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "xhtml": ["<div/>"],
}
REFUSED = {
    "base64Binary": ["%%%2@()()", "A", "AA", "AA=", "AA==A", "ä===", "", 1],
    "boolean": ["true", 1, 0, None],
    "canonical": ["a b", ""],
    "code": ["", " a", "a ", "a  b", "a\tb", 1],
    "date": [
        "24",
        "2024-13",
        "2024-00-01",
        "2023-02-29",
        "2024-04-31",
        "2024-01-01T00:00:00Z",
        "2024-1-1",
        2024,
        "0000",
    ],
    "dateTime": ["2024-02-29T23:59Z", "2024-02-29T23:59:59", "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "today"],
    "decimal": ["1", True, None],
    "id": ["", "a/b", "a b", "org_1", "9" * 65, 1],
    "instant": ["2024-02-29", "2023-02-29T00:00:00Z"],
    "integer": [1.0, "1", True, 2**31],
    "markdown": ["", "  ", "a\x00"],
    "oid": ["2.16", "urn:oid:3.1", "urn:oid:1.02"],
    "positiveInt": [0, -1],
    "string": ["", " ", "a\x0b", 1, "a <script>b</script>", "x" * (1024 * 1024 + 1)],
    "time": ["24:00:00", "1:00:00", "10:00"],
    "unsignedInt": [-1],
    "uri": ["", "a b", "a\n"],
    "url": [" a"],
    "uuid": ["urn:uuid:C757873D-EC9A-4326-A141-556F43239520", "c757873d-ec9a-4326-a141-556f43239520"],
    "xhtml": [""],
}


def test_every_primitive_type_has_rows() -> None:
    assert set(CHECKS) == set(ACCEPTED) == set(REFUSED) == r4().primitive_types


@pytest.mark.parametrize("kind", ACCEPTED)
def test_accepted(kind: str) -> None:
    assert [value for value in ACCEPTED[kind] if CHECKS[kind](value)] == []


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_and_never_repeated(kind: str) -> None:
    assert [value for value in REFUSED[kind] if not CHECKS[kind](value)] == []
    texts = [value for value in REFUSED[kind] if type(value) is str and len(value) > 4]
    assert [text for text in texts if text in CHECKS[kind](text)] == []


@pytest.mark.parametrize("kind", ACCEPT)
def test_the_quick_test_accepts_only_what_the_check_accepts(kind: str) -> None:
    texts = {
        value for rows in (ACCEPTED, REFUSED) for values in rows.values() for value in values if type(value) is str
    }
    assert [text for text in texts if ACCEPT[kind](text) and CHECKS[kind](text)] == []
    assert [text for text in ACCEPTED[kind] if type(text) is str and ACCEPT[kind](text)]
