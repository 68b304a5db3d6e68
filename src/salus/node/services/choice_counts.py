"""Choice counts: how many sharing choices in force at this custodian do what, without anybody's name (DESIGN §1).

Counted is what their gates say, which every member sees on the ledger: labels, codes, records and named people are in
none. Numbers are rounded and small ones are not told, so that no two views of them, and no sum, show one person's.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import select

from salus.contracts import consent
from salus.contracts.provisions import Condition, Gate, Purpose, RoleClass, Verb, day_of
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.state import Reader
from salus.node import schema
from salus.node.assemble import Node
from salus.node.members import read_time_s

ROUNDED_TO: Final = 5
"""Fewer than so many are not told; others are told to the nearest multiple of it."""
PAGE_ROWS: Final = 1_000
"""How many patients are looked at in one read of the ledger, so that none stays open for long."""


class Does(StrEnum):
    """What a choice surely does, or may do."""

    PERMITS = "permits"
    DENIES = "denies"


class Whom(StrEnum):
    """For which organisations; that one is named is told, and never which."""

    ANYBODY = "anybody"
    CUSTODIAN = "this custodian"
    OTHERS = "others by name"


@dataclass(frozen=True, order=True)
class Shape:
    """What a part of a choice says; an empty list means any."""

    does: Does
    whom: Whom
    role_classes: tuple[RoleClass, ...]
    purposes: tuple[Purpose, ...]
    verbs: tuple[Verb, ...]


@dataclass(frozen=True)
class Told:
    """A number as it is told: 0, or to the nearest five; `is_few` for less than five, of which none is told."""

    rounded: int
    is_few: bool


@dataclass(frozen=True)
class ChoiceCounts:
    """How many choices do what.

    Args:
        patients: who have a choice in force; choices: how many there are.
        of_records: choices that say nothing openly today: their rules are about records, labels or people.
        shapes: how many choices have a part of each shape, the most first; a choice may have several.
    """

    patients: Told
    choices: Told
    of_records: Told
    shapes: tuple[tuple[Shape, Told], ...]


def choice_counts(node: Node) -> ChoiceCounts:
    """Count the choices in force of this custodian's patients. Looks at each patient once: a second for some 20,000."""
    patients = choices = of_records = 0
    shapes: Counter[Shape] = Counter()
    for gates in _gates(node):
        patients += bool(gates)
        choices += len(gates)
        for each in gates:
            of_records += not each
            shapes.update(each)
    ordered = sorted(shapes.items(), key=lambda each: (-_rounded(each[1]), each[0]))
    return ChoiceCounts(
        patients=told(patients),
        choices=told(choices),
        of_records=told(of_records),
        shapes=tuple((shape, told(count)) for shape, count in ordered),
    )


def told(count: int) -> Told:
    """Return a number as it may be told."""
    is_few = 0 < count < ROUNDED_TO
    return Told(0 if is_few else _rounded(count), is_few)


def _rounded(count: int) -> int:
    return (count + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO


def _gates(node: Node) -> Iterator[list[frozenset[Shape]]]:
    """Of each patient here, the shapes of each choice in force."""
    columns, last = schema.identities.c, b""
    while True:
        following = select(columns.pseudonym).distinct().where(columns.pseudonym > last).order_by(columns.pseudonym)
        with node.vault.database.reading() as connection:
            page = connection.scalars(following.limit(PAGE_ROWS)).all()
        if not page:
            return
        with node.engine.snapshot() as reader:
            day = day_of(read_time_s(reader, node.clock))
            yield from [_of_patient(reader, Pseudonym(each), node.organisation, day) for each in page]
        last = page[-1]


def _of_patient(reader: Reader, pseudonym: Pseudonym, custodian: OrganisationId, day: int) -> list[frozenset[Shape]]:
    return [frozenset(_shapes(each.gate, custodian, day)) for each in consent.choices(reader, pseudonym).choices]


def _shapes(gate: Gate, custodian: OrganisationId, day: int) -> Iterator[Shape]:
    parts = [(Does.PERMITS, each) for each in gate.may_permit]
    parts += [(Does.DENIES, each.condition) for each in gate.surely_denies]
    for does, condition in parts:
        if condition.valid_from_day <= day <= condition.valid_to_day:
            whom = _whom(condition, custodian)
            yield Shape(does, whom, condition.role_classes, condition.purposes, condition.verbs)


def _whom(condition: Condition, custodian: OrganisationId) -> Whom:
    if not condition.organisations:
        return Whom.ANYBODY
    return Whom.CUSTODIAN if condition.organisations == (custodian,) else Whom.OTHERS
