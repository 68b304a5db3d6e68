"""Validators that do something wrong, each by one change of our own code. Only a process of its own becomes one.

A fault is a name and perhaps an argument: `fail-point 7`, `die stored`, `propose`, `lie`, `slow-disk 0.5`.
"""

import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from salus.contracts.membership import KeyUse, PublishFile, blocks
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.engines.clock import SystemClock
from salus.engines.cometbft import home, messages
from salus.engines.cometbft.application import Application
from salus.engines.cometbft.chain import CometChain, DecidedBlock
from salus.engines.cometbft.child import Child
from salus.engines.cometbft.snapshots import Snapshots
from salus.engines.intake import BLOCK_MESSAGES_MAX
from salus.engines.state_chunks import Offer, decode_chunk
from salus.engines.store import LmdbStore
from salus.ledger import transactions
from salus.ledger.encoding import decoder, encode
from salus.ledger.identifiers import Digest, OrganisationId
from salus.ledger.machine import Executed
from salus.ledger.transactions import MESSAGES_MAX, Transaction
from salus.node.keys import read_keys
from tests.faults import signer

STEPS = ("before", "executed", "stored")
"""Where an application dies: before a block is executed, before it is stored, before its Commit is answered."""
PROPOSED = ("junk", "oversize", "replayed", "reordered", "expired")
LIE = Digest(b"lie" + bytes(29))

log = logging.getLogger("salus.faulty")


def become(fault: str, place: Path) -> None:
    """Change this process; the empty name changes nothing."""
    name, _, argument = fault.partition(" ")
    if name:
        FAULTS[name](argument, place)


def fail_point(argument: str, _place: Path) -> None:
    """The node dies at one of its own points of failure, once."""
    run_once = Child._run_once

    def dying(self: Child) -> int:
        status = run_once(self)
        os.environ.pop("FAIL_TEST_INDEX", None)
        return status

    os.environ["FAIL_TEST_INDEX"] = argument
    Child._run_once = dying  # type: ignore[method-assign]


def die(argument: str, _place: Path) -> None:
    """The application dies at a step of a block that has transactions."""
    finalize, commit = CometChain.finalize, CometChain.commit

    def dying_finalize(self: CometChain, block: DecidedBlock) -> Executed:
        _die(block, at=argument == "before")
        executed = finalize(self, block)
        _die(block, at=argument == "executed")
        return executed

    def dying_commit(self: CometChain) -> tuple[DecidedBlock, Executed]:
        block, executed = commit(self)
        _die(block, at=argument == "stored")
        return block, executed

    CometChain.finalize, CometChain.commit = dying_finalize, dying_commit  # type: ignore[method-assign]


def propose(_argument: str, place: Path) -> None:
    """The proposer puts into each block of its own what no block may hold, and finds every block good."""
    kinds = itertools.cycle(PROPOSED)
    key = read_keys(place / "keys").signing(KeyUse.TRANSACTION)
    done: list[bytes] = []
    finalize, prepare = CometChain.finalize, Application._prepare

    def remembering(self: CometChain, block: DecidedBlock) -> Executed:
        done.extend(block.raws)
        return finalize(self, block)

    def bad(self: Application, request: messages.PrepareProposal) -> bytes:
        kind = next(kinds)
        if (kind == "replayed" and not done) or (kind == "reordered" and len(request.raws) < 2):
            return prepare(self, request)
        log.warning("faulty.proposed kind=%s height=%d", kind, request.height)
        return messages.prepared(tuple(_bad_block(kind, request, done, key)))

    CometChain.finalize = remembering  # type: ignore[method-assign]
    Application._prepare = bad  # type: ignore[method-assign]
    Application._process = lambda _self, _request: messages.processed(messages.ACCEPT)  # type: ignore[method-assign]


def lie(_argument: str, _place: Path) -> None:
    """The application executes another file's hash than the member signed."""
    finalize = CometChain.finalize

    def lying(self: CometChain, block: DecidedBlock) -> Executed:
        if block.raws:
            log.warning("faulty.lied height=%d", block.height)
        altered = [_altered(each) if isinstance(each, Transaction) else each for each in block.transactions]
        return finalize(self, DecidedBlock(block.height, block.time_ns, block.raws, altered, block.evidence))

    CometChain.finalize = lying  # type: ignore[method-assign]


def slow_disk(argument: str, _place: Path) -> None:
    """Each write takes so much longer, in seconds."""
    write = LmdbStore.write

    def slow(self: LmdbStore, changes: object) -> None:
        time.sleep(float(argument))
        write(self, changes)  # type: ignore[arg-type]

    LmdbStore.write = slow  # type: ignore[method-assign]


def slow_application(argument: str, _place: Path) -> None:
    """Each block with transactions takes so much longer to execute, in seconds."""
    finalize = CometChain.finalize

    def slow(self: CometChain, block: DecidedBlock) -> Executed:
        time.sleep(float(argument) if block.raws else 0.0)
        return finalize(self, block)

    CometChain.finalize = slow  # type: ignore[method-assign]


