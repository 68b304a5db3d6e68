"""The RPC of our own CometBFT node, over its Unix socket: hand over transactions, read signed headers and validators.

What it answers is believed for nothing but progress: outcomes come from our own commits, and whoever uses a header
checks its signatures.
"""

import base64
import http.client
import itertools
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from salus.engines.base import SealedHeight, Unavailable
from salus.engines.cometbft.rpc_values import CommitAnswer, NetInfoAnswer, StatusAnswer, ValidatorsAnswer
from salus.ledger.comet.types import SignedHeader, Validator
from salus.ledger.comet.validators import in_order, validators_hash

TIMEOUT_S = 10.0
BATCH_MAX = 256
"""Calls in one request; the node's own limit is lifted in its configuration."""
BODY_BYTES_MAX = 4 << 20
ANSWER_BYTES_MAX = 64 << 20
VALIDATORS_PER_PAGE = 100
UNKNOWN_ANSWER = "CometBFT answered in no way that this release knows: check its version"
IN_CACHE = "already exists in cache"
"""What CometBFT says of a transaction that it has."""


class NodeAway(Unavailable):
    """The node does not answer: it is starting, or has ended."""


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str = ""
    data: str = ""


class _Answer(msgspec.Struct, frozen=True):
    id: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


_ANSWERS = msgspec.json.Decoder(list[_Answer] | _Answer)
_COMMIT = msgspec.json.Decoder(CommitAnswer)
_NET_INFO = msgspec.json.Decoder(NetInfoAnswer)
_STATUS = msgspec.json.Decoder(StatusAnswer)
_VALIDATORS = msgspec.json.Decoder(ValidatorsAnswer)

T = TypeVar("T")


class NodeRpc:
    """One connection to the node; one thread uses it."""

    calls_max = BATCH_MAX
    """In one request."""

    def __init__(self, where: Path | str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._where = where
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def broadcast(self, raws: Sequence[bytes]) -> list[str]:
        """Put transactions into the node's mempool, in this order; return for each why it is not there, or nothing.

        Raises:
            NodeAway: some may be there.
        """
        params = [{"tx": base64.b64encode(raw).decode("ascii")} for raw in raws]
        return [
            "" if each.error is None or IN_CACHE in each.error.data else each.error.data or each.error.message
            for each in self._call("broadcast_tx_async", params)
        ]

    def signed_headers(self, heights: Sequence[int]) -> list[SignedHeader | None]:
        """Return signed headers; None for a height that the node does not have. Raises NodeAway."""
        answers = self._call("commit", [{"height": str(height)} for height in heights])
        return [None if each.error else _signed(each) for each in answers]

    def newest_height(self) -> int:
        """Return the height of the newest signed header, 0 when there is none. Raises NodeAway."""
        [answer] = self._call("commit", [{}])
        return 0 if answer.error else _signed(answer).header.height

    def validators(self, height: int) -> tuple[Validator, ...]:
        """Return the validators of a height, in their order; none when the node does not know. Raises NodeAway."""
        [answer] = self._call("validators", [{"height": str(height), "per_page": str(VALIDATORS_PER_PAGE)}])
        return () if answer.error else in_order(_set(answer))

    def earliest_height(self) -> int:
        """Return the height of the oldest block that the node has. Raises NodeAway."""
        [answer] = self._call("status", [{}])
        return 0 if answer.error else int(_decode(_STATUS, answer).sync_info.earliest_block_height)

    def peers(self) -> tuple[str, ...]:
        """Return the ids of the nodes that ours is connected to. Raises NodeAway."""
        return tuple(each.node_info.id for each in self._net_info().peers)

    def silent_peers(self, since_ns: int) -> tuple[str, ...]:
        """Return the ids of connected nodes from which nothing came for at least so long. Raises NodeAway."""
        return tuple(each.node_info.id for each in self._net_info().peers if each.silent_ns >= since_ns)

    def sealed_headers(self, heights: Sequence[int], known: dict[bytes, tuple[Validator, ...]]) -> list[SealedHeight]:
        """Return signed headers with their validators, up to the first that the node does not have.

        Args:
            known: validator sets by their hash; new ones are added.

        Raises:
            NodeAway: the node does not answer.
        """
        return list(self._sealed(heights, known))

    def _net_info(self) -> NetInfoAnswer:
        [answer] = self._call("net_info", [{}])
        return NetInfoAnswer([]) if answer.error else _decode(_NET_INFO, answer)

    def _sealed(self, heights: Sequence[int], known: dict[bytes, tuple[Validator, ...]]) -> Iterator[SealedHeight]:
        for height, signed in zip(heights, self.signed_headers(heights), strict=True):
            if signed is None:
                return
            wanted = signed.header.validators_hash
            if wanted not in known:
                found = self.validators(height)
                if validators_hash(found) != wanted:
                    return
                known[wanted] = found
            yield SealedHeight(signed, known[wanted])

    def _call(self, method: str, params: Sequence[dict[str, str]]) -> list[_Answer]:
        answers: list[_Answer] = []
        for start in range(0, len(params), self.calls_max):
            part = params[start : start + self.calls_max]
            first = next(self._numbers)
            numbers = [first, *(next(self._numbers) for _ in part[1:])]
            calls = [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": each}
                for number, each in zip(numbers, part, strict=True)
            ]
            body = msgspec.json.encode(calls if self.calls_max > 1 else calls[0])
            answers += _in_order(self._post(body), numbers)
        return answers

    def _post(self, body: bytes) -> bytes:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
            return self._connection.getresponse().read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NodeAway(f"CometBFT does not answer on {self._where}: it is starting, or has ended") from error

    def _connect(self) -> http.client.HTTPConnection:
        return UnixConnection(Path(self._where), self._timeout_s)


class UnixConnection(http.client.HTTPConnection):
    """HTTP to a server on a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _in_order(body: bytes, numbers: Sequence[int]) -> list[_Answer]:
    try:
        found = _ANSWERS.decode(body)
    except msgspec.DecodeError as error:
        raise NodeAway(UNKNOWN_ANSWER) from error
    by_number = {each.id: each for each in (found if isinstance(found, list) else [found])}
    if set(by_number) != set(numbers):
        raise NodeAway("CometBFT did not answer every call: try again")
    return [by_number[number] for number in numbers]


def _signed(answer: _Answer) -> SignedHeader:
    try:
        return _decode(_COMMIT, answer).signed()
    except msgspec.DecodeError as error:
        raise NodeAway(UNKNOWN_ANSWER) from error


def _set(answer: _Answer) -> list[Validator]:
    try:
        return _decode(_VALIDATORS, answer).validator_set()
    except ValueError as error:  # of a number, or of base64
        raise NodeAway(UNKNOWN_ANSWER) from error


def _decode(decoder: "msgspec.json.Decoder[T]", answer: _Answer) -> T:
    try:
        return decoder.decode(answer.result)
    except msgspec.DecodeError as error:
        raise NodeAway(UNKNOWN_ANSWER) from error
