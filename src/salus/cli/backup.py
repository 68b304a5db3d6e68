"""salus backup: a node's data, and apart from it its key table."""

from pathlib import Path

import click

from salus.cli.failures import NO
from salus.cli.options import NEW_FILE, as_json_option, node_argument
from salus.cli.output import Facts, note, progress, show


@click.group(name="backup", short_help="Back up a node's data, and apart from it its key table.")
def command() -> None:
    """Back up a node's data, and apart from it its key table.

    Neither opens anything alone. What is erased later does not come back from them: take a new key backup after every
    erasure. The organisation's own keys and the two root files are in neither: keep copies of those apart.

    \b
    Example:
      salus backup data ./north/rz1 /backup/rz1-2026-11-25
      salus backup keys ./north/rz1 /safe/rz1.keys
    """


@command.command()
@node_argument
@click.argument("place", type=click.Path(path_type=Path))
@as_json_option
def data(node: Path, place: Path, as_json: bool) -> int:
    """Copy NODE's sealed records, tables and journals into the new folder PLACE, while NODE goes on.

    Exit status 1: some records are damaged; they are named and left out.

    \b
    Example:
      salus backup data ./north/rz1 /backup/rz1-2026-11-25
    """
    from salus.node.opening import open_node
    from salus.node.services.backup import back_up_data

    with open_node(node) as opened, progress("copying"):
        exported = back_up_data(opened, node, place)
    for record, version in exported.damaged:
        note(f"damaged, left out: record {record.hex()} version {version}")
    facts: Facts = {
        "place": str(place),
        "records": exported.record_count,
        "damaged": [record for record, _ in exported.damaged],
    }
    show(facts, [f"{exported.record_count} sealed objects in {place}, without a key"], as_json=as_json)
    return NO if exported.damaged else 0


@command.command()
@node_argument
@click.argument("file", type=NEW_FILE)
@as_json_option
def keys(node: Path, file: Path, as_json: bool) -> None:
    """Write NODE's key table to FILE, wrapped, without the root that opens it; an older FILE is replaced.

    \b
    Example:
      salus backup keys ./north/rz1 /safe/rz1.keys
    """
    from salus.node.opening import open_node
    from salus.node.services.backup import back_up_keys

    with open_node(node) as opened:
        back_up_keys(opened, file)
    show({"file": str(file)}, [f"the key table is in {file}; it opens only with the root files"], as_json=as_json)
