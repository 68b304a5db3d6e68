"""salus network members, propose, vote: how members change what they agreed on."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.cli.network.places import node_of
from salus.cli.network.policies import NETWORK, policy_of, proposed_rules, rule_lines, sentences_of
from salus.cli.options import FILE, as_json_option, node_argument
from salus.cli.output import Facts, show, table

if TYPE_CHECKING:
    from salus.contracts.membership import AnyAction
    from salus.ledger.identifiers import ProposalId
    from salus.node.network.admission import AdmissionRequest
    from salus.node.services.govern import Members

CHANGES = ("admit", "remove", "validator", "observer", "own-proofs", "suspend", "lift", "policy")
PROPOSAL_ID_BYTES = 16
DAY_S = 86_400


@click.command(name="members", short_help="Who the members are, and what waits for votes.")
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

    with open_node(node_of(node)) as opened:
        seen, now_s = see_members(opened), opened.clock()
    facts: Facts = {"members": member_facts(seen, now_s), "proposals": proposal_facts(seen)}
    show(facts, member_lines(seen, now_s), as_json=as_json)
    return 0


@click.command(name="propose", short_help="Propose a change of a member, or of a policy.")
@node_argument
@click.argument("change", type=click.Choice(CHANGES))
@click.argument("organisation", metavar="CODE")
@click.option("--request", type=FILE, help="Of a candidate: what salus network join made.")
@click.option("--power", default=10, show_default=True, type=click.IntRange(1, (1 << 31) - 1), help="Of a validator.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3660), help="Of a suspension.")
@click.option("--rule", "rules", multiple=True, type=FILE, help="Of a policy, a JSON file; all that it is to have.")
@click.option("--no-rules", is_flag=True, help="A policy without rules.")
@as_json_option
def propose(
    node: Path,
    change: str,
    organisation: str,
    request: Path | None,
    power: int,
    days: int,
    rules: tuple[Path, ...],
    no_rules: bool,
    as_json: bool,
) -> int:
    """Propose a change of the member CODE; NODE's organisation is in favour, and votes are taken for 7 days.

    More than two thirds of all members carry it. A suspension by vote confirms one that members brought about. Who is
    to be admitted has made a request; first it follows the ledger, and another proposal makes it a validator.

    A policy replaces the one before, whole: that of the member CODE, or of everybody with `network` for CODE. Its rules
    are files as of salus consent file --tree. A deny forbids whatever a patient chose; a permit is the default where a
    patient chose nothing. salus network policies shows what is in force.

    \b
    Example:
      salus network propose ./rz1 admit RY5 --request ./RY5.request
      salus network propose ./rz1 policy network --rule ./no-research.json
      salus network propose ./north/z99001 suspend RZ1 --days 30
    """
    from salus.node.opening import open_node
    from salus.node.services.govern import Change, action_of, propose_admission
    from salus.node.services.govern import propose as put_to_the_vote

    code = organisation.upper()
    policy = proposed_rules(change, rules, no_rules=no_rules)
    candidate = _candidate(change, code, request)
    with open_node(node_of(node)) as opened:
        if candidate is not None:
            proposed = propose_admission(opened, candidate)
        else:
            action = (
                policy_of(organisation, policy)
                if policy is not None
                else action_of(Change(change), code, power=power, until_s=opened.clock() + days * DAY_S)
            )
            proposed = put_to_the_vote(opened, action)
    facts: Facts = {"proposal": proposed.proposal.hex(), "carried": proposed.is_carried}
    show(facts, [f"proposal {proposed.proposal.hex()}: {_standing(is_carried=proposed.is_carried)}"], as_json=as_json)
    return 0


@click.command(name="vote", short_help="Vote for a proposal.")
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

    with open_node(node_of(node)) as opened:
        cast = cast_vote(opened, _proposal_id(proposal), is_in_favour=not against)
    facts: Facts = {"proposal": proposal, "carried": cast.is_carried}
    show(facts, [f"proposal {proposal}: {_standing(is_carried=cast.is_carried)}"], as_json=as_json)
    return 0


@click.command(name="accuse", short_help="Accuse a member, so that it is suspended.")
@node_argument
@click.argument("organisation", metavar="CODE")
@click.option("--reason", required=True, type=FILE, help="A file that says why; only a commitment to it is published.")
@as_json_option
def accuse(node: Path, organisation: str, reason: Path, as_json: bool) -> int:
    """Accuse the member CODE as NODE's organisation; three accusers that are more than a third suspend it for 72 hours.

    Meanwhile it neither asks others nor releases to them; its vote, its signatures on blocks and the care of its own
    patients go on. A vote (salus network propose NODE suspend CODE) confirms it. Whoever accuses can do so once in 72
    hours, and once in 30 days if no vote confirms it. Keep the file and the salt: together they show the reason.

    \b
    Example:
      salus network accuse ./rz1 RZ3 --reason ./what-rz3-did.txt
    """
    from salus.clinical.uk_time import uk_time
    from salus.ledger.identifiers import OrganisationId
    from salus.node.opening import open_node
    from salus.node.services.govern import accuse as say_so

    code = OrganisationId(organisation.upper())
    with open_node(node_of(node)) as opened:
        accused, salt = say_so(opened, code, reason.read_bytes())
    until_s = accused.suspended_until_s
    facts: Facts = {"accused": code, "suspended_until_s": until_s, "commitment": accused.commitment, "salt": salt}
    what = f"suspended until {uk_time(until_s)}" if until_s else "accused: waits for other accusers"
    show(facts, [f"{code} is {what}", f"salt of the reason, to keep with it: {salt.hex()}"], as_json=as_json)
    return 0


def _candidate(change: str, code: str, request: Path | None) -> "AdmissionRequest | None":
    """The request of who is to be admitted; None for any other change."""
    from salus.node.network.admission import decode_request

    if (change == "admit") != (request is not None):
        raise Failure(BAD_INPUT, "expected --request with admit and only there", "salus network join makes that file")
    if request is None:
        return None
    found = decode_request(request.read_bytes())
    if found.member.organisation != code:
        raise Failure(BAD_INPUT, f"expected {code}, the request is of {found.member.organisation}", "name that one")
    return found


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


def member_facts(seen: "Members", now_s: int) -> list[Facts]:
    """Return the members."""
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


def proposal_facts(seen: "Members") -> list[Facts]:
    """Return what waits for votes."""
    return [
        {
            "proposal": identifier.hex(),
            "action": type(row.action).__name__,
            "organisation": _about(row.action),
            "rules": _rules(row.action, seen),
            "proposer": row.proposer,
            "in_favour": list(row.in_favour),
            "expires_at_s": row.expires_at_s,
        }
        for identifier, row in seen.proposals.items()
    ]


def member_lines(seen: "Members", now_s: int) -> list[str]:
    """Return both in words."""
    rows = [
        [fact["organisation"], fact["access"], fact["power"], "suspended" if fact["suspended"] else "", fact["name"]]
        for fact in member_facts(seen, now_s)
    ]
    lines = table(["member", "holds", "power", "", "name"], rows)
    for identifier, row in seen.proposals.items():
        lines.append(f"proposal {identifier.hex()}: {type(row.action).__name__} {_about(row.action)}".rstrip())
        lines += rule_lines(_rules(row.action, seen))
        lines.append(f"  by {row.proposer}, in favour: {', '.join(row.in_favour) or 'nobody'}")
    return lines


def _about(action: "AnyAction") -> str:
    """Whom an action is about; empty for the rules of the software."""
    from salus.contracts.membership import SetPolicy

    organisation: str = getattr(action, "organisation", "")
    return organisation or (NETWORK if isinstance(action, SetPolicy) else "")


def _rules(action: "AnyAction", seen: "Members") -> list[list[Facts]]:
    """The rules that a proposed policy has; none for any other action."""
    from salus.contracts.membership import SetPolicy

    names = {code: row.name for code, row in seen.members.items()}
    return [sentences_of(tree, names) for tree in action.provisions] if isinstance(action, SetPolicy) else []
