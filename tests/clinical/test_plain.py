"""What resources say in plain values: the name, the day, the value with its digits, its range and its side."""

from __future__ import annotations

from decimal import Decimal

import pytest

from salus.clinical.fhir import plain
from salus.clinical.fhir.exact_json import read_exact
from salus.clinical.fhir.plain import Range, Value

RANGE = '"referenceRange":[{"low":{"value":3.5},"high":{"value":5.30}}]'


IN_ANOTHER_UNIT = '"referenceRange":[{"low":{"value":13.0,"unit":"g/dL"},"high":{"value":17.0,"unit":"g/dL"}}]'
OF_MEN_AND_WOMEN = (
    '"referenceRange":['
    '{"appliesTo":[{"text":"men"}],"low":{"value":130,"unit":"g/L"},"high":{"value":170,"unit":"g/L"}},'
    '{"appliesTo":[{"text":"women"}],"low":{"value":120,"unit":"g/L"},"high":{"value":150,"unit":"g/L"}}]'
)


def read(text: str) -> dict[str, object]:
    found: dict[str, object] = read_exact(text.encode())
    return found


@pytest.mark.parametrize(
    ("observation", "want"),
    [
        ('{"valueQuantity":{"value":4.30,"unit":"mmol/L","code":"x"}}', Value("4.30", "mmol/L", Decimal("4.30"))),
        ('{"valueQuantity":{"value":5,"comparator":"<","code":"mg/L"}}', Value("< 5", "mg/L", None)),
        ('{"valueQuantity":{"unit":"mmol/L"}}', Value("")),
        ('{"valueCodeableConcept":{"coding":[{"code":"1","display":"Never smoked"}]}}', Value("Never smoked")),
        ('{"valueString":"clear"}', Value("clear")),
        ('{"valueInteger":-0}', Value("-0")),
        ('{"valueBoolean":false}', Value("no")),
        (
            '{"component":[{"code":{"text":"Systolic"},"valueQuantity":{"value":144}},{"code":{"text":"Diastolic"}}]}',
            Value("Systolic: 144"),
        ),
        (
            '{"valueRatio":{"numerator":{"value":1},"denominator":{"value":128}}}',
            Value("1 : 128"),
        ),
        ('{"valueRange":{"low":{"value":5,"unit":"mg"},"high":{"value":10,"unit":"mg"}}}', Value("5 mg – 10 mg")),
        ('{"valueRange":{"high":{"value":10,"unit":"mg"}}}', Value("≤ 10 mg")),
        ('{"valuePeriod":{"start":"2026-01-01","end":"2026-01-03"}}', Value("2026-01-01 – 2026-01-03")),
        ('{"valueTime":"14:30:00"}', Value("14:30:00")),
        ('{"valueRatio":3}', Value("")),
        ("{}", Value("")),
    ],
)
def test_a_value_keeps_its_digits_and_its_unit(observation: str, want: Value) -> None:
    assert plain.value_of(read(observation)) == want


@pytest.mark.parametrize(
    ("observation", "want"),
    [
        ('{"valueQuantity":{"value":6},' + RANGE + "}", "high"),
        ('{"valueQuantity":{"value":3.4},' + RANGE + "}", "low"),
        ('{"valueQuantity":{"value":5.3},' + RANGE + "}", ""),
        ('{"valueQuantity":{"value":4},"interpretation":[{"coding":[{"code":"HH"}]}],' + RANGE + "}", "high"),
        ('{"valueQuantity":{"value":6}}', ""),
        ('{"valueString":"6",' + RANGE + "}", ""),
        ('{"valueQuantity":{"value":142,"unit":"g/L"},' + IN_ANOTHER_UNIT + "}", ""),
        ('{"valueQuantity":{"value":142,"unit":"g/L"},' + OF_MEN_AND_WOMEN + "}", ""),
    ],
)
def test_a_value_is_high_or_low_by_the_laboratory_or_by_its_range(observation: str, want: str) -> None:
    assert plain.flag_of(read(observation)) == want


