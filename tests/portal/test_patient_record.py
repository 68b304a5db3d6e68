"""A patient's own record: what is listed, what is absent, and what a record, or another person, must not do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salus.clinical import labels
from salus.contracts.provisions import Provision, ProvisionType, RoleClass
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from tests.portal.patient_charts import EVIL, MACHINE_WORDS, SCRIPT, add, letter, sodium, somebody_else
from tests.portal.portal_world import Hospital, portal

HREF = re.compile(r'href="(/record[^"#]*)"')
TAG = re.compile(r"<[^>]*>")
HTML = b"<script>alert(1)</script>"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        evil = [each for files in _evil_files() for each in files]
        add(made, folder, [sodium(number) for number in range(45)] + evil + _evil_resources())
        documents = letter("hers", content_type="text/plain", content=b"Her secret letter", title="Her secret letter")
        binary = {"resourceType": "Binary", "id": "hers-too", "contentType": "text/plain", "data": "SGVyIHNlY3JldA=="}
        owned = {"securityContext": {"reference": "Patient/somebody-else"}}
        somebody_else(made, folder, [*documents, binary | owned, sodium(1, value=139) | {"id": "hers-sodium"}])
        yield made


@pytest.fixture(scope="module")
def walked(here: Hospital) -> dict[str, str]:
    """Every page to which links of Eleanor's record lead."""
    return _walked(here, "eleanor")


def _evil_files() -> list[list[dict[str, Any]]]:
    stolen = letter("thief", content_type="text/plain", content=b"", title="Thief")
    stolen[0]["content"] = [{"attachment": {"contentType": "text/plain", "url": "Binary/hers-too"}}]
    return [
        letter("page", content_type="text/html", content=HTML, title=EVIL),
        letter(
            "drawing", content_type="image/svg+xml", content=b"<svg onload='alert(1)'/>", title='a"; filename=b.html'
        ),
        letter("plain", content_type="text/plain; charset=utf-7", content=HTML, title="Plain\r\nset-cookie: a=b"),
        stolen,
    ]


def _evil_resources() -> list[dict[str, Any]]:
    concept = {"text": EVIL, "coding": [{"system": EVIL.replace(" ", ""), "code": "x", "display": f"{EVIL}2"}]}
    someone = [{"display": EVIL}]
    dated = "2026-11-02T10:00:00Z"
    note = [{"text": EVIL}]
    return [
        {"resourceType": "Observation", "id": "e1", "status": "final", "code": concept, "effectiveDateTime": dated}
        | {"valueString": EVIL, "referenceRange": [{"text": EVIL}], "performer": someone, "note": note},
        {"resourceType": "Condition", "id": "e2", "code": concept, "recordedDate": dated, "note": note},
        {"resourceType": "MedicationRequest", "id": "e3", "status": "active", "intent": "order", "authoredOn": dated}
        | {"medicationCodeableConcept": concept, "dosageInstruction": note, "requester": someone[0]},
        {"resourceType": "Procedure", "id": "e4", "status": "completed", "code": concept, "performedDateTime": dated},
        {"resourceType": "DiagnosticReport", "id": "e5", "status": "final", "code": concept, "conclusion": EVIL},
        {"resourceType": "ImagingStudy", "id": "e6", "status": "available", "description": EVIL, "started": dated},
    ]


def _walked(here: Hospital, name: str) -> dict[str, str]:
    """Every page to which links of the record lead."""
    browser, found, wanted = here.signed_in(name), {}, ["/record"]
    while wanted:
        path = wanted.pop().replace("&amp;", "&")
        if path not in found:
            came = browser.get(path)
            assert came.status_code == 200, path
            is_page = came.headers["content-type"].startswith("text/html")
            found[path] = came.text if is_page else ""
            wanted += HREF.findall(found[path])
    return found


def test_the_first_page_has_each_kind_with_its_count_and_the_newest(here: Hospital) -> None:
    page = here.signed_in("eleanor").get("/record").text
    for said in (
        'Test results</a> <span class="app-kind__count">(More than 50)',
        "Penicillin",
        "Amoxicillin 250mg capsules",
    ):
        assert said in page
    assert "Amlodipine" not in page  # the practice has it, not this hospital
    assert "Nothing written down here" in page


