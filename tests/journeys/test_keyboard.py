"""What the keyboard of journeys reaches, and what it refuses to go on with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.apps.browser import page_of
from tests.journeys import keyboard

pytestmark = [pytest.mark.services, pytest.mark.promise("U4")]

SEEN, UNSEEN = (f"<style>a:focus {{outline: {each}}}</style>" for each in ("3px solid", "none"))
LINKS = "".join(f'<p><a href="#{each}">Link {each}</a></p>' for each in range(6))
FILLS_IN = f"""{SEEN}<div id="view">{LINKS}</div><script>
document.links[2].addEventListener("focus", () => {{ document.getElementById("view").innerHTML = `{LINKS}`; }});
</script>"""
TRAP = f'{SEEN}{LINKS}<script>document.links[2].addEventListener("keydown", each => each.preventDefault());</script>'


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with page_of(browser) as made:
        yield made


@pytest.mark.parametrize("markup", [SEEN + LINKS, FILLS_IN], ids=["as it was", "as a script fills it in"])
def test_a_link_is_reached(page: Page, markup: str) -> None:
    page.goto("about:blank")
    page.set_content(markup)
    keyboard.press(page.get_by_role("link", name="Link 5"))
    assert page.evaluate("location.hash") == "#5"


@pytest.mark.parametrize(
    ("markup", "said"),
    [(UNSEEN + LINKS, "nobody sees where the focus is"), (TRAP, "no Tab leads there")],
    ids=["unseen", "trap"],
)
def test_a_way_on_which_somebody_is_lost_is_none(
    page: Page, monkeypatch: pytest.MonkeyPatch, markup: str, said: str
) -> None:
    monkeypatch.setattr(keyboard, "SEEN_S", 0.1)
    page.goto("about:blank")
    page.set_content(markup)
    with pytest.raises(AssertionError, match=said):
        keyboard.press(page.get_by_role("link", name="Link 5"))
