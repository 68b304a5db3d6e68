"""Proofs under a signed header: rows of one height, and the header that carries the hash of that height's state.

An engine's tree has only its newest state, and a header speaks of the height before it: so rows are proved first, all
at once, and the header is waited for. Outcomes are proved afterwards, from any later snapshot (`ledger.proofs`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from salus.engines.base import WAIT_TIMEOUT_S, Engine, SealedHeight, Unavailable
from salus.ledger.comet.commit import encode_signed_header
from salus.ledger.machine import Machine, Meta
from salus.ledger.proofs import ProvedRows, SignedState, StateProof
from salus.ledger.state import STATE

SIGN_TIMEOUT_S = 5.0
"""How long to wait for the header: one comes soon after any change, and one every two seconds at least."""


@dataclass(frozen=True)
class SignedRows:
    """Rows with their proofs under one signed state, in the order asked for."""

    signed: SignedState
    rows: tuple[StateProof, ...]


def prove_rows(machine: Machine, keys: Sequence[bytes]) -> ProvedRows:
    """Prove keys of the proved tables at the height of a machine that stands still meanwhile."""
    assert machine.meta is not None
    rows = [StateProof(key, machine.store.get(STATE, key) or b"", machine.tree.prove(key)) for key in keys]
    return ProvedRows(machine.meta, tuple(rows))


def prove_signed(engine: Engine, keys: Sequence[bytes], *, timeout_s: float = SIGN_TIMEOUT_S) -> SignedRows:
    """Prove keys of the proved tables under one signed state; no key gives the state alone.

    1. Prove the rows, all at the newest height.
    2. The header of that height carries its hash already if the block changed nothing; else the next one does.

    Args:
        keys: at most `PROVED_KEYS_MAX`.

    Raises:
        Unavailable: the ledger does not answer, or no header came in time.
    """
    proved = engine.prove_many(keys, timeout_s=WAIT_TIMEOUT_S)  # 1
    meta = proved.meta
    sealed = _carrying(engine, meta, meta.height)  # 2
    if sealed is None:
        engine.wait_for(meta.height + 1, timeout_s=timeout_s)
        sealed = _carrying(engine, meta, meta.height + 1)
    if sealed is None:
        raise Unavailable(f"expected the header of height {meta.height + 1}: try later")
    header = encode_signed_header(sealed.signed)
    return SignedRows(SignedState(proved.state(), header, sealed.validators), proved.rows)


def _carrying(engine: Engine, meta: Meta, height: int) -> SealedHeight | None:
    sealed = engine.signed_header(height)
    return sealed if sealed is not None and sealed.signed.header.app_hash == meta.app_hash else None
