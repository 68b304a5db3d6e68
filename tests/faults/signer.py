"""A remote signer whose clock is wrong: it signs a validator's votes, as CometBFT asks for them, at another time.

CometBFT asks over a Unix socket on which it listens itself (`priv_validator_laddr`); messages of its `privval.proto`.
For tests only: it remembers nothing, so it would sign twice.
"""

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

from salus.crypto.signing import SigningKey
from salus.ledger.comet import wire
from salus.ledger.comet.header import encode_time, parse_time
from salus.ledger.comet.wire import LENGTH, VARINT, Fields

PUBLIC_KEY, SIGN_VOTE, SIGN_PROPOSAL, PING = 1, 3, 5, 7
"""Requests; the answer to each has the next number."""
REQUESTS = dict.fromkeys((PUBLIC_KEY, SIGN_VOTE, SIGN_PROPOSAL, PING), LENGTH)
VOTE = {1: VARINT, 2: VARINT, 3: VARINT, 4: LENGTH, 5: LENGTH, 6: LENGTH, 7: VARINT}
PROPOSAL = {1: VARINT, 2: VARINT, 3: VARINT, 4: VARINT, 5: LENGTH, 6: LENGTH}
NO_BLOCK = wire.message(2, b"")
"""A vote for no block has this instead of a block's id."""
SIZE_MAX_BYTES = 1 << 16
AGAIN_S = 0.2


def start(path: Path, key: SigningKey, *, ahead_s: int) -> None:
    """Sign for the node that listens on a socket, for as long as this process lives."""
    threading.Thread(target=_serve, args=(path, key, ahead_s * 10**9), name="signer", daemon=True).start()


def _serve(path: Path, key: SigningKey, ahead_ns: int) -> None:
    while True:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            with connection.makefile("rb") as stream:
                while (request := stream.read(_length(stream))) != b"":
                    connection.sendall(wire.delimited(_answer(request, key, ahead_ns)))
        time.sleep(AGAIN_S)


def _length(stream: object) -> int:
    length = shift = 0
    while True:
        byte = stream.read(1) or b"\0"  # type: ignore[attr-defined]
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return length


def _answer(request: bytes, key: SigningKey, ahead_ns: int) -> bytes:
    asked = Fields(request, REQUESTS)
    bodies = {kind: asked.blobs(kind, size_max_bytes=SIZE_MAX_BYTES, count_max=1) for kind in REQUESTS}
    [(kind, body)] = [(kind, body) for kind, found in bodies.items() for body in found]
    if kind == PUBLIC_KEY:
        return wire.message(kind + 1, wire.message(1, wire.blob(1, key.public)))
    if kind == PING:
        return wire.message(kind + 1, b"")
    asks = Fields(body, {1: LENGTH, 2: LENGTH}, skip_unknown=True)
    what, chain = asks.blob(1, size_max_bytes=SIZE_MAX_BYTES), asks.text(2, size_max_bytes=50)
    signed = _vote(what, chain, key, ahead_ns) if kind == SIGN_VOTE else _proposal(what, chain, key)
    return wire.message(kind + 1, wire.message(1, signed))


def _vote(data: bytes, chain: str, key: SigningKey, ahead_ns: int) -> bytes:
    vote = Fields(data, VOTE, skip_unknown=True)
    block = vote.blob(4, size_max_bytes=256)
    at = wire.message(5, encode_time(parse_time(vote.blob(5, size_max_bytes=32)) + ahead_ns))
    canonical = _canonical(vote) + (wire.message(4, block) if block != NO_BLOCK else b"") + at + wire.text(6, chain)
    return (
        b"".join(wire.integer(place, vote.integer(place)) for place in (1, 2, 3))
        + wire.message(4, block)
        + at
        + wire.blob(6, vote.blob(6, size_max_bytes=20))
        + wire.integer(7, vote.integer(7))
        + wire.blob(8, key.sign(wire.delimited(canonical)))
    )


def _proposal(data: bytes, chain: str, key: SigningKey) -> bytes:
    proposal = Fields(data, PROPOSAL, skip_unknown=True)
    rest = wire.integer(4, proposal.integer(4))
    rest += b"".join(wire.message(place, proposal.blob(place, size_max_bytes=256)) for place in (5, 6))
    return data + wire.blob(7, key.sign(wire.delimited(_canonical(proposal) + rest + wire.text(7, chain))))


def _canonical(fields: Fields) -> bytes:
    return wire.integer(1, fields.integer(1)) + b"".join(wire.sfixed64(each, fields.integer(each)) for each in (2, 3))