def rules(argument: str, _place: Path) -> None:
    """A newer release, which knows these rules; they say the same as those before."""
    blocks.RULES_VERSION = int(argument)


def small_chunks(argument: str, _place: Path) -> None:
    """Snapshots come in chunks of so many bytes; honest, if it is all that is wrong."""
    kind = Snapshots.__init__.__kwdefaults__
    assert kind is not None
    kind["chunk_bytes"] = int(argument)


def bad_chunks(argument: str, place: Path) -> None:
    """Each chunk that it serves has a bit turned over."""
    small_chunks(argument, place)
    chunk = Snapshots.chunk

    def bad(self: Snapshots, height: int, form: int, index: int) -> bytes:
        data = chunk(self, height, form, index)
        log.warning("faulty.chunk height=%d index=%d", height, index)
        return data[:-1] + bytes([data[-1] ^ 1]) if data else data

    Snapshots.chunk = bad  # type: ignore[method-assign]


def bad_snapshots(argument: str, place: Path) -> None:
    """What it offers and serves fits together, and has another row than the roots say: the same on all that lie so."""
    small_chunks(argument, place)
    offered, chunk = Snapshots.offered, Snapshots.chunk

    def bad_chunk(self: Snapshots, height: int, form: int, index: int) -> bytes:
        data = chunk(self, height, form, index)
        return _other_row(data) if data and index == 0 else data

    def bad(self: Snapshots) -> list[messages.Snapshot]:
        log.warning("faulty.offered")
        return [_other_offer(each, bad_chunk(self, each.height, each.format, 0)) for each in offered(self)]

    Snapshots.offered, Snapshots.chunk = bad, bad_chunk  # type: ignore[method-assign]


def let_all_in(_argument: str, _place: Path) -> None:
    """Its mempool takes whatever comes, and hands it on."""
    Application.check_many = lambda _self, requests: [  # type: ignore[method-assign]
        messages.checked(code=0, words="") for _ in requests
    ]


def clock(argument: str, place: Path) -> None:
    """Its clock is so many seconds ahead, also that by which its node votes."""
    ahead_s = int(argument)
    wall_ns, configuration = SystemClock.wall_ns, home.configuration
    path = place / "node" / "signer.sock"

    def with_signer(folder: Path, network: home.Network) -> str:
        path.unlink(missing_ok=True)
        return f'priv_validator_laddr = "unix://{path}"\n' + configuration(folder, network)

    SystemClock.wall_ns = lambda self: wall_ns(self) + ahead_s * 10**9  # type: ignore[method-assign]
    home.configuration = with_signer
    signer.start(path, read_keys(place / "keys").signing(KeyUse.CONSENSUS), ahead_s=ahead_s)


FAULTS: dict[str, Callable[[str, Path], None]] = {
    "fail-point": fail_point,
    "die": die,
    "propose": propose,
    "lie": lie,
    "rules": rules,
    "clock": clock,
    "small-chunks": small_chunks,
    "bad-chunks": bad_chunks,
    "bad-snapshots": bad_snapshots,
    "let-all-in": let_all_in,
    "slow-disk": slow_disk,
    "slow-application": slow_application,
}


def _die(block: DecidedBlock, *, at: bool) -> None:
    if at and block.raws:
        os.kill(os.getpid(), signal.SIGKILL)


def _altered(transaction: Transaction) -> Transaction:
    told = tuple(
        msgspec.structs.replace(each, digest=LIE) if isinstance(each, PublishFile) else each
        for each in transaction.messages
    )
    return msgspec.structs.replace(transaction, messages=told)


def _other_row(data: bytes) -> bytes:
    chunk = decode_chunk(data)
    (key, row), *rest = chunk.rows
    return encode(msgspec.structs.replace(chunk, rows=((key, row + b"\x00"), *rest)))


def _other_offer(snapshot: messages.Snapshot, first: bytes) -> messages.Snapshot:
    offer = decoder(Offer).decode(snapshot.metadata)
    metadata = encode(Offer(offer.meta, (Digest(sha256(first)), *offer.chunks[1:])))
    return msgspec.structs.replace(snapshot, hash=sha256(metadata), metadata=metadata)


def _bad_block(kind: str, request: messages.PrepareProposal, done: Sequence[bytes], key: SigningKey) -> Iterator[bytes]:
    if kind == "reordered":
        yield from reversed(request.raws)
        return
    yield from request.raws
    if kind == "junk":
        yield b"junk"
    elif kind == "replayed":
        yield done[-1]
    elif kind == "expired":
        yield _own(key, 1, expires_at_s=request.time_ns // 10**9 - 1)
    else:
        for _ in range(BLOCK_MESSAGES_MAX // MESSAGES_MAX + 1):
            yield _own(key, MESSAGES_MAX, expires_at_s=request.time_ns // 10**9 + 300)


def _own(key: SigningKey, count: int, *, expires_at_s: int) -> bytes:
    file = PublishFile(OrganisationId("FX003"), "bad", LIE)
    nonce = os.urandom(16)
    return transactions.sign([file] * count, chain="salus-faults", keys=[key], expires_at_s=expires_at_s, nonce=nonce)
