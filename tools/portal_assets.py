"""Lay what the portal's pages look like and are helped by, from npm, beside the code that serves it; never committed.

1. The packages are fetched, or were kept (`tools.npm_packages`).
2. NHS.UK frontend's styles lose their fonts, which lie with a third party and are the NHS's own: no page of ours asks
   anybody else for anything.
3. They are written with a stamp, unless what is there was made of the same.

Run: `python -m tools.portal_assets` (`make setup` does).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sys
import tarfile
from pathlib import Path

from salus.portal import assets
from tools.npm_packages import NpmPackage, PackageUnfit, kept_or_fetched

FRONTEND = NpmPackage(
    "nhsuk-frontend",
    "10.6.1",
    "sha512-PZorqQZjZx/A26yJoskCL9z0ib6AtkAyF0o4K/RHr8zRrJyXrUOCnMbjy0VNXsGO4tfTNMwqlkwATKs4a0xayw==",
)
HTMX = NpmPackage(
    "htmx.org",
    "4.0.1",
    "sha512-oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
)
ICONS = ("nhsuk-icon-arrow-down", "nhsuk-icon-arrow-up-down", "nhsuk-icon-arrow-up", "nhsuk-icon-cross")
WANTED = (
    (FRONTEND, "package/dist/nhsuk/nhsuk-frontend.min.css", "nhsuk-frontend.css"),
    (FRONTEND, "package/dist/nhsuk/nhsuk-frontend.min.js", "nhsuk-frontend.js"),
    (HTMX, "package/dist/htmx.min.js", "htmx.js"),
    *((FRONTEND, f"package/dist/nhsuk/assets/images/{each}.svg", f"images/{each}.svg") for each in ICONS),
)
STAMP = "stamp"
_FONT = re.compile(rb"@font-face\{[^}]*\}")
_MAP = re.compile(rb"\n?/[/*]# sourceMappingURL=\S+(?: \*/)?")
_OWN = re.compile(rb"url\(/assets/")
_ELSEWHERE = re.compile(rb"url\((?!images/|\"?data:)|@import")


def main() -> int:
    """Lay them, unless those that are there are the same."""
    if is_current(assets.BUILT):
        return 0
    try:
        archives = {package: kept_or_fetched(package) for package in (FRONTEND, HTMX)}
    except PackageUnfit as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    part = assets.BUILT.with_name(f"{assets.BUILT.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    (part / "images").mkdir(parents=True)
    for package, path, name in WANTED:
        (part / name).write_bytes(cleaned(inside(archives[package], path)))
    (part / STAMP).write_text(stamp())
    shutil.rmtree(assets.BUILT, ignore_errors=True)
    part.rename(assets.BUILT)
    size_bytes = sum(each.stat().st_size for each in assets.BUILT.rglob("*.*"))
    print(f"assets of the portal: {size_bytes / 1e3:.0f} kB")
    return 0


def stamp() -> str:
    """What the files depend on: the packages, and how they are cleaned."""
    packages = "".join(each.integrity for each in (FRONTEND, HTMX))
    return hashlib.sha256(packages.encode() + Path(__file__).read_bytes()).hexdigest()


def is_current(place: Path) -> bool:
    """Whether they are there and made of the same."""
    return (place / STAMP).is_file() and (place / STAMP).read_text() == stamp()


def inside(archive: bytes, path: str) -> bytes:
    """A file of a package."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        found = files.extractfile(path)
        assert found is not None, "the package is known by its hash"
        return found.read()


def cleaned(text: bytes) -> bytes:
    """A file without fonts that lie elsewhere and without the name of its map; what else lies elsewhere is refused."""
    text = _OWN.sub(b"url(", _MAP.sub(b"", _FONT.sub(b"", text)))
    assert not _ELSEWHERE.search(text), "this version of the package asks a third party: clean that as well"
    return text


if __name__ == "__main__":
    sys.exit(main())
