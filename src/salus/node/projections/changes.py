"""Changes: which resources were stored while anybody subscribed, until it is found out to whom they matter.

A change is noted in the step in which its resource is stored; nothing of it says what the resource is.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, literal, select

from salus.node import schema
from salus.node.errors import NotNow
from salus.node.projections.resources import Found, found, in_parts

TOGETHER: Final = 200
_CHANGES, _RESOURCES = schema.changes.c, schema.resources.c
_ROWS: BindParameter[int] = bindparam("rows", expanding=True)
_ANYBODY = select(literal(1)).where(schema.subscriptions.c.status != schema.OFF).exists()
_NOTE = insert(schema.changes).from_select(
    ["record_id", "version"],
    select(_RESOURCES.record_id, _RESOURCES.version).where(_RESOURCES.row.in_(_ROWS) & _ANYBODY),
)


@dataclass(frozen=True)
class Change:
    """A resource as it is now, after it was stored; whether it was new, and whether a new version came."""

    found: Found
    is_created: bool
    is_updated: bool


def note(connection: Connection, rows: Collection[int]) -> None:
    """Note the resources of these rows as changed, where anybody subscribed; in the transaction that places them."""
    for part in in_parts(list(rows)):
        connection.execute(_NOTE, {"rows": part})


def oldest(connection: Connection) -> tuple[list[int], list[Change]]:
    """Return the oldest changes: their numbers, and the resources that they are about, each once."""
    rows = connection.execute(select(schema.changes).order_by(_CHANGES.number).limit(TOGETHER)).all()
    versions: dict[bytes, set[int]] = {}
    for row in rows:
        versions.setdefault(row.record_id, set()).add(row.version)
    these = select(schema.resources).where(schema.resources.c.record_id.in_(list(versions)))
    resources = [found(row) for row in connection.execute(these)] if rows else []
    changes = [
        Change(each, 1 in versions[each.record], any(version > 1 for version in versions[each.record]))
        for each in resources
    ]
    return [row.number for row in rows], changes


def forget(connection: Connection, numbers: Sequence[int]) -> None:
    """Forget changes. Raises NotNow when another worker has forgotten some of them."""
    if connection.execute(delete(schema.changes).where(_CHANGES.number.in_(numbers))).rowcount != len(numbers):
        raise NotNow("another worker looks at the same changes")
