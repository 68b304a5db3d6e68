"""Proofs: what shows to somebody outside that an outcome, a row or a whole history is the ledger's (L5).

Every claim of a bundle is relative to one `AppState`, whose hash one signed header carries: so an outcome of any age is
proved under a recent header, and claims about one moment fit together. Here are the claims and how they are made from
rows; `verifier` checks them. `docs/spec/proofs.md` has every byte.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.ledger.comet.types import Validator
from salus.ledger.identifiers import CountField, Digest, DigestField, Pseudonym, PseudonymField
from salus.ledger.log import Log
from salus.ledger.machine import HISTORY, app_hash, history_positions, read_leaf
from salus.ledger.machine import Meta as MachineMeta
from salus.ledger.state import LOG, Reader
from salus.ledger.tree_proof import TreeProof

PATH_LENGTH_MAX = 53
"""A log has fewer than 2^53 leaves (`CountField`)."""
PROVED_KEYS_MAX = 1024
"""Rows that are proved together at one height."""


class AppState(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What an app hash commits to: all rows, and all outcomes so far."""

    tree_root: DigestField
    log_size: CountField
    log_root: DigestField

    def app_hash(self) -> Digest:
        """Return the hash that the header of the next height carries."""
        return app_hash(tree_root=self.tree_root, log_size=self.log_size, log_root=self.log_root)


class SignedState(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A state and the header that carries its hash.

    Args:
        header: CometBFT's `SignedHeader` message, canonical (docs/spec/header.md).
        validators: those that signed it, in their order.
    """

    state: AppState
    header: bytes
    validators: tuple[Validator, ...]


class LightBlock(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A signed header with the validators that signed it: what a light client asks for (CometBFT `LightBlock`).

    Args:
        header: as of `SignedState`.
        validators: as of `SignedState`.
    """

    header: bytes
    validators: tuple[Validator, ...]


class OutcomeProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """That an outcome is in the log: an encoded leaf, its index, its path to the log's root, lowest sibling first."""

    leaf: bytes
    index: CountField
    path: Annotated[tuple[DigestField, ...], Meta(max_length=PATH_LENGTH_MAX)]


class StateProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """That a key of the proved tables has this row, or none: then `row` is empty."""

    key: Annotated[bytes, Meta(min_length=1)]
    row: bytes
    proof: TreeProof


class HistoryProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """That these are all events of a pseudonym, oldest first: the row of its history, and every leaf."""

    pseudonym: PseudonymField
    row: StateProof
    leaves: tuple[bytes, ...]


class ConsistencyProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """That the log of a newer state begins with all of an older one's: nothing was taken back (RFC 9162 2.1.4.1)."""

    old: SignedState
    new: SignedState
    path: Annotated[tuple[DigestField, ...], Meta(max_length=PATH_LENGTH_MAX + 1)]


class ProvedRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows with their proofs, all at the height of `meta`: what an engine answers, before there is a header for it."""

    meta: MachineMeta
    rows: tuple[StateProof, ...]

    def state(self) -> AppState:
        """Return the state under which the proofs hold."""
        return AppState(self.meta.tree_root, self.meta.log_size, self.meta.log_root)


def log_at(reader: Reader, size: int) -> Log:
    """Return the log as it was with `size` leaves, from the rows of a newer block: rows only grow."""
    return Log(_LogRows(reader), size)


def prove_outcome(reader: Reader, index: int, state: AppState) -> OutcomeProof:
    """Prove the outcome at a log index under a state.

    Args:
        reader: the state's block, or a later one.
    """
    leaf = read_leaf(reader, index)
    assert leaf is not None, f"no leaf {index}: the log is shorter, or it was pruned"
    return OutcomeProof(leaf, index, digests(log_at(reader, state.log_size).inclusion(index, state.log_size)))


def prove_history(reader: Reader, pseudonym: Pseudonym, row: StateProof) -> HistoryProof:
    """Prove that a pseudonym has exactly the events that its history's row counts.

    Args:
        reader: the block under which `row` was proved, or a later one: newer events are left out.
        row: of `machine.history`.
    """
    count = HISTORY.decode(row.row).count if row.row else 0
    leaves = [read_leaf(reader, position) for position in islice(history_positions(reader, pseudonym), count)]
    present = tuple(leaf for leaf in leaves if leaf is not None)
    assert len(present) == count, "every event that the history counts is in the log"
    return HistoryProof(pseudonym, row, present)


def prove_consistency(reader: Reader, old: SignedState, new: SignedState) -> ConsistencyProof:
    """Prove that nothing was taken out of the log between two states."""
    log = log_at(reader, new.state.log_size)
    path = log.consistency(old.state.log_size, new.state.log_size) if old.state.log_size else []
    return ConsistencyProof(old, new, digests(path))


def digests(hashes: Sequence[bytes]) -> tuple[Digest, ...]:
    """Return hashes as they stand in a proof."""
    return tuple(Digest(each) for each in hashes)


class _LogRows:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def get(self, key: bytes) -> bytes | None:
        return self._reader.get(LOG, key)
