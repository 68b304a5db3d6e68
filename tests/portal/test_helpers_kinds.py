"""A helper of some kinds of records is told of no other that there is nothing; and in whose name they decide."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.portal.patient_charts import add
from tests.portal.portal_world import Hospital, portal
from tests.portal.test_helpers import helping
from tests.portal.test_patient_kinds import RESOURCES

NONE_OF_IT = "is written down here"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        add(made, folder, RESOURCES)
        yield made


@pytest.mark.promise("U1")
def test_nobody_reads_that_there_is_nothing_of_what_they_may_not_see(here: Hospital) -> None:
    """A carer who is let see medicines does not read that there are no allergies: there is one."""
    browser = helping(here, "meg", "some", kinds=["MedicationRequest", "Immunization"])
    page = browser.get("/record").text  # type: ignore[attr-defined]
    assert "Eleanor Moss lets you see some kinds of records only. There may be others." in page
    assert 'href="/record/allergies"' not in page
    assert 'href="/record/vaccinations"' in page
    page = browser.get("/record/allergies").text  # type: ignore[attr-defined]
    assert "Eleanor Moss does not let you see this kind of records. There may be some." in page
    assert NONE_OF_IT not in page
    assert "tell your GP" not in browser.get("/record/vaccinations").text  # type: ignore[attr-defined]


def test_medicines_are_all_that_are(here: Hospital) -> None:
    browser = helping(here, "pat", "some", kinds=["MedicationRequest"])
    assert browser.get("/record/medicines").text.count("Apixaban 5mg tablets") >= 2  # type: ignore[attr-defined]
    page = here.signed_in("eleanor").get("/helpers").text  # type: ignore[attr-defined]
    assert "your carer, may see medicines." in page


def test_who_may_see_everything_is_told_of_no_other_kinds(here: Hospital) -> None:
    assert "some kinds of records only" not in helping(here, "lou").get("/record").text  # type: ignore[attr-defined]
    assert "some kinds of records only" not in here.signed_in("eleanor").get("/record").text  # type: ignore[attr-defined]


def test_who_is_meant_is_said_where_somebody_else_decides(here: Hospital) -> None:
    said = "“You” and “your” on this page mean Eleanor Moss."
    browser = helping(here, "kim", "share")
    assert said in browser.get("/sharing").text  # type: ignore[attr-defined]
    assert said not in browser.get("/helping").text  # type: ignore[attr-defined]
    assert said not in here.signed_in("eleanor").get("/sharing").text  # type: ignore[attr-defined]


def test_what_a_helper_opened_twice_is_counted_once_and_they_looked_to_help(here: Hospital) -> None:
    browser = helping(here, "una", "some", kinds=["AllergyIntolerance"])
    for _ in range(3):
        browser.get("/record/allergies")  # type: ignore[attr-defined]
    eleanor = here.signed_in("eleanor")
    page = eleanor.get("/looked").text  # type: ignore[attr-defined]
    assert "asked to read your record, to help you" in page
    assert "because you asked" not in page
    pages = [eleanor.get(each).text for each in set(re.findall(r'href="(/looked/\d+)"', page))]  # type: ignore[attr-defined]
    assert [each for each in pages if re.search(r"<li>allergies: 1</li>", each)]
    assert not [each for each in pages if re.search(r"<li>allergies: [2-9]", each)]
