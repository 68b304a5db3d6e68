"""What can be wrong with a resource: types, nesting, numbers, keys, text, references; and with its bytes.

Every function takes the chance that it needs as a `random.Random`, so that a seed is enough to see a case again.
"""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any, Final

RAW: Final = "\ue000"
"""Begins a string whose rest is written as it stands, for what `json` would not write."""
RAW_TEXT: Final = re.compile(r'"\\ue000((?:[^"\\]|\\.)*)"')
TEXTS: Final = (
    *("", " ", "\u0000", "\u200b", "\u202eabc", "e\u0301" * 50, "\U0001f9ec", "\ud7ff", "'\"\\/<>&;%00", "../../etc"),
    *("%s%n{0}${x}", "<script>x</script>", "' OR 1=1 --", "A" * 5_000, "\ufeff", "null", "true", "\t\r\n"),
)
NUMBERS: Final = (
    *("1e400", "-1e-400", "9" * 400, "0." + "1" * 400, "-0", "1E+1000000", "9223372036854775808", "1" + "0" * 5_000),
)
DATES: Final = (
    *("2026-02-30", "0000-01-01", "9999-12-31T24:00:00Z", "2026-01-01T00:00:00+25:00", "2026", "20260101", "2026-13"),
    *("2026-01-01T00:00:60Z", "-2026-01-01", "2026-01-01T00:00:00.123456789123Z", "today"),
)
REFERENCES: Final = (
    *("Patient/never", "Patient/", "Patient", "#", "#none", "urn:uuid:0", "https://other.example/Patient/1"),
    *("Group/1", "Patient/a/_history/99999999999", "Patient?name=x", "../Patient/1", "Observation/never", "//", "?"),
)
OTHERS: Final[tuple[Any, ...]] = (None, True, 0, -1, 1.5, "x", [], {}, [[]], [None], {"x": 1}, [{}], {"": ""})
KEYS: Final = ("__proto__", "_", "_id", "extension", "contained", "resourceType", "\u0000", "x" * 300, "id ", "ID")
NESTED: Final = (8, 63, 64, 65, 200, 5_000)


def spoilt(chance: Random, resource: dict[str, Any]) -> bytes:
    """Return a resource with one to four things wrong, as bytes; now and then with nothing wrong."""
    value = json.loads(json.dumps(resource))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 4))):
        chance.choice(CHANGES)(chance, value)
    body = written(value)
    return chance.choice(BYTES)(chance, body) if chance.random() < 0.15 else body


def written(value: Any) -> bytes:
    """Return a value as JSON, with what begins with RAW as it stands."""
    text = RAW_TEXT.sub(lambda found: str(json.loads(f'"{found[1]}"')), json.dumps(value))
    return text.encode("utf-8", "surrogatepass")


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: what holds it, and the key or number there."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [each for key, child in inside for each in ((value, key), *places(child))]


def _somewhere(chance: Random, value: dict[str, Any]) -> tuple[Any, Any]:
    found = places(value)
    return chance.choice(found) if found else (value, "x")


def _other_type(chance: Random, value: dict[str, Any]) -> None:
    holder, key = _somewhere(chance, value)
    holder[key] = deepcopy(chance.choice(OTHERS))


def _odd_text(chance: Random, value: dict[str, Any]) -> None:
    holder, key = _somewhere(chance, value)
    holder[key] = chance.choice((*TEXTS, *DATES, RAW + '"\\ud800"', RAW + '"\\u0000"'))


def _odd_number(chance: Random, value: dict[str, Any]) -> None:
    holder, key = _somewhere(chance, value)
    holder[key] = RAW + chance.choice(NUMBERS)


def _gone(chance: Random, value: dict[str, Any]) -> None:
    holder, key = _somewhere(chance, value)
    if isinstance(holder, dict):
        holder.pop(key, None)


def _wrapped(chance: Random, value: dict[str, Any]) -> None:
    holder, key = _somewhere(chance, value)
    depth = chance.choice(NESTED)
    inside = json.dumps(holder.get(key) if isinstance(holder, dict) else holder[key]).replace(RAW, "")
    opening, closing = chance.choice((("[", "]"), ('{"extension":[', "]}"), ('{"x":', "}")))
    holder[key] = RAW + opening * depth + inside + closing * depth


def _repeated(chance: Random, value: dict[str, Any]) -> None:
    holder, key = _somewhere(chance, value)
    if isinstance(holder, list):
        holder.extend([holder[key]] * chance.choice((1, 10, 2_000)))
    else:
        again = json.dumps(str(key))
        holder[key] = RAW + f"1,{again}:2"


def _unknown_key(chance: Random, value: dict[str, Any]) -> None:
    holder, _ = _somewhere(chance, value)
    (holder if isinstance(holder, dict) else value)[chance.choice(KEYS)] = deepcopy(chance.choice(OTHERS))


def _odd_reference(chance: Random, value: dict[str, Any]) -> None:
    found = [each for each in places(value) if each[1] == "reference"]
    holder, key = chance.choice(found) if found else (value, "subject")
    holder[key] = chance.choice(REFERENCES) if found else {"reference": chance.choice(REFERENCES)}


CHANGES: Final[tuple[Callable[[Random, dict[str, Any]], None], ...]] = (
    *(_other_type, _odd_text, _odd_number, _gone, _wrapped, _repeated, _unknown_key, _odd_reference),
)


def _cut(chance: Random, body: bytes) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _flipped(chance: Random, body: bytes) -> bytes:
    place = chance.randrange(max(1, len(body)))
    return body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :]


BYTES: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    _cut,
    _flipped,
    lambda _chance, body: b"\xef\xbb\xbf" + body,
    lambda _chance, body: body + body,
    lambda _chance, body: body.replace(b"{", b"\xff{", 1),
    lambda _chance, body: body.decode("utf-8", "replace").encode("utf-16"),
    lambda _chance, _body: b"",
    lambda _chance, _body: b"<Patient xmlns='http://hl7.org/fhir'><id value='x'/></Patient>",
    lambda _chance, _body: b"<!DOCTYPE x [<!ENTITY a 'aaa'>]><Patient xmlns='http://hl7.org/fhir'>&a;</Patient>",
)
