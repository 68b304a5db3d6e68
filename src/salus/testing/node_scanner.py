"""Look for a person in what a node keeps: texts and numbers of its database, bytes and names of its files (P3, P4).

A sealed object's name is 16 random bytes in hexadecimal, so eight digits of somebody's birthday stand in one of them by
chance, four times in the database: in two tables and two indexes. `scan_node` passes over what lies within such a
name and nothing else; `scan_names` finds those, and `most_by_chance` says how many chance explains.
"""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Result, create_engine, select, table, text

from salus.testing.needles import NAME_DIGITS, Finding, Needles
from salus.vault.schema import objects, pending, records

DATABASE: Final = "node.db"
NAME_COLUMNS: Final = frozenset(map(str, (objects.c.name, records.c.object_name, pending.c.object_name)))
"""Columns whose values are drawn at random, in hexadecimal (docs/spec/vault.md)."""
SHORTEST_IN_FILES: Final = 8
"""A birthday without dashes. Words of six letters turn up by chance in a hundred megabytes of sealed bytes."""
ONCE_IN: Final = 1e9
_NAME: Final = re.compile(f"[0-9a-f]{{{NAME_DIGITS}}}")
_HEXADECIMAL: Final = re.compile(rb"[0-9a-f]+")
_TABLES: Final = text("SELECT name FROM sqlite_master WHERE type = 'table'")


def scan_node(folder: Path, needles: Needles) -> Iterator[Finding]:
    """Look at everything in a node's folder; the node must be closed.

    Texts are looked at as a whole and numbers as they are written in decimal, without a fraction. Bytes are looked at
    in the file, with what is freed and not yet overwritten; a needle that SQLite has cut between two pages is not seen
    there.
    """
    names = object_names(folder)
    for column, value in values(folder):
        if isinstance(value, str):
            yield from needles.found(column, value.encode(), names=names if column in NAME_COLUMNS else ())
        elif isinstance(value, int | float):
            yield from needles.equal(column, f"{value:.0f}".encode())
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        yield from needles.found(place, place.encode(), names=names)
        if path.is_file():
            yield from needles.found(place, path.read_bytes(), shortest=SHORTEST_IN_FILES, names=names)


def object_names(folder: Path) -> set[bytes]:
    """Return the names that a node's database gives to sealed objects; what is not shaped like one is left out."""
    return {
        value.encode()
        for column, value in values(folder)
        if column in NAME_COLUMNS and isinstance(value, str) and _NAME.fullmatch(value)
    }


def values(folder: Path) -> Iterator[tuple[str, object]]:
    """Yield every value of a node's database with its table and column, whatever the tables are."""
    engine = create_engine(f"sqlite:///{folder / DATABASE}")
    try:
        with engine.connect() as connection:
            for name in connection.scalars(_TABLES).all():
                rows: Result[tuple[object, ...]] = connection.execute(select("*").select_from(table(name)))
                columns = rows.keys()
                places = [f"{name}.{column}" for column in columns]
                for row in rows:
                    yield from zip(places, row, strict=True)
    finally:
        engine.dispose()


# Chance


def scan_names(names: Collection[bytes], needles: Needles) -> set[Finding]:
    """Return every needle in a name that was drawn at random, once for each name."""
    return {finding for name in names for finding in needles.found(name.decode(), name)}


def expected_in_names(count: int, needles: Needles) -> dict[str, float]:
    """Return how many findings of each kind chance makes in so many names."""
    expected: dict[str, float] = defaultdict(float)
    distinct = {(needle.kind, needle.value) for needle in needles if _HEXADECIMAL.fullmatch(needle.value)}
    for kind, value in distinct:
        places = max(0, NAME_DIGITS - len(value) + 1)
        expected[kind] += count * places / 16 ** len(value)
    return expected


def most_by_chance(mean: float) -> int:
    """Return the most findings that chance explains: it makes more once in `ONCE_IN` runs (Poisson)."""
    most, term = 0, math.exp(-mean)
    beyond = 1 - term
    while beyond > 1 / ONCE_IN:
        most += 1
        term *= mean / most
        beyond -= term
    return most
