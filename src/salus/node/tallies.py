"""Tallies: who did what how often within a time, for all workers of a node, across restarts.

Promises: one thing is counted once; two workers never count past a limit together; what is older than its time goes.
A row holds keys, ids and keyed hashes of ours only (P4).
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, IntEnum, auto

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused


class Tally(IntEnum):
    """What is counted. Numbers are permanent: they are in the database."""

    MATCH = 1
    EMERGENCY = 2
    SESSION = 3
    SIGN_IN = 4
    SIGN_INS_FROM = 5
    ASSERTION = 6
    CHALLENGE = 7
    LOOK_UP = 8
    CONTRIBUTION = 9
    LINK = 10
    MAIL_CODE = 11
    QUIET_WORD = 12
    TAKE_OVER_CODE = 13
    TAKE_OVER_TRY = 14
    PASSKEY = 15


class Counted(Enum):
    """What became of one thing that was to be counted."""

    NEW = auto()
    AGAIN = auto()
    TOO_MANY = auto()


def count(node: Node, tally: Tally, *, who: bytes, what: bytes, now_s: int, within_s: int, most: int) -> Counted:
    """Count one thing of somebody, durably, unless it was counted before or is one too many.

    Args:
        now_s: Unix seconds.
        within_s: for how long a thing counts.
        most: how many may count at one time.

    Raises:
        NotNow: another worker counted something of the same at this moment.
    """
    columns = schema.tallies.c
    mine = (columns.tally == tally) & (columns.who == who)
    with node.vault.database.reading() as connection:
        live = mine & (columns.at_s > now_s - within_s)
        if connection.scalar(select(columns.number).where(live & (columns.what == what))) is not None:
            return Counted.AGAIN
    try:
        with node.vault.database.writing() as connection:
            connection.execute(
                delete(schema.tallies).where((columns.tally == tally) & (columns.at_s <= now_s - within_s))
            )
            if connection.scalar(select(columns.number).where(mine & (columns.what == what))) is not None:
                return Counted.AGAIN
            found, last = connection.execute(select(func.count(), func.max(columns.number)).where(mine)).one()
            if found >= most:
                return Counted.TOO_MANY
            row = {"tally": tally, "who": who, "number": (last or 0) + 1, "what": what, "at_s": now_s}
            connection.execute(insert(schema.tallies).values(row))
    except IntegrityError as error:
        raise NotNow("another worker counts the same at this moment: ask again") from error
    return Counted.NEW


def count_try(node: Node, tally: Tally, *, who: bytes, within_s: int, most: int) -> bytes:
    """Count a try, which is like no other; return what it was counted as. Raises Refused (TOO_MANY) and NotNow."""
    what, now_s = secrets.token_bytes(16), node.clock()
    if count(node, tally, who=who, what=what, now_s=now_s, within_s=within_s, most=most) is Counted.TOO_MANY:
        raise Refused(Refusal.TOO_MANY, f"expected at most {most} tries in {within_s // 60} minutes: wait")
    return what


@contextmanager
def tried(node: Node, tally: Tally, *, who: bytes, within_s: int, most: int) -> Iterator[None]:
    """Count a try, which counts no more once the block has ended well, or the world has failed (NotNow).

    Raises:
        Refused: TOO_MANY.
        NotNow: as `count`.
    """
    what = count_try(node, tally, who=who, within_s=within_s, most=most)
    try:
        yield
    except NotNow:
        _forget(node, tally, who, what)
        raise
    _forget(node, tally, who, what)


def has_room(node: Node, tally: Tally, *, who: bytes, now_s: int, within_s: int, most: int) -> bool:
    """Tell whether one thing more of somebody would be counted, and count nothing. Args as `count`."""
    columns = schema.tallies.c
    live = (columns.tally == tally) & (columns.who == who) & (columns.at_s > now_s - within_s)
    with node.vault.database.reading() as connection:
        return (connection.scalar(select(func.count()).where(live)) or 0) < most


def _forget(node: Node, tally: Tally, who: bytes, what: bytes) -> None:
    columns = schema.tallies.c
    mine = (columns.tally == tally) & (columns.who == who) & (columns.what == what)
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies).where(mine))
