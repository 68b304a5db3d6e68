"""Finding a patient: what is asked, what is said, who is found; and that nobody is opened who was not looked for."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from salus.clinical.nhs_number import NhsNumber
from salus.clinical.uk_time import uk_datetime
from salus.node.services import find_patient
from salus.node.tallies import Tally
from salus.testing.population import story_patient
from tests.portal.portal_world import SEED, Hospital, portal

WHY = {"reason": "referral", "relationship": "treating"}
NUMBER = {"number": "999 000 0018"}
NAME = {"family": "hughes", "born-day": "14", "born-month": "3", "born-year": "1968"}
NAMED = "Ms Eleanor Ruth Hughes"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        ({}, ("Enter an NHS number, or a last name and a date of birth", "Choose why", "Choose what your part is")),
        (WHY | {"number": "999 000 0017"}, ("Enter an NHS number of 10 digits",)),
        (WHY | {"number": "12"}, ("Enter an NHS number of 10 digits",)),
        (WHY | {"family": "Hughes"}, ("Enter a date of birth",)),
        (WHY | NAME | {"family": ""}, ("Enter a last name",)),
        (WHY | NAME | {"born-day": "31", "born-month": "2"}, ("Enter a real date of birth",)),
        (WHY | NAME | {"born-year": "68"}, ("Enter a real date of birth",)),
        (WHY | NAME | {"born-day": "\u00b2"}, ("Enter a real date of birth",)),
        (WHY | NUMBER | {"reason": "other"}, ("Say what the reason is",)),
        (WHY | NUMBER | {"reason": "curiosity"}, ("Choose why",)),
        (WHY | NUMBER | {"reason-words": "x" * 201}, ("200 characters or fewer",)),
    ],
)
def test_what_is_wrong_is_said_at_the_top_and_at_the_field(
    here: Hospital, entered: dict[str, str], said: tuple[str, ...]
) -> None:
    came = here.signed_in("rao").post("/patients", entered)
    assert came.status_code == 400
    for each in said:
        assert came.text.count(each) == 2


@pytest.mark.parametrize("more", [{}, {"born-day": "14", "born-month": "3", "born-year": "1968"}])
def test_a_number_opens_the_patient_and_no_address_holds_it(here: Hospital, more: dict[str, str]) -> None:
    browser = here.signed_in("rao")
    came = browser.post("/patients", WHY | NUMBER | more)
    assert (came.status_code, came.headers["location"]) == (303, "/patient")
    banner = re.sub(r"\s+", " ", browser.get("/patients").text)
    today = uk_datetime(here.node.clock()).date()
    years = today.year - 1968 - ((today.month, today.day) < (3, 14))
    for each in (NAMED, "999 000 0018", f"14 March 1968 ({years} years)"):
        assert each in banner


@pytest.mark.parametrize(
    ("entered", "found"),
    [
        (NAME, True),
        (NAME | {"given": "eleanor"}, True),
        (NAME | {"family": "Hu"}, True),
        (NAME | {"given": "Rosalind"}, False),
        (NAME | {"born-day": "15"}, False),
        (NAME | {"family": "Hughes,Smith"}, False),
        (NAME | {"family": "Hughes$x|y\\"}, False),
        (NUMBER | {"born-day": "15", "born-month": "3", "born-year": "1968"}, False),
        ({"number": "999 000 0026"}, False),
    ],
)
def test_who_is_found(here: Hospital, entered: dict[str, str], found: bool) -> None:
    browser = here.signed_in("rao")
    assert browser.post("/patients", WHY | entered).headers["location"] == "/patients/found"
    page = browser.get("/patients/found").text
    assert ("Which of these people is it?" in page, NAMED in page) == (found, found)
    assert ("Nobody was found" in page) == (not found)


def test_one_of_those_who_were_found_is_opened(here: Hospital) -> None:
    browser = here.signed_in("rao")
    browser.post("/patients", WHY | NAME)
    assert browser.post("/patients/found", {"which": "0"}).headers["location"] == "/patient"
    assert NAMED in browser.get("/patient").text


@pytest.mark.parametrize("which", ["1", "-1", "", "x", "\u00b2", "9" * 5000])
def test_nobody_is_opened_who_was_not_found(here: Hospital, which: str) -> None:
    """IDOR: a place in another list, or in none."""
    browser = here.signed_in("rao")
    browser.post("/patients", WHY | NAME)
    assert browser.post("/patients/found", {"which": which}).headers["location"] == "/patients/found"
    assert browser.get("/patient").headers["location"] == "/patients"


@pytest.mark.parametrize(
    "path",
    ["/patient", "/patient/answers", "/patient/all/results", "/patient/tests", "/patient/emergency"],
)
def test_without_a_patient_every_page_leads_to_the_search(here: Hospital, path: str) -> None:
    assert here.signed_in("rao").get(path).headers["location"] == "/patients"


def test_closing_a_patient_leaves_nothing_of_them(here: Hospital) -> None:
    browser = here.signed_in("rao")
    browser.post("/patients", WHY | NUMBER)
    assert browser.post("/patient/close", {}, page="/patients").headers["location"] == "/patients"
    assert NAMED not in browser.get("/patients").text
    assert browser.get("/patient").headers["location"] == "/patients"


@pytest.mark.parametrize("name", ["eleanor", "operator"])
@pytest.mark.parametrize(
    "path",
    ["/patients", "/patients/found", "/patient", "/patient/answers", "/patient/emergency", "/patient/tests"],
)
def test_these_pages_are_not_there_for_others(here: Hospital, name: str, path: str) -> None:
    assert here.signed_in(name).get(path).status_code == 404


def test_a_form_of_another_role_finds_nobody(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    assert browser.post("/patients", WHY | NUMBER, page="/devices").status_code == 404


def test_another_browser_of_the_same_person_has_nobody_open(here: Hospital) -> None:
    here.signed_in("rao").post("/patients", WHY | NUMBER)
    assert here.signed_in("rao").get("/patient").headers["location"] == "/patients"


@pytest.mark.promise("R2", "U2")
def test_the_reason_is_in_the_request_as_it_was_given(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    inner = find_patient.show

    def listening(*arguments: object) -> object:
        asked.append(arguments[2].justification)  # type: ignore[attr-defined]
        return inner(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(find_patient, "show", listening)
    entered = NUMBER | {"reason": "other", "reason-words": " a call\nfrom the ward ", "relationship": "team"}
    here.signed_in("rao").post("/patients", entered)
    assert asked == ["Another reason: a call from the ward; I am in the team that treats this person"]


def test_searches_are_counted_and_limited(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_patient, "TRIES_MAX", 0)
    came = here.signed_in("rao").post("/patients", WHY | NUMBER)
    assert "Too many searches. Wait 15 minutes, then try again" in came.text
    assert Tally.LOOK_UP == 8


def test_a_name_that_more_people_have_than_are_shown_is_refused(
    here: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_patient, "HITS_MAX", 0)
    assert "Too many" in here.signed_in("rao").post("/patients", WHY | NAME).text


def test_a_search_logs_no_name_and_no_number(here: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    here.signed_in("rao").post("/patients", WHY | NUMBER)
    here.signed_in("rao").post("/patients", WHY | NAME)
    said = capsys.readouterr().out.casefold()
    assert "find_patient" in said
    for each in ("hughes", "9990000018", "1968", "eleanor"):
        assert each not in said


def test_the_number_of_the_tests_is_hers() -> None:
    assert story_patient(SEED).nhs_number == NhsNumber("9990000018")
