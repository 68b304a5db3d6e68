"""salus reindex: make a node's search index from its records."""

from pathlib import Path

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.cli.options import as_json_option, node_argument
from salus.cli.output import Facts, progress, show


@click.command(name="reindex", short_help="Make a node's search index from its records.")
@node_argument
@as_json_option
def command(node: Path, as_json: bool) -> None:
    """Index the records of NODE that are not indexed yet, for its FHIR server.

    Needed once, after NODE was given a table [fhir]; a restore does it by itself.

    \b
    Example:
      salus reindex ./north/rz1
    """
    from salus.node.opening import open_node
    from salus.node.services.reindex import reindex

    with open_node(node) as desk:
        if not desk.has_index:
            words = "expected a table [fhir] in node.toml, there is none: this node has no search index"
            raise Failure(BAD_INPUT, words, "see docs/fhir.md")
        total, counts = len(desk.vault.relationships()), list[int]()
        with progress("indexing", total) as bar:
            for count in reindex(desk):
                counts.append(count)
                bar(len(counts))
    facts: Facts = {"relationships": len(counts), "resources": sum(counts)}
    show(facts, [f"indexed: {sum(counts)} resources of {len(counts)} relationships"], as_json=as_json)
