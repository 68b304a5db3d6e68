"""The signer: the one page in which a patient's long-term keys open, on an origin of its own (DESIGN §7).

What the page does and how the portal asks it is in docs/spec/signer.md; its code is in `page/`. Here are its files, the
policy under which browsers run them, and the hash of both, which an organisation publishes on the ledger.
Never sees a key, a request or a cookie: it serves files and nothing else.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from salus.crypto.hashing import sha256, tagged

FILE_NAME: Final = "signer"
"""The name under which PublishFile publishes the hash."""
_HASH_TAG: Final = "salus/signer/page/1"
_PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_CHAIN: Final = re.compile(r"[\x21-\x7e]{1,50}")


@dataclass(frozen=True)
class PageFile:
    """One file as it is served."""

    path: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Signer:
    """The page for one portal and one chain: all that a browser gets, and what it was told to allow."""

    files: tuple[PageFile, ...]
    policy: str

    def hash(self) -> bytes:
        """Return what is published on the ledger (docs/spec/signer.md), 32 bytes."""
        parts = [self.policy.encode()]
        for each in self.files:
            parts += [each.path.encode(), each.content_type.encode(), sha256(each.content)]
        return tagged(_HASH_TAG, *parts)

    def manifest(self) -> str:
        """Return the files and their SHA-256, for people who compare."""
        lines = [f"{sha256(each.content).hex()}  {each.path}" for each in self.files]
        return "\n".join([*lines, f"policy  {self.policy}", f"{self.hash().hex()}  all", ""])


def signer_page(*, portal: str, chain: str) -> Signer:
    """Return the page that signs for one portal.

    Args:
        portal: the portal's origin, such as `https://records.example`: the only place to which the page speaks.
        chain: the ledger for which it signs.

    Raises:
        ValueError: not an origin, or not a chain's name.
    """
    if not _ORIGIN.fullmatch(portal):
        raise ValueError(f"expected the portal's origin such as https://records.example, came {portal}")
    if not _CHAIN.fullmatch(chain):
        raise ValueError("expected the name of a chain: 1 to 50 printable characters without spaces")
    configuration = f"export const PORTAL = {json.dumps(portal)}, CHAIN = {json.dumps(chain)};\n".encode()
    contents = {path.name: path.read_bytes() for path in _PAGE.iterdir() if path.suffix in _TYPES}
    contents["configuration.js"] = configuration
    files = tuple(PageFile(name, _TYPES[Path(name).suffix], contents[name]) for name in sorted(contents))
    return Signer(files, _policy(portal))


def _policy(portal: str) -> str:
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"connect-src {portal}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
