"""Transactions through an engine, in this process or in its own: the blocks that it made are audited from its store."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from msgspec.structs import astuple

from salus.engines.base import Snapshot, Unavailable
from salus.engines.clock import SECOND_NS
from salus.engines.headers import decode_body_row, read_header
from salus.engines.store import BLOCKS, height_key
from salus.ledger.identifiers import Digest
from salus.ledger.machine import read_meta, stored_result
from salus.ledger.outcomes import NOT_A_TRANSACTION, TransactionResult
from salus.ledger.proofs import AppState, prove_outcome
from salus.testing.auditor import Auditor
from salus.testing.auditor.hashes import sha256
from salus.testing.auditor.proofs import log_root_of, tree_root_of
from salus.testing.auditor.transactions import NotATransaction, parse
from salus.testing.simulator.cast import Cast, make_cast
from salus.testing.simulator.comparison import (
    COMPARED,
    compare_all,
    compare_result,
    compare_results,
    exhausted,
    expect_same,
)
from salus.testing.simulator.in_memory import JUMPS_S, LONG_JUMPS_S, Seen, count_results
from salus.testing.simulator.ledgers import InProcess, Ledger, OwnProcess
from salus.testing.simulator.player import Player

LOOK_AT_ALL_EVERY: Final = 40
REFUSED: Final = TransactionResult(NOT_A_TRANSACTION, 0, ())


@dataclass
class Audit:
    """Follows the blocks of a ledger with the auditor."""

    auditor: Auditor
    seen: Seen = field(default_factory=Counter)

    def follow(self, snapshot: Snapshot) -> None:
        """Audit the blocks that are new, and compare every row that they touch. Raises Disagreement."""
        meta = read_meta(snapshot)
        assert meta is not None
        touched: dict[str, set[bytes]] = {space: set() for space in COMPARED}
        for height in range(self.auditor.height + 1, meta.height + 1):
            self._block(snapshot, height, touched)
        for space, keys in touched.items():
            for key in sorted(keys):
                expect_same(f"{space} {key!r}", snapshot.get(space, key), self.auditor.spaces[space].get(key))

    def look_at_all(self, snapshot: Snapshot) -> None:
        """Compare every row and the app hash. Raises Disagreement."""
        meta = read_meta(snapshot)
        assert meta is not None
        compare_all(self.auditor, {space: snapshot.items(space) for space in COMPARED}, meta.app_hash)

    def _block(self, snapshot: Snapshot, height: int, touched: dict[str, set[bytes]]) -> None:
        sealed = read_header(snapshot, height)
        assert sealed is not None, "headers are kept without gaps"
        body = snapshot.get(BLOCKS, height_key(height))
        raws = () if body is None else decode_body_row(body)
        results = [self._stored(snapshot, raw) for raw in raws]
        time_s = sealed.signed.header.time_ns // SECOND_NS
        audited = self.auditor.block(height, time_s, raws, exhausted=exhausted(results))
        compare_results(audited, results)
        count_results(self.seen, results)
        for space, keys in audited.touched.items():
            touched[space] |= keys

    def hash_of(self, raw: bytes) -> Digest:
        """Return the hash of a transaction; of what is none, one that no transaction has."""
        try:
            return Digest(parse(raw, chain=self.auditor.chain).hash)
        except NotATransaction:
            return Digest(sha256(raw))

    def _stored(self, snapshot: Snapshot, raw: bytes) -> TransactionResult:
        return stored_result(snapshot, self.hash_of(raw)) or REFUSED


@dataclass
class OnEngine:
    """One run over a ledger."""

    cast: Cast
    chance: Random
    ledger: Ledger

    def __post_init__(self) -> None:
        self.audit = Audit(self.cast.auditor())
        self.player = Player(self.audit.auditor, self.cast.keys, self.chance)
        self._steps = 0

    def step(self) -> int:
        """Submit some transactions, perhaps while the ledger is disturbed; return how many, at least 1."""
        self._steps += 1
        kind = self.chance.random()
        if kind < 0.02:
            self.ledger.restart()
        elif kind < 0.5:
            self.ledger.advance(self.chance.choice(LONG_JUMPS_S if self.chance.random() < 0.02 else JUMPS_S))
        raws = [self.player.transaction(self.ledger.now_s()) for _ in range(self.chance.choice((1, 2, 4, 8)))]
        if 0.5 < kind < 0.6:
            self._prove()
        if kind > 0.98:
            self.ledger.disturb(self.chance)
            self._submit_disturbed(raws)
        else:
            self._submit(raws)
        return len(raws)

    def finish(self) -> None:
        """Compare everything."""
        with self.ledger.engine.snapshot() as snapshot:
            self.audit.follow(snapshot)
            self.audit.look_at_all(snapshot)

    def _prove(self) -> None:
        """A row that is there, one that is not, and an outcome: proved, and checked by the auditor's own rules (L5)."""
        state = self.audit.auditor.spaces["state"]
        for key in (self.chance.choice(sorted(state)), b"access.permits\x00" + self.chance.randbytes(18)):
            proved = self.ledger.engine.prove_row(key)
            expect_same(f"proved row {key!r}", proved.row or None, state.get(key))
            bitmap, siblings, other = astuple(proved.proof)
            root = tree_root_of(key, proved.row or None, bitmap=bitmap, siblings=siblings, other=other)
            expect_same(f"root of {key!r}", proved.meta.tree_root, root)
            expect_same("app hash", proved.meta.app_hash, self.audit.auditor.app_hash())
        leaves = self.audit.auditor.spaces["leaves"]
        if leaves:
            self._prove_outcome(self.chance.randrange(len(leaves)))

    def _prove_outcome(self, index: int) -> None:
        with self.ledger.engine.snapshot() as snapshot:
            meta = read_meta(snapshot)
            assert meta is not None
            proof = prove_outcome(snapshot, index, AppState(meta.tree_root, meta.log_size, meta.log_root))
        expect_same(f"leaf {index}", proof.leaf, self.audit.auditor.spaces["leaves"][index.to_bytes(8, "big")])
        root = log_root_of(proof.leaf, index=index, size=meta.log_size, path=list(proof.path))
        expect_same(f"log root from leaf {index}", meta.log_root, root)

    def _submit(self, raws: list[bytes]) -> None:
        results = self.ledger.engine.submit_many(raws)
        with self.ledger.engine.snapshot() as snapshot:
            self.audit.follow(snapshot)
            if self._steps % LOOK_AT_ALL_EVERY == 0:
                self.audit.look_at_all(snapshot)
        for raw, result in zip(raws, results, strict=True):
            self._compare_answer(raw, result)

    def _submit_disturbed(self, raws: list[bytes]) -> None:
        """Submit; if the ledger stops at that, start it again and send the same bytes."""
        try:
            self._submit(raws)
        except Unavailable:
            self.ledger.recover()
            self._submit(raws)
        else:
            self.ledger.recover()

    def _compare_answer(self, raw: bytes, result: TransactionResult) -> None:
        verdict = self.audit.auditor.executed.get(self.audit.hash_of(raw))
        if verdict is not None:
            compare_result("answer", result, verdict)
            return
        expect_same("answer of what is in no block", result.code, NOT_A_TRANSACTION)
        now_s = self.ledger.now_s()
        times_s = [now_s] if self.ledger.is_exact else range(now_s - 3, now_s + 3)
        is_expected = all(self.audit.auditor.expect(raw, time_s) for time_s in times_s)
        expect_same("refused, and is a transaction", False, is_expected)  # noqa: FBT003 -- two facts


def simulate_in_process(seed: int, steps: int, folder: Path) -> Seen:
    """Run so many transactions of a seed through an engine in this process. Raises Disagreement."""
    chance = Random(seed)  # noqa: S311 -- reproducible by its seed
    cast = make_cast(chance)
    return _run(OnEngine(cast, chance, InProcess(cast, folder)), steps)


def simulate_own_process(seed: int, steps: int, folder: Path, *, now_s: int) -> Seen:
    """Run so many transactions of a seed through a ledger process that is killed now and then. Raises Disagreement."""
    chance = Random(seed)  # noqa: S311 -- reproducible by its seed
    cast = make_cast(chance, begin_s=now_s - 10)
    return _run(OnEngine(cast, chance, OwnProcess(cast, folder, seed)), steps)


def _run(run: OnEngine, steps: int) -> Seen:
    done = 0
    try:
        while done < steps:
            done += run.step()
        run.finish()
    finally:
        run.ledger.close()
    return run.audit.seen
