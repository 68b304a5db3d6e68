"""A ledger of one key is sealed, and an application behind CometBFT goes on with its tables and its log."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lmdb
import pytest

from salus.engines.base import Adopted, Founding, StartRefused
from salus.engines.chain import EmbeddedChain
from salus.engines.fsck import beginning, check_adopted, fsck
from salus.engines.sealing import read_sealed, restore, seal, sealed_at, write_sealed
from salus.engines.state_chunks import StateWrong
from salus.engines.store import LmdbStore
from salus.ledger.comet.types import Validator
from salus.ledger.machine import FirstRow, Meta, read_leaf
from salus.ledger.state import META, SPACES, Lister
from salus.testing.abci_application import AbciApplication
from salus.testing.abci_node import AbciNode, Block, Refused
from salus.testing.clock import FakeClock
from tests.engines import toy
from tests.engines.cometbft import sealed_vector
from tools.source_tree import ROOT

NOW_S = 1_800_000_000
BEGINS_S = NOW_S + 100
VALIDATORS = (Validator(toy.CONSENSUS_KEY.public, 10),)
GENESIS = b"the document that the old ledger began with"
NEW_ROW = (b"what the founders change", 1)
NOTE = toy.notes(1, 2, 3, time_s=BEGINS_S)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ledger with notes, visits, expired rows and repeats, killed before its last state was signed."""
    folder = tmp_path_factory.mktemp("old") / "ledger"
    clock = FakeClock(NOW_S)
    chain = EmbeddedChain(folder, toy.founding(), toy.CONSENSUS_KEY, clock)
    for height in range(1, 7):
        raws = [
            toy.notes(*range(10 * height, 10 * height + 9), time_s=NOW_S, expires_at_s=NOW_S + 3 * height),
            toy.visits(bytes(16), height, time_s=NOW_S),
        ]
        chain.append([chain.machine.admit(raw, time_s=NOW_S) for raw in raws], time_ns=chain.next_time_ns())
        clock.advance(2)
    assert chain.unsigned
    chain.close()
    return folder


@pytest.fixture(scope="module")
def sealed(old: Path) -> Path:
    """Its sealed file."""
    seal(old, toy.founding(), toy.CONSENSUS_KEY, FakeClock(NOW_S + 20))
    path = old.parent / "sealed"
    write_sealed(old, GENESIS, path)
    return path


def changed(_lister: Lister) -> Sequence[FirstRow]:
    """What the founders of the toy change: one row more, and the first one goes."""
    owner = (toy.KEY.public, 0)
    return [(toy.CONTRACT, toy.NOTES, NEW_ROW, toy.Entry(9, toy.FOREVER_S)), (toy.CONTRACT, toy.NOTES, owner, None)]


def stands(sealed: Path) -> Meta:
    return read_sealed(sealed).meta(toy.CHAIN)


def founding(of: Path, **changes: Any) -> Founding:
    """Of the network that goes on with it."""
    meta = stands(of)
    adopted = Adopted(meta.height, meta.tree_root, meta.log_size, meta.log_root, changed, of)
    return replace(toy.founding(time_s=BEGINS_S, validators=VALIDATORS), adopted=replace(adopted, **changes))


class Member:
    """An application with its node."""

    def __init__(self, folder: Path, begins: Founding) -> None:
        self.folder, self.begins = folder, begins
        folder.mkdir()
        self.node = AbciNode(folder / "s", toy.CHAIN, VALIDATORS, first_height=begins.first_height)
        self.is_open = False
        self.open()

    def open(self) -> None:
        """Start the application; again after it was closed."""
        self.is_open = True
        self.application = AbciApplication(
            self.folder / "ledger",
            self.folder / "s",
            self.begins,
            FakeClock(BEGINS_S),
            lambda _reader, _transaction: None,
        )

    def rows(self) -> dict[str, dict[bytes, bytes]]:
        """Everything of the machine."""
        with self.application.chain.store.snapshot() as snapshot:
            return {space: dict(snapshot.items(space)) for space in SPACES}

    def meta(self) -> Meta:
        """Where its store stands."""
        return self.application.chain.meta

    def close(self) -> None:
        """End both, if they run."""
        if self.is_open:
            self.node.stop()
            self.application.close()
        self.is_open = False


