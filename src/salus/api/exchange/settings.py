"""What an operator may set of the exchange, with the values that fit most nodes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExchangeSettings:
    """Limits of one node's exchange; counts of threads are for each worker, all others for the node.

    Args:
        folder: where all workers of the node keep what they have seen; on a local disk.
        threads: asks that are answered at one time.
        waiting_max: asks that may wait for a thread; what comes beyond is told *not now*.
        streams_max: streams at one time.
        body_s: how long the body of one request may take, in seconds.
        asks_per_minute: of one member, all kinds together.
        matches_per_minute: of one member.
        session_matches_per_minute: under one session key.
        address_asks_per_minute: of patients' devices behind one network address.
        device_asks_per_minute: of all patients' devices together.
        own_proofs_per_minute: of one member without a ledger process (`api/ledger`).
        metrics_port: of loopback, where figures for operators are read; 0 for none.
        match_step_ms: a match is answered at a multiple of this time after it came, whatever was found.
    """

    folder: Path
    threads: int = 8
    waiting_max: int = 64
    streams_max: int = 8
    body_s: float = 10.0
    asks_per_minute: int = 30_000
    matches_per_minute: int = 600
    session_matches_per_minute: int = 60
    address_asks_per_minute: int = 60
    device_asks_per_minute: int = 3_000
    own_proofs_per_minute: int = 600
    metrics_port: int = 0
    match_step_ms: int = 100
