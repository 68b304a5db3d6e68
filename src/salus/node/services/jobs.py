"""Jobs: long work of a client's, kept between its requests: what is done, and what is left; for all workers.

Promises: a job is its owner's alone, under a keyed hash of a name that nobody can guess; what it keeps is sealed; of
two who go on with it at the same moment, the work of one is kept; past its time it is gone, with all its parts. It
outlives every process, since nothing of it is anywhere else.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows, row_decoder

NAME_BYTES: Final = 24
NAME_CHARACTERS_MAX: Final = 64

V = TypeVar("V", bound=msgspec.Struct)
P = TypeVar("P", bound=msgspec.Struct)
_JOBS, _PARTS = schema.jobs.c, schema.job_parts.c


@dataclass(frozen=True)
class Job(Generic[V]):
    """A job as it stands; `lookup` is the keyed hash of its name, `until_s` Unix seconds."""

    lookup: bytes
    round: int
    until_s: int
    state: V


class Jobs:
    """The jobs of one node; `kind` keeps those of one service from another's."""

    def __init__(self, node: Node, rows: SealedRows, kind: str) -> None:
        self._node = node
        self._rows = rows
        self._kind = kind

    def begin(
        self,
        owner: str,
        state: msgspec.Struct,
        parts: Mapping[int, msgspec.Struct],
        *,
        until_s: int,
        jobs_max: int,
    ) -> str:
        """Begin a job and return its name, which is nowhere else.

        Args:
            jobs_max: how many one owner may have.

        Raises:
            Refused: TOO_MANY.
        """
        name, owned = secrets.token_urlsafe(NAME_BYTES), self._owned(owner)
        lookup = self._lookup(name)
        row = {"job": lookup, "owner": owned, "round": 0, "until_s": until_s}
        sweep(self._node)
        with self._node.vault.database.writing() as connection:
            count = connection.scalar(select(func.count()).select_from(schema.jobs).where(_JOBS.owner == owned))
            if count is not None and count >= jobs_max:
                words = f"expected at most {jobs_max} jobs of one client, it has as many: delete one that is done with"
                raise Refused(Refusal.TOO_MANY, words)
            connection.execute(insert(schema.jobs).values(**row, sealed=self._rows.seal("job", lookup, state)))
            self._put(connection, lookup, parts)
        return name

    def find(self, owner: str, name: str, value: type[V]) -> Job[V] | None:
        """Return an owner's job; None for one that is unknown, somebody else's or past its time."""
        if len(name) > NAME_CHARACTERS_MAX:
            return None
        lookup = self._lookup(name)
        mine = (_JOBS.job == lookup) & (_JOBS.owner == self._owned(owner)) & (_JOBS.until_s > self._node.clock())
        with self._node.vault.database.reading() as connection:
            row = connection.execute(select(schema.jobs).where(mine)).one_or_none()
        if row is None:
            return None
        return Job(
            lookup, row.round, row.until_s, self._rows.open("job", lookup, row.sealed, row_decoder(value).decode)
        )

    def part(self, job: Job[V], number: int, value: type[P]) -> P | None:
        """Return a part of a job; None where there is none of this number."""
        mine = (_PARTS.job == job.lookup) & (_PARTS.number == number)
        with self._node.vault.database.reading() as connection:
            sealed = connection.scalar(select(_PARTS.sealed).where(mine))
        if sealed is None:
            return None
        found: P = self._rows.open("job part", _name(job.lookup, number), sealed, row_decoder(value).decode)
        return found

    def keep(
        self, job: Job[V], state: V, parts: Mapping[int, msgspec.Struct], *, done_with: Collection[int] = ()
    ) -> bool:
        """Keep what was done of a job, with its parts, all or nothing; False when another was faster, or it is gone.

        Args:
            done_with: numbers of parts that are needed no more.
        """
        this = (_JOBS.job == job.lookup) & (_JOBS.round == job.round)
        sealed = self._rows.seal("job", job.lookup, state)
        with self._node.vault.database.writing() as connection:
            if connection.execute(update(schema.jobs).where(this).values(round=job.round + 1, sealed=sealed)).rowcount:
                gone = [*parts, *done_with]
                connection.execute(delete(schema.job_parts).where((_PARTS.job == job.lookup) & _PARTS.number.in_(gone)))
                self._put(connection, job.lookup, parts)
                return True
        return False

    def drop(self, job: Job[V]) -> None:
        """Forget a job and all its parts."""
        with self._node.vault.database.writing() as connection:
            _forget(connection, [job.lookup])

    def _put(self, connection: Connection, lookup: bytes, parts: Mapping[int, msgspec.Struct]) -> None:
        rows = [
            {"job": lookup, "number": number, "sealed": self._rows.seal("job part", _name(lookup, number), value)}
            for number, value in parts.items()
        ]
        if rows:
            connection.execute(insert(schema.job_parts), rows)

    def _lookup(self, name: str) -> bytes:
        return self._rows.lookup("job", self._kind, name)

    def _owned(self, owner: str) -> bytes:
        return self._rows.lookup("job owner", self._kind, owner)


def sweep(node: Node) -> int:
    """Forget every job that is past its time; return how many."""
    with node.vault.database.writing() as connection:
        over = connection.scalars(select(_JOBS.job).where(_JOBS.until_s <= node.clock())).all()
        _forget(connection, over)
    return len(over)


def _forget(connection: Connection, jobs: Collection[bytes]) -> None:
    connection.execute(delete(schema.job_parts).where(_PARTS.job.in_(jobs)))
    connection.execute(delete(schema.jobs).where(_JOBS.job.in_(jobs)))


def _name(lookup: bytes, number: int) -> bytes:
    return lookup + number.to_bytes(8, "big")
