"""Answers each call of ABCI 2.0 over a chain.

The consensus connection and the others call at once, each on its own thread. One lock is around the chain; CheckTx,
which CometBFT waits for while it holds its own mempool before Commit, never takes it: it reads a snapshot.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from salus.engines.base import Payer, SealedHeight, Snapshot, Unavailable
from salus.engines.clock import SECOND_NS, Clock
from salus.engines.cometbft import messages, proposals
from salus.engines.cometbft.chain import CometChain, DecidedBlock
from salus.engines.cometbft.checking import Checked, Checker
from salus.engines.cometbft.mempool import BUSY, Waiting
from salus.engines.cometbft.proposals import Terms
from salus.engines.cometbft.snapshots import Snapshots
from salus.engines.proving import prove_rows
from salus.ledger.comet.types import Validator
from salus.ledger.contract import Misbehaviour
from salus.ledger.encoding import encode
from salus.ledger.machine import Executed
from salus.ledger.outcomes import NOT_A_TRANSACTION
from salus.ledger.proofs import ProvedRows
from salus.ledger.transactions import NotATransaction

CHECKED_AT_ONCE = 128
"""CheckTx whose signatures are verified together: a few milliseconds of work."""
SETTLE_S = 2.0
"""How long a proof waits for the block that is being committed."""
NAME = "salus"
ROW_PATH = "/row"
UNKNOWN = 1

log = logging.getLogger("salus.engines")

Committed = Callable[[DecidedBlock, Executed], None]
T = TypeVar("T")


class ProtocolBroken(Unavailable):
    """CometBFT asked for what cannot be: another chain, another genesis, a height out of order."""


class Application:
    """One validator's or observer's application.

    Args:
        payer: whose quota and whose turn a transaction takes.
        clock: what waits is judged at the later of it and block time; a block never is.
        committed: called with each committed block, on a connection's thread; must not block.
    """

    def __init__(
        self,
        chain: CometChain,
        checker: Checker,
        *,
        payer: Payer,
        clock: Clock,
        committed: Committed,
        waiting: Waiting | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._chain = chain
        self._checker = checker
        self._payer = payer
        self._clock = clock
        self._committed = committed
        self._waiting = waiting or Waiting()
        self.snapshots = snapshots or Snapshots(chain)
        self._refused_proposals = 0
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)

    def answer(self, request: messages.Request) -> bytes:
        """Return the response to one request. Raises Unavailable: the ledger cannot go on."""
        match request:
            case messages.CheckTx():
                return self.check_many([request])[0]
            case messages.Flush():
                return messages.flushed()
            case messages.Echo():
                return messages.echo(request.message)
            case messages.ExtendVote():
                return messages.extended()
            case messages.VerifyVoteExtension():
                return messages.extension_verified(messages.REJECT)
            case messages.LoadSnapshotChunk():
                return messages.chunk(self.snapshots.chunk(request.height, request.format, request.index))
            case messages.ListSnapshots():
                return messages.snapshots(self.snapshots.offered())
        with self._settled:
            return self._answer_locked(request)

    def _answer_locked(self, request: messages.Request) -> bytes:
        match request:
            case messages.Info():
                return self._info()
            case messages.InitChain():
                return self._init_chain(request)
            case messages.PrepareProposal():
                return self._prepare(request)
            case messages.ProcessProposal():
                return self._process(request)
            case messages.FinalizeBlock():
                return self._finalize(request)
            case messages.Commit():
                return self._commit()
            case messages.Query():
                return self._query(request)
            case messages.OfferSnapshot():
                return messages.offer_judged(self.snapshots.offer(request.snapshot, request.app_hash))
            case messages.ApplySnapshotChunk():
                return self.snapshots.apply(request.index, request.chunk, request.sender)
        raise AssertionError(f"a request that is answered elsewhere: {type(request).__name__}")

    def check_many(self, requests: Sequence[messages.CheckTx]) -> list[bytes]:
        """Answer many CheckTx at once: their signatures are verified together, so many at a time."""
        parts = [requests[start : start + CHECKED_AT_ONCE] for start in range(0, len(requests), CHECKED_AT_ONCE)]
        return [_checked(each) for part in parts for each in self._check_part(part)]

    # For the other threads of this process

    def prove(self, keys: Sequence[bytes]) -> ProvedRows:
        """Prove rows at the newest committed height. Raises Unavailable."""
        with self._settled:
            if not self._settled.wait_for(lambda: self._chain.is_settled, SETTLE_S):
                raise Unavailable("the ledger is between two blocks: try later")
            return prove_rows(self._chain.machine, keys)

    def store_headers(self, sealed: Sequence[SealedHeight]) -> None:
        """Store signed headers."""
        with self._lock:
            self._chain.store_headers(sealed)

    def figures(self) -> dict[str, int]:
        """Return what waits in the mempool, and what was refused since the start."""
        return self._waiting.figures() | {"proposals_refused": self._refused_proposals}

    def locked(self) -> AbstractContextManager[object]:
        """Keep the chain as it is for a moment."""
        return self._lock

    # Each call

    def _info(self) -> bytes:
        if not self._chain.is_settled:  # a node that starts again knows nothing of what was not committed
            self._chain.load()
            self._settled.notify_all()
        return messages.info(
            data=NAME,
            version=str(self._chain.rules_version),
            app_version=self._chain.rules_version,
            height=self._chain.meta.height if self._chain.has_begun else 0,
            app_hash=self._chain.meta.app_hash,
        )

    def _init_chain(self, request: messages.InitChain) -> bytes:
        founding = self._chain.founding
        if request.chain_id != founding.chain:
            raise ProtocolBroken(
                f"expected the chain {founding.chain}, CometBFT has {request.chain_id}: check its home"
            )
        if self._chain.has_begun or request.initial_height != founding.first_height:
            height = self._chain.meta.height
            raise ProtocolBroken(f"expected a chain that begins, the ledger has height {height}: check its home")
        self._chain.begin()
        return messages.chain_begun(
            validators=founding.validators,
            app_version=self._chain.rules_version,
            app_hash=self._chain.meta.app_hash,
        )

    def _check_part(self, requests: Sequence[messages.CheckTx]) -> list[Checked]:
        """1. Refuse what cannot be in the next block, and what its member has too much of. 2. Verify the rest."""
        decoded = self._checker.decode([each.raw for each in requests])
        with self._chain.store.snapshot() as snapshot:
            terms = self._terms(snapshot, max(self._chain.meta.time_s, self._clock.wall_ns() // SECOND_NS))
            payers = [self._payer_of(each, terms) for each in decoded]
            let_in = [self._let_in(*each, terms) for each in zip(decoded, payers, requests, strict=True)]  # 1
        verified = self._checker.verify(let_in)  # 2
        for before, after, payer in zip(let_in, verified, payers, strict=True):
            if after is not before:
                self._waiting.forged(payer)
        return verified

    def _payer_of(self, decoded: Checked, terms: Terms) -> str | None:
        return None if isinstance(decoded, NotATransaction) else self._payer(terms.reader, decoded)

    def _let_in(self, decoded: Checked, payer: str | None, request: messages.CheckTx, terms: Terms) -> Checked:
        words = proposals.why_unfit(decoded, terms)
        if words:
            self._waiting.unfit()
            return NotATransaction(words)
        if request.kind == messages.RECHECK:
            self._waiting.stays(payer)
        elif not self._waiting.may_enter(payer, is_known=self._checker.known(request.raw) is not None):
            return NotATransaction(BUSY)
        return decoded

    def _prepare(self, request: messages.PrepareProposal) -> bytes:
        terms = self._terms(self._chain.store, request.time_ns // SECOND_NS)
        size_bytes_max = request.size_bytes_max
        chosen = proposals.prepare(self._checker.decode(request.raws), terms, size_bytes_max=size_bytes_max)
        verified = self._checker.verify(chosen)
        # Only what is chosen is verified; where a signature does not hold, what is left takes its turns anew.
        block = chosen if verified == chosen else proposals.prepare(verified, terms, size_bytes_max=size_bytes_max)
        return messages.prepared(tuple(each.raw for each in block))

    def _process(self, request: messages.ProcessProposal) -> bytes:
        terms = self._terms(self._chain.store, request.time_ns // SECOND_NS)
        words = self._why_refused(self._checker.decode(request.raws), terms)
        if words:
            self._refused_proposals += 1
            log.warning("ledger.proposal_refused height=%d reason=%s", request.height, words)
        return messages.processed(messages.REJECT if words else messages.ACCEPT)

    def _why_refused(self, decoded: Sequence[Checked], terms: Terms) -> str:
        """What is refused for anything else costs no check of a signature; what all holds is judged once."""
        words = proposals.why_refused(decoded, terms)
        if words:
            return words
        verified = self._checker.verify(decoded)
        return "" if verified == decoded else proposals.why_refused(verified, terms)

    def _finalize(self, request: messages.FinalizeBlock) -> bytes:
        if request.height != self._chain.meta.height + 1:
            raise ProtocolBroken(
                f"expected height {self._chain.meta.height + 1}, came {request.height}: check its home"
            )
        block = DecidedBlock(
            height=request.height,
            time_ns=request.time_ns,
            raws=request.raws,
            transactions=self._checker.check(request.raws),
            evidence=tuple(
                Misbehaviour(each.address, each.height, each.time_ns // SECOND_NS) for each in request.misbehaviour
            ),
        )
        before = self._chain.rules_version
        executed = self._chain.finalize(block)
        after = self._chain.founding.rules_version(_After(self._chain.store, executed))
        return messages.finalized(
            results=[(result.code, result.reason) for result in executed.results],
            validator_updates=tuple(Validator(key, power) for key, power in executed.validator_updates),
            app_version=after if after != before else 0,
            app_hash=executed.meta.app_hash,
        )

    def _commit(self) -> bytes:
        if self._chain.is_settled:
            raise ProtocolBroken("expected FinalizeBlock before Commit: check the version of CometBFT")
        block, executed = self._chain.commit()
        self._settled.notify_all()
        self._checker.forget(block.raws)
        self._waiting.new_block()
        self._committed(block, executed)
        self.snapshots.committed()
        return messages.committed(retain_height=self._chain.retain_height())

    def _query(self, request: messages.Query) -> bytes:
        meta = self._chain.meta
        if request.path != ROW_PATH or not request.data or not self._chain.is_settled:
            words = f"expected the path {ROW_PATH} and the key of a row"
            return messages.queried(code=UNKNOWN, words=words, key=b"", value=b"", proof=b"", height=meta.height)
        rows = prove_rows(self._chain.machine, [request.data])
        [row] = rows.rows
        return messages.queried(
            code=0, words="", key=request.data, value=row.row, proof=encode(rows), height=meta.height
        )

    def _terms(self, reader: Snapshot, time_s: int) -> Terms:
        return Terms(reader, time_s, self._payer)


def _checked(checked: Checked) -> bytes:
    if isinstance(checked, NotATransaction):
        return messages.checked(code=NOT_A_TRANSACTION, words=str(checked))
    return messages.checked(code=0, words="")


class _After:
    """Rows as a block that is not committed yet leaves them."""

    def __init__(self, store: Snapshot, executed: Executed) -> None:
        self._store = store
        self._changes = executed.changes

    def get(self, space: str, key: bytes, /) -> bytes | None:
        rows = self._changes.get(space, {})
        return rows[key] if key in rows else self._store.get(space, key)
