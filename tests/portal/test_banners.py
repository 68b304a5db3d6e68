"""What a page says at its top: what was done is said as done, and what was not is not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from salus.contracts.membership import RevokeCertificate
from salus.node.acting import Staff
from salus.portal.words import words_of
from tests.portal.portal_world import PASSWORD, Browser, Hospital, portal

NOBODY = "00" * 16
SIGNED_OUT = "You were signed out because you were away, or because what you signed in with has ended."
BANNER = re.compile(r'<div class="(nhsuk-notification-banner[^"]*)"[^>]*>(.*?)</p>', re.DOTALL)
TAG = re.compile(r"<[^>]*>")
NOT_DONE = {
    "a choice that is not there is stopped": ("eleanor", "/sharing/stop", {"choice": NOBODY}, "/sharing"),
    "a choice that is not there is changed": ("eleanor", "/sharing/begin", {"choice": NOBODY}, "/sharing"),
    "a link that is not there is stopped": ("eleanor", "/links/stop", {"link": NOBODY}, "/links"),
    "a helper who is not there is stopped": ("eleanor", "/helpers/stop", {"who": NOBODY}, "/helpers"),
    "a helper who is not there is given a code": ("eleanor", "/helpers", {"who": NOBODY}, "/helpers"),
    "a recovery is stopped that nobody began": ("eleanor", "/recovery/cancel", {}, "/recovery"),
    "a change is undone that nobody made": ("eleanor", "/recovery/undo", {}, "/recovery"),
    "somebody is helped who is not there": ("eleanor", "/helping", {"who": NOBODY}, "/helping"),
    "a vote for what is not open": ("operator", "/network", {"proposal": NOBODY, "vote": "for"}, "/network"),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


def _banners(browser: Browser, path: str) -> list[tuple[str, str]]:
    """The kind of each banner of a page, and what it says."""
    found = BANNER.findall(browser.get(path).text)
    return [(kind.rpartition("--")[2], " ".join(TAG.sub(" ", said).split())) for kind, said in found]


@pytest.mark.parametrize("named", NOT_DONE)
def test_what_was_not_done_is_never_said_as_done(here: Hospital, named: str) -> None:
    name, path, fields, page = NOT_DONE[named]
    browser = here.signed_in(name)
    assert browser.post(path, fields, page=page).headers["location"] == page
    ((kind, said),) = _banners(browser, page)
    assert (kind, said.partition(" ")[0]) == ("nhsuk-notification-banner", "Important")
    assert _banners(browser, page) == []  # once


def test_what_was_done_is_said_as_done(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    browser.post("/notices", {})
    assert _banners(browser, "/notices") == [("success", "Done All notices are marked as read")]


def test_whoever_is_sent_to_sign_in_again_reads_why(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    here.portal.accounts.set_password(here.accounts["eleanor"], signs_in_as="eleanor", password=PASSWORD)
    assert browser.get("/devices").headers["location"] == "/sign-in"
    assert _banners(browser, "/sign-in") == [("nhsuk-notification-banner", f"Important {SIGNED_OUT}")]
    stranger = here.client()
    assert stranger.get("/devices").headers["location"] == "/sign-in"
    assert _banners(stranger, "/sign-in") == []


def test_whoever_acts_by_what_has_ended_reads_so_in_their_language(here: Hospital) -> None:
    browser = here.signed_in("rao")
    assert browser.get("/language/cy?from=/devices").status_code == 303
    known = here.portal.accounts.find(here.accounts["rao"])
    assert known is not None
    assert isinstance(known.acts_as, Staff)
    here.node.submit(RevokeCertificate(here.node.organisation, known.acts_as.certificate.root()))
    assert browser.get("/devices").headers["location"] == "/sign-in"
    welsh = words_of("cy")
    assert _banners(browser, "/sign-in") == [("nhsuk-notification-banner", f"{welsh('Important')} {welsh(SIGNED_OUT)}")]
