"""Queries: what each means."""

from __future__ import annotations

import pytest

from salus.clinical.fhir.search import (
    Alternative,
    Chain,
    Criterion,
    Filter,
    Has,
    Include,
    Query,
    Sort,
    SoughtComposite,
    SoughtDate,
    SoughtNumber,
    SoughtQuantity,
    SoughtReference,
    SoughtString,
    SoughtToken,
    SoughtUri,
    parse_query,
)

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
BASE = "https://salus.example/FHIR/R4"


def of(type_name: str, parameter: str, kind: str, *values: object, modifier: str = "") -> Criterion:
    return Criterion(type_name, parameter, kind, modifier, values)  # type: ignore[arg-type]


def token(system: str | None = None, value: str | None = None) -> SoughtToken:
    return SoughtToken(system, value)


FAMILY = of("Patient", "family", "string", SoughtString("Smith", "smith"))
CODE = of("Observation", "code", "token", token(None, "1234-5"))

FILTERS: dict[str, tuple[str, str, str, Filter]] = {
    "string": ("Patient", "family", "Smith", FAMILY),
    "string, folded": (
        "Patient",
        "family",
        "Ü  bel",
        of("Patient", "family", "string", SoughtString("Ü  bel", "u bel")),
    ),
    "two strings": (
        "Patient",
        "family",
        "a,b",
        of("Patient", "family", "string", SoughtString("a", "a"), SoughtString("b", "b")),
    ),
    "a comma inside": ("Patient", "family", r"a\,b", of("Patient", "family", "string", SoughtString("a,b", "a,b"))),
    "exact": (
        "Patient",
        "family:exact",
        "Smith",
        of("Patient", "family", "string", SoughtString("Smith", "smith"), modifier="exact"),
    ),
    "contains": (
        "Patient",
        "family:contains",
        "mit",
        of("Patient", "family", "string", SoughtString("mit", "mit"), modifier="contains"),
    ),
    "missing": ("Patient", "birthdate:missing", "true", Criterion("Patient", "birthdate", "date", missing=True)),
    "not missing": ("Patient", "birthdate:missing", "false", Criterion("Patient", "birthdate", "date", missing=False)),
    "code": ("Observation", "code", "1234-5", CODE),
    "system and code": ("Observation", "code", f"{LOINC}|1", of("Observation", "code", "token", token(LOINC, "1"))),
    "any of a system": ("Observation", "code", f"{LOINC}|", of("Observation", "code", "token", token(LOINC))),
    "no system": ("Observation", "code", "|1", of("Observation", "code", "token", token("", "1"))),
    "a bar inside": ("Observation", "code", r"a\|b", of("Observation", "code", "token", token(None, "a|b"))),
    "words of a code": (
        "Observation",
        "code:text",
        "Body  Weight",
        of("Observation", "code", "token", SoughtToken(text="body weight"), modifier="text"),
    ),
    "not": (
        "Observation",
        "status:not",
        "final",
        of("Observation", "status", "token", token(None, "final"), modifier="not"),
    ),
    "of type": (
        "Patient",
        "identifier:of-type",
        "urn:t|MR|12",
        of(
            "Patient",
            "identifier",
            "token",
            SoughtToken(value="12", type_system="urn:t", type_code="MR"),
            modifier="of-type",
        ),
    ),
    "in a value set": (
        "Observation",
        "code:in",
        "urn:vs",
        of("Observation", "code", "token", SoughtToken(system="urn:vs"), modifier="in"),
    ),
    "day": (
        "Patient",
        "birthdate",
        "1970-01-02",
        of("Patient", "birthdate", "date", SoughtDate("eq", 86_400_000, 172_800_000)),
    ),
    "before a year": (
        "Patient",
        "birthdate",
        "lt1970",
        of("Patient", "birthdate", "date", SoughtDate("lt", 0, 31_536_000_000)),
    ),
    "month": (
        "Patient",
        "birthdate",
        "ge1970-02",
        of("Patient", "birthdate", "date", SoughtDate("ge", 2_678_400_000, 5_097_600_000)),
    ),
    "minute": (
        "Observation",
        "date",
        "sa1970-01-01T00:01Z",
        of("Observation", "date", "date", SoughtDate("sa", 60_000, 120_000)),
    ),
    "second in a zone, its plus unencoded": (
        "Observation",
        "date",
        "eb1970-01-01T01:00:00 01:00",
        of("Observation", "date", "date", SoughtDate("eb", 0, 1_000)),
    ),
    "fraction": (
        "Observation",
        "date",
        "ap1970-01-01T00:00:00.25Z",
        of("Observation", "date", "date", SoughtDate("ap", 250, 260)),
    ),
    "the last year": (
        "Observation",
        "date",
        "9999",
        of("Observation", "date", "date", SoughtDate("eq", 253_370_764_800_000, 253_402_300_800_000)),
    ),
    "number": (
        "RiskAssessment",
        "probability",
        "0.80",
        of("RiskAssessment", "probability", "number", SoughtNumber("eq", 0.8, 0.795, 0.805)),
    ),
    "exponent": (
        "RiskAssessment",
        "probability",
        "gt1e2",
        of("RiskAssessment", "probability", "number", SoughtNumber("gt", 100.0, 50.0, 150.0)),
    ),
    "approximately": (
        "RiskAssessment",
        "probability",
        "ap100",
        of("RiskAssessment", "probability", "number", SoughtNumber("ap", 100.0, 90.0, 110.0)),
    ),
    "amount": (
        "Observation",
        "value-quantity",
        "5.4",
        of("Observation", "value-quantity", "quantity", SoughtQuantity("eq", 5.4, 5.35, 5.45)),
    ),
    "amount with a unit": (
        "Observation",
        "value-quantity",
        f"ge5|{UCUM}|mg",
        of(
            "Observation",
            "value-quantity",
            "quantity",
            SoughtQuantity("ge", 5.0, 4.5, 5.5, UCUM, "mg", 0.005, 0.0045, 0.0055, "g"),
        ),
    ),
    "amount with a written unit": (
        "Observation",
        "value-quantity",
        "5||mg",
        of("Observation", "value-quantity", "quantity", SoughtQuantity("eq", 5.0, 4.5, 5.5, None, "mg")),
    ),
    "reference by id": (
        "Observation",
        "subject",
        "7",
        of("Observation", "subject", "reference", SoughtReference(None, "7")),
    ),
    "the only type is known": (
        "Encounter",
        "episode-of-care",
        "7",
        of("Encounter", "episode-of-care", "reference", SoughtReference("EpisodeOfCare", "7")),
    ),
    "reference by type and id": (
        "Observation",
        "subject",
        "Patient/7",
        of("Observation", "subject", "reference", SoughtReference("Patient", "7")),
    ),
    "reference by our own address": (
        "Observation",
        "subject",
        f"{BASE}/Patient/7",
        of("Observation", "subject", "reference", SoughtReference("Patient", "7")),
    ),
    "reference by another's address": (
        "Observation",
        "subject",
        "https://b.example/Patient/7",
        of("Observation", "subject", "reference", SoughtReference(url="https://b.example/Patient/7")),
    ),
    "reference with the type as modifier": (
        "Observation",
        "subject:Patient",
        "7",
        of("Observation", "subject", "reference", SoughtReference("Patient", "7")),
    ),
    "reference by identifier": (
        "Observation",
        "subject:identifier",
        "urn:s|7",
        of(
            "Observation",
            "subject",
            "reference",
            SoughtReference(identifier=SoughtToken("urn:s", "7")),
            modifier="identifier",
        ),
    ),
    "canonical with a version": (
        "QuestionnaireResponse",
        "questionnaire",
        "urn:q|2",
        of("QuestionnaireResponse", "questionnaire", "reference", SoughtReference(url="urn:q", version="2")),
    ),
    "URI": ("ValueSet", "url", "urn:a|b", of("ValueSet", "url", "uri", SoughtUri("urn:a|b"))),
    "URI below": ("ValueSet", "url:below", "urn:a", of("ValueSet", "url", "uri", SoughtUri("urn:a"), modifier="below")),
    "composite": (
        "Observation",
        "code-value-quantity",
        f"{LOINC}|1$gt5",
        of(
            "Observation",
            "code-value-quantity",
            "composite",
            SoughtComposite((token(LOINC, "1"), SoughtQuantity("gt", 5.0, 4.5, 5.5))),
        ),
    ),
    "id": ("Patient", "_id", "a,b", of("Patient", "_id", "token", token(None, "a"), token(None, "b"))),
    "security label": ("Patient", "_security", "urn:s|R", of("Patient", "_security", "token", token("urn:s", "R"))),
    "chain": (
        "Observation",
        "subject:Patient.family",
        "Smith",
        Chain("Observation", "subject", (Alternative("Patient", FAMILY),)),
    ),
    "chain without a type": (
        "Observation",
        "subject.family",
        "Smith",
        Chain("Observation", "subject", (Alternative("Patient", FAMILY),)),
    ),
    "chain of two": (
        "DiagnosticReport",
        "result.subject:Patient.family",
        "Smith",
        Chain(
            "DiagnosticReport",
            "result",
            (Alternative("Observation", Chain("Observation", "subject", (Alternative("Patient", FAMILY),))),),
        ),
    ),
    "reverse chain": (
        "Patient",
        "_has:Observation:patient:code",
        "1234-5",
        Has("Patient", "Observation", "patient", CODE),
    ),
    "reverse chain of two": (
        "Patient",
        "_has:Observation:patient:_has:DiagnosticReport:result:status",
        "final",
        Has(
            "Patient",
            "Observation",
            "patient",
            Has(
                "Observation",
                "DiagnosticReport",
                "result",
                of("DiagnosticReport", "status", "token", token(None, "final")),
            ),
        ),
    ),
    "chain to a reverse chain": (
        "Encounter",
        "patient._has:Observation:patient:code",
        "1234-5",
        Chain("Encounter", "patient", (Alternative("Patient", Has("Patient", "Observation", "patient", CODE)),)),
    ),
}


