"""Putting sealed deposits in place: large objects first, then everything else in one transaction.

Promises: all or none of a batch is stored. A name is noted in the database before its object is written, and the note
goes in the transaction that stores the record, so what a crash leaves behind is always noted and can be swept away.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from salus.vault import rows
from salus.vault.database import Database
from salus.vault.deposits import Deposit, Put, Sealed, seal_deposit
from salus.vault.drivers.object_driver import ObjectDriver
from salus.vault.drivers.sql import SqlRows
from salus.vault.errors import Unavailable
from salus.vault.keys import KeyTable
from salus.vault.rows import Place

# 0 says "to be deleted" in the table of pending names
FIRST_SECOND = 1


@dataclass(frozen=True, slots=True)
class Staging:
    """Where deposits are put."""

    database: Database
    objects: ObjectDriver
    keys: KeyTable

    def stage(self, deposits: Sequence[Deposit], now_s: int) -> list[Sealed]:
        """Store deposits whose keys are all new.

        1. note the names of large objects; 2. seal, writing those; 3. one transaction for all the rest.
        """
        now_s = max(now_s, FIRST_SECOND)
        named = [(each, secrets.token_hex(16)) for each in deposits]
        large = [name for each, name in named if each.place == Place.OBJECT]
        small: dict[str, bytes] = {}
        try:
            # 1
            self._note(large, now_s)
            # 2
            sealed = [
                seal_deposit(each, name=name, put=self._put(each, small), staged_at_s=now_s) for each, name in named
            ]
            # 3
            self._commit(sealed, small, large, since_s=now_s)
        except BaseException:
            self._abandon(large)
            raise
        return sealed

    def _note(self, names: Sequence[str], now_s: int) -> None:
        if names:
            with self.database.writing() as connection:
                rows.add_pending(connection, names, since_s=now_s)

    def _put(self, deposit: Deposit, small: dict[str, bytes]) -> Put:
        def keep(name: str, segments: Iterable[bytes]) -> None:
            small[name] = b"".join(segments)

        return keep if deposit.place == Place.ROW else self.objects.put

    def _commit(self, sealed: Sequence[Sealed], small: dict[str, bytes], large: Sequence[str], *, since_s: int) -> None:
        try:
            with self.database.writing() as connection:
                if rows.take_pending(connection, large, since_s=since_s) != len(large):
                    raise Unavailable("the deposit took so long that it was swept away: send it again")
                keys = self.keys.keys_for_writing(connection, [each.row.relationship for each in sealed])
                rows.insert_all(connection, [(each.row, each.slot(keys[each.row.relationship])) for each in sealed])
                SqlRows(connection).put_new(list(small.items()))
        except IntegrityError as error:
            raise Unavailable("another worker is depositing the same record: send it again") from error

    def _abandon(self, names: Sequence[str]) -> None:
        # When the database went away, nobody knows whether the commit arrived: what a record stands for stays.
        if not names:
            return
        try:
            with self.database.writing() as connection:
                rows.claim_names(connection, names)
                kept = rows.names_of_records(connection, names, Place.OBJECT)
            delete_claimed(self.database, self.objects, [name for name in names if name not in kept])
        except Unavailable:
            return  # the notes are still there, so that `sweep` finds them


def delete_claimed(database: Database, objects: ObjectDriver, names: Sequence[str]) -> int:
    """Delete objects whose names were claimed, then their notes; returns how many notes there were."""
    for name in names:
        objects.delete(name)
    with database.writing() as connection:
        return rows.take_pending(connection, names, since_s=0)
