"""salus status: where a ledger and its nodes stand."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from salus.cli.failures import TRY_LATER
from salus.cli.options import FOLDER, as_json_option
from salus.cli.output import Facts, show

if TYPE_CHECKING:
    from salus.engines.attendance import Attendance
    from salus.engines.base import Snapshot, Status
    from salus.node.assemble import Node

SKEW_S_MAX: Final = 30
"""Clocks further apart are said to be wrong: half a minute is what nodes assume of each other (SECURITY.md)."""


@click.command(name="status", short_help="Where a ledger and its nodes stand.")
@click.argument("folder", type=FOLDER)
@as_json_option
def command(folder: Path, as_json: bool) -> int:
    """Show where FOLDER (a network or a node) stands. Exit status 3: the ledger does not move.

    A validator that did not sign lately, or whose clock is far off, is named.

    \b
    Example:
      salus status ./north
    """
    from salus.engines.attendance import attendance
    from salus.node import config
    from salus.node.assemble import HEADER_AGE_MS_MAX
    from salus.node.opening import open_node

    nodes = [Path(each) for each in config.read_network(folder).nodes] if config.is_network(folder) else [folder]
    facts: list[Facts] = []
    with open_node(nodes[0]) as node:
        status = node.engine.status()
        with node.engine.snapshot() as snapshot:
            attended = attendance(snapshot, height=status.height)
            validators = [validator_facts(each, snapshot) for each in attended]
    for place in nodes:
        with open_node(place) as node:
            facts.append(_node_facts(node))
    is_fresh = status.header_age_ms <= HEADER_AGE_MS_MAX
    lines = ledger_lines(status, is_fresh=is_fresh)
    lines += [validator_line(said, each.ahead_ms // 1000) for said, each in zip(validators, attended, strict=True)]
    lines += ["  ".join(f"{name} {value}" for name, value in said.items()) for said in facts]
    all_facts: Facts = {"ledger": ledger_facts(status, is_fresh=is_fresh), "validators": validators, "nodes": facts}
    show(all_facts, lines, as_json=as_json)
    return 0 if is_fresh else TRY_LATER


def ledger_facts(status: "Status", *, is_fresh: bool) -> Facts:
    """Return where a ledger stands."""
    return {
        "chain": status.chain,
        "height": status.height,
        "events": status.log_size,
        "engine": status.engine,
        "header_age_ms": status.header_age_ms,
        "moves": is_fresh,
        "clock_behind_ms": max(0, status.header_time_ms - time.time_ns() // 1_000_000),
    }


def ledger_lines(status: "Status", *, is_fresh: bool, starts: str = "salus serve") -> list[str]:
    """Return the same in words, and whether this machine's clock is behind."""
    from salus.clinical.uk_time import uk_time

    moves = "moves" if is_fresh else f"does not move: nothing is released to others ({starts} starts it)"
    newest = uk_time(status.header_time_ms // 1000)
    lines = [
        f"ledger {status.chain} ({status.engine}): height {status.height}, {status.log_size} events, {moves}",
        f"newest block: {newest}",
    ]
    behind_s = status.header_time_ms // 1000 - int(time.time())
    if behind_s > SKEW_S_MAX:
        lines.append(f"this machine's clock is {behind_s} s behind the newest block: set it")
    return lines


def validator_facts(each: "Attendance", snapshot: "Snapshot") -> Facts:
    """Return how a validator took part lately."""
    from salus.contracts.membership import owner_of

    owner = owner_of(snapshot, each.public_key)
    return {
        "organisation": owner.organisation if owner else each.public_key.hex()[:16],
        "signed": each.signed,
        "of": each.of,
        "ahead_ms": each.ahead_ms,
    }


def validator_line(facts: Facts, ahead_s: int) -> str:
    """Return the same in words."""
    line = f"validator {facts['organisation']}: signed {facts['signed']} of the last {facts['of']} blocks"
    return f"{line}, its clock is {ahead_s} s ahead of the others'" if abs(ahead_s) > SKEW_S_MAX else line


def _node_facts(node: "Node") -> Facts:
    from sqlalchemy import func, select

    from salus.node import schema

    with node.vault.database.reading() as connection:
        patients = connection.scalar(select(func.count()).select_from(schema.identities))
        records = connection.scalar(select(func.count()).select_from(schema.entries))
        waiting = connection.scalar(
            select(func.count()).select_from(schema.batches).where(schema.batches.c.committed == 0)
        )
        permits = connection.scalar(
            select(func.count()).select_from(schema.permits).where(schema.permits.c.closed != schema.CLOSED)
        )
    return {
        "organisation": node.organisation,
        "patients": patients,
        "records": records,
        "batches_waiting": waiting,
        "permits_open": permits,
    }
