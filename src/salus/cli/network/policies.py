"""salus network policies: what holds whatever patients chose; and how rules come from files and are shown."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.cli.network.places import node_of
from salus.cli.options import as_json_option, node_argument
from salus.cli.output import Facts, show

if TYPE_CHECKING:
    from salus.contracts.membership import SetPolicy
    from salus.contracts.provisions import Provision
    from salus.sdk.choice_words import Names

    Held = tuple[str, int, tuple[Provision, ...]]
    """Whose it is, empty for everybody's; its version; its rules."""

NETWORK = "network"
"""Instead of a code: the policy of all."""


@click.command(name="policies", short_help="The policies in force, in plain words.")
@node_argument
@click.option("--tree", "code", metavar="CODE", help="Print the rules of that member, or of `network`, as JSON files.")
@as_json_option
def policies(node: Path, code: str | None, as_json: bool) -> None:
    """Show the policies as NODE's ledger has them: everybody's, and those of single members.

    A deny forbids whatever a patient chose; a permit is the default where a patient chose nothing. With --tree the
    rules are printed as salus network propose takes them, each on its own.

    \b
    Example:
      salus network policies ./rz1
      salus network policies ./rz1 --tree network
    """
    from salus.node.opening import open_node
    from salus.node.services.govern import see_members, see_policies
    from salus.sdk.choice_files import write_choice

    with open_node(node_of(node)) as opened:
        names = {each: row.name for each, row in see_members(opened).members.items()}
        found = see_policies(opened)
    if code is not None:
        policy = found.get(policy_of(code, ()).organisation)
        for tree in policy.provisions if policy is not None else ():
            click.echo(write_choice(tree))
        return
    held: list[Held] = [(organisation, each.version, each.provisions) for organisation, each in found.items()]
    lines = policy_lines(held, names) or ["no policy: patients' choices alone decide"]
    show({"policies": policy_facts(held, names)}, lines, as_json=as_json)


def proposed_rules(change: str, rules: tuple[Path, ...], *, no_rules: bool) -> "tuple[Provision, ...] | None":
    """Return the rules of a policy that is proposed; None for any other change."""
    from salus.sdk.choice_files import read_choice

    if (change == "policy") != (bool(rules) or no_rules) or (rules and no_rules):
        hint = "name each file of a policy's rules, or say --no-rules"
        raise Failure(BAD_INPUT, "expected --rule or --no-rules with policy and only there", hint)
    return tuple(read_choice(path.read_bytes()) for path in rules) if change == "policy" else None


def policy_of(organisation: str, rules: "tuple[Provision, ...]") -> "SetPolicy":
    """Return the action that gives a member, or everybody, a policy."""
    from salus.contracts.membership import NETWORK_POLICY, SetPolicy
    from salus.ledger.identifiers import OrganisationId

    return SetPolicy(NETWORK_POLICY if organisation == NETWORK else OrganisationId(organisation.upper()), rules)


def policy_facts(policies: "list[Held]", names: "Names") -> list[Facts]:
    """Return policies as facts."""
    return [
        {"organisation": whose or NETWORK, "version": version, "rules": [sentences_of(tree, names) for tree in rules]}
        for whose, version, rules in policies
    ]


def policy_lines(policies: "list[Held]", names: "Names") -> list[str]:
    """Return the same in words."""
    lines: list[str] = []
    for whose, version, rules in policies:
        lines.append(f"policy of {whose or 'everybody'}, version {version}")
        lines += rule_lines([sentences_of(tree, names) for tree in rules])
    return lines


def sentences_of(tree: "Provision", names: "Names") -> list[Facts]:
    """Return a rule in sentences, numbered as receipts number them."""
    from salus.sdk.choice_words import sentences

    return [{"path": each.path, "words": each.words} for each in sentences(tree, names)]


def rule_lines(rules: list[list[Facts]]) -> list[str]:
    """Return rules in words."""
    return [f"  {one['path']:<6}{one['words']}" for rule in rules for one in rule]
