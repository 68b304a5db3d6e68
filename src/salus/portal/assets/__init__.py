"""Styles and scripts of the pages: our own, and those that `tools/portal_assets.py` lays beside them from npm."""

import gzip
import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
BUILT: Final = HERE / "built"
TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class AssetsMissing(Exception):
    """What is built from npm packages is not there; the message says what to do."""


@dataclass(frozen=True)
class Asset:
    """A file: its type, its bytes, and the same compressed."""

    media_type: str
    plain: bytes = field(repr=False)
    compressed: bytes = field(repr=False)


@dataclass(frozen=True)
class Assets:
    """All files by name, under one stamp, so that a browser may keep them for good."""

    stamp: str
    files: dict[str, Asset]

    def url(self, name: str) -> str:
        """Where a page finds a file. Raises KeyError for one that is not there: a page of ours is wrong."""
        assert name in self.files, f"a page names {name}, which is no asset"
        return f"/assets/{self.stamp}/{name}"


@cache
def assets() -> Assets:
    """Read all files, once a process. Raises AssetsMissing."""
    if not BUILT.is_dir():
        raise AssetsMissing(f"expected {BUILT}, which `make setup` lays: run it")
    found = {**_files(BUILT), **_files(HERE, below=False)}
    stamp = hashlib.sha256(b"".join(name.encode() + each.plain for name, each in sorted(found.items())))
    return Assets(stamp.hexdigest()[:16], found)


def _files(folder: Path, *, below: bool = True) -> dict[str, Asset]:
    paths = sorted(folder.rglob("*") if below else folder.iterdir())
    wanted = [each for each in paths if each.suffix in TYPES]
    return {each.relative_to(folder).as_posix(): _asset(each) for each in wanted}


def _asset(path: Path) -> Asset:
    plain = path.read_bytes()
    return Asset(TYPES[path.suffix], plain, gzip.compress(plain, mtime=0))
