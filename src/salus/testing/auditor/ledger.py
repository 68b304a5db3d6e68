"""The machine of docs/spec/machine.md: sweep, transactions in order, leaves, history, indexes, roots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from salus.testing.auditor import access, consent, governance, membership, patients, records, tickets
from salus.testing.auditor.canonical import decode, encode
from salus.testing.auditor.genesis import first_rows
from salus.testing.auditor.hashes import LogRoot, app_hash, leaf_hash, tagged, tree_root
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.transactions import NotATransaction, Transaction, is_in_time, parse
from salus.testing.auditor.view import SIGNER_UNUSED, STEPS_EXHAUSTED, No, Row, Rows, View, row_key

DONE, DENIED, NOT_A_TRANSACTION = 0, 1, 2
ACCESS_DENIED, BATCH_REGISTERED, FIRST_OF_PSEUDONYMS = 605, 301, 200
CONDITIONS_FREE: Final = 3_000
"""A transaction that compares fewer conditions never exhausts its steps."""

STATE, INDEXES, EXPIRY, LEAVES = "state", "indexes", "expiry", "leaves"

Handler = Callable[[View, Message], Row]

HANDLERS: Final[dict[int, Handler]] = {
    101: membership.certify,
    102: membership.revoke_certificate,
    103: membership.rotate_key,
    104: membership.publish_file,
    105: governance.propose,
    106: governance.vote,
    107: governance.suspend,
    108: governance.rotate_consensus_key,
    201: patients.enrol,
    202: patients.rotate,
    203: patients.take_over,
    204: patients.add_key,
    205: patients.remove_key,
    206: patients.close,
    207: patients.start_recovery,
    208: patients.finish_recovery,
    209: patients.change_recovery_key,
    210: patients.undo_recovery_key,
    211: patients.cancel_recovery,
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

ENDS: Final[dict[bytes, Callable[[Row], int]]] = {
    b"membership.certificates": lambda row: int(row[2]),
    b"membership.proposals": lambda row: int(row[2]),
    b"membership.accusations": lambda row: int(row[1]),
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
    """What one block comes to: a verdict for each byte string, the rows that it touched, by space, new validators.

    Args:
        updates: consensus keys and their power from two heights later on.
    """

    verdicts: tuple[Verdict, ...]
    touched: dict[str, set[bytes]]
    updates: tuple[tuple[bytes, int], ...] = ()


class Auditor:
    """The whole ledger in dictionaries.

    Args:
        genesis: the bytes of the genesis document.
        amend: changes the first rows, for what a run begins with.
    """

    def __init__(self, genesis: bytes, *, amend: Callable[[Rows], None] = lambda _rows: None) -> None:
        self.chain, self.time_s, self.rows = first_rows(genesis)
        amend(self.rows)
        self.height = 0
        self.spaces: dict[str, dict[bytes, bytes]] = {STATE: {}, INDEXES: {}, EXPIRY: {}, LEAVES: {}}
        self.spaces[STATE] = {key: encode(row) for key, row in self.rows.items()}
        self.executed: dict[bytes, Verdict] = {}
        self._ends: dict[bytes, int] = {}
        self._tables: dict[bytes, dict[bytes, Row]] = {}
        for key, row in self.rows.items():
            self._remember(key, row)
        self._touched: dict[str, set[bytes]] = {}
        self._exhausted: Mapping[bytes, int] = {}
        self._log = LogRoot()

    def block(
        self,
        height: int,
        time_s: int,
        raws: Sequence[bytes],
        *,
        exhausted: Mapping[bytes, int] | None = None,
        evidence: Sequence[governance.Misbehaviour] = (),
    ) -> Audited:
        """Execute a block.

        Args:
            height: one more than the last.
            time_s: not before that of the last.
            exhausted: transactions, by hash, and the message at which the ledger says that their steps are exhausted.
                Steps are not counted here: it is taken as given once enough conditions are compared, and only then.
            evidence: address of a consensus key, height, and time in seconds, of what validators did wrong.
        """
        assert height == self.height + 1, f"expected height {self.height + 1}, came {height}"
        assert time_s >= self.time_s, f"expected a time from {self.time_s} on, came {time_s}"
        self.height, self.time_s = height, time_s
        self._exhausted = exhausted or {}
        self._touched = {space: set() for space in self.spaces}
        if raws:
            self._sweep(len(raws))
        verdicts = tuple([self._verdict(raw) for raw in raws])
        return Audited(verdicts, self._touched, self._end(evidence) if raws or evidence else ())

    def expect(self, raw: bytes, time_s: int) -> bool:
        """Tell whether bytes would be a transaction in a block of this time."""
        try:
            transaction = parse(raw, chain=self.chain)
        except NotATransaction:
            return False
        return transaction.hash in self.executed or is_in_time(transaction, time_s)

    def app_hash(self) -> bytes:
        """Return the app hash, its tree root computed from all rows."""
        return app_hash(tree=tree_root(self.spaces[STATE]), log_size=len(self.spaces[LEAVES]), log=self._log.root())

    def view(self, *, time_s: int) -> View:
        """Return a view for questions."""
        return View(self.rows, Transaction(b"", [], 0, []), time_s)

    def table(self, name: str) -> dict[bytes, Row]:
        """Return a table's rows by the encoding of their keys; not to be written."""
        return self._tables.setdefault(name.encode(), {})

    def event(self, pseudonym: bytes, number: int) -> list[Any]:
        """Return the leaf of an event in a pseudonym's history, counted from 0; its outcome in the place of `data`."""
        place: Any = decode(self.spaces[INDEXES][row_key("machine.events", [pseudonym, number])])
        leaf: Any = decode(self.spaces[LEAVES][place[0].to_bytes(8, "big")])
        return [*leaf[:5], decode(leaf[5])]

    def _end(self, evidence: Sequence[governance.Misbehaviour]) -> tuple[tuple[bytes, int], ...]:
        view = View(self.rows, Transaction(b"", [], 0, []), self.time_s, height=self.height)
        updates = governance.end_block(view, evidence)
        for key, row in view.written.items():
            self._write(key, row)
        return tuple(updates)

    def _sweep(self, count: int) -> None:
        due = sorted((end, key) for key, end in self._ends.items() if end <= self.time_s)
        for _, key in due[: 2 * count + 16]:
            self._write(key, None)

    def _verdict(self, raw: bytes) -> Verdict:
        try:
            transaction = parse(raw, chain=self.chain)
        except NotATransaction:
            return Verdict(NOT_A_TRANSACTION, -1, ())
        known = self.executed.get(transaction.hash)
        if known is not None:
            return known
        if not is_in_time(transaction, self.time_s):
            return Verdict(NOT_A_TRANSACTION, -1, ())
        verdict = self._record(transaction, *self._execute(transaction))
        self.executed[transaction.hash] = verdict
        return verdict

    def _execute(self, transaction: Transaction) -> tuple[View, list[tuple[int, int, Any]]]:
        """Return the view with what is to be written, and (place, code, data) for each leaf."""
        view = View(self.rows, transaction, self.time_s, height=self.height)
        outcomes: list[tuple[int, int, Any]] = []
        try:
            for view.place, message in enumerate(transaction.messages):
                outcome = HANDLERS[message["tag"]](view, message)
                if self._exhausted.get(transaction.hash) == view.place and view.condition_count >= CONDITIONS_FREE:
                    raise No(STEPS_EXHAUSTED)
                outcomes.append((view.place, DENIED if outcome[0] == ACCESS_DENIED else DONE, outcome))
            if view.signed != transaction.signers:
                raise No(SIGNER_UNUSED)
        except No as no:
            view.written = {}
            return view, [(view.place, no.number, transaction.messages[view.place]["tag"])]
        return view, outcomes

    def _record(self, transaction: Transaction, view: View, outcomes: list[tuple[int, int, Any]]) -> Verdict:
        for key, row in view.written.items():
            self._write(key, row)
        first = len(self.spaces[LEAVES])
        made = []
        for place, code, data in outcomes:
            leaf = encode([self.height, self.time_s, transaction.hash, place, code, encode(data)])
            self._append(leaf, data if code in (DONE, DENIED) else None)
            made.append(leaf)
        self._put(INDEXES, row_key("machine.seen", transaction.hash), encode([first, len(made)]))
        return Verdict(max(code for _, code, _ in outcomes), first, tuple(made))

    def _append(self, leaf: bytes, outcome: Row | None) -> None:
        number = len(self.spaces[LEAVES])
        self._put(LEAVES, number.to_bytes(8, "big"), leaf)
        self._log.append(leaf_hash(leaf))
        if outcome is None or outcome[0] < FIRST_OF_PSEUDONYMS:
            return  # a rejection, or membership, which names no pseudonym
        pseudonym = outcome[1]
        history = row_key("machine.history", pseudonym)
        count, head = self.rows.get(history, [0, bytes(32)])
        self._write(history, [count + 1, tagged("salus/history/1", head, leaf_hash(leaf))])
        self._put(INDEXES, row_key("machine.events", [pseudonym, count]), encode([number]))
        batch = row_key("records.batches", [pseudonym, outcome[3]]) if outcome[0] == BATCH_REGISTERED else b""
        if batch and batch not in self.spaces[INDEXES]:
            self._put(INDEXES, batch, encode([number, outcome[4]]))

    def _write(self, key: bytes, row: Row | None) -> None:
        before = self._ends.pop(key, None)
        if before is not None:
            self._put(EXPIRY, before.to_bytes(8, "big") + key, None)
        self._put(STATE, key, None if row is None else encode(row))
        self._remember(key, row)
        if row is None:
            return
        end_of = ENDS.get(key.partition(b"\x00")[0])
        if end_of is not None:
            self._ends[key] = end_of(row)
            self._put(EXPIRY, end_of(row).to_bytes(8, "big") + key, b"")

    def _remember(self, key: bytes, row: Row | None) -> None:
        table, _, name = key.partition(b"\x00")
        if row is None:
            self.rows.pop(key, None)
            self._tables.setdefault(table, {}).pop(name, None)
        else:
            self.rows[key] = self._tables.setdefault(table, {})[name] = row

    def _put(self, space: str, key: bytes, row: bytes | None) -> None:
        self._touched[space].add(key)
        if row is None:
            self.spaces[space].pop(key, None)
        else:
            self.spaces[space][key] = row
