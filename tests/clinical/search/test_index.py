"""Index values: a table of elements with what each gives, and a walk over everything official."""

from __future__ import annotations

import json
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.fhirpath import environment
from salus.clinical.fhir.search import (
    DateValue,
    IndexValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
    index,
    parameters_of,
)

BASE = "https://salus.example/FHIR/R4"
UCUM = "http://unitsofmeasure.org"
MG = {"value": 5.40, "unit": "milligram", "system": UCUM, "code": "mg"}
DAY = 86_400_000


def reference(**found: Any) -> list[IndexValue]:
    return [ReferenceValue("subject", **found)]


GIVES: dict[str, tuple[str, str, dict[str, Any], list[IndexValue]]] = {
    "string": (
        "Patient",
        "family",
        {"name": [{"family": "Müller  Ω"}]},
        [StringValue("family", "Müller  Ω", "muller ω")],
    ),
    "parts of a name": (
        "Patient",
        "name",
        {"name": [{"text": "A", "given": ["B", "C"], "use": "old"}]},
        [StringValue("name", each, each.lower()) for each in "ABC"],
    ),
    "parts of an address": (
        "Patient",
        "address",
        {"address": [{"line": ["1 High St"], "city": "York", "use": "home"}]},
        [StringValue("address", "1 High St", "1 high st"), StringValue("address", "York", "york")],
    ),
    "code with the system to which it is bound": (
        "Patient",
        "gender",
        {"gender": "female"},
        [TokenValue("gender", "http://hl7.org/fhir/administrative-gender", "female")],
    ),
    "boolean": ("Patient", "active", {"active": False}, [TokenValue("active", None, "false")]),
    "concept": (
        "Observation",
        "code",
        {"code": {"coding": [{"system": "urn:s", "code": "1", "display": "One É"}], "text": "First"}},
        [TokenValue("code", "urn:s", "1", "one e"), TokenValue("code", None, None, "first")],
    ),
    "identifier with two types": (
        "Patient",
        "identifier",
        {
            "identifier": [
                {
                    "system": "urn:i",
                    "value": "7",
                    "type": {"coding": [{"system": "urn:t", "code": "MR"}, {"code": "X"}]},
                }
            ]
        },
        [
            TokenValue("identifier", "urn:i", "7", None, "urn:t", "MR"),
            TokenValue("identifier", "urn:i", "7", None, None, "X"),
        ],
    ),
    "contact": (
        "Patient",
        "email",
        {"telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b.example"}]},
        [TokenValue("email", None, "a@b.example")],
    ),
    "alive": ("Patient", "deceased", {"deceasedBoolean": False}, [TokenValue("deceased", None, "false")]),
    "dead by a date": ("Patient", "deceased", {"deceasedDateTime": "2020"}, [TokenValue("deceased", None, "true")]),
    "not said": ("Patient", "deceased", {}, [TokenValue("deceased", None, "false")]),
    "day": ("Patient", "birthdate", {"birthDate": "1970-01-02"}, [DateValue("birthdate", DAY, 2 * DAY)]),
    "month": ("Patient", "birthdate", {"birthDate": "1970-01"}, [DateValue("birthdate", 0, 31 * DAY)]),
    "year": ("Patient", "birthdate", {"birthDate": "1970"}, [DateValue("birthdate", 0, 365 * DAY)]),
    "last month": (
        "Patient",
        "birthdate",
        {"birthDate": "9999-12"},
        [DateValue("birthdate", 253_399_622_400_000, 253_402_300_800_000)],
    ),
    "second in a zone": (
        "Observation",
        "date",
        {"effectiveDateTime": "1970-01-01T01:00:01+01:00"},
        [DateValue("date", 1_000, 2_000)],
    ),
    "millisecond": ("Observation", "date", {"effectiveInstant": "1970-01-01T00:00:00.007Z"}, [DateValue("date", 7, 8)]),
    "leap second": ("Observation", "date", {"effectiveInstant": "1969-12-31T23:59:60Z"}, [DateValue("date", 0, 1_000)]),
    "period": (
        "Observation",
        "date",
        {"effectivePeriod": {"start": "1970-01-01", "end": "1970-01-02"}},
        [DateValue("date", 0, 2 * DAY)],
    ),
    "open period": ("Observation", "date", {"effectivePeriod": {"end": "1970"}}, [DateValue("date", None, 365 * DAY)]),
    "timing": (
        "Observation",
        "date",
        {"effectiveTiming": {"event": ["1970-01-03", "1970-01-01"]}},
        [DateValue("date", 0, 3 * DAY)],
    ),
    "no date": ("Patient", "birthdate", {"birthDate": "soon"}, []),
    "number": (
        "RiskAssessment",
        "probability",
        {"prediction": [{"probabilityDecimal": Decimal("0.80")}]},
        [NumberValue("probability", 0.8, 0.8)],
    ),
    "amount": (
        "Observation",
        "value-quantity",
        {"valueQuantity": MG},
        [QuantityValue("value-quantity", 5.4, 5.4, UCUM, "mg", "milligram", 0.0054, 0.0054, "g")],
    ),
    "amount of an unknown unit": (
        "Observation",
        "value-quantity",
        {"valueQuantity": {"value": 5, "unit": "furlong"}},
        [QuantityValue("value-quantity", 5.0, 5.0, None, None, "furlong")],
    ),
    "less than": (
        "Observation",
        "value-quantity",
        {"valueQuantity": {"value": 5, "comparator": "<"}},
        [QuantityValue("value-quantity", None, 5.0, None, None, None)],
    ),
    "range": (
        "Condition",
        "onset-age",
        {"onsetRange": {"low": {"value": 1, "system": UCUM, "code": "h"}}},
        [QuantityValue("onset-age", 1.0, None, UCUM, "h", None, 3600.0, None, "s")],
    ),
    "money": (
        "Invoice",
        "totalgross",
        {"totalGross": {"value": 12.5, "currency": "GBP"}},
        [QuantityValue("totalgross", 12.5, 12.5, "urn:iso:std:iso:4217", "GBP", None)],
    ),
    "reference": ("Observation", "subject", {"subject": {"reference": "Patient/7"}}, reference(type="Patient", id="7")),
    "with a version": (
        "Observation",
        "subject",
        {"subject": {"reference": "Patient/7/_history/2"}},
        reference(type="Patient", id="7", version="2"),
    ),
    "by our own address": (
        "Observation",
        "subject",
        {"subject": {"reference": f"{BASE}/Patient/7"}},
        reference(type="Patient", id="7"),
    ),
    "by another's address": (
        "Observation",
        "subject",
        {"subject": {"reference": "https://b.example/Patient/7"}},
        reference(type="Patient", url="https://b.example/Patient/7"),
    ),
    "by URN": ("Observation", "subject", {"subject": {"reference": "urn:uuid:7"}}, reference(url="urn:uuid:7")),
    "inside": ("Observation", "subject", {"subject": {"reference": "#p"}}, []),
    "by identifier": (
        "Observation",
        "subject",
        {"subject": {"type": "Patient", "identifier": {"system": "urn:i", "value": "7"}}},
        reference(type="Patient", identifier_system="urn:i", identifier_value="7"),
    ),
    "of one type only": ("Observation", "patient", {"subject": {"reference": "Group/7"}}, []),
    "of the type that it says": (
        "Observation",
        "patient",
        {"subject": {"reference": "urn:uuid:7", "type": "Patient"}},
        [ReferenceValue("patient", "Patient", None, "urn:uuid:7")],
    ),
    "canonical": (
        "QuestionnaireResponse",
        "questionnaire",
        {"questionnaire": "urn:q|2"},
        [ReferenceValue("questionnaire", url="urn:q", version="2")],
    ),
    "URI": ("ValueSet", "url", {"url": "urn:v"}, [UriValue("url", "urn:v")]),
    "related by kind": (
        "ActivityDefinition",
        "composed-of",
        {"relatedArtifact": [{"type": "composed-of", "resource": "urn:a"}, {"type": "successor", "resource": "urn:b"}]},
        [ReferenceValue("composed-of", url="urn:a")],
    ),
    "first in a bundle": (
        "Bundle",
        "composition",
        {
            "type": "document",
            "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}, {"resource": {"id": "d"}}],
        },
        [ReferenceValue("composition", "Composition", "c")],
    ),
    "id": ("Patient", "_id", {"id": "p"}, [TokenValue("_id", None, "p")]),
    "last updated": (
        "Patient",
        "_lastUpdated",
        {"meta": {"lastUpdated": "1970-01-01T00:00:00Z"}},
        [DateValue("_lastUpdated", 0, 1_000)],
    ),
    "profile": ("Patient", "_profile", {"meta": {"profile": ["urn:p"]}}, [UriValue("_profile", "urn:p")]),
    "tag": ("Patient", "_tag", {"meta": {"tag": [{"code": "t"}]}}, [TokenValue("_tag", None, "t")]),
    "label": ("Patient", "_security", {"meta": {"security": [{"code": "R"}]}}, [TokenValue("_security", None, "R")]),
    "source": ("Patient", "_source", {"meta": {"source": "urn:s"}}, [UriValue("_source", "urn:s")]),
    "first in a bundle, of another type": (
        "Bundle",
        "message",
        {"entry": [{"resource": {"resourceType": "Composition", "id": "c"}}]},
        [],
    ),
    "composite": (
        "Observation",
        "component-code-value-quantity",
        {
            "component": [
                {"code": {"coding": [{"code": "a"}]}, "valueQuantity": {"value": 1}},
                {"code": {"coding": [{"code": "b"}]}},
                {"code": {"coding": [{"code": "c"}]}, "valueQuantity": {"value": 3}},
            ]
        },
        [
            TokenValue("component-code-value-quantity", None, "a", group=1, part=0),
            QuantityValue("component-code-value-quantity", 1.0, 1.0, None, None, None, group=1, part=1),
            TokenValue("component-code-value-quantity", None, "c", group=2, part=0),
            QuantityValue("component-code-value-quantity", 3.0, 3.0, None, None, None, group=2, part=1),
        ],
    ),
    "composite with a date": (
        "Observation",
        "code-value-date",
        {"code": {"coding": [{"code": "a"}]}, "valueDateTime": "1970"},
        [
            TokenValue("code-value-date", None, "a", group=1, part=0),
            DateValue("code-value-date", 0, 365 * DAY, group=1, part=1),
        ],
    ),
    "composite over the whole resource": (
        "MolecularSequence",
        "chromosome-variant-coordinate",
        {
            "referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}},
            "variant": [{"start": 5, "end": 6}],
        },
        [
            TokenValue("chromosome-variant-coordinate", None, "1", group=1, part=0),
            NumberValue("chromosome-variant-coordinate", 5.0, 5.0, group=1, part=1),
            NumberValue("chromosome-variant-coordinate", 6.0, 6.0, group=1, part=2),
        ],
    ),
}


