"""The machine: a block's transactions in, outcomes, roots and changes out.

Same blocks, same state, same roots on every Python version, hash seed, locale and engine (L1): the machine sees only
its arguments. It never writes: `execute` returns the changes, which the engine stores in one durable step (L2, L4).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Union

import msgspec

from salus.crypto.hashing import leaf_hash, tagged
from salus.ledger import transactions
from salus.ledger.contract import (
    Context,
    Contract,
    Misbehaviour,
    Rejected,
    RulesNewer,
    ValidatorUpdate,
    check_signers,
)
from salus.ledger.encoding import Decoder, decoder, encode
from salus.ledger.identifiers import Digest, Pseudonym
from salus.ledger.log import Log
from salus.ledger.outcomes import (
    DENIED,
    NOT_A_TRANSACTION,
    Leaf,
    Outcome,
    Seen,
    TransactionResult,
    decode_leaf,
    encode_leaf,
    pseudonym_of,
    result_code,
)
from salus.ledger.readers import Nothing, ReadOnce, Rows
from salus.ledger.state import (
    EXPIRY,
    INDEXES,
    LEAVES,
    LOG,
    META,
    STATE,
    TREE,
    Changes,
    Index,
    Overlay,
    Reader,
    Store,
    Table,
)
from salus.ledger.transactions import NotATransaction, Transaction
from salus.ledger.tree import Tree

APP_HASH_TAG = "salus/app-hash/1"
HISTORY_TAG = "salus/history/1"
STATE_FORMAT = 1
SWEEP_BASE = 16
_META_KEY = b"machine"


class Meta(msgspec.Struct, frozen=True, array_like=True):
    """The machine's own row: where it stands. Times in seconds."""

    format: int
    chain: str
    height: int
    time_s: int
    log_size: int
    tree_root: Digest
    log_root: Digest
    app_hash: Digest


class History(msgspec.Struct, frozen=True, array_like=True):
    """How many events a pseudonym has, and a hash chain over them: what makes "n of n" provable (L5)."""

    count: int
    head: Digest


class Event(msgspec.Struct, frozen=True, array_like=True):
    """Where the n-th event of a pseudonym is in the log."""

    leaf: int


MACHINE = Contract("machine", 0)
HISTORY: Table[Pseudonym, History] = MACHINE.table("history", History)
EVENTS: Index[tuple[Pseudonym, int], Event] = MACHINE.index("events", Event)
SEEN: Index[Digest, Seen] = MACHINE.index("seen", Seen)


class _Stamp(msgspec.Struct, frozen=True, array_like=True):
    format: int  # what follows depends on it


_META = msgspec.msgpack.Decoder(Meta)
_STAMP = msgspec.msgpack.Decoder(_Stamp)
NO_HISTORY = History(count=0, head=Digest(bytes(32)))


FirstRow = tuple[Contract, Table[Any, Any], Any, Any]
"""(contract, table, key, value) of one row that genesis writes."""


@dataclass(frozen=True)
class Executed:
    """What a block did.

    Args:
        results: one for each transaction of the block, in order.
        changes: everything to be stored in one durable step.
        validator_updates: keys whose power changes two heights later, each once.
    """

    meta: Meta
    results: tuple[TransactionResult, ...]
    changes: Changes
    validator_updates: tuple[ValidatorUpdate, ...] = ()


class ChainMismatch(Exception):
    """The stored state belongs to another chain, or to a newer format or newer rules than this software knows."""


def app_hash(*, tree_root: bytes, log_size: int, log_root: bytes) -> Digest:
    """Return what a header commits to: the state's two roots and the log's size (DESIGN §4)."""
    return Digest(tagged(APP_HASH_TAG, tree_root, log_size.to_bytes(8, "big"), log_root))


def next_history(history: History, leaf: bytes) -> History:
    """Return a pseudonym's history after one more event, whose leaf hash is `leaf` (32 bytes)."""
    return History(count=history.count + 1, head=Digest(tagged(HISTORY_TAG, history.head, leaf)))


def read_meta(reader: Reader) -> Meta | None:
    """Return where the stored state stands; None before genesis. Raises ChainMismatch for a newer format."""
    row = reader.get(META, _META_KEY)
    if row is None:
        return None
    try:
        stored_format = _STAMP.decode(row).format
        if stored_format != STATE_FORMAT:
            raise ChainMismatch(
                f"expected state format {STATE_FORMAT}, the store has {stored_format}: run the release that wrote it"
            )
        return _META.decode(row)
    except msgspec.DecodeError as error:
        raise ChainMismatch(f"expected the machine's own row, it is damaged: restore a backup. {error}") from error


