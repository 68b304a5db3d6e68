"""The search index: what resources are found by, folded from record versions as they are placed."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, insert

from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections import changes, resources
from salus.node.projections.resources import NewVersion
from salus.node.projections.search_rows import AnyRow, Keyed, RangeRow, TextRow, TokenRow, rows_of

_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_TABLES: dict[type[AnyRow], Table] = {TokenRow: schema.tokens, TextRow: schema.texts, RangeRow: schema.ranges}


def take_in(connection: Connection, node: Node, versions: Sequence[NewVersion], *, is_change: bool = True) -> None:
    """Fold new record versions into the index, in the transaction that places them.

    Args:
        is_change: whether subscribers are told; not when the index is made again.
    """
    if not node.has_index or not versions:
        return
    keyed = Keyed(node.keys.lookup)
    newest = resources.fold(connection, keyed, versions)
    if is_change:
        changes.note(connection, newest.values())
    rows: dict[Table, list[dict[str, Any]]] = {}
    for each in versions:
        number = newest.get(each.key)
        if number is not None and each.body:
            for found in dict.fromkeys(_rows(keyed, each)):
                rows.setdefault(_TABLES[type(found)], []).append({"row": number, **msgspec.structs.asdict(found)})
    for table, values in rows.items():
        connection.execute(insert(table), values)


def _rows(keyed: Keyed, version: NewVersion) -> list[AnyRow]:
    from salus.clinical.fhir.search.index import index  # a node without an index need not load FHIR's definitions

    found = index(version.type, _DECODER.decode(version.body))
    return [row for value in found for row in rows_of(keyed, version.type, value)]
