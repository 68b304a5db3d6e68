"""The machine of docs/spec/machine.md: sweep, transactions in order, leaves, history, indexes, roots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from salus.testing.auditor import access, consent, membership, patients, records, tickets
from salus.testing.auditor.canonical import encode
from salus.testing.auditor.genesis import first_rows
from salus.testing.auditor.hashes import LogRoot, app_hash, leaf_hash, tagged, tree_root
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.transactions import NotATransaction, Transaction, is_in_time, parse
from salus.testing.auditor.view import SIGNER_UNUSED, No, Row, Rows, View, row_key

DONE, DENIED, NOT_A_TRANSACTION = 0, 1, 2
CONDITIONS_FREE: Final = 3_000
"""A transaction that compares fewer conditions never exhausts its steps."""

Change = dict[bytes, bytes | None]
Handler = Callable[[View, Message], Row]

HANDLERS: Final[dict[int, Handler]] = {
    101: membership.certify,
    102: membership.revoke_certificate,
    103: membership.rotate_key,
    104: membership.publish_file,
    201: patients.enrol,
    202: patients.rotate,
    203: patients.take_over,
    204: patients.add_key,
    205: patients.remove_key,
    206: patients.close,
    301: records.register_batch,
    302: records.verify,
    303: records.supersede,
    304: records.mark_erased,
    305: records.erase_relationship,
    401: consent.file_consent,
    402: consent.withdraw_consent,
    501: tickets.issue,
    502: tickets.revoke,
    503: tickets.use,
    504: tickets.attenuate,
    601: access.request_access,
    602: access.commit_releases,
    603: access.review_emergency,
    604: access.challenge,
}

_ENDS: Final[dict[bytes, Callable[[Row], int]]] = {
    b"membership.certificates": lambda row: int(row[2]),
    b"tickets.tickets": lambda row: int(row[6]) + 86_400,
    b"access.permits": lambda row: int(row[7]) + 604_800,
}
"""Tables whose rows have an end, and when it is."""


@dataclass(frozen=True)
class Verdict:
    """The result of one byte string of a block.

    Args:
        first: the number of the first leaf; -1 when there is none.
    """

    code: int
    first: int
    leaves: tuple[bytes, ...]


@dataclass(frozen=True)
class Audited:
    """What one block comes to: a verdict for each byte string, and the rows that change."""

    verdicts: tuple[Verdict, ...]
    state: Change
    indexes: Change
    expiry: Change
    leaves: Change


@dataclass
class _Block:
    """One block as it is executed."""

    height: int
    time_s: int
    state: Change = field(default_factory=dict)
    indexes: Change = field(default_factory=dict)
    expiry: Change = field(default_factory=dict)
    leaves: Change = field(default_factory=dict)


class Auditor:
    """The whole ledger in dictionaries.

    Args:
        genesis: the bytes of the genesis document.
        amend: changes the first rows, for what only a later issue's messages can bring about.
    """

    def __init__(self, genesis: bytes, *, amend: Callable[[Rows], None] = lambda _rows: None) -> None:
        self.chain, self.time_s, self.rows = first_rows(genesis)
        amend(self.rows)
        self.height = 0
        self.encoded: dict[bytes, bytes] = {key: encode(row) for key, row in self.rows.items()}
        self.ends: dict[bytes, int] = {key: end for key, row in self.rows.items() if (end := _end_of(key, row))}
        self.leaves: list[bytes] = []
        self.executed: dict[bytes, Verdict] = {}
        self.events: dict[bytes, list[int]] = {}
        self.batches: dict[bytes, Row] = {}
        self._log = LogRoot()

    def block(self, height: int, time_s: int, raws: Sequence[bytes]) -> Audited:
        """Execute a block. The height is one more than the last, the time not before that of the last."""
        assert height == self.height + 1, f"expected height {self.height + 1}, came {height}"
        assert time_s >= self.time_s, f"expected a time from {self.time_s} on, came {time_s}"
        self.height, self.time_s = height, time_s
        block = _Block(height, time_s)
        if raws:
            self._sweep(block, len(raws))
        verdicts = tuple(self._verdict(block, raw) for raw in raws)
        return Audited(verdicts, block.state, block.indexes, block.expiry, block.leaves)

    def expect(self, raw: bytes, time_s: int) -> bool:
        """Tell whether bytes would be a transaction in a block of this time."""
        try:
            transaction = parse(raw, chain=self.chain)
        except NotATransaction:
            return False
        return transaction.hash in self.executed or is_in_time(transaction, time_s)

    def app_hash(self) -> bytes:
        """Return the app hash, its tree root computed from all rows."""
        return app_hash(tree=tree_root(self.encoded), log_size=len(self.leaves), log=self._log.root())

    def view(self, *, time_s: int) -> View:
        """Return a view for questions."""
        return View(self.rows, Transaction(b"", [], 0, []), time_s)

    def table(self, name: str) -> dict[bytes, Row]:
        """Return a table's rows by the encoding of their keys."""
        prefix = name.encode() + b"\x00"
        return {key[len(prefix) :]: row for key, row in self.rows.items() if key.startswith(prefix)}

    def _sweep(self, block: _Block, count: int) -> None:
        due = sorted((end, key) for key, end in self.ends.items() if end <= block.time_s)
        for _, key in due[: 2 * count + 16]:
            self._write(block, key, None)

    def _verdict(self, block: _Block, raw: bytes) -> Verdict:
        try:
            transaction = parse(raw, chain=self.chain)
        except NotATransaction:
            return Verdict(NOT_A_TRANSACTION, -1, ())
        known = self.executed.get(transaction.hash)
        if known is not None:
            return known
        if not is_in_time(transaction, block.time_s):
            return Verdict(NOT_A_TRANSACTION, -1, ())
        verdict = self._record(block, transaction, *self._execute(block, transaction))
        self.executed[transaction.hash] = verdict
        return verdict

    def _execute(self, block: _Block, transaction: Transaction) -> tuple[View, list[tuple[int, int, Any]]]:
        """Return the view with what is written, and (place, code, data) for each leaf."""
        view = View(self.rows, transaction, block.time_s)
        outcomes: list[tuple[int, int, Any]] = []
        try:
            for view.place, message in enumerate(transaction.messages):
                outcome = HANDLERS[message["tag"]](view, message)
                outcomes.append((view.place, DENIED if outcome[0] == 605 else DONE, outcome))
            if view.signed != transaction.signers:
                raise No(SIGNER_UNUSED)
        except No as no:
            view.written = {}
            return view, [(view.place, no.number, transaction.messages[view.place]["tag"])]
        return view, outcomes

    def exhaust(self, raw: bytes) -> bool:
        """Tell whether StepsExhausted may be taken as given for a transaction: it compares so many conditions."""
        transaction = parse(raw, chain=self.chain)
        view, _ = self._execute(_Block(self.height + 1, self.time_s), transaction)
        return view.condition_count >= CONDITIONS_FREE

    def _record(
        self, block: _Block, transaction: Transaction, view: View, outcomes: list[tuple[int, int, Any]]
    ) -> Verdict:
        for key, row in view.written.items():
            self._write(block, key, row)
        first = len(self.leaves)
        made = []
        for place, code, data in outcomes:
            leaf = encode([block.height, block.time_s, transaction.hash, place, code, encode(data)])
            self._append(block, leaf, data if code in (DONE, DENIED) else None)
            made.append(leaf)
        seen = row_key("machine.seen", transaction.hash)
        block.indexes[seen] = encode([first, len(made)])
        return Verdict(max(code for _, code, _ in outcomes), first, tuple(made))

    def _append(self, block: _Block, leaf: bytes, outcome: Row | None) -> None:
        number = len(self.leaves)
        self.leaves.append(leaf)
        self._log.append(leaf_hash(leaf))
        block.leaves[number.to_bytes(8, "big")] = leaf
        if outcome is None or outcome[0] < 200:
            return  # a rejection, or membership, which names no pseudonym
        pseudonym = outcome[1]
        history = row_key("machine.history", pseudonym)
        count, head = self.rows.get(history, [0, bytes(32)])
        self._write(block, history, [count + 1, tagged("salus/history/1", head, leaf_hash(leaf))])
        block.indexes[row_key("machine.events", [pseudonym, count])] = encode([number])
        self.events.setdefault(pseudonym, []).append(number)
        if outcome[0] == 301:
            self._index_batch(block, pseudonym, outcome, number)

    def _index_batch(self, block: _Block, pseudonym: bytes, outcome: Row, number: int) -> None:
        key = row_key("records.batches", [pseudonym, outcome[3]])
        if key not in self.batches:
            self.batches[key] = [number, outcome[4]]
            block.indexes[key] = encode([number, outcome[4]])

    def _write(self, block: _Block, key: bytes, row: Row | None) -> None:
        before = self.ends.pop(key, None)
        if before is not None:
            block.expiry[before.to_bytes(8, "big") + key] = None
        if row is None:
            self.rows.pop(key, None)
            self.encoded.pop(key, None)
            block.state[key] = None
            return
        self.rows[key] = row
        self.encoded[key] = block.state[key] = encode(row)
        end = _end_of(key, row)
        if end:
            self.ends[key] = end
            block.expiry[end.to_bytes(8, "big") + key] = b""


def _end_of(key: bytes, row: Row) -> int:
    end = _ENDS.get(key.partition(b"\x00")[0])
    return end(row) if end else 0
