"""salus network init, found: an organisation's keys and folder, and the genesis that all founders make alike."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.network.policies import policy_facts, policy_lines
from salus.cli.options import FILE, FOLDER, as_json_option
from salus.cli.output import Facts, note, show

if TYPE_CHECKING:
    from salus.contracts.genesis import FirstPolicy

KINDS = ("hospital", "practice", "pharmacy", "insurer", "research", "record-company")
FIRST_PORT = 26_656
NODE_PORT = 8_301


@click.command(name="init", short_help="Make an organisation's keys and folder.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--chain", required=True, help="Names the network; lower case and hyphens, the same for all founders.")
@click.option("--organisation", required=True, metavar="CODE", help="The organisation's ODS code.")
@click.option("--kind", required=True, type=click.Choice(KINDS), help="What kind of organisation it is.")
@click.option("--name", required=True, help="Its name, shown to people.")
@click.option("--host", required=True, help="Name or address at which the others reach this machine.")
@click.option("--bind", default="", help="Address to listen on, where it is another.  [default: the host]")
@click.option("--port", default=FIRST_PORT, show_default=True, help="For the others' ledgers; the next one too.")
@click.option("--node-port", default=NODE_PORT, show_default=True, help="For the others' nodes.")
@click.option("--endpoint", default="", help="Base URL of the node for others.  [default: host and node port]")
@click.option("--observer", is_flag=True, help="Follow the ledger only; sign no blocks.")
@click.option("--node", "of", type=FOLDER, help="A node that it has already: moves into FOLDER.")
@click.option("--snapshot-blocks", default=1_000, show_default=True, type=click.IntRange(1), help="For who joins.")
@as_json_option
def init(folder: Path, chain: str, of: Path | None, as_json: bool, **place: str | int | bool) -> None:
    """Make FOLDER: fresh keys, settings, and the member file that the others get.

    With --node the organisation goes on with the node that it had beside a ledger of one key: keys, vault and journals
    move into FOLDER, and that node must not run. The keys never leave the folder. The member file holds what is public,
    signed: send it to the other founders, and read its fingerprint to them over the telephone.

    \b
    Example:
      salus network init ./rz1 --chain north --organisation RZ1 --kind hospital --name "Ambleford" --host 10.0.0.1
    """
    import unicodedata

    from salus.ledger.identifiers import OrganisationId
    from salus.node.network.folder import MEMBER, MEMBERS, Place, make_folder

    file = make_folder(
        folder,
        Place(
            organisation=OrganisationId(str(place["organisation"]).upper()),
            kind=str(place["kind"]),
            name=unicodedata.normalize("NFC", str(place["name"])),
            host=str(place["host"]),
            bind=str(place["bind"] or place["host"]),
            port=int(place["port"]),
            node_port=int(place["node_port"]),
            endpoint=str(place["endpoint"]),
            is_validator=not place["observer"],
            snapshot_blocks=int(place["snapshot_blocks"]),
            of=of,
        ),
        chain=chain,
        now_s=int(time.time()),
    )
    made = folder / MEMBERS / f"{file.organisation}{MEMBER}"
    facts: Facts = {"folder": str(folder), "member_file": str(made), "fingerprint": file.fingerprint()}
    lines = [
        f"made the keys of {file.organisation} in {folder}: they stay there",
        f"member file for the other founders: {made}",
        f"its fingerprint, to read to them: {file.fingerprint()}",
        f"next: salus network found {folder} with all founders' files, or salus network join {folder} INVITATION",
    ]
    show(facts, lines, as_json=as_json)


@click.command(name="found", short_help="Make the network's genesis from all founders' files.")
@click.argument("folder", type=FOLDER)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--policy", "policies", multiple=True, metavar="[CODE=]FILE", help="A rule of all, or of a member.")
@as_json_option
def found(folder: Path, files: tuple[Path, ...], policies: tuple[str, ...], as_json: bool) -> None:
    """Make the genesis document in FOLDER from the member FILES of all founders, FOLDER's own among them.

    Every founder does this alone. The same files, in any order, give the same genesis: compare its fingerprint over the
    telephone before anybody starts. If one differs, somebody was given another file.

    Policies come in by vote, later (salus network propose), or are agreed on now: then every founder names the same
    rules in the same order. They are files as of salus consent file --tree.

    \b
    Example:
      salus network found ./rz1 ./RZ1.member ./RZ2.member ./RZ3.member ./RZ4.member
    """
    from salus.contracts.genesis import genesis_hash
    from salus.node.network.files import fingerprint
    from salus.node.network.folder import found as make_genesis
    from salus.node.network.folder import open_folder
    from salus.node.network.member_file import read_member_file

    members = [read_member_file(path) for path in files]
    genesis = make_genesis(open_folder(folder), members, policies=_policies(policies))
    digest = genesis_hash(genesis)
    seats = [each.organisation for each in genesis.validators]
    names = {each.organisation: each.name for each in genesis.founders}
    agreed = [(each.organisation, 1, each.provisions) for each in genesis.policies]
    facts: Facts = {
        "chain": genesis.chain,
        "genesis": digest,
        "fingerprint": fingerprint(digest),
        "members": [{"organisation": each.organisation, "fingerprint": each.fingerprint()} for each in members],
        "validators": seats,
        "policies": policy_facts(agreed, names),
    }
    lines = [f"founded {genesis.chain}: {len(genesis.founders)} members, blocks signed by {', '.join(seats)}"]
    lines += [f"  {each.organisation}  {each.name}  {each.fingerprint()}" for each in members]
    lines += policy_lines(agreed, names)
    lines += [
        f"fingerprint of the genesis, the same for all founders: {fingerprint(digest)}",
        f"next, when all have the same: salus network start {folder}",
    ]
    show(facts, lines, as_json=as_json)
    if len(seats) < 4:
        note(f"note: with {len(seats)} validators the ledger stops when one of them is down; four stand one failure")


def _policies(written: tuple[str, ...]) -> "tuple[FirstPolicy, ...]":
    from salus.contracts.genesis import FirstPolicy
    from salus.contracts.provisions import Provision
    from salus.sdk.choice_files import read_choice

    rules: dict[str, list[Provision]] = {}
    for each in written:
        code, is_of_one, path = each.partition("=")
        place = Path(path if is_of_one else each)
        rules.setdefault(code.upper() if is_of_one else "", []).append(read_choice(place.read_bytes()))
    return tuple(FirstPolicy(code, tuple(rules[code])) for code in sorted(rules))
