"""Seeds and how they are run: what a seed simulates follows from its number."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from salus.testing.simulator.in_memory import Seen, simulate
from salus.testing.simulator.on_engine import simulate_in_process, simulate_own_process
from salus.testing.simulator.on_nodes import simulate_nodes

MEMORY_DISK = Path("/dev/shm")
"""Where there is one, a store there syncs at once: what a run shows does not depend on the disk."""


@contextmanager
def place() -> Iterator[Path]:
    """A folder for one run."""
    where = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="salus-simulator-", dir=where) as folder:
        yield Path(folder)


def in_memory(seed: int, steps: int) -> Seen:
    """The machine over a store in memory."""
    return simulate(seed, steps)


def in_process(seed: int, steps: int) -> Seen:
    """The embedded engine in this process, on a fake clock."""
    with place() as folder:
        return simulate_in_process(seed, steps, folder)


def own_process(seed: int, steps: int) -> Seen:
    """A ledger process that is killed."""
    with place() as folder:
        return simulate_own_process(seed, steps, folder, now_s=int(time.time()))


def nodes(seed: int, steps: int) -> Seen:
    """Two nodes on an engine in this process."""
    with place() as folder:
        return simulate_nodes(seed, steps, folder)


Kind = Callable[[int, int], Seen]
KINDS: tuple[Kind, ...] = (*[in_memory] * 14, *[in_process] * 3, *[nodes] * 2, own_process)


def run(seed: int, steps: int, kind: Kind) -> Seen:
    """Run a seed; what fails says which seed it was."""
    try:
        return kind(seed, steps)
    except BaseException as error:
        error.add_note(f"SALUS_SEED={seed} {kind.__name__}")
        raise


def run_all(seeds: range, steps: int, kind: Kind) -> Seen:
    """Run seeds of one kind; return what was seen in all of them."""
    seen: Seen = Counter()
    for seed in seeds:
        seen += run(seed, steps, kind)
    return seen