@pytest.fixture
def member(short_path: Path) -> Iterator[Callable[..., Member]]:
    opened: list[Member] = []

    def open_one(begins: Founding, name: str = "m") -> Member:
        opened.append(Member(short_path / name, begins))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


# The old ledger


def test_a_sealed_ledger_makes_no_block_any_more(old: Path, sealed: Path) -> None:
    height = stands(sealed).height
    assert height == 7  # six, and one that signs the newest state
    with pytest.raises(StartRefused, match="sealed at height 7"):
        EmbeddedChain(old, toy.founding(), toy.CONSENSUS_KEY, FakeClock(NOW_S + 30))
    with pytest.raises(StartRefused, match="sealed at height 7"):
        seal(old, toy.founding(), toy.CONSENSUS_KEY, FakeClock(NOW_S + 30))
    assert sealed_at(old) == height
    assert fsck(old, toy.founding()) == []


def test_the_file_is_the_same_again_and_replaces_none(old: Path, sealed: Path, tmp_path: Path) -> None:
    write_sealed(old, GENESIS, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == sealed.read_bytes()
    with pytest.raises(FileExistsError):
        write_sealed(old, GENESIS, sealed)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["again"]
    head = read_sealed(sealed).head
    assert (head.genesis, head.last.validators) == (GENESIS, (Validator(toy.CONSENSUS_KEY.public, 1),))


def test_a_sealed_file_of_this_format_is_written_and_read_for_ever(tmp_path: Path) -> None:
    sealed_vector.write(tmp_path / "sealed")
    assert (tmp_path / "sealed").read_bytes() == sealed_vector.VECTOR.read_bytes()
    found = read_sealed(sealed_vector.VECTOR)
    meta = found.meta(toy.CHAIN)
    assert (meta.height, meta.log_size) == (4, 3)
    assert found.head.last.state.app_hash() == meta.app_hash
    rows = found.rows(toy.founding())
    assert len(rows["state"]) == 2  # the first row, and that of note 2: the one of note 1 has expired
    newer = tmp_path / "newer"
    newer.write_bytes(sealed_vector.VECTOR.read_bytes().replace(b"\x94\x01\xc4", b"\x94\x02\xc4", 1))
    with pytest.raises(StateWrong, match="a sealed ledger of format 1"):
        read_sealed(newer)


def test_a_ledger_that_runs_is_not_sealed(tmp_path: Path) -> None:
    chain = EmbeddedChain(tmp_path, toy.founding(), toy.CONSENSUS_KEY, FakeClock(NOW_S))
    with pytest.raises(StartRefused, match="only ledger process"):
        seal(tmp_path, toy.founding(), toy.CONSENSUS_KEY, FakeClock(NOW_S))
    chain.close()
    assert sealed_at(tmp_path) == 0


def test_what_never_began_is_not_sealed(tmp_path: Path) -> None:
    assert sealed_at(tmp_path / "nowhere") == 0
    lmdb.open(str(tmp_path / "killed"), max_dbs=16).close()  # before its spaces were made
    assert (tmp_path / "killed" / "data.mdb").exists()
    assert sealed_at(tmp_path / "killed") == 0
    EmbeddedChain(tmp_path / "killed", toy.founding(), toy.CONSENSUS_KEY, FakeClock(NOW_S)).close()


def test_a_file_altered_by_one_byte_anywhere(sealed: Path, tmp_path: Path) -> None:
    """Whatever is still read is another ledger, or the same rows and leaves under another genesis or header."""
    data, other, plain = sealed.read_bytes(), tmp_path / "altered", read_sealed(sealed)
    refused = 0
    for place in range(0, len(data), 61):
        other.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            found = read_sealed(other)
            rows = found.rows(toy.founding())
            assert found.meta(toy.CHAIN) == plain.meta(toy.CHAIN)
        except (StateWrong, AssertionError):
            refused += 1
        else:
            assert rows == plain.rows(toy.founding())
            assert found.head != plain.head
    other.write_bytes(data[:-1])
    with pytest.raises(StateWrong, match="cut short"):
        read_sealed(other)
    assert refused > len(data) // 61 * 3 // 4


# The network's first state


@pytest.mark.promise("L1", "L4", "L5")
def test_the_chain_goes_on_where_the_old_one_ended(sealed: Path, member: Callable[..., Member]) -> None:
    begins, made = founding(sealed), member(founding(sealed))
    before = stands(sealed)
    assert made.meta().height == 0
    assert made.node.start() == 0
    assert made.node.app_hash == made.meta().app_hash != before.app_hash
    assert (made.meta().height, made.meta().log_root) == (before.height, before.log_root)
    kept = read_sealed(sealed).rows(begins)
    assert made.rows()["leaves"] == kept["leaves"]
    assert made.rows()["indexes"] == kept["indexes"]
    assert toy.NOTES.get(made.application.chain.store, NEW_ROW) == toy.Entry(9, toy.FOREVER_S)
    assert toy.NOTES.get(made.application.chain.store, (toy.KEY.public, 0)) is None
    # The log goes on, and the repeat of what the old ledger executed has its old outcome.
    made.node.decide(Block(BEGINS_S * 10**9, (NOTE,)))
    assert (made.meta().height, made.meta().log_size) == (before.height + 1, before.log_size + 3)
    assert read_leaf(made.application.chain.store, 0) == kept["leaves"][bytes(8)]
    assert made.application.failures == []


def test_until_the_first_block_it_begins_as_often_as_it_is_asked(sealed: Path, member: Callable[..., Member]) -> None:
    made = member(founding(sealed))
    rows = []
    for _ in range(3):
        assert made.node.start() == 0
        rows.append(made.rows())
        made.close()
        made.open()
    assert rows[0] == rows[1] == rows[2]
    made.node.start()
    made.node.decide(Block(BEGINS_S * 10**9, ()))
    made.close()
    made.open()
    assert made.node.start() == made.begins.first_height


def die_in_restore(folder: Path, sealed: Path, *, is_stored: bool) -> None:
    """Restore in this process, and have it killed where the state is stored."""
    store = LmdbStore(folder)
    begins = founding(sealed)
    store.write(begins.machine(store).genesis(time_s=BEGINS_S, rows=begins.rows).changes)
    inner = store.write

    def write(changes: Any) -> None:
        if is_stored:
            inner(changes)
        os.kill(os.getpid(), signal.SIGKILL)

    store.write = write  # type: ignore[method-assign]
    restore(store, begins)


@pytest.mark.promise("L2")
@pytest.mark.parametrize("is_stored", [False, True], ids=["before it is stored", "after"])
def test_killed_inside_the_restore(sealed: Path, tmp_path: Path, is_stored: bool) -> None:
    call = f"die_in_restore(Path({str(tmp_path / 'killed')!r}), Path({str(sealed)!r}), is_stored={is_stored})"
    code = f"from pathlib import Path; from tests.engines.cometbft.test_adoption import die_in_restore; {call}"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -signal.SIGKILL
    store, whole = LmdbStore(tmp_path / "killed"), LmdbStore(tmp_path / "whole")
    restore(whole, founding(sealed))
    meta = founding(sealed).machine(store).meta
    assert meta is not None
    assert meta.height == (stands(sealed).height if is_stored else 0)
    if not is_stored:
        restore(store, founding(sealed))
    for space in SPACES:
        assert dict(store.items(space)) == dict(whole.items(space))
    store.close()
    whole.close()


def altered(sealed: Path, place: int) -> Path:
    data = sealed.read_bytes()
    other = sealed.with_name(f"altered-{place}")
    other.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    return other


def root_place(sealed: Path) -> int:
    """Where the tree's root is in the machine's row."""
    return sealed.read_bytes().rindex(stands(sealed).tree_root)


def of_another(sealed: Path) -> Path:
    """The sealed file of a ledger with the same beginning and one block."""
    other, folder = sealed.with_name("another-sealed"), sealed.parent / "another"
    if other.exists():
        return other
    chain = EmbeddedChain(folder, toy.founding(), toy.CONSENSUS_KEY, FakeClock(NOW_S))
    chain.append([], time_ns=chain.next_time_ns())
    chain.close()
    seal(folder, toy.founding(), toy.CONSENSUS_KEY, FakeClock(NOW_S))
    write_sealed(folder, GENESIS, other)
    return other


WRONG: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "another ledger's file": (lambda sealed: {"sealed": of_another(sealed)}, "the founders signed for"),
    "one byte of a chunk": (lambda sealed: {"sealed": altered(sealed, sealed.stat().st_size - 100)}, "hashes"),
    "one byte of the machine's row": (lambda sealed: {"sealed": altered(sealed, root_place(sealed))}, "two roots"),
    "no file": (lambda _: {"sealed": Path("/nowhere/sealed")}, "No such file"),
    "a tree root that nobody signed": (lambda _: {"tree_root": bytes(32)}, "the founders signed for"),
    "a log root that nobody signed": (lambda _: {"log_root": bytes(32)}, "the founders signed for"),
    "begins without file or snapshot": (lambda _: {"sealed": None}, "begin with a snapshot, or adopt"),
}


