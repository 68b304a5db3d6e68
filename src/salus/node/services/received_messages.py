"""Received messages: what was answered to each, so that one that comes again is not done again.

Promises: a message is its sender's, under a keyed hash of sender and id; an answer says nothing of anybody, is kept
sealed, and goes after its time.
"""

from contextlib import suppress
from typing import Final

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from salus.crypto.hashing import sha256
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows, row_decoder

KEPT_S: Final = 7 * 86_400
"""How long a message is known that was processed."""
_TABLE: Final = "message"
_COLUMNS = schema.messages.c


class _Answered(msgspec.Struct, frozen=True, array_like=True):
    """The hash of a message's bytes, and what was answered."""

    digest: bytes
    answer: bytes


_decode = row_decoder(_Answered).decode


class ReceivedMessages:
    """The messages that came to one node."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._rows = rows

    def answered(self, sender: str, name: str, source: bytes) -> bytes | None:
        """Return what was answered to a message; None for a new one.

        Args:
            source: its bytes, but for what is new each time that it is sent.

        Raises:
            Refused: RECORD_UNFIT: another message had this id.
        """
        lookup = self._rows.lookup(_TABLE, sender, name)
        this = (_COLUMNS.lookup == lookup) & (_COLUMNS.until_s > self._node.clock())
        with self._node.vault.database.reading() as connection:
            sealed = connection.scalar(select(_COLUMNS.sealed).where(this))
        if sealed is None:
            return None
        kept: _Answered = self._rows.open(_TABLE, lookup, sealed, _decode)
        if kept.digest != sha256(source):
            words = "expected an id that no other message had: give each message a new one"
            raise Refused(Refusal.RECORD_UNFIT, words)
        return kept.answer

    def keep(self, sender: str, name: str, source: bytes, answer: bytes) -> None:
        """Keep what is answered to a message that was processed, and forget those that are past their time."""
        lookup, now_s = self._rows.lookup(_TABLE, sender, name), self._node.clock()
        sealed = self._rows.seal(_TABLE, lookup, _Answered(sha256(source), answer))
        row = {"lookup": lookup, "until_s": now_s + KEPT_S, "sealed": sealed}
        with suppress(IntegrityError), self._node.vault.database.writing() as connection:  # another worker was faster
            connection.execute(delete(schema.messages).where(_COLUMNS.until_s <= now_s))
            connection.execute(insert(schema.messages).values(row))
