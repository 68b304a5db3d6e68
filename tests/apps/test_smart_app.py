"""A SMART app in Chromium: launched by a person and by an EHR, let in, shows records, stops when access is ended."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.apps.browser import page_of
from tests.apps.smart_app_world import BORN, NUMBER, PASSWORD, WEIGHTS, Clinic, clinic

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with clinic(tmp_path_factory.mktemp("clinic")) as made:
        yield made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with page_of(browser) as opened:
        yield opened


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def expect_weights(page: Page, user: str) -> None:
    expect(page.get_by_role("status")).to_have_text(f"{len(WEIGHTS)} weights, for {user}")
    assert sorted(page.get_by_role("listitem").all_inner_texts()) == WEIGHTS
    expect(page.get_by_text(f"Born {BORN}")).to_be_visible()


def end_access(page: Page, at: Clinic) -> None:
    """On the page that lists apps, in another tab of the same browser."""
    tab = page.context.new_page()
    tab.goto(at.manage)
    tab.get_by_role("button", name="End its access").click()
    expect(tab.get_by_text("No app has access")).to_be_visible()


def expect_nothing(page: Page) -> None:
    page.get_by_role("button", name="Show again").click()
    expect(page.get_by_role("status")).to_contain_text("Cannot show anything")
    assert page.get_by_role("listitem").count() == 0


@pytest.mark.promise("R3")
def test_a_patient_lets_the_app_in_sees_their_record_and_ends_its_access(at: Clinic, page: Page) -> None:
    page.goto(f"{at.home}/launch.html")
    sign_in(page, "eleanor")
    expect(page.get_by_role("heading", name="Do you want to give Weights access?")).to_be_visible()
    page.get_by_role("button", name="Give access", exact=True).click()
    expect_weights(page, "Patient")
    end_access(page, at)
    expect_nothing(page)


@pytest.mark.promise("R3")
def test_an_ehr_launches_the_app_with_a_patient_in_context(at: Clinic, page: Page) -> None:
    page.goto(at.smart.desk.launch(at.nurse, at.app, at.pseudonym))
    sign_in(page, "nurse")
    page.get_by_role("button", name="Give access", exact=True).click()
    expect_weights(page, "Practitioner")
    end_access(page, at)
    expect_nothing(page)


def test_staff_says_which_patient_it_is_about(at: Clinic, page: Page) -> None:
    page.goto(f"{at.home}/launch.html")
    sign_in(page, "nurse")
    page.get_by_label("NHS number").fill(NUMBER)
    for label, text in zip(("Year", "Month", "Day"), BORN.split("-"), strict=True):
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Give access", exact=True).click()
    expect_weights(page, "Practitioner")


def test_what_was_left_out_is_not_shown(at: Clinic, page: Page) -> None:
    page.goto(f"{at.home}/launch.html")
    sign_in(page, "eleanor")
    page.get_by_label("test results and measurements").uncheck()
    page.get_by_role("button", name="Give access", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Cannot show anything")


def test_an_app_that_is_not_let_in_is_told_so(at: Clinic, page: Page) -> None:
    page.goto(f"{at.home}/launch.html")
    sign_in(page, "eleanor")
    page.get_by_role("button", name="Do not give access").click()
    expect(page.get_by_role("status")).to_contain_text("the person did not let this app in")
