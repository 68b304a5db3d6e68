"""What a transaction sees and changes: rows of proved tables as lists, and whose signatures it needed.

A key of a row is the table's name, one zero byte, and the encoding of the key (docs/spec/machine.md, State).
"""

from typing import Any, Final

from salus.testing.auditor.canonical import Value, decode, encode
from salus.testing.auditor.hashes import sha256
from salus.testing.auditor.transactions import Transaction

Row = list[Any]
Rows = dict[bytes, Row]

SIGNATURE_MISSING: Final = 11
SIGNER_UNUSED: Final = 12
STEPS_EXHAUSTED: Final = 13
ORGANISATION_UNKNOWN: Final = 101
SESSION_KEY_UNFIT: Final = 109
TRANSACTION_KEY: Final = 1


class No(Exception):
    """The rules say no, with this number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def row_key(table: str, key: Value) -> bytes:
    """Return where a row is."""
    return table.encode() + b"\x00" + encode(key)


class View:
    """One transaction's view.

    Args:
        rows: as the transactions before it left them; never written here.
        time_s: the block's time.
        height: of the block.
    """

    def __init__(self, rows: Rows, transaction: Transaction, time_s: int, *, height: int = 0) -> None:
        self._rows = rows
        self.transaction = transaction
        self.time_s = time_s
        self.height = height
        self.place = 0
        self.written: dict[bytes, Row | None] = {}
        self.signed: list[bytes] = []
        self.condition_count = 0

    @property
    def day(self) -> int:
        """The block's day."""
        return self.time_s // 86_400

    def get(self, table: str, key: Value) -> Row | None:
        """Return a copy of a row, or None."""
        place = row_key(table, key)
        row = self.written[place] if place in self.written else self._rows.get(place)
        return None if row is None else list(row)

    def all(self, table: str) -> dict[Any, Row]:
        """Return copies of a table's rows by their keys, in ascending order of the encoded keys."""
        prefix = table.encode() + b"\x00"
        places = {place for place in (*self._rows, *self.written) if place.startswith(prefix)}
        keys: list[Any] = [decode(place[len(prefix) :]) for place in sorted(places)]
        return {key: row for key in keys if (row := self.get(table, key)) is not None}

    def put(self, table: str, key: Value, row: Row | None) -> None:
        """Write or, with None, delete a row."""
        self.written[row_key(table, key)] = row

    def need(self, *keys: bytes) -> bytes:
        """Need the signature of one of these keys; return the first signer that is one of them."""
        for signer in self.transaction.signers:
            if signer in keys:
                if signer not in self.signed:
                    self.signed.append(signer)
                return signer
        raise No(SIGNATURE_MISSING)

    def need_organisation(self, organisation: str) -> None:
        """Need the signature of a member's transaction key."""
        keys = self.get("membership.keys", [organisation, TRANSACTION_KEY])
        if keys is None:
            raise No(SIGNATURE_MISSING)
        self.need(keys[0])

    def need_session(self, place: int) -> bytes:
        """Need the signature of the key at a place among the signers, which no member registered; return it."""
        if place >= len(self.transaction.signers):
            raise No(SIGNATURE_MISSING)
        key = self.transaction.signers[place]
        if self.is_registered(key):
            raise No(SESSION_KEY_UNFIT)
        return self.need(key)

    def is_registered(self, key: bytes) -> bool:
        """Tell whether a member registered a key, now or ever."""
        return self.get("membership.owners", sha256(key)) is not None

    def organisation(self, code: str) -> Row:
        """Return a member's row. Raises OrganisationUnknown."""
        row = self.get("membership.organisations", code)
        if row is None:
            raise No(ORGANISATION_UNKNOWN)
        return row
