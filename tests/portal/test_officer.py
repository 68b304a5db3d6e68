"""The privacy officer's pages: what waits, one review, the verdict; and who else gets none of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest

from salus.node import documents
from salus.node.documents import Kind
from salus.node.services import challenges
from salus.node.services.receive import receive
from salus.portal.pages.officer import concerns, reviews
from salus.testing.world import PRACTICE
from salus.vault.vault import Vault
from tests.portal.portal_world import REASON, Hospital, emergency, portal

ADDRESS = re.compile(r'href="(/reviews/[A-Z2-7]{6})"')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


def test_a_page_without_anything_says_what_will_be_there(here: Hospital) -> None:
    browser = here.signed_in("officer")
    assert "No emergency waits for you" in browser.get("/reviews").text
    assert "No patient has written to you" in browser.get("/concerns").text


@pytest.mark.promise("U1")
def test_an_emergency_is_reviewed(here: Hospital) -> None:
    emergency(here)
    browser = here.signed_in("officer")
    listed = browser.get("/reviews").text
    (address,) = set(ADDRESS.findall(listed))
    opened = browser.get(address).text
    assert "Harrowmere Medical Centre" in opened
    wrong = browser.post(address, {"verdict": "", "why": ""})
    assert wrong.status_code == 400
    assert wrong.text.count("Say if it was right to look") == 2
    done = browser.post(address, {"verdict": "yes", "why": "The ambulance's note says so"})
    assert done.headers["location"] == "/reviews"
    after = browser.get("/reviews").text
    assert "Your answer is recorded" in after
    assert "No emergency waits for you" in after
    assert browser.get(address).status_code == 403


def test_what_a_patient_wrote_is_there_as_words_only(here: Hospital) -> None:
    granted = emergency(here)
    challenges.send_by_custodian(here.node, here.patient, granted.permit, REASON)
    page = here.signed_in("officer").get("/concerns").text
    assert ("found unconscious" in page, "Somebody who then looked at nothing" in page) == (True, True)
    assert "<script>alert" not in page


@pytest.mark.promise("U2")
def test_a_concern_says_whom_and_what_it_is_about(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of somebody who saw records, with their name; an officer's reading of the list is no look."""
    granted = emergency(here)
    for _ in receive(here.made.practice, here.made.peers(PRACTICE), granted):
        pass
    challenges.send_by_custodian(here.node, here.patient, granted.permit, "Who is this?")
    browser = here.signed_in("officer")
    (card, *_) = browser.get("/concerns").text.split('<div class="nhsuk-card">')[1:]
    for said in ("Who is this?", "Dr Pym, GP", "Harrowmere Medical Centre", "in an emergency, against a choice"):
        assert said in card
    monkeypatch.setattr(concerns, "SIZE", 1)
    first = browser.get("/concerns").text
    assert (first.count("<blockquote"), "Who is this?" in first, "Older" in first) == (1, True, True)
    second = browser.get("/concerns?page=2").text
    assert (second.count("<blockquote"), "Who is this?" in second) == (1, False)


@pytest.mark.parametrize("path", ["/reviews", "/reviews/ABCDEF", "/concerns", "/numbers"])
@pytest.mark.parametrize("name", ["eleanor", "rao", "operator"])
def test_nobody_else_has_these_pages(here: Hospital, name: str, path: str) -> None:
    browser = here.signed_in(name)
    assert browser.get(path).status_code == 404
    assert browser.post(path, {"verdict": "yes", "why": "x"}, page="/devices").status_code in (404, 405)


def test_many_reviews_come_in_pages_and_the_vault_is_asked_once(
    here: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        emergency(here)
    asked = []
    find_many = documents.find_many

    def counted(vault: Vault, wanted: Sequence[tuple[Kind, bytes]]) -> list[bytes | None]:
        asked.append(len(wanted))
        return find_many(vault, wanted)

    monkeypatch.setattr(reviews, "SIZE", 2)
    monkeypatch.setattr(documents, "find_many", counted)
    browser, path, found = here.signed_in("officer"), "/reviews", []
    while path:
        asked.clear()
        text = browser.get(path).text
        assert len(asked) == 1
        found.append(re.findall(r'href="(/reviews/[A-Z0-9]+)"', text))
        later = re.search(r'href="([^"]+)"[^>]*>(?:(?!</a>).)*Due later', text, re.DOTALL)
        path = later.group(1) if later else ""
    every = [each for page in found for each in page]
    assert all(len(page) <= 2 for page in found)
    assert len(set(every)) == len(every) >= 5