def test_a_kind_is_listed_newest_first_in_pages(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    pages = [browser.get(f"/record/results?page={number}").text for number in (1, 2, 3)]
    assert [each.count('<li class="app-entry">') for each in pages] == [20, 20, 14]
    assert ["Older" in each for each in pages] == [True, True, False]
    assert "2 November 2026" in pages[0]
    assert "Clinical name: Serum sodium level" in pages[1]


@pytest.mark.parametrize("page", ["0", "-1", "x", "999999999999", "2.5", "٣"])
def test_a_page_that_is_none_is_the_first_or_empty(here: Hospital, page: str) -> None:
    assert here.signed_in("eleanor").get(f"/record/results?page={page}").status_code == 200


def test_an_empty_kind_says_what_to_do(here: Hospital) -> None:
    assert "If you had some elsewhere, tell your GP" in here.signed_in("eleanor").get("/record/vaccinations").text


def test_a_test_over_time_is_a_chart_and_a_table_with_the_same_values(here: Hospital) -> None:
    page = here.signed_in("eleanor").get("/record/results/2951-2").text
    assert page.count('<circle class="app-chart__dot"') == page.count('<tr role="row" class="nhsuk-table__row">') == 46
    assert "Lower than the usual range" in page
    assert "Usual range: 133 to 146 mmol/L" in page


@pytest.mark.parametrize("code", ["1-1", "x", "718-7'", "sodium-1", "2951-2%00"])
def test_a_code_of_which_there_is_no_result_is_not_there(here: Hospital, code: str) -> None:
    assert here.signed_in("eleanor").get(f"/record/results/{code}").status_code == 404


def test_a_letter_is_opened_with_its_pdf(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    (address,) = (
        path
        for path in HREF.findall(browser.get("/record/letters").text)
        if "Open the letter (PDF, 1 kB)" in browser.get(path).text and "17 February 2026" in browser.get(path).text
    )
    came = browser.get(f"{address}/file/1")
    assert (came.headers["content-type"], came.content[:5]) == ("application/pdf", b"%PDF-")
    assert came.headers["content-disposition"].startswith("inline;")


@pytest.mark.promise("R4")
def test_what_is_withheld_is_absent_and_leaves_no_gap(here: Hospital, walked: dict[str, str]) -> None:
    assert "Liaison psychiatry" in walked["/record/letters"]
    tree = Provision(type=ProvisionType.DENY, labels=(labels.label("PSY"),), role_classes=(RoleClass.PATIENT_SIDE,))
    choice = file_by_custodian(here.node, here.patient, tree)
    after = _walked(here, "eleanor")
    withdraw_by_custodian(here.node, here.patient, choice)
    assert not any("psychiatry" in page for page in after.values())
    letters = [{path for path in each if re.fullmatch(r"/record/letters/\d+", path)} for each in (walked, after)]
    assert letters[1] < letters[0]  # no other letter's address says that there was one
    assert len(letters[1]) == len(letters[0]) - 1


@pytest.mark.promise("U1")
def test_no_page_of_the_record_has_words_of_machines(walked: dict[str, str]) -> None:
    for path, page in walked.items():
        assert not MACHINE_WORDS.findall(TAG.sub(" ", page)), path


def test_no_script_of_a_record_is_on_a_page(walked: dict[str, str]) -> None:
    """Stored script, in every free text and every file name."""
    said = [path for path, page in walked.items() if "&lt;script&gt;alert" in page]
    assert {"/record", "/record/results", "/record/problems", "/record/medicines", "/record/letters"} <= set(said)
    assert {"/record/reports", "/record/procedures", "/record/images"} <= set(said)
    assert not [path for path, page in walked.items() if SCRIPT in page]


def test_no_file_of_a_record_is_a_page(here: Hospital, walked: dict[str, str]) -> None:
    browser, kinds = here.signed_in("eleanor"), {}
    for path in walked:
        if "/file/" in path:
            headers = browser.get(path).headers
            kinds[headers["content-type"], headers["content-disposition"].partition(";")[0]] = path
            assert "sandbox" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "set-cookie" not in headers
            assert "filename=b.html" not in headers["content-disposition"].replace('"', "").partition(";")[0]
    assert kinds.keys() == {
        ("application/pdf", "inline"),
        ("application/octet-stream", "attachment"),
        ("text/plain; charset=utf-8", "inline"),
    }


@pytest.mark.promise("R4")
def test_nothing_of_another_person_is_reached(here: Hospital, walked: dict[str, str]) -> None:
    """IDOR: by address, by code, and by a letter that names another person's file."""
    hers = _walked(here, "other")
    (letter_of_hers,) = (path for path in hers if re.fullmatch(r"/record/letters/\d+", path))
    assert "Her secret letter" in hers[letter_of_hers]
    browser, mine = here.signed_in("eleanor"), walked
    assert not any("Her secret" in page or ">139 " in page for page in mine.values())
    thief = next(path for path, page in mine.items() if "Thief" in page and re.fullmatch(r"/record/letters/\d+", path))
    assert "The letter itself is not here" in mine[thief]
    assert browser.get(f"{thief}/file/1").status_code == 404
    for path in (
        letter_of_hers,
        f"{letter_of_hers}/file/1",
        "/record/letters/0",
        "/record/letters/x",
        f"{thief}/file/2",
    ):
        assert browser.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/record", "/record/results", "/record/results/2951-2", "/record/letters/1/file/1"])
def test_other_people_have_no_such_page(here: Hospital, path: str) -> None:
    assert here.client().get(path).headers["location"] == "/sign-in"
    for name in ("rao", "operator"):
        assert here.signed_in(name).get(path).status_code == 404


def test_a_kind_that_is_none_is_not_there(here: Hospital) -> None:
    assert here.signed_in("eleanor").get("/record/secrets").status_code == 404


def test_the_pages_are_there_in_welsh(here: Hospital, tmp_path: Path) -> None:
    browser = here.signed_in("eleanor")
    browser.get("/language/cy?from=/record")
    assert '<html lang="cy">' in browser.get("/record").text
