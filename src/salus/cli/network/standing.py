"""salus network status: where a member's ledger, its validators and its votes stand."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import TRY_LATER
from salus.cli.network.places import connected_peers, require_genesis
from salus.cli.network.votes import member_facts, member_lines, proposal_facts
from salus.cli.options import FOLDER, as_json_option
from salus.cli.output import Facts, show
from salus.cli.status import ledger_facts, ledger_lines, validator_facts, validator_line

if TYPE_CHECKING:
    from salus.engines.base import Snapshot
    from salus.engines.client import LedgerClient
    from salus.node.network.folder import MemberFolder


@click.command(name="status", short_help="Where a member's ledger stands.")
@click.argument("folder", type=FOLDER)
@as_json_option
def status(folder: Path, as_json: bool) -> int:
    """Show where FOLDER's ledger stands: its newest block, validators, peers, rules, members and proposals.

    A validator that did not sign lately, or whose clock is far off, is named. Exit status 3: the ledger does not move,
    and nothing is released to others.

    \b
    Example:
      salus network status ./rz1
    """
    from salus.node import config
    from salus.node.network.folder import open_folder
    from salus.node.opening import ledger_client
    from salus.node.services.overview import see_ledger

    require_genesis(folder)
    member = open_folder(folder)
    with ledger_client(config.read_node(member.node), member.genesis().chain) as client:
        ledger = see_ledger(client, now_ms=time.time_ns() // 1_000_000)
        stands = ledger.status
        lines = ledger_lines(ledger, starts="salus network start")
        lines[1] += f", {stands.header_age_ms / 1000:.1f} s old; app hash {stands.app_hash.hex()}"
        facts: Facts = ledger_facts(ledger) | {"app_hash": stands.app_hash}
        facts |= _of_members(client, member, stands.height, lines)
    facts["peers"] = _peers(member, lines)
    show(facts, lines, as_json=as_json)
    return 0 if ledger.is_fresh else TRY_LATER


def _of_members(client: "LedgerClient", member: "MemberFolder", height: int, lines: list[str]) -> Facts:
    """What the state says; the same in words is added to the lines."""
    from salus.contracts.membership import rules_version
    from salus.node.network.standing import read_standing
    from salus.node.services.govern import read_members

    now_s = int(time.time())
    with client.snapshot() as snapshot:
        seen = read_members(snapshot, now_s=now_s)
        rules = rules_version(snapshot, height=height + 1)
        standing = read_standing(snapshot, member.organisation)
        validators = _validators(snapshot, height, lines)
    words = standing.words(time_s=now_s) if standing is not None else f"{member.organisation} is not admitted yet"
    lines.append(f"rules version {rules}")
    lines += member_lines(seen, now_s)
    lines += [words] if words else []
    return {
        "organisation": member.organisation,
        "standing": words,
        "rules_version": rules,
        "validators": validators,
        "members": member_facts(seen, now_s),
        "proposals": proposal_facts(seen),
    }


def _validators(snapshot: "Snapshot", height: int, lines: list[str]) -> list[Facts]:
    from salus.node.services.overview import see_validators

    seen = see_validators(snapshot, height)
    lines += [validator_line(each) for each in seen]
    return [validator_facts(each) | {"power": each.power, "clock_is_off": each.is_off} for each in seen]


def _peers(member: "MemberFolder", lines: list[str]) -> list[Facts]:
    from salus.engines.cometbft.rpc import NodeAway

    connected: set[str] = set()
    try:
        connected = set(connected_peers(member))
    except NodeAway:
        lines.append("CometBFT does not run here: salus network start")
    known = [each for each in member.members() if each.organisation != member.organisation]
    away = [each.organisation for each in known if each.node not in connected]
    words = f"peers: {len(known) - len(away)} of {len(known)} are connected"
    lines.append(f"{words}, not {', '.join(away)}" if away else words)
    return [{"organisation": each.organisation, "connected": each.node in connected} for each in known]
