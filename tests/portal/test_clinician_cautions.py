"""What a record's name alone would say wrongly is said beside it, and what is not there is not said to be none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.portal.patient_charts import add, sodium
from tests.portal.portal_world import Browser, Hospital, portal
from tests.portal.second_custodian import Manner
from tests.portal.test_clinician_view import PRACTICE, opened, settled

LONG = "Two nodules in the right upper lobe. " * 12
LABORATORY = ("http://snomed.info/sct", "15220000")
"""A test in a laboratory, whichever."""
TO_COME = {"id": "sodium-to-come", "status": "preliminary"}


def named(kind: str, text: str, **more: Any) -> dict[str, Any]:
    about = "vaccineCode" if kind == "Immunization" else "medicationCodeableConcept" if "Medic" in kind else "code"
    return {"resourceType": kind, "id": re.sub("[^a-z]", "-", text.casefold()), about: {"text": text}} | more


def verified(code: str) -> dict[str, Any]:
    return {"verificationStatus": {"coding": [{"code": code}]}, "clinicalStatus": {"coding": [{"code": "active"}]}}


def ferritin(value: int, day: str, *codes: tuple[str, str]) -> dict[str, Any]:
    return measured("Ferritin", value, *codes) | {"id": f"ferritin-{value}", "effectiveDateTime": day}


def measured(name: str, value: int, *codes: tuple[str, str]) -> dict[str, Any]:
    code = {"text": name, "coding": [{"system": system, "code": code} for system, code in codes]}
    return named("Observation", name, status="final", valueQuantity={"value": value, "unit": "ug/L"}) | {"code": code}


def bilirubin(value: float, unit: str, day: str) -> dict[str, Any]:
    found = measured("Bilirubin", 0, ("http://loinc.org", "1234-5"))
    return found | {"id": f"b-{day}", "effectiveDateTime": day, "valueQuantity": {"value": value, "unit": unit}}


CHART = [
    bilirubin(1.8, "mg/dL", "2024-05-01"),
    bilirubin(31, "umol/L", "2025-05-01"),
    bilirubin(29, "umol/L", "2026-05-01"),
    named("Immunization", "Yellow fever vaccine", status="not-done", occurrenceDateTime="2026-03-01"),
    named("Procedure", "Left nephrectomy", status="not-done", performedDateTime="2026-03-01"),
    named("MedicationStatement", "Lithium tablets", status="not-taken"),
    named("MedicationRequest", "Methotrexate tablets", status="active", intent="order", doNotPerform=True),
    named("MedicationRequest", "Digoxin tablets", status="on-hold", intent="order"),
    named("Condition", "Epilepsy", **verified("refuted")),
    named("Condition", "Lupus", **verified("provisional")),
    named("Condition", "Old fracture"),
    named("Flag", "Was at risk of falls", status="inactive"),
    named("DiagnosticReport", "CT of chest", status="preliminary", conclusion=LONG, effectiveDateTime="2026-03-01"),
    named("DiagnosticReport", "Full blood count", status="final", result=[{"reference": "Observation/1"}]),
    named(
        "Observation",
        "Troponin",
        status="final",
        valueQuantity={"value": 900, "unit": "ng/L"},
        interpretation=[{"coding": [{"code": "HH"}]}],
    ),
    ferritin(30, "2026-11-28", ("http://loinc.org", "2276-4")),
    ferritin(20, "2026-05-01", ("http://snomed.info/sct", "993381000000106"), ("http://loinc.org", "2276-4")),
    ferritin(10, "2025-05-01", ("http://snomed.info/sct", "993381000000106")),
    measured("Zinc", 11, ("http://loinc.org", "2601-3"), LABORATORY),
    measured("Copper", 12, ("http://loinc.org", "5631-7"), LABORATORY),
    measured("Selenium", 13, LABORATORY),
    sodium(1, value=128, at="2026-11-28T06:10:00Z"),
    sodium(2, value=131, at="2026-11-28T18:25:00Z") | TO_COME,
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder, is_joined=True) as made:
        add(made, folder, CHART)
        yield made


@pytest.fixture(scope="module")
def browser(here: Hospital) -> Browser:
    return opened(here)


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("vaccinations", "Yellow fever vaccine (not done)"),
        ("images", "Left nephrectomy (not done)"),
        ("results", "900 ng/L (high, critical)"),
        ("results", "131 mmol/L (low, not final)"),
        ("reports", "CT of chest (not final)"),
    ],
)
def test_it_is_said_beside_the_name(browser: Browser, kind: str, said: str) -> None:
    assert said in text_of(browser.get(f"/patient/all/{kind}").text)


@pytest.mark.parametrize(
    ("kind", "name", "state"),
    [
        ("medicines", "Lithium tablets", "not taken"),
        ("medicines", "Methotrexate tablets", "do not give"),
        ("medicines", "Digoxin tablets", "on hold"),
        ("problems", "Epilepsy", "ruled out"),
        ("problems", "Lupus", "not confirmed"),
        ("problems", "Old fracture", "not said"),
    ],
)
def test_nothing_is_said_to_go_on_that_does_not(browser: Browser, kind: str, name: str, state: str) -> None:
    page = browser.get(f"/patient/all/{kind}").text
    (row,) = [each for each in page.split("<tr") if name in each]
    assert (state in row, "goes on" in row) == (True, False)


def test_a_warning_that_is_over_is_said_to_be(browser: Browser) -> None:
    assert "Was at risk of falls : no longer active" in text_of(settled(browser))


def test_what_a_report_says_is_read_whole_and_a_heading_of_results_is_no_report(browser: Browser) -> None:
    page = browser.get("/patient/all/reports").text
    assert "Full blood count" not in page
    (address,) = set(re.findall(r'href="(/patient/letters/[0-9]+)\?of=[0-9]+"', page))
    shown = text_of(browser.get(address).text)
    assert (LONG.strip() in shown, "Take care: not final." in shown) == (True, True)
    assert LONG.strip() not in text_of(page)


def test_two_results_of_one_day_have_their_times(browser: Browser) -> None:
    page = browser.get("/patient/results/1000661000000107").text
    assert page.index("28 November 2026 at 6:25pm") < page.index("28 November 2026 at 6:10am")


def test_a_result_that_is_not_final_spares_no_test(browser: Browser) -> None:
    said = text_of(browser.get("/patient/tests?test=1000661000000107").text)
    assert ("There is a recent result that you cannot use yet" in said, "not final" in said) == (True, True)


def test_a_test_is_one_by_whatever_codes_two_laboratories_write_it(browser: Browser) -> None:
    """The newest is of LOINC alone, one of both, one of SNOMED CT alone."""
    page = browser.get("/patient/all/results").text
    assert page.count("Ferritin") == 1
    (address,) = re.findall(r'href="(/patient/results/2276-4[^"]*)"', page)
    shown = browser.get(address).text
    places = [shown.index(value) for value in ("30 ug/L", "20 ug/L", "10 ug/L")]
    assert places == sorted(places)
    for code in ("2276-4", "993381000000106"):
        assert "There is a result that you can use" in browser.get(f"/patient/tests?test={code}").text


def test_tests_that_share_a_code_which_is_wider_than_a_test_are_not_one(browser: Browser) -> None:
    """Each has its row, and a page with no result of another."""
    page = browser.get("/patient/all/results").text
    for name, value, code in (("Zinc", 11, "2601-3"), ("Copper", 12, "5631-7"), ("Selenium", 13, "15220000")):
        (address,) = re.findall(rf'href="(/patient/results/[^"]*)"[^>]*>\s*{name}', page)
        assert address.startswith(f"/patient/results/{code}?of=")
        shown = text_of(browser.get(address).text)
        assert [f"{each} ug/L" in shown for each in (11, 12, 13)] == [each == value for each in (11, 12, 13)]


def test_a_line_that_leaves_results_out_says_so(browser: Browser) -> None:
    """One in another unit would be a step, or a fall, that nobody had."""
    (mixed, whole) = (browser.get(f"/patient/results/{code}").text for code in ("1234-5", "2276-4"))
    left_out = "Not all results are in this picture"
    assert (mixed.count("<circle"), left_out in mixed, "1.8 mg/dL" in mixed) == (2, True, True)
    assert (whole.count("<circle"), left_out in whole) == (2, False)


def test_no_allergies_is_not_said_where_somebody_has_not_answered(here: Hospital) -> None:
    """With a practice that is slow, one that is away, and one that may not share; without JavaScript."""
    assert here.joined is not None
    practice, more = here.joined[0], f"There may be more at {PRACTICE}."
    with practice.being(Manner.WAITS):
        doctor = opened(here)
        waiting = text_of(doctor.get("/patient").text)
        assert (more in waiting, "Asking" in waiting, "Penicillin" in waiting) == (True, True, True)
        assert waiting.index("Penicillin") < waiting.index(more) < waiting.index("Problems")
        assert f"Not all organisations are in this: {PRACTICE}." in text_of(
            doctor.get("/patient/tests?test=other").text
        )
    assert "May not share" in settled(doctor)
    assert more in text_of(settled(doctor))
