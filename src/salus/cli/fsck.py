"""salus fsck: check a ledger and nodes against everything that they must follow from."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, NO, Failure
from salus.cli.options import FOLDER, as_json_option
from salus.cli.output import Facts, progress, show

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(name="fsck", short_help="Check a ledger and nodes for damage.")
@click.argument("folder", type=FOLDER)
@as_json_option
def command(folder: Path, as_json: bool) -> int:
    """Check FOLDER (a network, its ledger, or a node); say what is damaged, and where. Changes nothing.

    The ledger: headers, log, tree and indexes follow from each other, and every kept block, executed again, gives what
    is stored. A node: every sealed byte, every key, index, choices, journals and people, each against the others and
    against the ledger. Exit status 1: something is wrong.

    \b
    Example:
      salus fsck ./north
    """
    from salus.node import config

    findings: dict[str, list[str]] = {}
    erased_lines: dict[str, int] = {}
    if config.is_network(folder):
        network = config.read_network(folder)
        findings[network.ledger] = list(_ledger(Path(network.ledger)))
        findings |= {node: _node(Path(node), erased_lines) for node in network.nodes}
    elif config.is_ledger(folder):
        findings[str(folder)] = list(_ledger(folder))
    elif config.is_node(folder):
        findings[str(folder)] = _node(folder, erased_lines)
    else:
        raise Failure(BAD_INPUT, f"expected a network, a ledger or a node in {folder}", "name the folder of one")
    count = sum(map(len, findings.values()))
    facts: Facts = {"clean": count == 0, "findings": findings, "erased_lines": erased_lines}
    lines = [line for place, found in findings.items() for line in (f"{place}: {_state(found)}", *_indented(found))]
    lines += [f"{place}: {_erased(number)}" for place, number in erased_lines.items() if number]
    show(facts, lines, as_json=as_json)
    return NO if count else 0


def _ledger(folder: Path) -> "Iterator[str]":
    from salus.engines.fsck import fsck
    from salus.node import config
    from salus.node.opening import founding

    settings = config.read_ledger(folder)
    genesis = config.read_genesis(Path(settings.genesis))
    with progress("blocks") as bar:
        found = fsck(Path(settings.folder), founding(genesis), progress=bar)
    yield from map(str, found)


def _node(folder: Path, erased_lines: dict[str, int]) -> list[str]:
    from salus.node.fsck import check_node, erased_line_count
    from salus.node.journal import JournalDamaged
    from salus.node.opening import open_node

    with open_node(folder) as node, progress(f"node {node.organisation}"):
        found = list(map(str, check_node(node, folder)))
        with suppress(JournalDamaged):  # which is among what was found
            erased_lines[str(folder)] = erased_line_count(node, folder)
        return found


def _erased(number: int) -> str:
    lines = "line of the release journals is" if number == 1 else "lines of the release journals are"
    return f"{number} {lines} erased: the key went with the relationship"


def _state(found: list[str]) -> str:
    return "clean" if not found else f"{len(found)} finding{'' if len(found) == 1 else 's'}"


def _indented(found: list[str]) -> list[str]:
    return [f"  {each}" for each in found]