@pytest.mark.promise("L1", "L5")
@pytest.mark.parametrize(("wrong", "words"), WRONG.values(), ids=WRONG)
def test_what_is_not_the_adopted_ledger_never_begins(
    sealed: Path, member: Callable[..., Member], wrong: Callable[[Path], dict[str, Any]], words: str
) -> None:
    made = member(founding(sealed, **wrong(sealed)))
    with pytest.raises(Refused):
        made.node.start()
    made.node.stop()
    [failure] = made.application.failures
    assert words in failure
    assert made.meta().height == 0


# The check of a store


def test_a_ledger_that_adopted_is_checked_from_the_sealed_file(
    old: Path, sealed: Path, member: Callable[..., Member]
) -> None:
    begins, made = founding(sealed), member(founding(sealed))
    made.node.start()
    made.close()
    folder = made.folder / "ledger"
    assert fsck(folder, begins) == []
    assert beginning(folder, begins) == f"the ledger sealed at height {stands(sealed).height}"
    assert beginning(old, toy.founding()) == "genesis"
    assert beginning(folder, founding(sealed, sealed=None)) == ""
    assert begins.adopted is not None
    assert check_adopted(old, begins.adopted) == []
    [finding] = check_adopted(old, replace(begins.adopted, log_root=bytes(32)))
    assert "does not stand where the founders" in finding.words


def test_a_check_from_another_file_is_a_finding(sealed: Path, member: Callable[..., Member]) -> None:
    made = member(founding(sealed))
    made.node.start()
    made.close()
    [finding] = fsck(made.folder / "ledger", founding(sealed, sealed=of_another(sealed)))
    assert "not the sealed ledger that was adopted" in finding.words


def test_a_row_that_does_not_follow_from_the_sealed_file(sealed: Path, member: Callable[..., Member]) -> None:
    made = member(founding(sealed))
    made.node.start()
    made.close()
    folder = made.folder / "ledger"
    # As another network would have it: its own roots hold, and only the execution from the sealed file differs.
    [*findings] = fsck(folder, replace(founding(sealed), time_s=BEGINS_S + 1))
    assert {finding.space for finding in findings} == {META}
