"""The scanner of what a node keeps finds a birthday of eight digits in whatever column, file or file name it is put."""

import math
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, LargeBinary, String, Table, create_engine, delete, insert

from salus.node import schema as node_schema
from salus.testing.needles import Needle, Needles, date_forms
from salus.testing.node_scanner import (
    DATABASE,
    expected_in_names,
    most_by_chance,
    object_names,
    scan_names,
    scan_node,
)
from salus.vault import schema as vault_schema

BORN = "19620314"
NEEDLES = Needles(Needle("date of birth", form) for form in date_forms("1962-03-14"))
TABLES = {table.name: table for schema in (vault_schema, node_schema) for table in schema.metadata.sorted_tables}
NAMES = vault_schema.pending
COLUMNS = [str(column) for table in TABLES.values() for column in table.columns]


def new_name() -> str:
    return secrets.token_hex(16).replace("19620314", "0" * 8).replace("14031962", "0" * 8)


def innocent(column: Column[object]) -> object:
    """What a row may hold: a name, a small number, random bytes."""
    match column.type:
        case String():
            return new_name()[: column.type.length]
        case LargeBinary():
            return secrets.token_bytes(16)
    return 1


def planted(column: Column[object]) -> object:
    """A birthday, in the type of the column."""
    match column.type:
        case String():
            return BORN
        case LargeBinary():
            return b"\x01" + BORN.encode()
    return int(BORN)


def row_of(table: Table) -> dict[str, object]:
    return {column.name: innocent(column) for column in table.columns}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's folder with a row in each table, none of which tells anything."""
    place = tmp_path_factory.mktemp("node")
    engine = create_engine(f"sqlite:///{place / DATABASE}")
    with engine.begin() as connection:
        for table in TABLES.values():
            table.create(connection)
            connection.execute(insert(table).values(row_of(table)))
    engine.dispose()
    (place / "released").mkdir()
    (place / "released" / "0.journal").write_bytes(secrets.token_bytes(100))
    return place


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Such a folder for one test: to make its tables anew takes ten times as long as to copy them."""
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def execute(folder: Path, *statements: object) -> None:
    engine = create_engine(f"sqlite:///{folder / DATABASE}")
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]
    engine.dispose()


def kinds(folder: Path) -> set[str]:
    return {finding.kind for finding in scan_node(folder, NEEDLES)}


def test_where_nothing_is_planted_nothing_is_found(folder: Path) -> None:
    assert kinds(folder) == set()
    assert len(object_names(folder)) == 3


@pytest.mark.parametrize("place", COLUMNS)
def test_a_birthday_in_any_column_is_found(folder: Path, place: str) -> None:
    table = TABLES[place.split(".")[0]]
    column = table.columns[place.split(".")[1]]
    execute(folder, delete(table), insert(table).values(row_of(table) | {column.name: planted(column)}))
    assert kinds(folder) == {"date of birth"}


FILES: dict[str, Callable[[Path], object]] = {
    "in a journal": lambda folder: (folder / "released" / "0.journal").write_bytes(b"\xff" * 9 + BORN.encode() + b"a0"),
    "in a line of a log": lambda folder: (folder / "node.log").write_text(f"born {BORN}"),
    "in the name of a file": lambda folder: (folder / f"scan-{BORN}.dat").write_bytes(b""),
    "in the name of a folder": lambda folder: (folder / BORN).mkdir(),
    "in hexadecimal digits that no table has for a name": lambda folder: (folder / "released" / "x").write_text(
        BORN + "a" * 24
    ),
    "beside a name": lambda folder: (folder / "released" / "x").write_bytes(
        BORN.encode() + min(object_names(folder)) + b"\0"
    ),
}


@pytest.mark.parametrize("where", FILES)
def test_a_birthday_in_a_file_is_found(folder: Path, where: str) -> None:
    FILES[where](folder)
    assert kinds(folder) == {"date of birth"}


# Names of objects


def put_names(folder: Path, *names: str) -> set[bytes]:
    execute(folder, *(insert(NAMES).values(object_name=name, since_s=1) for name in names))
    return object_names(folder)


def test_a_birthday_in_one_name_may_be_chance(folder: Path) -> None:
    names = put_names(folder, f"a{BORN}{new_name()[9:]}")
    assert kinds(folder) == set()
    assert len(scan_names(names, NEEDLES)) == 1 <= most_by_chance(expected_in_names(30_000, NEEDLES)["date of birth"])


def test_a_birthday_in_name_after_name_is_not_chance(folder: Path) -> None:
    names = put_names(folder, *(BORN + new_name()[8:] for _ in range(10)))
    assert len(scan_names(names, NEEDLES)) == 10 > most_by_chance(expected_in_names(30_000, NEEDLES)["date of birth"])


def test_a_name_in_another_column_is_no_name(folder: Path) -> None:
    name = BORN + new_name()[8:]
    put_names(folder, name)
    execute(folder, insert(node_schema.cursors).values(name=name, position=1))
    assert {finding.place for finding in scan_node(folder, NEEDLES)} == {"node_cursors.name"}


def tail(mean: float, most: int) -> float:
    """How likely more findings than that are, summed from the far end."""
    return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(most + 200, most, -1))


@pytest.mark.parametrize("mean", [1e-5, 0.01, 0.36, 6.2, 17.0])
def test_more_than_the_bound_come_once_in_a_thousand_million_runs(mean: float) -> None:
    most = most_by_chance(mean)
    assert tail(mean, most) <= 1e-9 < tail(mean, most - 1)


@pytest.mark.parametrize("mean", [0.0, 1e-10])
def test_what_chance_never_makes_is_bounded_by_none(mean: float) -> None:
    assert most_by_chance(mean) == 0


def test_expected_by_chance_is_places_times_needles(folder: Path) -> None:
    assert len(object_names(folder)) == 3
    assert expected_in_names(16**8, NEEDLES) == {"date of birth": 50.0}
