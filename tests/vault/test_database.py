"""Settings of a connection on which durability rests, and how writers of one database meet."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from salus.vault import schema
from salus.vault.database import BUSY_TIMEOUT_S, Database
from tests.vault.conftest import DATABASES
from tests.vault.sample_vault import SampleVault
from tests.vault.servers import Postgres


def test_sqlite_syncs_each_commit_and_waits_for_other_writers(database: Database) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": BUSY_TIMEOUT_S * 1000}
    for opening in (database.reading, database.writing, database.snapshot):
        with opening() as connection:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}
        assert found == wanted


@pytest.mark.services
def test_postgresql_syncs_each_commit_even_where_its_default_is_not_to(postgresql18: Postgres) -> None:
    database = Database(postgresql18.new_database())
    with database.writing() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar()
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    database.close()
    with database.writing() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    database.close()


def test_a_read_within_a_read_sees_the_same_moment(sample: SampleVault) -> None:
    database = sample.database
    names = select(schema.pending.c.object_name)
    with database.reading() as outer:
        before = outer.scalars(names).all()
        thread = threading.Thread(target=lambda: _note(database, "0" * 32))
        thread.start()
        thread.join()
        with database.reading() as inner:
            assert (inner is outer, inner.scalars(names).all()) == (True, before)
        assert outer.scalars(names).all() == before, "the end of the inner block ends nothing"
    with database.reading() as after:
        assert after.scalars(names).all() == ["0" * 32]


def test_each_thread_reads_by_itself(database: Database) -> None:
    """What one thread has begun to read is no moment of another."""
    seen: list[bool] = []

    def look() -> None:
        with database.reading() as connection:
            seen.append(connection is outer)

    with database.reading() as outer:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [False]


def _note(database: Database, name: str) -> None:
    with database.writing() as connection:
        connection.execute(insert(schema.pending).values(object_name=name, since_s=1))


def test_a_worker_that_finds_a_new_file_locked_waits(url: str, tmp_path: Path) -> None:
    """Of workers that start together, one switches the file to WAL while the others look."""
    other = sqlite3.connect(tmp_path / "vault.db", check_same_thread=False, isolation_level=None)
    other.execute("CREATE TABLE made_first (number INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, other.rollback)
    timer.start()
    database = Database(url)
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    timer.join()
    other.close()
    database.close()


def write_and_raise(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(insert(schema.pending).values(object_name="0" * 32, since_s=1))
        raise KeyError


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_a_block_that_raises_is_undone(database: Database) -> None:
    with database.writing() as connection:
        schema.prepare(connection)
    with pytest.raises(KeyError):
        write_and_raise(database)
    with database.reading() as connection:
        assert connection.execute(select(schema.pending)).all() == []


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_a_snapshot_stays_at_its_moment(database: Database) -> None:
    with database.writing() as connection:
        schema.prepare(connection)
    with database.snapshot() as old:
        assert old.execute(select(schema.pending)).all() == []
        with database.writing() as connection:
            connection.execute(insert(schema.pending).values(object_name="0" * 32, since_s=1))
        assert old.execute(select(schema.pending)).all() == []
    with database.snapshot() as new:
        assert len(new.execute(select(schema.pending)).all()) == 1


def test_a_second_writer_of_sqlite_waits_for_the_first(database: Database) -> None:
    with database.writing() as connection:
        schema.prepare(connection)
    order = []

    def second() -> None:
        with database.writing() as connection:
            order.append("second")
            connection.execute(insert(schema.pending).values(object_name="1" * 32, since_s=1))

    with database.writing() as connection:
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        connection.execute(insert(schema.pending).values(object_name="0" * 32, since_s=1))
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    with database.reading() as connection:
        assert len(connection.execute(select(schema.pending)).all()) == 2


@pytest.mark.promise("P5")
def test_the_files_forget_what_was_deleted_and_nobody_waits_long_for_a_reader(sample: SampleVault) -> None:
    """A backup reads for minutes; meanwhile an erasure must hold up no writer, and the log goes with a later sweep."""
    database, name = sample.database, b"f" * 32
    files = [sample.folder / "vault.db", sample.folder / "vault.db-wal"]
    _note(database, name.decode())
    with database.snapshot() as reader:
        reader.execute(select(schema.pending)).all()
        with database.writing() as connection:
            connection.execute(schema.pending.delete())
        begun_s = time.monotonic()
        database.forget()
        assert time.monotonic() - begun_s < BUSY_TIMEOUT_S
        assert any(name in file.read_bytes() for file in files), "the reader still sees it"
        with database.writing() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == BUSY_TIMEOUT_S * 1000
    sample.vault.sweep()
    assert not any(name in file.read_bytes() for file in files)
