"""Every page has a journey: the route table against what the journeys say that they come to, and are held to."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from salus.portal.pages import PAGES

HERE = Path(__file__).parent
BY_POINTER = (
    "check",
    "click",
    "dblclick",
    "dispatch_event",
    "drag_to",
    "focus",
    "hover",
    "select_option",
    "set_checked",
    "set_input_files",
    "tap",
    "uncheck",
)
"""What a Locator does without a keyboard, besides `fill`."""


def covered() -> set[str]:
    """What the marks of all journeys name."""
    found = set()
    for path in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.covers":
                found |= {ast.literal_eval(each) for each in node.args}
    return found


def routes() -> set[str]:
    """All that the portal answers."""
    shown = {f"GET {each.path}" for each in PAGES if each.show is not None}
    return shown | {f"POST {each.path}" for each in PAGES if each.answer is not None}


@pytest.mark.promise("U4")
def test_every_page_has_a_journey() -> None:
    assert routes() - covered() == set()


def test_no_journey_names_a_page_that_is_not_there() -> None:
    assert covered() - routes() == set()


@pytest.mark.promise("U4")
def test_journeys_use_nothing_but_the_keyboard() -> None:
    found = []
    for path in sorted(HERE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                is_filled = node.func.attr == "fill" and not isinstance(node.func.value, ast.Name)
                if is_filled or node.func.attr in BY_POINTER:
                    found.append(f"{path.name}: {ast.unparse(node)}")
    assert found == ["keyboard.py: control.click(trial=True)"]
