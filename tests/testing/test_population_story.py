"""The patient of the demo: what is where, and that exactly one letter is psychiatric."""

from __future__ import annotations

from collections import Counter

import pytest

from salus.clinical import fhir, labels
from salus.testing.population import HOSPITAL, PRACTICE, people, story_patient

PSYCHIATRIC = tuple(sorted((labels.label("PSY"), labels.label("R"))))


@pytest.mark.parametrize("seed", range(1, 13))
def test_one_psychiatric_letter_at_the_hospital_and_none_at_the_practice(seed: int) -> None:
    person = story_patient(seed)
    marked = {
        chart.custodian.ods: [
            (resource.type, resource.metadata.labels)
            for resource in map(fhir.parse, chart.resources)
            if resource.metadata.labels
        ]
        for chart in person.charts
    }
    assert marked == {
        HOSPITAL.ods: [("Binary", PSYCHIATRIC), ("DocumentReference", PSYCHIATRIC)],
        PRACTICE.ods: [],
    }


@pytest.mark.parametrize("seed", range(1, 13))
def test_what_the_charts_hold(seed: int) -> None:
    person = story_patient(seed)
    hospital, practice = (Counter(fhir.parse(body).type for body in chart.resources) for chart in person.charts)
    assert hospital >= Counter(
        {"Patient": 1, "DocumentReference": 3, "Binary": 3, "AllergyIntolerance": 1, "Condition": 2, "Encounter": 2}
    )
    assert hospital["Observation"] >= 8
    assert hospital["DiagnosticReport"] >= 3
    assert practice >= Counter({"Patient": 1, "DocumentReference": 2, "Condition": 3, "MedicationRequest": 3})
    assert practice["Immunization"] == 1


def test_she_is_the_same_with_every_seed_and_nobody_of_the_population() -> None:
    one, two = story_patient(1), story_patient(2)
    assert (one.nhs_number, one.family, one.birth_date) == (two.nhs_number, two.family, two.birth_date)
    assert one.nhs_number.digits == "9990000018"
    assert one.charts != two.charts
    assert story_patient(1) == one
    assert all(person.nhs_number != one.nhs_number for person in people(1, 200))


def test_the_psychiatric_letter_is_the_last_of_the_hospital_chart() -> None:
    hospital = story_patient(1).charts[0]
    letter = fhir.parse(hospital.resources[-1])
    assert letter.metadata.title == "Clinical letter: Liaison psychiatry, 18/03/2026"
