"""salus network leave: a member asks the others to let it go, and stays until they go on without it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import TRY_LATER, Failure
from salus.cli.network.places import peer_count, require_genesis
from salus.cli.options import FOLDER, as_json_option
from salus.cli.output import Facts, note, progress, show

if TYPE_CHECKING:
    from salus.ledger.identifiers import ProposalId
    from salus.node.assemble import Node

LOOK_AGAIN_S = 0.5
DAY_S = 86_400


@click.command(name="leave", short_help="Leave the network.")
@click.argument("folder", type=FOLDER)
@click.option("--wait", default=7 * DAY_S, show_default=True, type=click.IntRange(0), help="Seconds to wait for votes.")
@as_json_option
def leave(folder: Path, wait: int, as_json: bool) -> int:
    """Propose that FOLDER's own organisation is removed, and wait until the others have voted and go on without it.

    Its signatures count until two blocks after the vote that carries it: keep salus network start running, which ends
    by itself then. The records stay where they are; the others can ask for them no longer. Run it again to go on
    waiting. Exit status 3: not enough have voted in time.

    \b
    Example:
      salus network leave ./rz4
    """
    from salus.node.network.folder import open_folder
    from salus.node.network.standing import read_standing
    from salus.node.opening import open_node

    require_genesis(folder)
    member = open_folder(folder)
    until_s = time.monotonic() + wait
    with open_node(member.node) as node, progress("waiting for votes"):
        with node.engine.snapshot() as snapshot:
            standing = read_standing(snapshot, member.organisation)
        proposal = _proposal(node) if standing is not None and standing.access is not None else None
        if proposal is not None:
            note(f"proposal {proposal.hex()}: the others vote for it with salus network vote")
        while standing is None or not standing.has_left(time_s=int(time.time()), peers=peer_count(member)):
            if time.monotonic() > until_s:
                words = f"expected votes within {wait} s, {member.organisation} is a member still"
                raise Failure(TRY_LATER, words, "ask the others to vote, then run the same again")
            time.sleep(LOOK_AGAIN_S)
            with node.engine.snapshot() as snapshot:
                standing = read_standing(snapshot, member.organisation)
    facts: Facts = {"organisation": member.organisation, "height": standing.height, "left": True}
    lines = [
        f"{member.organisation} has left at height {standing.height}; the others go on without it",
        f"next, by each of them: salus network peers FOLDER --drop {member.organisation}",
    ]
    show(facts, lines, as_json=as_json)
    return 0


def _proposal(node: "Node") -> "ProposalId | None":
    """The open proposal to remove this member, or a new one; None when that one is carried at once."""
    from salus.contracts.membership import Remove
    from salus.node.services.govern import propose, see_members

    wanted = Remove(node.organisation)
    for identifier, row in see_members(node).proposals.items():
        if row.action == wanted:
            return identifier
    proposed = propose(node, wanted)
    return None if proposed.is_carried else proposed.proposal
