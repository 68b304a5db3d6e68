"""A long record in a clinician's hands: as much is opened as a page shows, and every result is on one page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType, RoleClass
from salus.node.services import view_patient
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.portal.pages.clinician import patient
from tests.portal.patient_charts import add, letter, sodium
from tests.portal.portal_world import Browser, Hospital, portal
from tests.portal.test_clinician_find import NUMBER, WHY
from tests.portal.test_clinician_view import BORN

RESULTS, LETTERS = 150, 120
CODE = "/patient/results/1000661000000107"
VALUE = re.compile(r"(\d{3})\.25 mmol/L")
NEXT = re.compile(r'rel="next"[^>]*href="([^"]+)"|href="([^"]+)"[^>]*rel="next"')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as here:
        results = [sodium(number, value=100.25 + number) for number in range(RESULTS)]
        letters = [
            each
            for number in range(LETTERS)
            for each in letter(f"l{number}", content_type="text/plain", content=b"a", title=f"Letter {number}.")
        ]
        add(here, folder, [*results, *letters])
        yield here


@pytest.fixture(scope="module")
def browser(here: Hospital) -> Browser:
    doctor = here.signed_in("rao")
    assert doctor.post("/patients", WHY | NUMBER | BORN).headers["location"] == "/patient"
    return doctor


def pages_of(browser: Browser, path: str) -> list[str]:
    """The texts of a page and of all that are older."""
    found = []
    while path:
        found.append(browser.get(path).text)
        links = NEXT.search(found[-1])
        path = (links[1] or links[2]).replace("&amp;", "&") if links else ""
    return found


def test_every_result_of_a_test_is_on_one_page_the_newest_first(browser: Browser) -> None:
    texts = pages_of(browser, CODE)
    values = [[int(each) for each in VALUE.findall(text)] for text in texts]
    assert len(values) == 3
    assert all(len(each) <= 60 for each in values)
    every = [each for page in values for each in page]
    added = [each for each in every if each >= 100]
    assert sorted(set(added)) == sorted(added), "none is on two pages"
    assert {100 + number for number in range(RESULTS)} <= set(added)
    assert all("<svg" in text for text in texts)


def test_what_is_older_than_was_opened_is_not_left_out_unsaid(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest results may be of few tests: the others are on the kind's own page, and a link says so."""
    monkeypatch.setattr(patient, "NEWEST", 2)
    first = browser.get("/patient").text
    assert ("Serum sodium level" in first, 'href="/patient/all/results?of=' in first) == (False, True)
    assert "Serum sodium level" in "".join(pages_of(browser, "/patient/all/results"))


def test_every_letter_is_on_one_page(browser: Browser) -> None:
    texts = pages_of(browser, "/patient/all/letters")
    titles = [each for text in texts for each in re.findall(r"Letter (\d+)\.", text)]
    assert len(texts) == 2
    assert sorted(map(int, titles)) == list(range(LETTERS))
    assert "These are older" in texts[1]


def test_a_kind_opens_no_other_and_a_page_as_many_as_it_shows(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    show = view_patient.show

    def counted(*given: object) -> object:
        opened.append(len(given[3]))  # type: ignore[arg-type]
        return show(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(view_patient, "show", counted)
    for path, most in (
        (CODE, 60),
        (f"{CODE}?page=2", 60),
        ("/patient/all/results", 100),
        ("/patient/all/problems", 40),
    ):
        opened.clear()
        assert browser.get(path).status_code == 200
        assert 0 < sum(opened) <= most, (path, opened)


@pytest.mark.promise("R5", "U2")
def test_a_letter_opens_itself_and_no_other(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is opened is in the receipt, and the patient reads there what somebody looked at."""
    opened: list[str] = []
    show = view_patient.show

    def counted(*given: object) -> object:
        opened.extend(each.found.type for each in given[3])  # type: ignore[attr-defined]
        return show(*given)  # type: ignore[arg-type]

    pages = "".join(pages_of(browser, "/patient/all/letters"))
    (discharge, *_) = re.findall(r'href="(/patient/letters/[0-9]+)\?of=[0-9]+">[^<]*[Dd]ischarge', pages)
    monkeypatch.setattr(view_patient, "show", counted)
    for path in (discharge, f"{discharge}/0"):
        opened.clear()
        assert browser.get(path).status_code == 200
        assert sorted(opened) == ["Binary", "DocumentReference"], path
    opened.clear()
    assert browser.get("/patient/letters/123456789012").status_code == 404
    assert opened == []


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "1e3", "٢"])
def test_a_page_that_is_none_is_the_first_or_not_there(browser: Browser, page: str) -> None:
    assert browser.get(f"{CODE}?page={page}").status_code in (200, 404)
    assert browser.get(f"/patient/all/letters?page={page}").status_code == 200


@pytest.mark.promise("R4")
def test_a_page_is_full_of_what_may_be_shown_and_hints_at_nothing_else(here: Hospital, browser: Browser) -> None:
    """The newest 94 are kept back: what is older is on the first page, and no page is said to follow."""
    spring = {"data_from_s": 1_267_401_600, "data_to_s": 1_293_839_999}  # March to December 2010
    hides = Provision(type=ProvisionType.DENY, role_classes=(RoleClass.CLINICAL,), classes=("Observation",), **spring)
    choice = file_by_custodian(here.node, here.patient, hides)
    try:
        (text,) = pages_of(browser, CODE)
    finally:
        withdraw_by_custodian(here.node, here.patient, choice)
    assert {int(each) for each in VALUE.findall(text)} >= set(range(100, 156))
    assert "250.25" not in text
