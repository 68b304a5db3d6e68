"""salus restore: fill an empty node from its backups."""

from pathlib import Path

import click

from salus.cli.options import FILE, FOLDER, as_json_option, node_argument
from salus.cli.output import Facts, note, progress, show


@click.command(name="restore", short_help="Fill an empty node from its backups.")
@node_argument
@click.option("--data", type=FOLDER, required=True, help="A folder of salus backup data.")
@click.option("--keys", type=FILE, required=True, help="A file of salus backup keys; as a rule a newer one.")
@as_json_option
def command(node: Path, data: Path, keys: Path, as_json: bool) -> None:
    """Fill NODE from a data backup and a key backup; its settings, own keys and root files are in their places.

    The ledger must answer: what was erased since the backup is erased again before NODE may serve.

    \b
    Example:
      salus restore ./north/rz1 --data /backup/rz1-2026-11-25 --keys /safe/rz1.keys
    """
    from salus.node import config
    from salus.node.services.backup import restore_node

    with progress("restoring"):
        restored = restore_node(node, config.read_node(node), data=data, keys=keys)
    for record, version in restored.records.missing:
        note(f"not in the data backup: record {record.hex()} version {version}")
    records = restored.records.record_count
    facts: Facts = {
        "records": records,
        "entries": restored.entry_count,
        "erased_meanwhile": len(restored.records.left_out),
        "missing": [record for record, _ in restored.records.missing],
        "tombstones": restored.erased_count,
        "patients": restored.patient_count,
    }
    lines = [
        f"{records} sealed objects, {restored.entry_count} index entries, {restored.patient_count} patients",
        f"left out, because their keys are gone: {len(restored.records.left_out)}",
        f"erased again, because the ledger says so: {restored.erased_count}",
    ]
    show(facts, lines, as_json=as_json)