@pytest.mark.parametrize(
    ("observation", "want"),
    [
        ("{" + RANGE + "}", Range(Decimal("3.5"), Decimal("5.30"))),
        ('{"referenceRange":[{"text":"negative"}]}', Range(words="negative")),
        ("{}", Range()),
        (
            '{"valueQuantity":{"value":4,"unit":"mmol/l"},"referenceRange":[{"high":{"value":5.3,"unit":"mmol/L"}}]}',
            Range(high=Decimal("5.3")),
        ),
        (
            (
                '{"valueQuantity":{"value":4,"unit":"mmol per litre","code":"mmol/L"},'
                '"referenceRange":[{"high":{"value":5.3,"unit":"mmol/L","code":"mmol/L"}}]}'
            ),
            Range(high=Decimal("5.3")),
        ),
        ('{"valueQuantity":{"value":142,"unit":"g/L"},' + IN_ANOTHER_UNIT + "}", Range(words="13.0 g/dL – 17.0 g/dL")),
        (
            '{"valueQuantity":{"value":142,"code":"g/L"},"referenceRange":[{"low":{"value":13,"unit":"g/dL"}}]}',
            Range(words="≥ 13 g/dL"),
        ),
        (
            '{"valueQuantity":{"value":4,"unit":"mmol/l"},"referenceRange":[{"low":{"value":3,"code":"mmol/L"}}]}',
            Range(Decimal(3)),
        ),
        (
            '{"valueQuantity":{"value":4},"referenceRange":[{"low":{"value":3,"code":"mmol/L"}}]}',
            Range(Decimal(3)),
        ),
        (
            '{"valueQuantity":{"value":142,"unit":"g/L"},' + OF_MEN_AND_WOMEN + "}",
            Range(words="men: 130 g/L – 170 g/L; women: 120 g/L – 150 g/L"),
        ),
        (
            '{"referenceRange":[{"type":{"text":"target"},"high":{"value":48}}]}',
            Range(words="target: ≤ 48"),
        ),
        (
            (
                '{"referenceRange":[{"type":{"coding":[{"code":"treatment"}]},"low":{"value":2}},'
                '{"type":{"coding":[{"code":"normal"}]},"low":{"value":1},"high":{"value":3}}]}'
            ),
            Range(Decimal(1), Decimal(3)),
        ),
    ],
)
def test_the_usual_range_is_the_one_that_came_with_the_value(observation: str, want: Range) -> None:
    assert plain.range_of(read(observation)) == want


@pytest.mark.parametrize(
    ("codes", "want"), [("HH", "critical"), ("A", "abnormal"), ("H", ""), ("N", ""), ("A LL", "critical")]
)
def test_what_the_laboratory_is_concerned_about(codes: str, want: str) -> None:
    said = [{"coding": [{"code": each}]} for each in codes.split()]
    assert plain.concern_of({"interpretation": said}) == want


@pytest.mark.parametrize(
    ("resource", "name", "date"),
    [
        ('{"resourceType":"Condition","code":{"text":"Gout"},"recordedDate":"2020-01-01"}', "Gout", "2020-01-01"),
        ('{"resourceType":"ImagingStudy","modality":[{"code":"CT"}],"started":"2021"}', "CT", "2021"),
        ('{"resourceType":"MedicationRequest","medicationReference":{"display":"Aspirin"}}', "Aspirin", ""),
        ('{"resourceType":"DocumentReference","description":"Letter","type":{"text":"x"}}', "Letter", ""),
        ('{"resourceType":"Encounter","class":{"code":"AMB","display":"ambulatory"}}', "ambulatory", ""),
        ('{"resourceType":"Basic"}', "", ""),
    ],
)
def test_a_resource_has_its_source_s_name_and_day(resource: str, name: str, date: str) -> None:
    content = read(resource)
    assert (plain.name_of(content), plain.date_of(content)) == (name, date)


def test_a_medicine_inside_of_its_prescription_has_its_name() -> None:
    inside = {"resourceType": "Medication", "id": "m", "code": {"text": "Warfarin 3mg tablets"}}
    asked = {"resourceType": "MedicationRequest", "contained": [inside], "medicationReference": {"reference": "#m"}}
    assert plain.name_of(asked) == "Warfarin 3mg tablets"
    assert plain.name_of(asked | {"medicationReference": {"reference": "#n"}}) == ""


def test_codes_are_those_of_what_it_is_about() -> None:
    content = read('{"resourceType":"Observation","code":{"coding":[{"system":"a","code":"1"},{"display":"x"}]}}')
    assert plain.codes_of(content) == (("a", "1"),)
