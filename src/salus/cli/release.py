"""salus release: fetch what a permit allows."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from salus.cli.options import NEW_FILE, as_json_option, node_argument
from salus.cli.output import Facts, progress, show, table

if TYPE_CHECKING:
    from salus.node.services.receive import Received


@click.command(name="release", short_help="Fetch what a permit allows.")
@node_argument
@click.argument("permit")
@click.option("--out", type=NEW_FILE, help="Write the records there as NDJSON; `-` writes them to standard output.")
@click.option("--keep", is_flag=True, help="Keep a copy in NODE, sealed anew under a key of its own.")
@click.option("--close", is_flag=True, help="Close the permit afterwards: nothing more is accepted under it.")
@as_json_option
def command(node: Path, permit: str, out: Path | None, keep: bool, close: bool, as_json: bool) -> None:
    """Fetch from the custodian what PERMIT (how its id begins) allows NODE, check every byte, and keep the receipt.

    Sealed bytes are checked against the index and signed for before the key comes. Exit status 1: the custodian
    refuses, for instance because the patient has withdrawn the choice.

    \b
    Example:
      salus release ./north/z99001 3fa9 --out ./chart.ndjson
    """
    from salus.cli.permit_files import find_permit
    from salus.contracts.record_metadata import record_of
    from salus.node.http_peers import node_peers
    from salus.node.opening import open_node
    from salus.node.services.anchor import anchor
    from salus.node.services.receive import keep_copy, receive

    granted = find_permit(node, permit)
    classes: Counter[str] = Counter()
    size_bytes = 0
    with (
        open_node(node) as asking,
        closing(node_peers(asking)) as peers,
        _writer(out) as write,
        progress("records") as bar,
    ):
        for received in receive(asking, peers, granted):
            bar(sum(classes.values()) + 1)
            classes.update(record_of(received.placed.entry.record, received.metadata.values).classes)
            size_bytes += len(received.content)
            write(received)
            if keep:
                keep_copy(asking, granted, received)
        anchor(asking, close=frozenset({granted.permit}) if close else frozenset())
    if out is not None and str(out) == "-":
        return
    count = sum(classes.values())
    facts: Facts = {
        "permit": granted.permit,
        "records": count,
        "size_bytes": size_bytes,
        "classes": dict(sorted(classes.items())),
        "out": str(out) if out else "",
    }
    lines = [f"{count} records, {size_bytes:,} bytes, each as the custodian deposited it; the receipt is kept"]
    lines += table(("class", "records"), sorted(classes.items()))
    show(facts, lines, as_json=as_json)


@contextmanager
def _writer(out: Path | None) -> "Iterator[Callable[[Received], None]]":
    if out is None:
        yield lambda _received: None
    elif str(out) == "-":
        yield lambda received: _write_line(sys.stdout.buffer, received.content)
    else:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield lambda received: _write_line(file, received.content)


def _write_line(stream: BinaryIO, content: bytes) -> None:
    """A record of several lines is written as one; its content does not change."""
    import msgspec

    line = msgspec.json.format(content, indent=-1) if b"\n" in content else content
    stream.write(line + b"\n")
