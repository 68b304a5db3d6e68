"""The operator's pages: the network and its votes, the node and what it has to do; and nothing of a person."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from salus.testing.population import story_patient
from salus.testing.world import PRACTICE
from tests.portal.portal_world import SEED, Hospital, portal

PROPOSAL = re.compile(r'name="proposal" value="([A-Z2-7]{6})"')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


def test_the_network_is_shown_with_what_its_members_hold(here: Hospital) -> None:
    page = here.signed_in("operator").get("/network").text
    for each in ("Harrowmere Medical Centre", "A81001", "Validator", "Moves", "Nothing waits for a vote"):
        assert each in page


@pytest.mark.promise("L7")
def test_a_change_is_proposed_and_a_vote_is_taken_back(here: Hospital) -> None:
    browser = here.signed_in("operator")
    wrong = browser.post("/network/propose", {"member": "", "change": ""})
    assert (wrong.status_code, wrong.text.count("Choose a change")) == (400, 2)
    came = browser.post("/network/propose", {"member": PRACTICE, "change": "observer"})
    assert came.headers["location"] == "/network"
    page = browser.get("/network").text
    assert "Change what Harrowmere Medical Centre holds of the ledger" in page
    assert "It is proposed" in page
    (proposal,) = PROPOSAL.findall(page)
    browser.post("/network", {"proposal": proposal, "vote": "back"})
    assert "In favour: nobody" in browser.get("/network").text
    browser.post("/network", {"proposal": "NOSUCH", "vote": "for"})
    assert "no longer open" in browser.get("/network").text


@pytest.mark.promise("P4")
def test_nothing_personal_is_on_them(here: Hospital) -> None:
    browser, person = here.signed_in("operator"), story_patient(SEED)
    pages = "".join(browser.get(each).text for each in ("/network", "/node"))
    for each in ("Hughes", "Rao", person.nhs_number.digits, person.birth_date, here.patient.hex()):
        assert each not in pages


def test_what_a_node_keeps_and_has_to_do(here: Hospital) -> None:
    page = here.signed_in("operator").get("/node").text
    for each in ("Never: make a backup", "None is running", "None ends soon", "Records, all versions"):
        assert each in page