@pytest.mark.parametrize(("type_name", "code", "content", "expected"), GIVES.values(), ids=GIVES)
def test_gives(type_name: str, code: str, content: dict[str, Any], expected: list[IndexValue]) -> None:
    values = index(type_name, {"resourceType": type_name, **content}, base=BASE)
    assert [each for each in values if each.code == code] == expected


def test_every_parameter_of_every_type_has_a_way(shared_data: Path) -> None:
    """Every official example is indexed; what is found belongs to the type; most parameters find something."""
    files = sorted((shared_data / "fhir" / "r4-examples").glob("*.json"))
    assert len(files) > 300
    found: Counter[tuple[str, str]] = Counter()
    for file in files:
        content = json.loads(file.read_bytes())
        known = parameters_of(content["resourceType"])
        for value in index(content["resourceType"], content):
            assert value.code in known, file.name
            found[content["resourceType"], value.code] += 1
    assert sum(found.values()) > 4_000
    assert len({type_name for type_name, _ in found}) > 90
    assert sum(len(parameters_of(each)) for each in r4().resource_types) == 2_575


def test_left_out() -> None:
    """What R4 defines and nobody can answer here is no parameter: it is told as unknown."""
    left_out = {each.code for each in r4().search_parameters} - {
        code for each in r4().resource_types for code in parameters_of(each)
    }
    assert left_out == {"_text", "_content", "_query", "near"}


