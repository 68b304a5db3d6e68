"""The application behind its ABCI socket: any legal order of calls, beside the auditor.

A run proposes, refuses, decides in later rounds, crashes between any two calls, replays, and loses application or node.
An honest proposal is always accepted, one with a fault never; what was decided all the same does what the auditor says.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from salus.contracts import payer
from salus.ledger.identifiers import Digest
from salus.ledger.machine import stored_result
from salus.ledger.outcomes import NOT_A_TRANSACTION, TransactionResult
from salus.testing.abci_application import AbciApplication
from salus.testing.abci_node import AbciNode, Block, Finalized
from salus.testing.auditor import Audited
from salus.testing.auditor.transactions import NotATransaction, parse
from salus.testing.clock import FakeClock
from salus.testing.simulator.cast import CHAIN, Cast, make_cast
from salus.testing.simulator.comparison import COMPARED, compare_all, compare_results, exhausted, expect_same
from salus.testing.simulator.in_memory import JUMPS_S, Seen, count_results, some_evidence
from salus.testing.simulator.player import Player

SECOND_NS: Final = 10**9
LOOK_AT_ALL_EVERY: Final = 60
REFUSED: Final = TransactionResult(NOT_A_TRANSACTION, 0, ())


@dataclass
class OnAbci:
    """One run."""

    cast: Cast
    chance: Random
    folder: Path
    seen: Seen = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.auditor = self.cast.auditor()
        self.player = Player(self.auditor, self.cast.keys, self.chance)
        self.clock = FakeClock(self.cast.genesis.time_s)
        self.node = AbciNode(self.folder / "s", CHAIN)
        self._time_ns = self.cast.genesis.time_s * SECOND_NS
        self._start_application()
        expect_same("height at a start", self.node.start(), 0)

    def step(self) -> None:
        """Make one block, with whatever happens on the way."""
        seconds = self.chance.choice(JUMPS_S)
        self.clock.advance(seconds)
        self._time_ns = max(self._time_ns, self.clock.wall_ns() - SECOND_NS // 2)
        raws = [self.player.transaction(self._time_s) for _ in range(self.chance.choice((0, 1, 1, 2, 5)))]
        self.node.check(raws, recheck=self.chance.random() < 0.3)
        self._perhaps_lose(0.02)
        proposal = self._rounds(raws)
        if self.chance.random() < 0.05:
            proposal = raws  # more than a third of the power does not conform, and decides it all the same
        evidence = some_evidence(self.auditor, self.chance, self._time_s) if self.chance.random() < 0.02 else []
        self._decide(Block(self._time_ns, tuple(proposal), tuple(evidence)))

    def finish(self) -> None:
        """Compare everything, and let go."""
        self._look_at_all()

    def close(self) -> None:
        """Let go of socket and store."""
        self.node.stop()
        self._application.close()

    @property
    def _time_s(self) -> int:
        return self._time_ns // SECOND_NS

    def _rounds(self, raws: list[bytes]) -> list[bytes]:
        """Let proposers try until an honest one has its turn."""
        while self.chance.random() < 0.3:
            is_accepted = self.node.process(self._faulty(raws), time_ns=self._time_ns)
            expect_same("a faulty proposal is accepted", is_accepted, False)  # noqa: FBT003 -- two facts
            self._perhaps_lose(0.05)
            self._time_ns += 1_000_000
        prepared = self.node.prepare(raws, time_ns=self._time_ns)
        self._perhaps_lose(0.02)
        is_accepted = self.node.process(prepared, time_ns=self._time_ns)
        expect_same("an honest proposal is accepted", is_accepted, True)  # noqa: FBT003 -- two facts
        expected = [self.auditor.expect(raw, self._time_s) for raw in prepared]
        expect_same("proposed, and a transaction", expected, [True] * len(prepared))
        left_out = {self._hash(raw) for raw in raws if self._is_new(raw)} - {self._hash(raw) for raw in prepared}
        expect_same("left out, and a transaction that was not executed", left_out, set())
        return prepared

    def _faulty(self, raws: list[bytes]) -> list[bytes]:
        done = [raw for block in self.node.blocks[-20:] for raw in block.raws if self._was_executed(raw)]
        good = [raw for raw in raws if self._is_new(raw)]
        kinds: list[list[bytes]] = [[*good, self.chance.randbytes(50)]]
        if done:
            kinds.append([*good, self.chance.choice(done)])
        if good:
            kinds.append([*good, good[0]])
        return self.chance.choice(kinds)

    def _is_new(self, raw: bytes) -> bool:
        return self.auditor.expect(raw, self._time_s) and not self._was_executed(raw)

    def _was_executed(self, raw: bytes) -> bool:
        try:
            return parse(raw, chain=CHAIN).hash in self.auditor.executed
        except NotATransaction:
            return False

    def _decide(self, block: Block) -> None:
        """Execute and store a block, with a crash before, between or after."""
        self.node.blocks.append(block)
        height = len(self.node.blocks)
        crash = self.chance.random()
        finalized: Finalized | None = None
        if crash < 0.03:
            self._lose()
        else:
            finalized = self.node.finalize(height)
            if crash < 0.06:
                self._lose()
            else:
                self.node.commit()
                if crash < 0.09:
                    self._lose()
        self._compare(block, finalized)

    def _compare(self, block: Block, finalized: Finalized | None) -> None:
        chain = self._application.chain
        expect_same("height", chain.meta.height, len(self.node.blocks))
        with chain.store.snapshot() as snapshot:
            results = [stored_result(snapshot, self._hash(raw)) or REFUSED for raw in block.raws]
            audited = self.auditor.block(
                len(self.node.blocks),
                block.time_ns // SECOND_NS,
                block.raws,
                exhausted=exhausted(results),
                evidence=block.evidence,
            )
            compare_results(audited, self._as_of_block(results, audited))
            for space, keys in audited.touched.items():
                for key in sorted(keys):
                    expect_same(f"{space} {key!r}", snapshot.get(space, key), self.auditor.spaces[space].get(key))
        count_results(self.seen, results)
        if finalized is not None:
            expect_same("codes", finalized.codes, tuple(verdict.code for verdict in audited.verdicts))
            expect_same("validators that change", finalized.updates, audited.updates)
            expect_same("app hash", finalized.app_hash, chain.meta.app_hash)
        if len(self.node.blocks) % LOOK_AT_ALL_EVERY == 0:
            self._look_at_all()

    @staticmethod
    def _as_of_block(results: list[TransactionResult], audited: Audited) -> list[TransactionResult]:
        # A byte string that was no transaction in this block may be one whose body an earlier block executed.
        pairs = zip(results, audited.verdicts, strict=True)
        return [REFUSED if verdict.code == NOT_A_TRANSACTION else result for result, verdict in pairs]

    def _hash(self, raw: bytes) -> Digest:
        try:
            return Digest(parse(raw, chain=CHAIN).hash)
        except NotATransaction:
            return Digest(bytes(32))

    def _look_at_all(self) -> None:
        with self._application.chain.store.snapshot() as snapshot:
            rows = {space: snapshot.items(space) for space in COMPARED}
            compare_all(self.auditor, rows, self._application.chain.meta.app_hash)

    def _perhaps_lose(self, chance: float) -> None:
        if self.chance.random() < chance:
            self._lose()

    def _lose(self) -> None:
        """Application or node is killed, and what it had not stored with it; both start again."""
        self.node.stop()
        if self.chance.random() < 0.5:
            self._application.close()
            self._start_application()
        self.node.start()

    def _start_application(self) -> None:
        self._application = AbciApplication(
            self.folder / "ledger", self.folder / "s", self.cast.founding(), self.clock, payer
        )


def simulate_abci(seed: int, calls: int, folder: Path) -> Seen:
    """Make so many calls of a seed. Raises Disagreement."""
    chance = Random(seed)  # noqa: S311 -- reproducible by its seed
    run = OnAbci(make_cast(chance), chance, folder)
    try:
        while run.node.calls < calls:
            run.step()
        run.finish()
    finally:
        run.close()
    return run.seen
