"""salus status: where a ledger and its nodes stand."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import TRY_LATER
from salus.cli.options import FOLDER, as_json_option
from salus.cli.output import Facts, show

if TYPE_CHECKING:
    from salus.node.assemble import Node
    from salus.node.services.overview import LedgerSeen, NodeSeen, ValidatorSeen


@click.command(name="status", short_help="Where a ledger and its nodes stand.")
@click.argument("folder", type=FOLDER)
@as_json_option
def command(folder: Path, as_json: bool) -> int:
    """Show where FOLDER (a network or a node) stands. Exit status 3: the ledger does not move, or does not answer.

    A validator that did not sign lately, or whose clock is far off, is named. What a node has to do, its backups and
    the room on its disk are shown while the ledger is away, too.

    \b
    Example:
      salus status ./north
    """
    from salus.engines.base import Unavailable
    from salus.node import config
    from salus.node.opening import open_node
    from salus.node.services.overview import see_node

    nodes = [Path(each) for each in config.read_network(folder).nodes] if config.is_network(folder) else [folder]
    facts: list[Facts] = []
    with open_node(nodes[0]) as node:
        try:
            ledger, lines, moves = _ledger(node)
        except Unavailable as error:
            ledger, moves = {"ledger": {"moves": False}, "validators": []}, False
            lines = [f"ledger: does not answer ({error}): nothing is released to others (salus serve starts it)"]
    for place in nodes:
        with open_node(place) as node:
            facts.append(_node_facts(node.organisation, see_node(node)))
    lines += ["  ".join(f"{name} {value}" for name, value in said.items()) for said in facts]
    show({**ledger, "nodes": facts}, lines, as_json=as_json)
    return 0 if moves else TRY_LATER


def _ledger(node: "Node") -> tuple[Facts, list[str], bool]:
    """Where a ledger and its validators stand: as facts, in lines, and whether it moves. Raises Unavailable."""
    from salus.node.services.overview import can_lose_another, see_ledger, see_validators

    ledger = see_ledger(node.engine, now_ms=time.time_ns() // 1_000_000)
    with node.engine.snapshot() as snapshot:
        validators = see_validators(snapshot, ledger.status.height)
    lines = [*ledger_lines(ledger), *(validator_line(each) for each in validators)]
    if any(each.is_away for each in validators) and not can_lose_another(validators):
        lines.append("if one more validator stops, the ledger stops")
    facts: Facts = {"ledger": ledger_facts(ledger), "validators": [validator_facts(each) for each in validators]}
    return facts, lines, ledger.is_fresh


def ledger_facts(ledger: "LedgerSeen") -> Facts:
    """Return where a ledger stands."""
    status = ledger.status
    return {
        "chain": status.chain,
        "height": status.height,
        "events": status.log_size,
        "engine": status.engine,
        "header_age_ms": status.header_age_ms,
        "moves": ledger.is_fresh,
        "clock_behind_ms": ledger.clock_behind_ms,
    }


def ledger_lines(ledger: "LedgerSeen", *, starts: str = "salus serve") -> list[str]:
    """Return the same in words, and whether this machine's clock is behind."""
    from salus.clinical.uk_time import uk_time
    from salus.node.services.overview import SKEW_MS_MAX

    status = ledger.status
    moves = "moves" if ledger.is_fresh else f"does not move: nothing is released to others ({starts} starts it)"
    newest = uk_time(status.header_time_ms // 1000)
    lines = [
        f"ledger {status.chain} ({status.engine}): height {status.height}, {status.log_size} events, {moves}",
        f"newest block: {newest}",
    ]
    if ledger.clock_behind_ms > SKEW_MS_MAX:
        lines.append(f"this machine's clock is {ledger.clock_behind_ms // 1000} s behind the newest block: set it")
    return lines


def validator_facts(each: "ValidatorSeen") -> Facts:
    """Return how a validator took part lately."""
    return {"organisation": each.name, "signed": each.signed, "of": each.of, "ahead_ms": each.ahead_ms}


def validator_line(each: "ValidatorSeen") -> str:
    """Return the same in words."""
    line = f"validator {each.name}: signed {each.signed} of the last {each.of} blocks"
    line = f"{line}: it is away" if each.is_away else line
    return f"{line}, its clock is {each.ahead_ms // 1000} s ahead of the others'" if each.is_off else line


def _node_facts(organisation: str, seen: "NodeSeen") -> Facts:
    return {
        "organisation": organisation,
        "patients": seen.patient_count,
        "records": seen.record_count,
        "batches_waiting": seen.waiting.batches,
        "permits_open": seen.waiting.anchors,
        "orphans": seen.waiting.orphans,
        "data_backed_up": _when(seen.data_backed_up_s),
        "keys_backed_up": _when(seen.keys_backed_up_s),
        "disk_free_percent": 100 * seen.free_bytes // max(seen.disk_bytes, 1),
    }


def _when(at_s: int) -> str:
    from salus.clinical.uk_time import uk_time

    return uk_time(at_s) if at_s else "never"
