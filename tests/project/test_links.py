"""The pages of the project: each link inside the repository leads to a file, and to its heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.source_tree import ROOT, shown

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Pages at the root, below docs and among the fragments."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")])


def anchor(heading: str) -> str:
    """The name that forges give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def link_faults(page: Path) -> list[str]:
    """Links of a page that lead nowhere; addresses outside are not looked at."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    return [link for link in LINK.findall(text) if "://" not in link and not leads_somewhere(page, link)]


def leads_somewhere(page: Path, link: str) -> bool:
    """`file#heading`, `file` or `#heading`."""
    name, _, heading = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return False
    return not heading or heading in {anchor(each) for each in HEADING.findall(target.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    assert link_faults(page) == []


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](page.md#one-thing) [b](gone.md) [c](#no) `[d](code.md)`\n", encoding="utf-8")
    assert link_faults(page) == ["gone.md", "#no"]
