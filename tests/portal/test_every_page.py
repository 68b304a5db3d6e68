"""What holds for every page of the route table, whoever wrote it and whoever writes the next one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from salus.portal.call import Page, Person
from salus.portal.pages import PAGES
from tests.portal.portal_world import ORIGIN, Browser, Hospital, portal

OWNERS = {
    Person.PATIENT: "eleanor",
    Person.CLINICIAN: "rao",
    Person.OFFICER: "officer",
    Person.OPERATOR: "operator",
}
SHOWN = [each for each in PAGES if each.show is not None]
ANSWERED = [each for each in PAGES if each.answer is not None]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture(scope="module")
def browsers(here: Hospital) -> dict[str, Browser]:
    """Everybody, signed in."""
    return {name: here.signed_in(name) for name in OWNERS.values()}


def address(page: Page) -> str:
    """An address of the page, with something that nobody has in each variable."""
    return re.sub(r"\{\w+(?::\w+)?\}", "ZZZZZZ", page.path)


def strangers(page: Page) -> list[str]:
    """Whose page it is not."""
    if page.person in (Person.ANYBODY, Person.SIGNED_IN):
        return []
    return [name for person, name in OWNERS.items() if person is not page.person]


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.path)
def test_a_page_is_not_there_for_other_people(page: Page, browsers: dict[str, Browser]) -> None:
    for name in strangers(page):
        assert browsers[name].get(address(page)).status_code == 404, name


@pytest.mark.parametrize("page", ANSWERED, ids=lambda page: page.path)
def test_a_form_does_nothing_for_other_people(page: Page, browsers: dict[str, Browser]) -> None:
    for name in strangers(page):
        assert browsers[name].post(address(page), {}, page="/devices").status_code == 404, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_who_is_not_signed_in_is_sent_to_sign_in(page: Page, here: Hospital) -> None:
    if page.person is Person.ANYBODY:
        return
    browser = here.client()
    came = [browser.client.get(address(page))] if page.show else []
    came += [browser.client.post(address(page), data={"a": "b"}, headers={"origin": ORIGIN})] if page.answer else []
    assert [(each.status_code, each.headers["location"]) for each in came] == [(303, "/sign-in")] * len(came)


@pytest.mark.parametrize("page", ANSWERED, ids=lambda page: page.path)
def test_a_form_without_its_token_does_nothing(page: Page, here: Hospital, browsers: dict[str, Browser]) -> None:
    """CSRF, on every form."""
    browser = browsers[OWNERS.get(page.person, "eleanor")]
    came = browser.client.post(address(page), data={"form": "guessed"}, headers={"origin": ORIGIN})
    assert came.status_code == 403
    elsewhere = {"origin": "https://evil.example"}
    foreign = browser.client.post(address(page), data={"form": browser.form}, headers=elsewhere)
    assert foreign.status_code == 403


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.path)
def test_no_answer_is_kept_framed_or_may_load_from_elsewhere(page: Page, browsers: dict[str, Browser]) -> None:
    came = browsers[OWNERS.get(page.person, "eleanor")].get(address(page))
    assert came.status_code < 500, came.text
    assert came.headers["cache-control"] == "no-store"
    assert came.headers["x-content-type-options"] == "nosniff"
    assert came.headers["x-frame-options"] in ("DENY", "SAMEORIGIN")
    policy = came.headers.get("content-security-policy", "default-src 'none'")
    assert "unsafe" not in policy
    assert "http:" not in policy
    assert "https:" not in policy


def test_titles_are_unique_and_every_listed_page_can_be_opened(browsers: dict[str, Browser]) -> None:
    titles: dict[str, str] = {}
    for page in SHOWN:
        came = browsers[OWNERS.get(page.person, "eleanor")].get(address(page))
        assert came.status_code == 200 or not page.listed, page.path
        if came.status_code != 200 or not came.headers["content-type"].startswith("text/html"):
            continue  # it leads elsewhere, or is about something that is not there
        found = re.search(r"<title>([^<]+)</title>", came.text)
        assert found is not None, page.path
        assert found.group(1) not in titles, (page.path, titles[found.group(1)])
        titles[found.group(1)] = page.path
        assert 'aria-current="page"' in came.text or not page.listed
    assert len(titles) > 40
