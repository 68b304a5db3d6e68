"""Write the golden sealed file: `python -m tests.engines.cometbft.sealed_vector`. Run once for a new format."""

import tempfile
from pathlib import Path

from salus.engines.chain import EmbeddedChain
from salus.engines.sealing import seal, write_sealed
from salus.testing.clock import FakeClock
from tests.engines import toy

VECTOR = Path(__file__).parent / "vectors" / "sealed-ledger-1"
GENESIS = b"the document that the old ledger began with"
NOW_S = 1_800_000_000


def write(path: Path) -> None:
    """Write the sealed file of a ledger with rows that stay, rows that expire, a rejection and a repeat."""
    clock = FakeClock(NOW_S)
    with tempfile.TemporaryDirectory() as place:
        chain = EmbeddedChain(Path(place), toy.founding(), toy.CONSENSUS_KEY, clock)
        for number in (1, 2, 13):
            raw = toy.notes(number, time_s=NOW_S, expires_at_s=NOW_S + 3 * number, nonce=bytes(16))
            chain.append([chain.machine.admit(raw, time_s=NOW_S)] * 2, time_ns=chain.next_time_ns())
            clock.advance(2)
        chain.close()
        seal(Path(place), toy.founding(), toy.CONSENSUS_KEY, clock)
        write_sealed(Path(place), GENESIS, path)


if __name__ == "__main__":
    VECTOR.unlink(missing_ok=True)
    write(VECTOR)
