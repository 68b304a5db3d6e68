"""The two key files: what they must agree on, and every way in which they may be wrong."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from salus.vault.errors import KeyFileExposed, KeyFilesDisagree, RootGone
from salus.vault.root_files import Root, RootFiles

ROOT = Root(3, bytes(range(32)))


def as_documented(root: Root) -> bytes:
    """A key file written from docs/spec/vault.md alone."""
    tag = b"salus/vault/root-check/1"
    generation = root.generation.to_bytes(8, "big")
    lengths = (8).to_bytes(8, "big"), (32).to_bytes(8, "big")
    hashed = bytes((len(tag),)) + tag + lengths[0] + generation + lengths[1] + root.secret
    return b"salus epoch root 1\n" + generation + root.secret + hashlib.sha256(hashed).digest()


ENCODED = as_documented(ROOT)


@pytest.fixture
def files(tmp_path: Path) -> RootFiles:
    made = RootFiles(tmp_path / "one" / "root", tmp_path / "two" / "root")
    made.stage(ROOT)
    made.settle(ROOT.generation, ROOT.check)
    return made


def find(files: RootFiles, root: Root = ROOT) -> Root:
    return files.find(root.generation, root.check)


def test_the_format_is_the_written_one() -> None:
    assert ROOT.encode() == ENCODED
    assert Root.parse(ENCODED) == ROOT


def test_the_root_is_never_printed() -> None:
    assert ROOT.secret.hex() not in repr(ROOT)
    assert str(ROOT.secret) not in repr(ROOT)


def test_what_was_settled_is_found_and_only_the_owner_may_read_it(files: RootFiles) -> None:
    assert find(files) == ROOT
    assert [place.stat().st_mode & 0o777 for place in files.places] == [0o600, 0o600]
    assert [place.parent.stat().st_mode & 0o777 for place in files.places] == [0o700, 0o700]


def test_two_files_in_one_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFilesDisagree, match="on another disk"):
        RootFiles(tmp_path / "a", tmp_path / "x" / ".." / "b")


@pytest.mark.parametrize("position", range(len(ENCODED)))
def test_a_flipped_byte_in_one_file_is_named(files: RootFiles, position: int) -> None:
    changed = bytearray(ENCODED)
    changed[position] ^= 1
    assert Root.parse(bytes(changed)) is None
    if position % 13 == 0:  # the file system is slow, the parser is not
        files.places[1].write_bytes(changed)
        with pytest.raises(KeyFilesDisagree, match=f"{files.places[1]} does not hold root 3"):
            find(files)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "content", [None, b"", ENCODED[:-1], ENCODED + b"\0", Root(2, bytes(32)).encode()],
    ids=["absent", "empty", "cut short", "too long", "older root"],
)  # fmt: skip
def test_one_file_without_the_root_is_named(files: RootFiles, which: int, content: bytes | None) -> None:
    files.places[which].unlink()
    if content is not None:
        files.places[which].write_bytes(content)
        files.places[which].chmod(0o600)
    with pytest.raises(KeyFilesDisagree) as refusal:
        find(files)
    assert str(refusal.value).startswith(f"{files.places[which]} does not hold root 3, {files.places[1 - which]} does")


def test_neither_file_with_the_root_says_which_there_are(files: RootFiles) -> None:
    with pytest.raises(RootGone, match=r"wrapped under root 2, .* hold root 3: restore the newest key backup"):
        find(files, Root(2, bytes(32)))
    for place in files.places:
        place.unlink()
    with pytest.raises(RootGone, match="hold no root"):
        find(files)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_open_to_others_is_refused(files: RootFiles, mode: int) -> None:
    files.places[0].chmod(mode)
    with pytest.raises(KeyFileExposed, match="chmod 600"):
        find(files)


def test_a_staged_root_counts_once_it_is_in_force_and_destroys_the_old_one(files: RootFiles) -> None:
    new = Root(4, os.urandom(32))
    files.stage(new)
    assert (find(files), find(files, new)) == (ROOT, new)
    files.settle(new.generation, new.check)
    assert find(files, new) == new
    with pytest.raises(RootGone):
        find(files)
    assert [sorted(entry.name for entry in place.parent.iterdir()) for place in files.places] == [["root"], ["root"]]


def test_a_staged_root_that_never_came_into_force_is_destroyed(files: RootFiles) -> None:
    new = Root(4, os.urandom(32))
    files.stage(new)
    files.settle(ROOT.generation, ROOT.check)
    assert find(files) == ROOT
    with pytest.raises(RootGone):
        find(files, new)
    assert files.settled()


@pytest.mark.promise("P5")
def test_the_old_root_is_overwritten_where_it_lies(files: RootFiles) -> None:
    held_open = [place.open("rb") for place in files.places]
    new = Root(4, os.urandom(32))
    files.stage(new)
    files.settle(new.generation, new.check)
    left = [file.read() for file in held_open]
    for file in held_open:
        file.close()
    assert [len(content) for content in left] == [len(ENCODED)] * 2
    assert not any(ROOT.secret[start : start + 8] in content for content in left for start in range(25))
