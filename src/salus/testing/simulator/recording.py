"""Recorded ledgers: a genesis, blocks and the roots that they gave, to be executed again anywhere and for ever (L1).

    python -m salus.testing.simulator.recording memory FILE
    python -m salus.testing.simulator.recording store FILE

executes a recording in this interpreter, over a store in memory or through the embedded chain on LMDB, and prints as
JSON the app hash after each block and a digest of all rows.
"""

import locale
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Final, Protocol

import msgspec

from salus.contracts import CONTRACTS
from salus.contracts.genesis import Genesis, decode_genesis, genesis_rows
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding
from salus.engines.chain import EmbeddedChain
from salus.engines.clock import SECOND_NS
from salus.ledger.encoding import encode
from salus.ledger.machine import Executed, Machine
from salus.ledger.state import SPACES, Store
from salus.ledger.transactions import Transaction
from salus.testing.clock import FakeClock
from salus.testing.memory_store import MemoryStore
from salus.testing.simulator.cast import Cast, make_cast
from salus.testing.simulator.drafts import BUILDERS
from salus.testing.simulator.in_memory import JUMPS_S
from salus.testing.simulator.player import Player

THREE_DAYS_S: Final = 259_200
NEWER_MARKS: Final = ("\U0001e4ef\u0323", "\U0001e08f\u0323", "e\U00010efd\u0301", "\u0301")
"""Text whose canonical order newer Unicode tables see otherwise than older ones; the last was always NFC."""
NOT_NFC: Final = "e\u0301"


class Block(msgspec.Struct, frozen=True):
    """One block, and the app hash after it."""

    time_s: int
    transactions: tuple[bytes, ...]
    app_hash: bytes


class Recording(msgspec.Struct, frozen=True):
    """A ledger from genesis on.

    Args:
        rows: digest of all rows of all spaces after the last block.
    """

    genesis: bytes
    blocks: tuple[Block, ...]
    rows: bytes


class Roots(msgspec.Struct, frozen=True):
    """What an execution gave, and where it ran."""

    app_hashes: tuple[bytes, ...]
    rows: bytes
    python: str
    unicode: str
    locale: str


class Runner(Protocol):
    """Executes blocks."""

    @property
    def store(self) -> Store:
        """The rows as they stand."""

    def execute(self, height: int, time_s: int, raws: Sequence[bytes]) -> bytes:
        """Execute and store one block; return the app hash after it."""


class InMemoryRunner:
    """The machine over a store in memory."""

    def __init__(self, founding: Founding) -> None:
        self.store = MemoryStore()
        self._machine = founding.machine(self.store)
        self.store.write(self._machine.genesis(time_s=founding.time_s, rows=founding.rows).changes)

    def execute(self, height: int, time_s: int, raws: Sequence[bytes]) -> bytes:
        """Execute and store one block; return the app hash after it."""
        admitted = [self._machine.admit_verified(raw, time_s=time_s) for raw in raws]
        executed: Executed = self._machine.execute(height=height, time_s=time_s, block_transactions=admitted)
        self.store.write(executed.changes)
        return executed.meta.app_hash


class ChainRunner:
    """The embedded chain on LMDB. It is given transactions only: of what is none, it never makes a block."""

    def __init__(self, founding: Founding, folder: Path) -> None:
        self._chain = EmbeddedChain(folder, founding, SigningKey.from_seed(bytes(32)), FakeClock(founding.time_s))
        self._machine: Machine = self._chain.machine

    @property
    def store(self) -> Store:
        """The rows as they stand."""
        return self._chain.store

    def execute(self, height: int, time_s: int, raws: Sequence[bytes]) -> bytes:
        """Execute and store one block; return the app hash after it."""
        admitted = [self._machine.admit_verified(raw, time_s=time_s) for raw in raws]
        transactions = [each for each in admitted if isinstance(each, Transaction)]
        assert len(transactions) == len(raws), "a recording has no bytes that are not a transaction"
        assert height == self._chain.meta.height + 1
        time_ns = time_s * SECOND_NS + height * 1_000_000 % SECOND_NS
        return self._chain.append(transactions, time_ns=time_ns).meta.app_hash

    def close(self) -> None:
        """Let go of the folder."""
        self._chain.close()