class Machine:
    """Executes blocks over a store, one at a time; its owner stores the changes before the next.

    Args:
        chain: the chain id that every transaction must name.
        contracts: all contracts, lowest first.
        store: rows as of the last stored block.
    """

    def __init__(self, chain: str, contracts: Sequence[Contract], store: Store) -> None:
        self.chain = chain
        self.contracts = tuple(contracts)
        self.store = store
        self._contract_of = {message: contract for contract in contracts for message in contract.handlers}
        self._fold_of = {outcome: fold for contract in contracts for outcome, fold in contract.folds.items()}
        self.messages = message_decoder(contracts)
        self.meta = read_meta(store)
        if self.meta is not None and self.meta.chain != chain:
            raise ChainMismatch(f"expected chain {chain}, the store holds {self.meta.chain}: use its own folder")
        if self.meta is not None:
            self._check_rules_at_start(self.meta.height + 1)
        self.tree = Tree(Rows(store, TREE))
        self.log = Log(Rows(store, LOG), self.meta.log_size if self.meta else 0)

    def _check_rules_at_start(self, height: int) -> None:
        try:
            self._check_rules(height)
        except RulesNewer as error:
            raise ChainMismatch(str(error)) from error

    def _check_rules(self, height: int) -> None:
        for contract in self.contracts:
            if contract.block_check is not None:
                contract.block_check(self.store, height)

    # Before a block

    def admit(self, raw: bytes, *, time_s: int) -> Transaction:
        """Decode a transaction for this chain and check its expiry; its signatures are the caller's to verify.

        Raises:
            NotATransaction: refused; it would leave nothing in a block.
        """
        transaction = transactions.decode(raw, chain=self.chain, messages=self.messages)
        if SEEN.get(self.store, transaction.hash) is None:
            transactions.check_expiry(transaction, time_s=time_s)
        return transaction

    def admit_verified(self, raw: bytes, *, time_s: int) -> Transaction | NotATransaction:
        """Decode and verify for a block that somebody else decided: what is no transaction is told, not raised."""
        try:
            transaction = self.admit(raw, time_s=time_s)
            transactions.verify(transaction)
        except NotATransaction as error:
            return error
        return transaction

    def stored(self, transaction: Digest) -> TransactionResult | None:
        """Return the stored outcome of a transaction; None when it was never executed."""
        return stored_result(self.store, transaction)

    # A block

    def genesis(self, *, time_s: int, rows: Iterable[FirstRow], adopts: bool = False) -> Executed:
        """Write the first rows, without transactions: at height 0, or over adopted tables, at their height.

        Args:
            rows: (contract, table, key, value) in the order of the genesis document; a value of None deletes the row.
            adopts: the store has another ledger's tables and log; the log stays as it is.
        """
        assert adopts == (self.meta is not None), "genesis is written once"
        height = self.meta.height if self.meta is not None else 0
        block = _Block(self.store, height=height, time_s=time_s, first_leaf=self.log.size)
        context = _outside(block)
        for contract, table, key, value in rows:
            context.enter(contract, 0)
            if value is None:
                table.delete(context, key)
            else:
                table.put(context, key, value)
        return self._finish(block, results=())

    def execute(
        self,
        *,
        height: int,
        time_s: int,
        block_transactions: Sequence[Transaction | NotATransaction],
        evidence: Sequence[Misbehaviour] = (),
    ) -> Executed:
        """Execute one block.

        1. Sweep what has expired, oldest first, a bounded number of rows.
        2. Run each transaction: its stored outcome if it was seen, else its messages, all or nothing (L4).
        3. Fold the leaves into history and indexes.
        4. End the block: contracts hear the evidence, and say which validators change.
        5. Update tree and log; compute the app hash. An empty block changes nothing.

        Args:
            height: one more than the last.
            time_s: block time, not before the last block's.
            block_transactions: verified transactions, or why the bytes are none.
            evidence: what validators did wrong, as consensus has verified it.

        Raises:
            RulesNewer: the members voted that this block follows rules that this software does not know.
        """
        assert self.meta is not None, "genesis comes first"
        assert height == self.meta.height + 1, f"expected height {self.meta.height + 1}, came {height}"
        assert time_s >= self.meta.time_s, "block time never goes back"
        self._check_rules(height)
        block = _Block(self.store, height=height, time_s=time_s, first_leaf=self.log.size)
        if block_transactions:
            self._sweep(block, limit=2 * len(block_transactions) + SWEEP_BASE)  # 1
        results = tuple([self._run(block, transaction) for transaction in block_transactions])  # 2, 3
        updates = self._end(block, tuple(evidence)) if block_transactions or evidence else ()  # 4
        return self._finish(block, results=results, validator_updates=updates)  # 5

    def _sweep(self, block: "_Block", *, limit: int) -> None:
        for key in self.store.first_keys(EXPIRY, below=(block.time_s + 1).to_bytes(8, "big"), limit=limit):
            block.overlay.put(EXPIRY, key, None)
            block.overlay.put(STATE, key[8:], None)

    def _end(self, block: "_Block", evidence: tuple[Misbehaviour, ...]) -> tuple[ValidatorUpdate, ...]:
        updates: list[ValidatorUpdate] = []
        for contract in self.contracts:
            if contract.block_end is not None:
                context = _outside(block)
                context.enter(contract, 0)
                updates += contract.block_end(context, evidence)
        assert len({key for key, _ in updates}) == len(updates), "each key is updated once"
        return tuple(updates)

    def _run(self, block: "_Block", transaction: Transaction | NotATransaction) -> TransactionResult:
        if isinstance(transaction, NotATransaction):
            return _refused(transaction)
        seen = SEEN.get(block.overlay, transaction.hash)
        if seen is not None:
            return self._repeat(block, transaction, seen)
        try:
            transactions.check_expiry(transaction, time_s=block.time_s)
        except NotATransaction as error:
            return _refused(error)
        return self._first_time(block, transaction)

    def _repeat(self, block: "_Block", transaction: Transaction, seen: Seen) -> TransactionResult:
        if seen.first_leaf >= block.first_leaf:  # earlier in this block: not stored yet
            start = seen.first_leaf - block.first_leaf
            return _result_of(seen.first_leaf, block.leaves[start : start + seen.leaf_count])
        stored = stored_result(self.store, transaction.hash)
        assert stored is not None
        return stored

    def _first_time(self, block: "_Block", transaction: Transaction) -> TransactionResult:
        layer = Overlay(block.overlay)
        context = Context(
            layer,
            height=block.height,
            time_s=block.time_s,
            transaction=transaction.hash,
            signers=transaction.body.signers,
        )
        reason = ""
        try:
            answers = self._answer(context, transaction)
            block.overlay.absorb(layer)
        except Rejected as rejected:
            tag = encode(message_tag(type(transaction.messages[context.message_index])))
            answers = [_Answer(context.message_index, rejected.code, tag, None)]
            reason = rejected.detail
        return self._record(block, transaction.hash, answers, reason)

    def _record(
        self, block: "_Block", transaction: Digest, answers: Sequence["_Answer"], reason: str
    ) -> TransactionResult:
        start = len(block.leaves)
        for answer in answers:
            leaf = Leaf(block.height, block.time_s, transaction, answer.index, answer.code, answer.data)
            position = block.first_leaf + len(block.leaves)
            hashed = block.add(encode_leaf(leaf))
            self._fold(block.overlay, position, leaf, hashed, answer.outcome)
        first = block.first_leaf + start
        SEEN.put(block.overlay, transaction, Seen(first_leaf=first, leaf_count=len(answers)))
        code = result_code(tuple([answer.code for answer in answers]))
        return TransactionResult(code, first, tuple(block.leaves[start:]), reason)

    def _answer(self, context: Context, transaction: Transaction) -> list["_Answer"]:
        answers = []
        for index, message in enumerate(transaction.messages):
            contract = self._contract_of[type(message)]
            context.enter(contract, index)
            outcome = contract.handlers[type(message)](context, message)
            assert type(outcome) in contract.outcomes[type(message)], "an outcome that its contract declares"
            assert getattr(outcome, "pseudonym", None) == getattr(message, "pseudonym", None)
            answers.append(_Answer(index, outcome.code, encode(outcome), outcome))
        check_signers(context)
        return answers

    def _fold(self, overlay: Overlay, position: int, leaf: Leaf, hashed: bytes, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        fold = self._fold_of.get(type(outcome))
        if fold is not None:
            fold(overlay, position, leaf, outcome)
        pseudonym = pseudonym_of(outcome)
        if pseudonym is not None:
            history = next_history(HISTORY.get(overlay, pseudonym) or NO_HISTORY, hashed)
            overlay.put(STATE, HISTORY.key(pseudonym), encode(history))
            EVENTS.put(overlay, (pseudonym, history.count - 1), Event(leaf=position))

    def _finish(
        self,
        block: "_Block",
        *,
        results: tuple[TransactionResult, ...],
        validator_updates: tuple[ValidatorUpdate, ...] = (),
    ) -> Executed:
        changes = block.overlay.rows
        if changes.get(STATE):
            changes[TREE] = dict(self.tree.update(changes[STATE]))
        if block.leaves:
            changes[LEAVES] = {leaf_key(block.first_leaf + place): leaf for place, leaf in enumerate(block.leaves)}
            changes[LOG] = dict(self.log.append(block.leaf_hashes))
        tree_root, log_root = Digest(self.tree.root), Digest(self.log.root())
        self.meta = Meta(
            format=STATE_FORMAT,
            chain=self.chain,
            height=block.height,
            time_s=block.time_s,
            log_size=self.log.size,
            tree_root=tree_root,
            log_root=log_root,
            app_hash=app_hash(tree_root=tree_root, log_size=self.log.size, log_root=log_root),
        )
        changes[META] = {_META_KEY: encode(self.meta)}
        return Executed(meta=self.meta, results=results, changes=changes, validator_updates=validator_updates)

    def refold(self, leaves: Iterable[tuple[int, bytes]]) -> dict[bytes, bytes | None]:
        """Rebuild every index from (log index, leaf) pairs alone, as a snapshot does and `fsck` compares."""
        overlay = Overlay(Nothing())
        outcomes = outcome_decoder(self.contracts)
        for position, encoded in leaves:
            leaf = decode_leaf(encoded)
            outcome = outcomes.decode(leaf.data) if leaf.code <= DENIED else None
            self._fold(overlay, position, leaf, leaf_hash(encoded), outcome)
            seen = SEEN.get(overlay, leaf.transaction) or Seen(first_leaf=position, leaf_count=0)
            SEEN.put(overlay, leaf.transaction, Seen(first_leaf=seen.first_leaf, leaf_count=seen.leaf_count + 1))
        return overlay.rows.get(INDEXES, {})


class _Block:
    """A block while it is executed: its rows, and its leaves with their hashes."""

    __slots__ = ("first_leaf", "height", "leaf_hashes", "leaves", "overlay", "time_s")

    def __init__(self, store: Store, *, height: int, time_s: int, first_leaf: int) -> None:
        self.height = height
        self.time_s = time_s
        self.first_leaf = first_leaf
        self.overlay = Overlay(ReadOnce(store))
        self.leaves: list[bytes] = []
        self.leaf_hashes: list[bytes] = []

    def add(self, leaf: bytes) -> bytes:
        """Append an encoded leaf; return its hash."""
        hashed = leaf_hash(leaf)
        self.leaves.append(leaf)
        self.leaf_hashes.append(hashed)
        return hashed


def _outside(block: _Block) -> Context:
    """Return the context of what no transaction does: genesis, and the end of a block."""
    return Context(block.overlay, height=block.height, time_s=block.time_s, transaction=Digest(bytes(32)), signers=())


@dataclass(frozen=True)
class _Answer:
    index: int
    code: int
    data: bytes
    outcome: Outcome | None


def message_decoder(contracts: Sequence[Contract]) -> Decoder:
    """Return the strict decoder of the union of all messages of these contracts."""
    return decoder(Union[tuple(message for contract in contracts for message in contract.handlers)])  # noqa: UP007


def outcome_decoder(contracts: Sequence[Contract]) -> Decoder:
    """Return the strict decoder of the union of all outcomes of these contracts: the `data` of a leaf."""
    kinds = {kind for contract in contracts for declared in contract.outcomes.values() for kind in declared}
    return decoder(Union[tuple(sorted(kinds, key=message_tag))])  # noqa: UP007


def message_tag(kind: type[msgspec.Struct]) -> int:
    """Return the permanent number with which a message or an outcome is tagged."""
    tag = kind.__struct_config__.tag
    assert isinstance(tag, int)
    return tag


def leaf_key(index: int) -> bytes:
    """Return the key of a leaf within the space of leaves: sequential, so that writes append."""
    return index.to_bytes(8, "big")


def read_leaf(reader: Reader, index: int) -> bytes | None:
    """Return the encoded leaf at a log index; None when the log is shorter or the leaf was pruned."""
    return reader.get(LEAVES, leaf_key(index))


def stored_result(reader: Reader, transaction: Digest) -> TransactionResult | None:
    """Return the stored outcome of a transaction; None when it was never executed."""
    seen = SEEN.get(reader, transaction)
    if seen is None:
        return None
    leaves = [read_leaf(reader, seen.first_leaf + place) for place in range(seen.leaf_count)]
    present = [leaf for leaf in leaves if leaf is not None]
    assert len(present) == seen.leaf_count, "leaves and seen-set are stored together"
    return _result_of(seen.first_leaf, present)


def history_positions(reader: Reader, pseudonym: Pseudonym) -> Iterator[int]:
    """Yield the log indexes of a pseudonym's events, oldest first."""
    history = HISTORY.get(reader, pseudonym) or NO_HISTORY
    for place in range(history.count):
        event = EVENTS.get(reader, (pseudonym, place))
        assert event is not None, "history and events are folded together"
        yield event.leaf


def _refused(error: NotATransaction) -> TransactionResult:
    return TransactionResult(code=NOT_A_TRANSACTION, first_leaf=0, leaves=(), reason=str(error))


def _result_of(first: int, leaves: Sequence[bytes], reason: str = "") -> TransactionResult:
    code = result_code(tuple(decode_leaf(leaf).code for leaf in leaves))
    return TransactionResult(code=code, first_leaf=first, leaves=tuple(leaves), reason=reason)
