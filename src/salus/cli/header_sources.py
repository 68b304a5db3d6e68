"""Where `salus follow` gets headers from: a file, a node's folder, a CometBFT node's socket, a member's address."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from salus.ledger.proofs import LightBlock, SignedState
from salus.sdk.following import HeaderAbsent, HeaderSource

if TYPE_CHECKING:
    from salus.engines.base import SealedHeight
    from salus.engines.cometbft.rpc import NodeRpc
    from salus.node.assemble import Node


def open_source(place: Path | str) -> AbstractContextManager[HeaderSource]:
    """Open a source for a while. What is at the place says what kind it is; text is the address of a member."""
    if isinstance(place, str):
        return _open_member(place)
    if place.is_dir():
        return _open_node(place)
    return _open_socket(place) if place.is_socket() else _open_file(place)


class _File:
    """The headers in a receipt, a history, a proof, or somebody else's trust store."""

    def __init__(self, name: str, blocks: dict[int, LightBlock]) -> None:
        self.name = name
        self._blocks = blocks

    def heights(self) -> tuple[int, int]:
        return min(self._blocks), max(self._blocks)

    def light_block(self, height: int) -> LightBlock | None:
        return self._blocks.get(height)


class _Ledger:
    """The headers that a node reads from its ledger process's store."""

    def __init__(self, node: "Node") -> None:
        self.name = str(node.organisation)
        self._node = node

    def heights(self) -> tuple[int, int]:
        from salus.engines.headers import newest_header
        from salus.engines.store import HEADERS
        from salus.ledger.machine import read_meta

        with self._node.engine.snapshot() as snapshot:
            meta = read_meta(snapshot)
            newest = newest_header(snapshot, meta.height) if meta else None
            first = next(iter(snapshot.items(HEADERS)), None)
        if newest is None or first is None:
            raise HeaderAbsent(f"the ledger of {self.name} has no header yet: start it with salus serve")
        return int.from_bytes(first[0], "big"), newest.signed.header.height

    def light_block(self, height: int) -> LightBlock | None:
        sealed = self._node.engine.signed_header(height)
        return None if sealed is None else _block(sealed)


class _CometBFT:
    """The headers that a CometBFT node answers with over its Unix socket."""

    def __init__(self, name: str, rpc: "NodeRpc") -> None:
        self.name = name
        self._rpc = rpc

    def heights(self) -> tuple[int, int]:
        lowest = self._rpc.earliest_height()
        if not lowest:
            raise HeaderAbsent(f"the node on {self.name} has no header yet: start it")
        return lowest, self._newest(lowest)

    def light_block(self, height: int) -> LightBlock | None:
        sealed = self._rpc.sealed_headers([height], {})
        return _block(sealed[0]) if sealed else None

    def _newest(self, lowest: int) -> int:
        # Doubling, then halving: the node is asked for headers only.
        step = 1
        while self._has(lowest + step):
            step *= 2
        low, high = lowest + step // 2, lowest + step
        while high - low > 1:
            half = (low + high) // 2
            low, high = (half, high) if self._has(half) else (low, half)
        return low

    def _has(self, height: int) -> bool:
        return self._rpc.signed_headers([height])[0] is not None


class _Member(_CometBFT):
    """The headers that a member gives out over HTTP."""

    def heights(self) -> tuple[int, int]:
        newest = self._rpc.newest_height()
        if not newest:
            raise HeaderAbsent(f"{self.name} has no header yet: name another source")
        low, high = 0, newest  # the oldest ones may be gone
        while high - low > 1:
            half = (low + high) // 2
            low, high = (low, half) if self._has(half) else (half, high)
        return high, newest


@contextmanager
def _open_file(path: Path) -> Iterator[HeaderSource]:
    blocks = list(_blocks_of(path))
    yield _File(path.name, {_height(block): block for block in blocks})


@contextmanager
def _open_node(folder: Path) -> Iterator[HeaderSource]:
    from salus.node import config
    from salus.node.opening import open_node

    place = Path(config.read_network(folder).nodes[0]) if config.is_network(folder) else folder
    with open_node(place) as node:
        yield _Ledger(node)


@contextmanager
def _open_socket(path: Path) -> Iterator[HeaderSource]:
    from salus.engines.cometbft.rpc import NodeRpc

    rpc = NodeRpc(path)
    try:
        yield _CometBFT(path.name, rpc)
    finally:
        rpc.close()


@contextmanager
def _open_member(url: str) -> Iterator[HeaderSource]:
    from salus.engines.cometbft.remote_headers import RemoteHeaders

    rpc = RemoteHeaders(url)
    try:
        yield _Member(url, rpc)
    finally:
        rpc.close()


def _blocks_of(path: Path) -> Iterator[LightBlock]:
    from salus.ledger.bundles import BundleUnknown, ConsistencyBundle, decode_bundle
    from salus.ledger.verifier import Checklist, TrustStore, VerificationFailed
    from salus.sdk.trust_file import read_trust

    data = path.read_bytes()
    if data.startswith(b"{"):
        trust = read_trust(path)
        if not isinstance(trust, TrustStore):
            raise HeaderAbsent(f"a trust root has no header: name a proof, a trust store or a node as {path.name}")
        yield trust.newest
        return
    try:
        bundle = decode_bundle(data)
    except BundleUnknown as error:
        raise VerificationFailed(Checklist.BUNDLE, 0, str(error)) from error
    if isinstance(bundle, ConsistencyBundle):
        yield from (_of_state(each) for each in (bundle.consistency.old, bundle.consistency.new))
    else:
        yield _of_state(bundle.signed)


def _of_state(signed: SignedState) -> LightBlock:
    return LightBlock(signed.header, signed.validators)


def _height(block: LightBlock) -> int:
    from salus.ledger.comet.commit import decode_signed_header
    from salus.ledger.encoding import EncodingInvalid
    from salus.ledger.verifier import Checklist, VerificationFailed

    try:
        return decode_signed_header(block.header).header.height
    except EncodingInvalid as error:
        raise VerificationFailed(Checklist.STATE, 2, f"expected a signed header: {error}: ask for it again") from error


def _block(sealed: "SealedHeight") -> LightBlock:
    from salus.ledger.comet.commit import encode_signed_header

    return LightBlock(encode_signed_header(sealed.signed), sealed.validators)
