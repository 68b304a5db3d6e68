"""Cursors: how far something has come, or when it was done last, by a name; durable with whatever it goes with."""

from sqlalchemy import Connection, insert, select, update

from salus.node import schema
from salus.node.assemble import Node

_COLUMNS = schema.cursors.c


def position(node: Node, name: str) -> int:
    """Return where a cursor stands; 0 where it was never moved."""
    with node.vault.database.reading() as connection:
        return connection.scalar(select(_COLUMNS.position).where(_COLUMNS.name == name)) or 0


def move(connection: Connection, name: str, to: int) -> None:
    """Move a cursor."""
    moved = connection.execute(update(schema.cursors).where(_COLUMNS.name == name).values(position=to))
    if moved.rowcount == 0:
        connection.execute(insert(schema.cursors).values(name=name, position=to))
