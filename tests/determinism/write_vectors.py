"""Records a ledger: `python -m tests.determinism.write_vectors NAME`. One that is there is never written again.

A stored ledger of a format is a test for ever: who changes the format on purpose adds another one, and keeps this.
"""

import sys
from pathlib import Path

from salus.testing.simulator.recording import record, write

VECTORS = Path(__file__).resolve().parent / "vectors"
SEED = 72
TRANSACTIONS = 560
"""The first that come to every outcome."""


def main(name: str) -> None:
    path = VECTORS / f"{name}.json"
    assert not path.exists(), f"{path} is kept as it is"
    write(path, record(SEED, TRANSACTIONS))


if __name__ == "__main__":
    main(*sys.argv[1:])
