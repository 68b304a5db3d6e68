"""salus fsck: check a ledger and nodes against everything that they must follow from."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, NO, Failure
from salus.cli.options import FOLDER, as_json_option
from salus.cli.output import Facts, progress, show

if TYPE_CHECKING:
    from salus.engines.base import Adopted, Founding


@click.command(name="fsck", short_help="Check a ledger and nodes for damage.")
@click.argument("folder", type=FOLDER)
@click.option("--before", type=FOLDER, help="The folder of the ledger that this network goes on with.")
@as_json_option
def command(folder: Path, before: Path | None, as_json: bool) -> int:
    """Check FOLDER (a network, its ledger, or a node); say what is damaged, and where. Changes nothing.

    The ledger: headers, log, tree and indexes follow from each other, and every kept block, executed again, gives what
    is stored. A network that goes on with another ledger begins with that one's sealed file; with --before, the blocks
    of that one are executed again too. A node: every sealed byte, every key, index, choices, journals and people, each
    against the others and against the ledger. Exit status 1: something is wrong.

    \b
    Example:
      salus fsck ./north
    """
    from salus.node import config

    findings: dict[str, list[str]] = {}
    erased_lines: dict[str, int] = {}
    begins: dict[str, str] = {}
    if config.is_network(folder):
        network = config.read_network(folder)
        findings |= _ledgers(Path(network.ledger), before, begins)
        findings |= {node: _node(Path(node), erased_lines) for node in network.nodes}
    elif config.is_ledger(folder):
        findings |= _ledgers(folder, before, begins)
    elif config.is_node(folder):
        findings[str(folder)] = _node(folder, erased_lines)
    else:
        raise Failure(BAD_INPUT, f"expected a network, a ledger or a node in {folder}", "name the folder of one")
    count = sum(map(len, findings.values()))
    facts: Facts = {
        "clean": count == 0,
        "findings": findings,
        "erased_lines": erased_lines,
        "executed_from": begins,
    }
    lines = [line for place, found in findings.items() for line in (f"{place}: {_state(found)}", *_indented(found))]
    lines += [f"{place}: {_erased(number)}" for place, number in erased_lines.items() if number]
    lines += [f"{place}: {_executed(words)}" for place, words in begins.items()]
    show(facts, lines, as_json=as_json)
    return NO if count else 0


def _ledgers(folder: Path, before: Path | None, begins: dict[str, str]) -> dict[str, list[str]]:
    """Check a ledger, and the one that it goes on with; note with which state the blocks of each were executed."""
    from salus.node import config

    adopted = _founding(folder).adopted
    if before is None:
        return {str(folder): _ledger(folder, begins)}
    if adopted is None:
        raise Failure(BAD_INPUT, f"{folder} goes on with no other ledger", "leave --before out")
    old = Path(config.read_network(before).ledger) if config.is_network(before) else before
    return {str(folder): _ledger(folder, begins), str(old): [*_ledger(old, begins), *_sealed(old, adopted)]}


def _ledger(folder: Path, begins: dict[str, str]) -> list[str]:
    from salus.engines.fsck import beginning, fsck
    from salus.node import config

    store, begun = Path(config.read_ledger(folder).folder), _founding(folder)
    with progress("blocks") as bar:
        found = fsck(store, begun, progress=bar)
    begins[str(folder)] = beginning(store, begun)
    return list(map(str, found))


def _founding(folder: Path) -> "Founding":
    from salus.node import config
    from salus.node.opening import founding, sealed_file

    settings = config.read_ledger(folder)
    return founding(config.read_genesis(Path(settings.genesis)), sealed_file(settings))


def _sealed(folder: Path, adopted: "Adopted") -> list[str]:
    from salus.engines.fsck import check_adopted
    from salus.node import config

    return list(map(str, check_adopted(Path(config.read_ledger(folder).folder), adopted)))


def _node(folder: Path, erased_lines: dict[str, int]) -> list[str]:
    from salus.node.fsck import check_node, erased_line_count
    from salus.node.journal import JournalDamaged
    from salus.node.opening import open_node

    with open_node(folder) as node, progress(f"node {node.organisation}"):
        found = list(map(str, check_node(node, folder)))
        with suppress(JournalDamaged):  # which is among what was found
            erased_lines[str(folder)] = erased_line_count(node, folder)
        return found


def _executed(begins: str) -> str:
    return f"blocks executed again from {begins}" if begins else "blocks not executed again: the first ones are gone"


def _erased(number: int) -> str:
    lines = "line of the release journals is" if number == 1 else "lines of the release journals are"
    return f"{number} {lines} erased: the key went with the relationship"


def _state(found: list[str]) -> str:
    return "clean" if not found else f"{len(found)} finding{'' if len(found) == 1 else 's'}"


def _indented(found: list[str]) -> list[str]:
    return [f"  {each}" for each in found]
