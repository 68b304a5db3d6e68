"""Queries that are refused, each with its fault and words; and that nothing else happens to any query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.search import parse_query

REFUSED = {
    "unknown parameter, strictly": ("Patient", "smith", "1", Fault.UNKNOWN_PARAMETER, "a search parameter of Patient"),
    "empty, strictly": ("Patient", "family", "", Fault.BAD_PARAMETER, "a value for family"),
    "commas only": ("Patient", "family", ",,", Fault.BAD_PARAMETER, "a value for family"),
    "modifier of another kind": ("Patient", "birthdate:exact", "2000", Fault.BAD_PARAMETER, "a modifier of birthdate"),
    "unknown modifier": ("Patient", "family:smith", "a", Fault.BAD_PARAMETER, "missing, exact, contains"),
    "terminology that is not offered": ("Observation", "code:above", "1", Fault.BAD_PARAMETER, "a modifier of code"),
    "type that is no target": ("Observation", "subject:Medication", "1", Fault.BAD_PARAMETER, "a modifier of subject"),
    "missing what": ("Patient", "family:missing", "smith", Fault.BAD_PARAMETER, "true or false"),
    "no date": ("Patient", "birthdate", "smith", Fault.BAD_PARAMETER, "a date as"),
    "no such day": ("Patient", "birthdate", "2023-02-30", Fault.BAD_PARAMETER, "a date as"),
    "no number": ("RiskAssessment", "probability", "smith", Fault.BAD_PARAMETER, "a number"),
    "endless number": ("RiskAssessment", "probability", "1e999", Fault.BAD_PARAMETER, "a number"),
    "half an amount": ("Observation", "value-quantity", "5|mg", Fault.BAD_PARAMETER, "an amount as"),
    "three parts of a token": ("Observation", "code", "a|b|c", Fault.BAD_PARAMETER, "a token as"),
    "bars only": ("Observation", "code", "|", Fault.BAD_PARAMETER, "a token as"),
    "half a type": ("Patient", "identifier:of-type", "MR|smith", Fault.BAD_PARAMETER, "system|code|value"),
    "reference to another type": (
        "Observation",
        "subject:Patient",
        "Group/1",
        Fault.BAD_PARAMETER,
        "the type of the modifier",
    ),
    "inside itself": ("Observation", "subject", "|smith", Fault.BAD_PARAMETER, "a reference as"),
    "half a composite": ("Observation", "code-value-quantity", "a", Fault.BAD_PARAMETER, "2 values with $"),
    "chain from a string": ("Patient", "family.name", "a", Fault.BAD_PARAMETER, "begins with a reference"),
    "chain to nothing": ("Observation", "subject.smith", "a", Fault.UNKNOWN_PARAMETER, "a search parameter of"),
    "chain by a wrong type": ("Observation", "subject:Smith.name", "a", Fault.BAD_PARAMETER, "a type that subject may"),
    "chain without end": ("Patient", "link.link.link.link.link.family", "a", Fault.SEARCH_TOO_LARGE, "at most 3"),
    "reverse chain without end": (
        "Patient",
        "_has:Observation:patient:" + "_has:Observation:has-member:" * 4 + "code",
        "a",
        Fault.SEARCH_TOO_LARGE,
        "at most 3",
    ),
    "half a reverse chain": ("Patient", "_has:Observation:code", "a", Fault.BAD_PARAMETER, "_has:Type:reference"),
    "reverse chain by no reference": (
        "Patient",
        "_has:Observation:code:code",
        "a",
        Fault.UNKNOWN_PARAMETER,
        "a reference",
    ),
    "reverse chain from elsewhere": (
        "Practitioner",
        "_has:Observation:patient:code",
        "a",
        Fault.BAD_PARAMETER,
        "point to Practitioner",
    ),
    "too many values": ("Patient", "family", "a," * 257, Fault.SEARCH_TOO_LARGE, "at most 256 values"),
    "too long a value": ("Patient", "family", "a" * 2_001, Fault.SEARCH_TOO_LARGE, "at most 2,000 characters"),
    "count of words": ("Patient", "_count", "ten", Fault.BAD_PARAMETER, "a whole number"),
    "negative count": ("Patient", "_count", "-1", Fault.BAD_PARAMETER, "a whole number"),
    "unknown total": ("Patient", "_total", "some", Fault.BAD_PARAMETER, "none, estimate, accurate"),
    "elements that are no names": ("Patient", "_elements", "name.family", Fault.BAD_PARAMETER, "names of elements"),
    "sort by nothing": ("Patient", "_sort", "smith", Fault.BAD_PARAMETER, "a parameter of Patient that has an order"),
    "sort by a composite": ("Observation", "_sort", "code-value-quantity", Fault.BAD_PARAMETER, "that has an order"),
    "include by no reference": (
        "Patient",
        "_include",
        "Patient:name",
        Fault.UNKNOWN_PARAMETER,
        "a reference parameter",
    ),
    "include from no type": ("Patient", "_include", "Smith:name", Fault.BAD_PARAMETER, "_include=Type:parameter"),
    "include of everything from everywhere": ("Patient", "_revinclude", "*", Fault.BAD_PARAMETER, "Type:parameter"),
    "include of everything, again and again": ("Patient", "_include:iterate", "*", Fault.BAD_PARAMETER, "Type:param"),
    "include of another type": (
        "Patient",
        "_include",
        "Patient:organization:Group",
        Fault.BAD_PARAMETER,
        "may point to",
    ),
    "include by another modifier": (
        "Patient",
        "_include:smith",
        "Patient:organization",
        Fault.BAD_PARAMETER,
        "iterate",
    ),
}


@pytest.mark.promise("P4")
@pytest.mark.parametrize(("type_name", "name", "value", "fault", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(type_name: str, name: str, value: str, fault: Fault, words: str) -> None:
    with pytest.raises(FhirRejected) as refusal:
        parse_query(type_name, [(name, value)], is_strict=True)
    assert refusal.value.fault is fault
    assert words in str(refusal.value)
    assert str(refusal.value).startswith("parameter 1: expected")
    assert "smith" not in str(refusal.value).lower()


LENIENTLY_REFUSED = ["_has:Smith:patient:code", "subject.smith", "code:smith", "date:exact", "_include"]


@pytest.mark.parametrize("name", LENIENTLY_REFUSED)
def test_what_is_known_and_wrong_is_refused_also_leniently(name: str) -> None:
    with pytest.raises(FhirRejected):
        parse_query("Observation", [(name, "x")])


TYPES = ["Account", "Basic", "Claim", "Condition", "Consent", "Coverage", "Device", "Flag", "Goal", "List", "Location"]
MANY = {
    "parameters": [("family", "a")] * 65,
    "includes": [(name, f"{each}:*") for name in ("_include", "_revinclude") for each in TYPES],
    "sorts": [("_sort", ",".join(["_id"] * 9))],
    "counts": [("_count", "1"), ("_count", "2")],
    "elements": [("_elements", ",".join(f"a{each}" for each in range(101)))],
}


@pytest.mark.parametrize("pairs", MANY.values(), ids=MANY)
def test_too_many(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(FhirRejected):
        parse_query("Patient", pairs)
    assert parse_query("Patient", pairs[: len(pairs) // 2]).type == "Patient"


NAMES = [
    *("family", "code", "date", "subject", "_id", "_has", "_sort", "_include", "value-quantity", "url"),
    "code-value-quantity",
]
PIECES = ["", ":exact", ":missing", ":Patient", ".name", ":of-type", "Observation", ":", "|", "\\", "$", ","]
PAIRS = st.tuples(
    st.builds(str.__add__, st.sampled_from(NAMES), st.sampled_from(PIECES)),
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join),
)


def answer(type_name: str, pairs: list[tuple[str, str]]) -> str | Fault:
    """The type of the query, or the fault for which it is refused."""
    try:
        return parse_query(type_name, pairs).type
    except FhirRejected as refusal:
        return refusal.fault


@given(st.lists(PAIRS, max_size=4))
def test_any_query_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    faults = (Fault.UNKNOWN_PARAMETER, Fault.BAD_PARAMETER, Fault.SEARCH_TOO_LARGE)
    assert answer("Observation", pairs) in ("Observation", *faults)
    assert answer("Patient", pairs) in ("Patient", *faults)
