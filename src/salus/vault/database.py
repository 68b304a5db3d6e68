"""Short transactions on SQLite or PostgreSQL, chosen by URL, with the failures of the world made `Unavailable`.

Promises: a commit is on disk when it returns (SQLite: WAL with synchronous=FULL; PostgreSQL: synchronous_commit=on);
writers of one SQLite file wait for each other instead of failing; no statement's values reach an error message (P4).
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, InterfaceError, InternalError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from salus.vault.errors import Damaged, Unavailable

BUSY_TIMEOUT_S: Final = 30
CONNECT_TIMEOUT_S: Final = 5
# How long PostgreSQL may stay silent on an open connection before it counts as gone.
_SILENCE_MAX_MS: Final = 15_000
_PAUSE_S: Final = 0.01
_ASKED_AFTER_S: Final = 1.0
_USED_AT_S: Final = "salus_used_at_s"
_WAIT_BRIEFLY: Final = "PRAGMA busy_timeout = 250"
_WAIT_AS_EVER: Final = "PRAGMA busy_timeout = 30000"  # BUSY_TIMEOUT_S
_WRITES: Final = "salus_writes"


class Database:
    """A pool of connections; make it after forking, one per process."""

    def __init__(self, url: str) -> None:
        """Prepare to connect to `sqlite:////path/file` or `postgresql+psycopg://…`; nothing is opened yet."""
        self._engine = _sqlite(url) if url.startswith("sqlite") else _postgresql(url)
        self._writing_engine = self._engine.execution_options(**{_WRITES: True})
        self._reading_engine = self._snapshot_engine = self._engine
        self._mine = threading.local()
        if self._engine.dialect.name == "postgresql":
            # Statements of READ COMMITTED see what is committed when each begins, in a transaction or without one.
            self._reading_engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            self._snapshot_engine = self._engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads; within another one of the same thread it is that one."""
        outer: Connection | None = getattr(self._mine, "connection", None)
        if outer is not None:
            yield outer
            return
        with _world_failures(), self._reading_engine.connect() as connection:  # a rollback ends what it began
            self._mine.connection = connection
            try:
                yield connection
            finally:
                self._mine.connection = None

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that reads one moment of the database, however long it takes."""
        with _world_failures(), self._snapshot_engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes: committed durably at the end of the block, undone when the block raises."""
        with _world_failures(), self._writing_engine.begin() as connection:
            yield connection

    def forget(self) -> None:
        """Let the files go of what was deleted, as far as the database can: SQLite's log still has it.

        While another reads, a backup for minutes, the log stays and goes with a later call: writers wait as long as
        this does. PostgreSQL overwrites dead rows by its vacuum.
        """
        if self._engine.dialect.name != "sqlite":
            return
        with _world_failures():
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(_WAIT_BRIEFLY)
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                cursor.execute(_WAIT_AS_EVER)
            finally:
                connection.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()


@contextmanager
def _world_failures() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        raise Unavailable(f"database: {_first_line(error)}: see to the database, then try again") from error
    except PoolExhausted as error:
        raise Unavailable("database: every pooled connection is busy: try again") from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise
        # sqlite3 reports a file that is no database, or a torn page, in the bare class
        raise Damaged("database", f"{_first_line(error)}: restore it from a backup") from error


def _first_line(error: DatabaseError | InterfaceError | InternalError) -> str:
    return f"{type(error.orig).__name__}: {error.orig}".partition("\n")[0]


def _postgresql(url: str) -> Engine:
    arguments = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": _SILENCE_MAX_MS,
        "options": f"-c synchronous_commit=on -c lock_timeout={BUSY_TIMEOUT_S}s",
    }
    engine = create_engine(url, hide_parameters=True, connect_args=arguments)
    event.listen(engine, "checkin", _note_time)
    event.listen(engine, "checkout", partial(_ask_if_idle, engine.dialect))
    return engine


def _note_time(_connection: object, record: Any) -> None:
    record.info[_USED_AT_S] = time.monotonic()


def _ask_if_idle(dialect: Any, connection: object, record: Any, _proxy: object) -> None:
    """See whether a connection that was idle still answers; the pool makes others where it does not."""
    now_s = time.monotonic()
    if now_s - record.info.get(_USED_AT_S, now_s) < _ASKED_AFTER_S:
        return  # asking takes a round trip, as long as what it is wanted for
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError from error


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # sqlite3 would begin by itself, deferred, and fail as "locked" in the middle of two writers: we say BEGIN
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, in the file itself
    _switch_to_wal(connection)


def _switch_to_wal(connection: Any) -> None:
    # SQLite does not wait its busy timeout here: of workers that start together on a new file, some find it locked
    end_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end_s:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    # A deferred BEGIN touches no file and cannot fail, so it needs nothing of what SQLAlchemy does for a statement.
    driver_connection = connection.connection.driver_connection
    assert driver_connection is not None, "a transaction begins on an open connection"
    driver_connection.execute("BEGIN")
