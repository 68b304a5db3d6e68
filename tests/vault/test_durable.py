"""What makes a file durable: the order of write, fsync, rename and fsync of the folder, and nothing left on failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from salus.vault import durable
from salus.vault.drivers.folder import Folder
from salus.vault.errors import Unavailable

NAME = "0123456789abcdef" * 2


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the file system from now on, in order."""
    made: list[str] = []

    def recorded(name: str, shown: Callable[..., str]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            made.append(f"{name} {shown(*arguments)}")
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, call)

    recorded("fsync", lambda descriptor: Path(f"/proc/self/fd/{descriptor}").readlink().name)
    recorded("replace", lambda source, target: f"{Path(source).name} {Path(target).name}")
    recorded("unlink", lambda path, **_named: Path(path).name)
    return made


def test_a_write_syncs_the_file_before_it_is_renamed_and_the_folder_after(tmp_path: Path, calls: list[str]) -> None:
    durable.write(tmp_path / "file", [b"a", b"b"])
    assert calls == ["fsync file.part", "replace file.part file", f"fsync {tmp_path.name}"]
    assert (tmp_path / "file").read_bytes() == b"ab"


def test_a_destroyed_file_is_overwritten_and_synced_before_it_goes(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"secret" * 1000)
    with (tmp_path / "file").open("rb") as held:
        durable.destroy(tmp_path / "file")
        left = held.read()
    assert calls == ["fsync file", "unlink file", f"fsync {tmp_path.name}"]
    assert len(left) == 6000
    assert b"secret" not in left
    durable.destroy(tmp_path / "file")


def test_an_object_of_the_folder_is_synced_in_incoming_and_in_its_place(tmp_path: Path, calls: list[str]) -> None:
    folder = Folder(tmp_path / "objects")
    folder.put("ff" * 16, [b"makes the folder"])
    calls.clear()
    folder.put(NAME, [b"object"])
    assert calls == [f"fsync {folder.path.name}", f"fsync {NAME}", f"replace {NAME} {NAME}", "fsync 01"]
    calls.clear()
    folder.delete(NAME)
    assert calls == [f"unlink {NAME}", "fsync 01"]


def broken() -> Iterator[bytes]:
    yield b"half"
    raise KeyboardInterrupt


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", [b"old"])
    with pytest.raises(KeyboardInterrupt):
        durable.write(tmp_path / "file", broken())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_a_failing_disk_is_unavailable_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.write(tmp_path / "file", [b"old"])

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(Unavailable, match="Input/output error: free or repair the disk"):
        durable.write(tmp_path / "file", [b"new"])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]