def test_subscription_fixtures(shared_data: Path) -> None:
    folder = shared_data / "fhir" / "subscriptions-and-search"
    weight = json.loads((folder / "Observation-example.json").read_bytes())
    values = index("Observation", weight)
    codes = {(each.system, each.value) for each in values if isinstance(each, TokenValue) and each.code == "code"}
    assert ("http://loinc.org", "29463-7") in codes
    amounts = [each for each in values if isinstance(each, QuantityValue) and each.code == "value-quantity"]
    assert [(each.low, each.unit_code, each.base_unit) for each in amounts] == [(185.0, "[lb_av]", "g")]
    people = [json.loads((folder / f"patient-example{each}.json").read_bytes()) for each in ("", "-a", "-c")]
    assert all(any(each.code == "family" for each in index("Patient", person)) for person in people)


SYNTHEA_US_MAX = 400  # about 100 on a quiet machine


def test_a_synthea_resource_is_indexed_quickly(shared_data: Path) -> None:
    file = min((shared_data / "fhir" / "synthea-r4").glob("*.json"), key=lambda each: (each.stat().st_size, each.name))
    contents = [each["resource"] for each in json.loads(file.read_bytes())["entry"]]
    for _ in range(2):  # plans are made in the first round
        begun = time.process_time()
        values = [index(each["resourceType"], each) for each in contents]
        spent_us = (time.process_time() - begun) * 1_000_000 / len(contents)
    assert all(values)
    assert spent_us < SYNTHEA_US_MAX


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "code", "value", "reference", "start", "low", "text"]), inner)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["code", "subject", "component", "valueQuantity", "effectivePeriod", "effectiveTiming", "meta", "id"]
)


def test_a_bundle_without_end_is_indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "STEPS_MAX", 100)
    content = {"resourceType": "Bundle", "type": "collection", "entry": [{}] * 101}
    assert [each.code for each in index("Bundle", content)] == ["type"]


@given(st.dictionaries(KEYS, JSON_VALUES, max_size=5))
def test_a_resource_of_any_shape_is_indexed(content: dict[str, Any]) -> None:
    assert {each.code for each in index("Observation", content)} <= set(parameters_of("Observation"))
