"""The locks: complete, hashed, agreeing with each other and with pyproject.toml, silent about where files come from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tools.source_tree import ROOT, committed_files, shown

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
EXTRAS_OF_LOCK = {
    "runtime.txt": [],
    "extras.txt": ["postgres", "s3"],
    "test.txt": ["postgres", "s3", "test"],
}
# Written in pieces so that this file does not name what it looks for.
REGISTRY_HOSTS = (
    "pypi" + ".org", "pypi.python" + ".org", "files.python" + "hosted", "registry." + "npmjs", "registry." + "yarnpkg",
    "crates" + ".io", "proxy." + "golang", "repo." + "maven", "deb." + "debian",
)  # fmt: skip
NPM_LOCKS = {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock"}


def pins(lock: Path) -> dict[str, str]:
    """Name to version."""
    return dict(PIN.findall(lock.read_text(encoding="utf-8")))


def canonical(requirement: str) -> str:
    """The name in a requirement, as locks write it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def wanted(extras: list[str]) -> set[str]:
    """What pyproject.toml asks for with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return {canonical(requirement) for group in groups for requirement in group}


@pytest.mark.parametrize("name", EXTRAS_OF_LOCK)
def test_lock_has_everything_that_the_package_asks_for(name: str) -> None:
    assert wanted(EXTRAS_OF_LOCK[name]) - set(pins(ROOT / "requirements" / name)) == set()


@pytest.mark.parametrize("lock", LOCKS, ids=shown)
def test_every_pin_has_hashes(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    blocks = PIN.split(text)[3::3]
    assert blocks
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS, ids=shown)
def test_no_lock_says_where_packages_come_from(lock: Path) -> None:
    lines = lock.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "://" in line or line.startswith("-")] == []


def test_the_locks_agree() -> None:
    versions: dict[str, set[str]] = {}
    for lock in (ROOT / "requirements" / name for name in EXTRAS_OF_LOCK):
        for name, version in pins(lock).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_no_committed_file_names_a_package_registry() -> None:
    faults = [
        f"{shown(path)}: {host}"
        for path in committed_files()
        for host in REGISTRY_HOSTS
        if host in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert faults == []


def test_no_npm_lock_says_where_a_package_was_found() -> None:
    locks = [path for path in committed_files() if path.name in NPM_LOCKS]
    assert [shown(path) for path in locks if "resolved" in path.read_text(encoding="utf-8")] == []
