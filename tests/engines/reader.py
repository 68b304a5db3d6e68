"""A process that only reads: `python -m tests.engines.reader FOLDER`, told on standard input what to do."""

import sys
from contextlib import ExitStack
from pathlib import Path

from salus.engines.store import LmdbReader, LmdbSnapshot
from salus.ledger.state import STATE


def count(snapshot: LmdbSnapshot) -> int:
    return sum(1 for _ in snapshot.items(STATE))


def main(folder: Path) -> None:
    reader = LmdbReader(folder)
    with ExitStack() as held:
        for line in sys.stdin:
            match line.strip():
                case "count":
                    with reader.snapshot() as now:
                        print(count(now), flush=True)
                case "hold":
                    kept = held.enter_context(reader.snapshot())
                    kept.get(STATE, b"small")
                    print("held", flush=True)
                case "count held":
                    print(count(kept), flush=True)
                case "release":
                    held.close()
                    print("released", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
