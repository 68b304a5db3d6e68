"""salus init: found a network on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.cli.options import as_json_option
from salus.cli.output import Facts, show

if TYPE_CHECKING:
    from salus.contracts.provisions import Provision
    from salus.node.founding import Founded, Member

KINDS = ("hospital", "practice", "pharmacy", "insurer", "research", "record-company")
FIRST_PORT = 8301


@click.command(name="init", short_help="Found a network on this machine.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--hospital", "hospitals", multiple=True, metavar="CODE=NAME", help="A member that is a hospital.")
@click.option("--practice", "practices", multiple=True, metavar="CODE=NAME", help="A member that is a practice.")
@click.option("--pharmacy", "pharmacies", multiple=True, metavar="CODE=NAME", help="A member that is a pharmacy.")
@click.option(
    "--members",
    "members_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A TOML file of members and policies instead.",
)
@click.option("--chain", default="salus-local", show_default=True, help="Names the network; lower case and hyphens.")
@click.option("--port", default=FIRST_PORT, show_default=True, help="The first node's port; the next one has the next.")
@click.option("--socket", type=click.Path(path_type=Path), help="The ledger's socket, where FOLDER's path is too long.")
@as_json_option
def command(
    folder: Path,
    hospitals: tuple[str, ...],
    practices: tuple[str, ...],
    pharmacies: tuple[str, ...],
    members_file: Path | None,
    chain: str,
    port: int,
    socket: Path | None,
    as_json: bool,
) -> None:
    """Found a network in FOLDER: members with their keys, a ledger, a node for each member.

    Without members, the hospital and the practice of the synthetic population are founded. The first member's key
    signs the blocks: the trust of such a ledger is one key.

    The TOML file has `chain`, `policy` (names of JSON files beside it) and a `[[member]]` for each member with
    `organisation`, `kind`, `name` and, if wanted, `port`, `endpoint` and `policy`.

    \b
    Example:
      salus init ./north --hospital "RZ1=Ambleford University Hospitals" --practice "Z99001=Harrowmere Medical Centre"
    """
    from salus.node.founding import found
    from salus.node.opening import unix_now_s

    named = {"hospital": hospitals, "practice": practices, "pharmacy": pharmacies}
    if members_file is not None and any(named.values()):
        raise Failure(BAD_INPUT, "expected members as options or as a file, came both", "give one of them")
    policy: tuple[Provision, ...] = ()
    if members_file is not None:
        from salus.cli.members_file import read_members

        chain, members, policy = read_members(members_file, default_chain=chain, first_port=port)
    else:
        members = _members(named, port) or _population_members(port)
    founded = found(folder, members, chain=chain, time_s=unix_now_s(), policy=policy, socket=socket)
    _show(founded, as_json=as_json)


def _members(named: dict[str, tuple[str, ...]], port: int) -> "list[Member]":
    from salus.ledger.identifiers import OrganisationId
    from salus.node.founding import Member

    pairs = [(kind, text) for kind, texts in named.items() for text in texts]
    members = []
    for place, (kind, text) in enumerate(pairs):
        code, separator, name = text.partition("=")
        if not separator or not name.strip():
            raise Failure(
                BAD_INPUT, f"expected --{kind} CODE=NAME, came another text", 'write --practice "A81001=Name"'
            )
        members.append(Member(OrganisationId(code.strip().upper()), kind, name.strip(), port + place))
    return members


def _population_members(port: int) -> "list[Member]":
    from salus.ledger.identifiers import OrganisationId
    from salus.node.founding import Member
    from salus.testing.population import HOSPITAL, PRACTICE

    return [
        Member(OrganisationId(each.ods), each.kind, each.name, port + place)
        for place, each in enumerate((HOSPITAL, PRACTICE))
    ]


def _show(founded: "Founded", *, as_json: bool) -> None:
    from salus.contracts.genesis import genesis_hash
    from salus.node.founding import TRUST

    founders = founded.genesis.founders
    facts: Facts = {
        "folder": str(founded.folder),
        "chain": founded.genesis.chain,
        "genesis": genesis_hash(founded.genesis),
        "trust": str(founded.folder / TRUST),
        "members": [
            {
                "organisation": each.organisation,
                "name": each.name,
                "endpoint": each.endpoint,
                "folder": str(founded.nodes[each.organisation]),
            }
            for each in founders
        ],
    }
    lines = [f"founded {founded.genesis.chain} in {founded.folder}"]
    lines += [f"  {each.organisation}  {each.name}  {each.endpoint}" for each in founders]
    lines += [
        f"trust file for salus verify: {founded.folder / TRUST}",
        f"trust of this ledger: one key, that of {founders[0].organisation}",
        f"next: salus serve {founded.folder}",
    ]
    show(facts, lines, as_json=as_json)