@pytest.mark.parametrize(("type_name", "name", "value", "expected"), FILTERS.values(), ids=FILTERS)
def test_filter(type_name: str, name: str, value: str, expected: Filter) -> None:
    assert parse_query(type_name, [(name, value)], is_strict=True, base=BASE) == Query(type_name, (expected,))


def test_chain_to_many_types_has_an_alternative_each() -> None:
    (chain,) = parse_query("Observation", [("performer.name", "x")], is_strict=True).filters
    assert isinstance(chain, Chain)
    assert {each.type for each in chain.alternatives} == {"Practitioner", "Organization", "Patient", "RelatedPerson"}


RESULTS = {
    "count": ([("_count", "5")], Query("Patient", count=5)),
    "count above the limit": ([("_count", "99999")], Query("Patient", count=1000)),
    "count of nothing": ([("_count", "0")], Query("Patient", count=0)),
    "total": ([("_total", "accurate")], Query("Patient", total="accurate")),
    "summary": ([("_summary", "count")], Query("Patient", summary="count")),
    "elements": ([("_elements", "name,Patient.birthDate,name")], Query("Patient", elements=("name", "birthDate"))),
    "sort": (
        [("_sort", "-birthdate,_id")],
        Query("Patient", sort=(Sort("birthdate", "date", True), Sort("_id", "token", False))),  # noqa: FBT003
    ),
    "include": (
        [("_include", "Patient:organization")],
        Query("Patient", includes=(Include("Patient", "organization", None, False, False),)),  # noqa: FBT003
    ),
    "include of everything": (
        [("_include", "*")],
        Query("Patient", includes=(Include("Patient", "*", None, False, False),)),  # noqa: FBT003
    ),
    "include of a type": (
        [("_include:iterate", "Patient:general-practitioner:Organization")],
        Query("Patient", includes=(Include("Patient", "general-practitioner", "Organization", False, True),)),  # noqa: FBT003
    ),
    "everything that refers here": (
        [("_revinclude", "Provenance:target"), ("_revinclude", "Observation:*"), ("_revinclude", "Provenance:target")],
        Query(
            "Patient",
            includes=(
                Include("Provenance", "target", None, True, False),  # noqa: FBT003
                Include("Observation", "*", None, True, False),  # noqa: FBT003
            ),
        ),
    ),
    "the form of the answer": ([("_format", "json"), ("_pretty", "true")], Query("Patient")),
    "unknown ones are passed over": (
        [("smith", "1"), ("family", "Smith"), ("gender", "")],
        Query("Patient", (FAMILY,), ignored=(1, 3)),
    ),
    "so are those that R4 cannot answer": ([("_text", "x"), ("_list", "$y")], Query("Patient", ignored=(1, 2))),
    "an unknown one with a modifier": ([("smith:exact", "1")], Query("Patient", ignored=(1,))),
}


@pytest.mark.parametrize(("pairs", "expected"), RESULTS.values(), ids=RESULTS)
def test_results(pairs: list[tuple[str, str]], expected: Query) -> None:
    assert parse_query("Patient", pairs) == expected


def test_a_type_that_is_none_has_no_parameters() -> None:
    assert parse_query("Smith", [("family", "a")]) == Query("Smith", ignored=(1,))
