"""What a receipt says of a response is in the journal, in no table, and goes with its relationship (R5, P5)."""

from pathlib import Path

import msgspec
import pytest

from salus.node.journal import Journal, PartKey, State, read_lines
from salus.node.line_keys import LineKeys
from salus.testing.world import CHAIN, open_vault

PERMIT, PSEUDONYM, OTHER = b"p" * 32, b"s" * 16, b"t" * 16


@pytest.fixture
def keys(tmp_path: Path) -> LineKeys:
    return LineKeys(open_vault(tmp_path, lambda: 100), CHAIN)


def opened(folder: Path, keys: LineKeys) -> Journal:
    return Journal(folder / "released", keys, unfinished=State.POSSIBLY_RELEASED, now_s=100)


@pytest.mark.promise("R5")
def test_it_is_read_again_by_this_worker_the_next_and_another(tmp_path: Path, keys: LineKeys) -> None:
    first = opened(tmp_path, keys)
    other = opened(tmp_path, keys)
    for part in (1, 2):
        first.log(PartKey(PERMIT, part), b"receipt", pseudonym=PSEUDONYM, at_s=100, kept=b"says %d" % part)
        first.note(PartKey(PERMIT, part), State.SENT, at_s=100)
    other.refresh()
    assert [each.kept(PartKey(PERMIT, 2)) for each in (first, other)] == [b"says 2", b"says 2"]
    first.close()
    again = opened(tmp_path, keys)
    assert [again.kept(PartKey(PERMIT, part)) for part in (1, 2, 3)] == [b"says 1", b"says 2", b""]
    assert [line.kept for line in again.permit_lines(PERMIT)] == [b"", b""], "memory has what every line has, no more"


@pytest.mark.promise("P5")
def test_it_goes_with_the_key_of_its_lines(tmp_path: Path, keys: LineKeys) -> None:
    journal = opened(tmp_path, keys)
    for name, pseudonym in ((PERMIT, PSEUDONYM), (b"q" * 32, OTHER)):
        journal.log(PartKey(name, 1), b"receipt", pseudonym=pseudonym, at_s=100, kept=b"says")
    keys._vault.erase_relationship(PSEUDONYM)
    assert journal.kept(PartKey(PERMIT, 1)) == b""
    assert journal.kept(PartKey(b"q" * 32, 1)) == b"says"


@pytest.mark.promise("P4")
def test_it_is_sealed_in_the_file(tmp_path: Path, keys: LineKeys) -> None:
    journal = opened(tmp_path, keys)
    journal.log(PartKey(PERMIT, 1), b"receipt", pseudonym=PSEUDONYM, at_s=100, kept=b"what the receipt says")
    (path,) = (tmp_path / "released").glob("*.journal")
    assert b"what the receipt says" not in path.read_bytes()
    (line,) = read_lines(path, keys).lines
    assert msgspec.structs.replace(line, kept=b"").receipt == b"receipt"
