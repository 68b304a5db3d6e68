"""The machine over a store in memory: blocks, clock jumps, restarts, and blocks that a crash kept from the store."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from salus.contracts import CONTRACTS
from salus.ledger.contract import Misbehaviour
from salus.ledger.machine import Machine
from salus.ledger.outcomes import DENIED, DONE, TransactionResult, decode_leaf
from salus.ledger.state import INDEXES, LEAVES
from salus.testing.auditor import Auditor
from salus.testing.auditor.canonical import decode
from salus.testing.memory_store import MemoryStore
from salus.testing.simulator.cast import CHAIN, Cast, make_cast
from salus.testing.simulator.comparison import (
    COMPARED,
    compare_all,
    compare_changes,
    compare_results,
    exhausted,
    expect_same,
)
from salus.testing.simulator.player import Player

LOOK_AT_ALL_EVERY: Final = 100
GUILTY: Final = 0.02
"""How often a block has evidence."""
CONSENSUS: Final = 6
JUMPS_S: Final = (0, 0, 0, 1, 1, 1, 2, 5, 5, 30, 61, 599, 600, 901, 3600)
LONG_JUMPS_S: Final = (86_400, 259_200, 604_800, 604_801, 8 * 86_400, 34_560_000)

Seen = Counter[tuple[int, int, int]]
"""(tag of a message or outcome, code of its leaf, reason of a denial or 0) and how often."""


@dataclass
class InMemory:
    """One run."""

    cast: Cast
    chance: Random
    favourites: Sequence[int] = ()
    store: MemoryStore = field(default_factory=MemoryStore)
    seen: Seen = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.auditor: Auditor = self.cast.auditor()
        self.player = Player(self.auditor, self.cast.keys, self.chance, favourites=self.favourites)
        self._founding = self.cast.founding()
        machine = Machine(CHAIN, CONTRACTS, self.store)
        self.store.write(machine.genesis(time_s=self._founding.time_s, rows=self._founding.rows).changes)
        self.machine = machine
        self._time_s = self._founding.time_s
        self._look_at_all()

    def step(self) -> int:
        """Make one block or start again; return how many transactions there were, at least 1."""
        kind = self.chance.random()
        if kind < 0.02:
            self._restart()
            return 1
        self._time_s += self.chance.choice(LONG_JUMPS_S if self.chance.random() < 0.01 else JUMPS_S)
        raws = self._block() if kind > 0.04 else []
        if self.chance.random() < 0.03:
            self._execute(raws)  # a crash before the changes were stored
            self._restart()
        self._store(raws)
        return max(1, len(raws))

    def finish(self) -> None:
        """Compare everything, and fold the indexes from the leaves again."""
        self._look_at_all()
        leaves = ((int.from_bytes(key, "big"), leaf) for key, leaf in self.store.items(LEAVES))
        folded = {key: row for key, row in self.machine.refold(leaves).items() if row is not None}
        expect_same("indexes folded again", folded, dict(self.store.items(INDEXES)))

    def _block(self) -> list[bytes]:
        raws = [self.player.transaction(self._time_s) for _ in range(self.chance.choice((1, 1, 1, 2, 5)))]
        return raws if self.chance.random() > 0.03 else [*raws, raws[0]]

    def _execute(self, raws: list[bytes]) -> tuple[TransactionResult, ...]:
        admitted = [self.machine.admit_verified(raw, time_s=self._time_s) for raw in raws]
        height = self.auditor.height + 1
        self._evidence = some_evidence(self.auditor, self.chance, self._time_s) if self.chance.random() < GUILTY else []
        self._executed = self.machine.execute(
            height=height,
            time_s=self._time_s,
            block_transactions=admitted,
            evidence=[Misbehaviour(*each) for each in self._evidence],
        )
        return self._executed.results

    def _store(self, raws: list[bytes]) -> None:
        results = self._execute(raws)
        self.store.write(self._executed.changes)
        audited = self.auditor.block(
            self.auditor.height + 1, self._time_s, raws, exhausted=exhausted(results), evidence=self._evidence
        )
        compare_results(audited, results)
        expect_same("validators that change", self._executed.validator_updates, audited.updates)
        compare_changes(self.auditor, audited, self._executed.changes, self.store)
        count_results(self.seen, results)
        if self.auditor.height % LOOK_AT_ALL_EVERY == 0:
            self._look_at_all()

    def _restart(self) -> None:
        self.machine = Machine(CHAIN, CONTRACTS, self.store)

    def _look_at_all(self) -> None:
        assert self.machine.meta is not None
        rows = {space: self.store.items(space) for space in COMPARED}
        compare_all(self.auditor, rows, self.machine.meta.app_hash)


def some_evidence(auditor: Auditor, chance: Random, time_s: int) -> list[tuple[bytes, int, int]]:
    """Against keys that are or were consensus keys, and now and then against one that nobody has."""
    owners = auditor.table("membership.owners").items()
    names = [decode(key) for key, row in owners if row[1] == CONSENSUS] + [chance.randbytes(32)]
    guilty = [name[:20] for name in names if isinstance(name, bytes)]
    some = chance.choices(guilty, k=chance.choice((1, 1, 2)))
    return [(address, chance.randrange(1, 4), time_s) for address in some]


def count_results(seen: Seen, results: Iterable[TransactionResult]) -> None:
    """Count which messages came to what; what is no transaction counts as tag 0."""
    for result in results:
        if not result.leaves:
            seen[0, result.code, 0] += 1
        count_leaves(seen, result.leaves)


def count_leaves(seen: Seen, leaves: Iterable[bytes]) -> None:
    """Count which messages came to what."""
    for encoded in leaves:
        code, data = decode_leaf(encoded).code, decode(decode_leaf(encoded).data)
        if code in (DONE, DENIED):
            assert isinstance(data, list)
            seen[int(data[0]), code, int(data[7]) if code == DENIED else 0] += 1  # type: ignore[arg-type]
        else:
            seen[int(data), code, 0] += 1  # type: ignore[arg-type]


def simulate(seed: int, steps: int, *, favourites: Sequence[int] = ()) -> Seen:
    """Run so many transactions of a seed; return what was seen. Raises Disagreement.

    Args:
        favourites: tags of messages that come more often than the seed would have it.
    """
    chance = Random(seed)  # noqa: S311 -- reproducible by its seed
    run = InMemory(make_cast(chance), chance, favourites)
    done = 0
    while done < steps:
        done += run.step()
    run.finish()
    return run.seen
