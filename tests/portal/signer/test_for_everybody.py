"""The signer page for everybody: axe-core finds nothing, it reflows at 320 px, and a keyboard is enough (U4)."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from salus.contracts.provisions import Provision, ProvisionType, encode_tree
from salus.crypto.signing import SigningKey
from tests import apps
from tests.conftest import absent
from tests.contracts.trees import TREES
from tests.portal.signer.signer_tab import HOSPITAL, Mary
from tests.portal.signer.signer_world import text

pytestmark = pytest.mark.services

AXE = Path(next(iter(apps.__path__))) / "node_modules" / "axe-core" / "axe.min.js"
TREE = text(encode_tree(TREES["no-psychiatry"]))
PRESS = "Approve with your passkey"
DENY = text(encode_tree(Provision(ProvisionType.DENY)))


@pytest.fixture(scope="module")
def axe() -> str:
    """The script that looks for barriers."""
    if not AXE.is_file():
        absent("no axe-core: make setup")
    return AXE.read_text(encoding="utf-8")


def states(mary: Mary) -> dict[str, tuple[str, list[dict[str, Any]], str]]:
    """What the page can be showing: a request, and the button that leads on."""
    unknown = {"choice": text(bytes(16)), "tree": DENY, "voucher": ""}
    person = {"key": text(SigningKey.generate().public), "key_kind": 2, "expires_at_s": 0, "name": "Bob", "terms": None}
    return {
        "rules": ("file-consent", [mary.item(tree=TREE, replaces=unknown)], ""),
        "a code to type": ("add-key", [mary.item(**person)], PRESS),
        "a doubt": ("withdraw-consent", [mary.item(**unknown)], PRESS),
        "guardians": ("set-recovery", [mary.item(threshold=2, second=3, guardians=["Tom", "Ida", "Dr Rao"])], PRESS),
        "words to type": ("finish-recovery", [mary.item()], PRESS),
        "a problem": ("accept-key", [{"custodian": HOSPITAL, "body": text(b"\x90")}], ""),
    }


@pytest.mark.promise("U4")
@pytest.mark.parametrize("state", ["rules", "a code to type", "a doubt", "guardians", "words to type", "a problem"])
def test_axe_finds_nothing_and_the_page_reflows(mary: Mary, axe: str, state: str) -> None:
    page = mary.tab.page
    kind, items, press = states(mary)[state]
    page.set_viewport_size({"width": 320, "height": 800})
    mary.tab.open(kind, items)
    expect(page.get_by_role("button").first).to_be_visible()
    if press:
        page.get_by_role("button", name=press).click()
        expect(page.locator(".warning:not([hidden]), .sheet").first).to_be_visible()
    for each in page.locator("summary").all():
        each.click()
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(f"async () => {{ {axe}; return (await axe.run(document)).violations; }}")
        assert [(scheme, each["id"], each["nodes"][0]["html"]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.promise("U4")
def test_the_keyboard_alone_is_enough_and_sees_where_it_is(mary: Mary) -> None:
    page = mary.tab.page
    page.set_viewport_size({"width": 1280, "height": 900})
    address = mary.tab.open("file-consent", [mary.item(tree=TREE, replaces=None)])
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve with your passkey")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "4px"
    page.keyboard.press("Enter")
    expect(page).to_have_title("Done")
    assert len(mary.tab.portal.answer_to(address)["items"]) == 1
