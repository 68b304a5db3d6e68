"""The search index: what resources are found by, folded from record versions as they are placed."""

from collections.abc import Sequence

from sqlalchemy import Connection

from salus.node.assemble import Node
from salus.node.projections import resources
from salus.node.projections.resources import NewVersion


def take_in(connection: Connection, node: Node, versions: Sequence[NewVersion]) -> None:
    """Fold new record versions into the index, in the transaction that places them."""
    if not node.has_index or not versions:
        return
    resources.fold(connection, versions)
