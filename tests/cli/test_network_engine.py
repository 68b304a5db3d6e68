"""salus network: what is installed, and which versions there are."""

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from salus.cli import run
from salus.engines.cometbft.installing import CHECKSUMS, PROGRAM, RECORD, VERSION, Record


@pytest.mark.parametrize("version", CHECKSUMS)
def test_what_is_installed_already_is_not_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    place = tmp_path / f"cometbft-{version}"
    place.mkdir()
    (place / PROGRAM).write_bytes(b"a program")
    record = Record(version, CHECKSUMS[version], hashlib.sha256(b"a program").hexdigest())
    (place / RECORD).write_bytes(msgspec.json.encode(record))
    monkeypatch.setenv("SALUS_ENGINES", str(tmp_path))
    options = [] if version == VERSION else ["--version", version]
    assert run(["network", "install-engine", *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": version, "program": str(place / PROGRAM)}


def test_an_unknown_version_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["network", "install-engine", "--version", "1.0.0"]) == 2
    assert "expected one of 0.39.4, 0.38.25, came 1.0.0" in capsys.readouterr().err
