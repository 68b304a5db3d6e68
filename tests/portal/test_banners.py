"""What a page says at its top: what was done is said as done, and what was not is not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.portal.portal_world import Browser, Hospital, portal

NOBODY = "00" * 16
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
