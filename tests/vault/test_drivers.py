"""One suite for every place that sealed objects may lie in: folder, S3 bucket, rows of SQLite and PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from salus.vault import schema
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.drivers.object_driver import ObjectDriver
from salus.vault.drivers.s3 import Bucket
from salus.vault.drivers.sql import SMALL_SIZE_MAX_BYTES, SqlRows
from salus.vault.errors import Damaged, Missing, TooLarge, Unavailable
from tests.vault.sample_vault import content
from tests.vault.servers import KEYS, Postgres, S3Server

MIB = 1 << 20
NAME, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2

# Somewhere to put objects: each call gives what a new process would see; what one use stored, the next must find.
Place = Callable[[], AbstractContextManager[ObjectDriver]]


SQL_PLACES = (
    "sqlite",
    pytest.param("postgresql15", marks=pytest.mark.services),
    pytest.param("postgresql18", marks=pytest.mark.services),
)
PLACES = ("folder", pytest.param("s3", marks=pytest.mark.services), *SQL_PLACES)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        yield lambda: nullcontext(Folder(tmp_path / "objects"))
    elif request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        bucket = server.new_bucket()
        yield lambda: nullcontext(Bucket.connect(bucket, endpoint=server.endpoint, **KEYS))
    else:
        yield from sql_place(database_url(request, tmp_path))


def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/objects.db"
    server: Postgres = request.getfixturevalue(request.param)
    return server.new_database()


def sql_place(url: str) -> Iterator[Place]:
    database = Database(url)
    with database.writing() as connection:
        schema.prepare(connection)

    @contextmanager
    def in_transaction() -> Iterator[ObjectDriver]:
        with database.writing() as connection:
            yield SqlRows(connection)

    yield in_transaction
    database.close()


def sizes_for(driver: ObjectDriver) -> list[int]:
    """Sizes at the edges of what a driver does; the last is larger than one part of a multipart upload."""
    sizes = [1, 63, 65_536, MIB, MIB + 42, 6 * MIB + 1]
    return [size for size in sizes if driver.size_max_bytes is None or size <= driver.size_max_bytes]


def in_pieces(whole: bytes, size_bytes: int = MIB) -> Iterator[bytes]:
    return (whole[start : start + size_bytes] for start in range(0, len(whole), size_bytes))


def spans_of(size_bytes: int, step: int = MIB) -> list[tuple[int, int]]:
    return [(start, min(step, size_bytes - start)) for start in range(0, size_bytes, step)]


def test_an_object_comes_back_whole_and_in_spans(place: Place) -> None:
    with place() as driver:
        sizes = sizes_for(driver)
    for size in sizes:
        whole = content(f"object {size}", size)
        with place() as driver:
            driver.put(NAME, in_pieces(whole))
        with place() as driver:
            assert b"".join(driver.read(NAME, spans_of(size))) == whole
            start, length = size // 3, size // 2 or 1
            want = [whole[start : start + length], whole[:1], whole[start : start + length]]
            assert list(driver.read(NAME, [(start, length), (0, 1), (start, length)])) == want
            assert driver.size(NAME) == size


def test_a_second_put_replaces_the_first_whole(place: Place) -> None:
    for whole in (b"first, and longer", b"second"):
        with place() as driver:
            driver.put(NAME, [whole])
    with place() as driver:
        assert list(driver.read(NAME, [(0, 6)])) == [b"second"]
        assert driver.size(NAME) == 6
        assert list(driver.names()) == [NAME]


def test_an_absent_object_is_missing(place: Place) -> None:
    with place() as driver, pytest.raises(Missing, match=NAME):
        list(driver.read(NAME, [(0, 1)]))
    with place() as driver, pytest.raises(Missing, match=NAME):
        driver.size(NAME)


def test_deleting_is_final_and_may_be_repeated(place: Place) -> None:
    with place() as driver:
        driver.put(NAME, [b"one"])
        driver.put(OTHER, [b"two"])
    for _ in range(2):
        with place() as driver:
            driver.delete(NAME)
    with place() as driver:
        assert list(driver.names()) == [OTHER]
        with pytest.raises(Missing):
            driver.size(NAME)


@pytest.mark.parametrize("span", [(0, 11), (9, 2), (10, 1), (400, 1)])
def test_a_span_beyond_the_end_is_damage(place: Place, span: tuple[int, int]) -> None:
    with place() as driver:
        driver.put(NAME, [b"ten bytes!"])
    with place() as driver:
        with pytest.raises(Damaged, match=NAME):
            list(driver.read(NAME, [span]))
        assert list(driver.read(NAME, [(0, 10)])) == [b"ten bytes!"]


class ClientGone(Exception):
    """The sender of the pieces stopped half way."""


def broken_off(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from pieces
    raise ClientGone


@pytest.mark.parametrize("before", [b"", b"what was there before"])
def test_a_put_that_breaks_off_stores_nothing(place: Place, before: bytes) -> None:
    if before:
        with place() as driver:
            driver.put(NAME, [before])
    with place() as driver:
        many = 7 if driver.size_max_bytes is None else 0
    pieces = [content("half", MIB)] * many + [b"half"]
    with pytest.raises(ClientGone), place() as driver:
        driver.put(NAME, broken_off(pieces))
    with place() as driver:
        assert list(driver.names()) == [NAME] * bool(before)
        if before:
            assert list(driver.read(NAME, [(0, len(before))])) == [before]


def test_names_lists_all_and_only_whole_objects(place: Place) -> None:
    names = sorted(os.urandom(16).hex() for _ in range(30))
    with place() as driver:
        for name in names:
            driver.put(name, [name.encode()])
    with place() as driver:
        assert sorted(driver.names()) == names


@pytest.mark.parametrize("place", SQL_PLACES, indirect=True)
def test_more_than_a_row_takes_is_refused(place: Place) -> None:
    with pytest.raises(TooLarge, match=NAME), place() as driver:
        driver.put(NAME, in_pieces(bytes(SMALL_SIZE_MAX_BYTES + 1), 1000))
    with place() as driver:
        assert driver.size_max_bytes == SMALL_SIZE_MAX_BYTES
        assert list(driver.names()) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 31, "0" * 33, "G" * 32, "0" * 31 + "\n", "A" * 32])
def test_a_name_can_never_lead_elsewhere(place: Place, name: str) -> None:
    with place() as driver, pytest.raises(AssertionError, match="32 hexadecimal digits"):
        driver.put(name, [b"x"])
    with place() as driver, pytest.raises(AssertionError, match="32 hexadecimal digits"):
        list(driver.read(name, [(0, 1)]))


@pytest.mark.services
def test_a_bucket_that_cannot_be_reached_is_unavailable() -> None:
    server = S3Server()
    bucket = Bucket.connect(server.new_bucket(), endpoint=server.endpoint, patience_s=1, **KEYS)
    bucket.put(NAME, [b"there"])
    server.stop()
    for use in (
        lambda: bucket.put(OTHER, [b"x"]),
        lambda: bucket.put(OTHER, [b"x", b"y"]),
        lambda: list(bucket.read(NAME, [(0, 1)])),
        lambda: bucket.size(NAME),
        lambda: bucket.delete(NAME),
        lambda: list(bucket.names()),
    ):
        with pytest.raises(Unavailable, match="try again"):
            use()
