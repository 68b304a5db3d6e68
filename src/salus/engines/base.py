"""What every engine promises to the rings above it, whatever puts the transactions in order.

A submission is answered when its block is durable and not before (L2). The same bytes sent again get the stored
outcome, so whoever is unsure sends again. Reads are snapshots of one block.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from salus.ledger.comet.types import SignedHeader, Validator
from salus.ledger.contract import Contract
from salus.ledger.machine import FirstRow, Machine, Meta
from salus.ledger.outcomes import TransactionResult
from salus.ledger.proofs import ProvedRows
from salus.ledger.state import Lister, Reader, Store
from salus.ledger.transactions import Transaction
from salus.ledger.tree_proof import TreeProof

SUBMIT_TIMEOUT_S = 30.0
WAIT_TIMEOUT_S = 2.0
"""How long a custodian waits for a permit's height (DESIGN §4)."""

Payer = Callable[[Reader, Transaction], str | None]
"""Whose quota a transaction uses: the enrolling member's, or None for nobody's."""


class Unavailable(Exception):
    """The world failed, the rules did not say no: try later. For submissions: send the same bytes again."""


class Busy(Unavailable):
    """A queue is full: the ledger is there, and has too much to do. Come back in a moment, with the same bytes."""


class StartRefused(Unavailable):
    """The ledger cannot start here and now; the message says what was expected, what came, what to do."""


class Snapshot(Reader, Protocol):
    """Rows as of one block; valid only inside the `with` that gave it."""

    def first_keys(self, space: str, *, below: bytes, limit: int) -> list[bytes]:
        """Return at most `limit` keys smaller than `below`, in ascending order."""

    def items(self, space: str, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, row) in ascending order, from the first key that is not below `start`."""


@dataclass(frozen=True)
class Adopted:
    """A ledger of one key that a network goes on with: where it stood, and what the founders change in its tables.

    Args:
        height: of its last block.
        tree_root: of its proved tables then; `log_root` of its log of `log_size` leaves.
        rows: what the founders write over the tables. Raises StartRefused when they cannot.
        sealed: the file with its tables and log (`sealing`); None on a member that begins with a snapshot.
    """

    height: int
    tree_root: bytes
    log_size: int
    log_root: bytes
    rows: Callable[[Lister], Sequence[FirstRow]]
    sealed: Path | None = None


@dataclass(frozen=True)
class Founding:
    """What a ledger is before its first block.

    Args:
        chain: the chain id, at most 50 characters.
        contracts: all contracts, lowest first.
        time_s: time of genesis, seconds since 1970.
        rows: the first rows, in the order of the genesis document.
        rules_version: reads the version of the rules of the next block, which each header carries.
        validators: the first validator set, where several sign; the embedded engine has its own key instead.
        adopted: the ledger that a network goes on with; `rows` stand until its tables are here.
    """

    chain: str
    contracts: Sequence[Contract]
    time_s: int
    rows: Sequence[FirstRow]
    rules_version: Callable[[Reader], int] = lambda _reader: 1
    validators: tuple[Validator, ...] = ()
    adopted: Adopted | None = None

    @property
    def first_height(self) -> int:
        """The height of the first block."""
        return self.adopted.height + 1 if self.adopted is not None else 1

    def machine(self, store: Store) -> Machine:
        """Return a machine over a store. Raises ChainMismatch for a store of another chain or a newer format."""
        return Machine(self.chain, self.contracts, store)


class Status(msgspec.Struct, frozen=True, array_like=True):
    """Where a ledger stands, as one snapshot saw it. Times of blocks in milliseconds since 1970.

    Args:
        height: of the newest block.
        app_hash: after the newest block; the next header carries it.
        header_time_ms: time of the newest signed header, 0 when there is none yet.
        header_age_ms: how old that header was when the status was made, by the wall clock or by the time since it came
            here, whichever is more: above 10 s nothing is released (R3).
        engine: "embedded" (trust in one key) or "cometbft".
    """

    chain: str
    height: int
    log_size: int
    app_hash: bytes
    header_time_ms: int
    header_age_ms: int
    engine: str


class ProvedRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of a proved table, or its absence, with its proof at one height; the next header signs `meta.app_hash`.

    Args:
        row: empty when the key is absent.
    """

    meta: Meta
    row: bytes
    proof: TreeProof


@dataclass(frozen=True)
class SealedHeight:
    """A signed header and the validators that signed it, in their order."""

    signed: SignedHeader
    validators: tuple[Validator, ...]


class Engine(Protocol):
    """An ordered, durable ledger. Every method may be called from any thread."""

    def submit(self, raw: bytes, *, timeout_s: float = SUBMIT_TIMEOUT_S) -> TransactionResult:
        """Submit one transaction and wait until its outcome is durable. Raises Unavailable."""

    def submit_many(self, raws: Sequence[bytes], *, timeout_s: float = SUBMIT_TIMEOUT_S) -> list[TransactionResult]:
        """Submit several, executed and answered in this order. Raises Unavailable: some may have been executed."""

    def wait_for(self, height: int, *, timeout_s: float = WAIT_TIMEOUT_S) -> int:
        """Wait until the state has this height; return the height that it has. Raises Unavailable."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open one short read of one block."""

    def status(self) -> Status:
        """Tell where the ledger stands."""

    def signed_header(self, height: int) -> SealedHeight | None:
        """Return a signed header; None when it is not there yet, or no longer."""

    def prove_row(self, key: bytes, *, timeout_s: float = WAIT_TIMEOUT_S) -> ProvedRow:
        """Prove a key of the proved tables at the newest height. Raises Unavailable."""

    def prove_many(self, keys: Sequence[bytes], *, timeout_s: float = WAIT_TIMEOUT_S) -> ProvedRows:
        """Prove keys of the proved tables, all at the newest height. Raises Unavailable."""