def founding_of(genesis: Genesis) -> Founding:
    """Return what a recorded ledger starts from."""
    return Founding(genesis.chain, CONTRACTS, genesis.time_s, tuple(genesis_rows(genesis)))


def record(seed: int, transactions: int) -> Recording:
    """Make a ledger of a seed: every message, legal and illegal, and text that tables of Unicode disagree about."""
    chance = Random(seed)  # noqa: S311 -- reproducible by its seed
    cast = _named(make_cast(chance))
    auditor = cast.auditor()
    player = Player(auditor, cast.keys, chance, broken=0.15)
    runner = InMemoryRunner(founding_of(cast.genesis))
    blocks: list[Block] = []
    time_s, tags = cast.genesis.time_s, cycle(BUILDERS)
    while sum(len(block.transactions) for block in blocks) < transactions:
        time_s += chance.choice(JUMPS_S) if chance.random() > 0.05 else THREE_DAYS_S
        made = [player.of(next(tags), time_s), player.transaction(time_s)]
        if chance.random() < 0.1:
            made.append(player.with_text(chance.choice((*NEWER_MARKS, NOT_NFC)), time_s))
        raws = tuple(raw for raw in made if auditor.expect(raw, time_s))
        auditor.block(len(blocks) + 1, time_s, raws)
        blocks.append(Block(time_s, raws, runner.execute(len(blocks) + 1, time_s, raws)))
    return Recording(encode(cast.genesis), tuple(blocks), digest(runner.store))


def execute(recording: Recording, runner: Runner) -> Roots:
    """Execute a recording."""
    hashes = tuple(
        runner.execute(height, block.time_s, block.transactions)
        for height, block in enumerate(recording.blocks, start=1)
    )
    where = ".".join(map(str, sys.version_info[:3])), unicodedata.unidata_version, locale.setlocale(locale.LC_ALL)
    return Roots(hashes, digest(runner.store), *where)


def digest(store: Store) -> bytes:
    """Return a digest of all rows of a machine's spaces."""
    return sha256(b"".join(encode(row) for space in SPACES for row in _rows(store, space)))


def read(path: Path) -> Recording:
    """Read a recording's file."""
    return msgspec.json.decode(path.read_bytes(), type=Recording)


def write(path: Path, recording: Recording) -> None:
    """Write a recording's file."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(recording), indent=1) + b"\n")


def _rows(store: Store, space: str) -> Iterator[tuple[str, bytes, bytes]]:
    return ((space, key, row) for key, row in store.items(space))


def _named(cast: Cast) -> Cast:
    """The same network, with names that newer tables of Unicode would order otherwise, and nobody suspended."""
    founders = tuple(
        msgspec.structs.replace(founder, name=f"Organisation {mark}")
        for founder, mark in zip(cast.genesis.founders, (*NEWER_MARKS, "İıßσς", "ﬁ"), strict=True)
    )
    genesis = msgspec.structs.replace(cast.genesis, founders=founders)
    return replace(cast, genesis=decode_genesis(encode(genesis)), suspended_until_s={})


def main(kind: str, file: str) -> None:
    """Execute a recording here and print its roots."""
    locale.setlocale(locale.LC_ALL, "")
    recording = read(Path(file))
    founding = founding_of(decode_genesis(recording.genesis))
    with tempfile.TemporaryDirectory() as folder:
        if kind == "memory":
            roots = execute(recording, InMemoryRunner(founding))
        else:
            chain = ChainRunner(founding, Path(folder) / "ledger")
            roots = execute(recording, chain)
            chain.close()
    print(msgspec.json.encode(roots).decode())  # noqa: T201 -- a program's answer


if __name__ == "__main__":
    main(*sys.argv[1:])
