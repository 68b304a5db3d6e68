"""Puts the page together from its sources: one file that works offline, or the same page served in three parts.

Both have the same script and style, byte for byte, so one hash stands for them. The modules of `page/` are joined in
the order in which they need each other, each in a function of its own; nothing is rewritten or minified.
"""

import base64
import hashlib
import html
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parent / "page"
FIRST: Final = "page.js"
FILE_NAME: Final = "salus-check-a-receipt.html"
_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";$', re.MULTILINE)
_IMPORT_JSON: Final = re.compile(r'^import (\w+) from "\./([\w.]+)" with \{ type: "json" \};$', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|const|class) (?:(\w+)|\[([^\]]*)\]))", re.MULTILINE)
_WORDS: Final = re.compile(r'data-words="(\w+)">')
_RULES: Final = (
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"  # no HTML from text
)
POLICY: Final = f"default-src 'none'; script-src 'self'; style-src 'self'; {_RULES}; frame-ancestors 'none'"
"""The served page's content security policy: its own two files, and no request to anybody."""


@dataclass(frozen=True)
class PageFile:
    """A file of the served page."""

    name: str
    content_type: str
    content: bytes


def single_file(trust: bytes = b"") -> bytes:
    """Return the whole page as one file, which works from a disk without any network.

    Args:
        trust: a trust file that the page then begins with; it goes in as it is.
    """
    policy = f"default-src 'none'; script-src {_source(script())}; style-src {_source(style())}; {_RULES}"
    return _page(
        trust,
        policy=f'<meta http-equiv="content-security-policy" content="{policy}">',
        style=f"<style>{style()}</style>",
        script=f'<script type="module">{script()}</script>',
        download="",
    )


def served_files(trust: bytes = b"") -> tuple[PageFile, ...]:
    """Return the page as it is served, under `POLICY`: the page, its style and script, and the one file to download."""
    link = f'<p><a href="{FILE_NAME}" download data-words="download"></a></p>'
    page = _page(
        trust,
        policy="",
        style='<link rel="stylesheet" href="check.css">',
        script='<script type="module" src="check.js"></script>',
        download=link,
    )
    return (
        PageFile("index.html", "text/html; charset=utf-8", page),
        PageFile("check.css", "text/css; charset=utf-8", style().encode()),
        PageFile("check.js", "text/javascript; charset=utf-8", script().encode()),
        PageFile(FILE_NAME, "text/html; charset=utf-8", single_file(trust)),
    )


@cache
def script() -> str:
    """Return the page's modules as one script."""
    joined: dict[str, str] = {}
    _join(FIRST, joined, waiting=())
    text = "\n".join(joined.values())
    assert "</script" not in text, "it would end the element that it stands in"
    return text


@cache
def style() -> str:
    """Return the page's style."""
    return (PAGE / "check.css").read_text(encoding="utf-8")


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _page(trust: bytes, **parts: str) -> bytes:
    words = json.loads((PAGE / "words.json").read_bytes())
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        page = page.replace(f"<!-- {name} -->", part, 1)
    page = _WORDS.sub(lambda found: found[0] + html.escape(words[found[1]][0]), page)
    return page.replace("<!-- trust -->", base64.b64encode(trust).decode("ascii"), 1).encode()


def _join(name: str, joined: dict[str, str], *, waiting: tuple[str, ...]) -> None:
    """Add a module after those that it needs."""
    if name in joined:
        return
    assert name not in waiting, f"modules need each other in a circle: {waiting}"
    source = (PAGE / name).read_text(encoding="utf-8")
    for _, needed in _IMPORT.findall(source):
        _join(needed, joined, waiting=(*waiting, name))
    exports = [each for one, several in _EXPORT.findall(source) for each in (one, *several.split(", ")) if each]
    body = _IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_variable(found[2])};", source)
    body = _IMPORT_JSON.sub(lambda found: f"const {found[1]} = {_compact(found[2])};", body)
    body = _EXPORT.sub("", body)
    assert not re.search(r"^(im|ex)port\b", body, re.MULTILINE), f"{name} imports or exports in a way not known here"
    joined[name] = f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(exports)} }};\n}})();"


def _variable(name: str) -> str:
    return f"{Path(name).stem}Module"


def _compact(name: str) -> str:
    return json.dumps(json.loads((PAGE / name).read_bytes()), ensure_ascii=False, separators=(",", ":"))
