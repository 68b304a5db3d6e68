"""salus network seal, adopt, agree: several organisations go on with a ledger of one key."""

import time
from pathlib import Path

import click

from salus.cli.options import FILE, FOLDER, NEW_FILE, as_json_option
from salus.cli.output import Facts, progress, show


@click.command(name="seal", short_help="End a ledger of one key, so that a network goes on with it.")
@click.argument("folder", type=FOLDER)
@click.option("--output", "-o", "output", required=True, type=NEW_FILE, help="The sealed file, a new file.")
@as_json_option
def seal(folder: Path, output: Path, as_json: bool) -> None:
    """End the ledger of FOLDER for good with a last block, and write its tables and log for the founders of a network.

    Stop salus serve before. A sealed ledger never makes a block again; the same command writes the same file again. The
    nodes of FOLDER keep their vaults: salus network init --node takes each along.

    \b
    Example:
      salus network seal ./north --output ./north.sealed
    """
    from salus.contracts.genesis import genesis_hash
    from salus.contracts.membership import KeyUse
    from salus.engines.clock import SystemClock
    from salus.engines.sealing import seal as end
    from salus.engines.sealing import sealed_at, write_sealed
    from salus.ledger.encoding import encode
    from salus.node import config
    from salus.node.keys import read_keys
    from salus.node.network.files import fingerprint
    from salus.node.opening import founding

    ledger = Path(config.read_network(folder).ledger) if config.is_network(folder) else folder
    settings = config.read_ledger(ledger)
    if settings.cometbft is not None:
        raise config.SettingsUnfit(f"{folder} has a ledger of several already: it is not sealed")
    genesis = config.read_genesis(Path(settings.genesis))
    store = Path(settings.folder)
    height = sealed_at(store)
    if not height:
        key = read_keys(Path(settings.keys)).signing(KeyUse.CONSENSUS)
        height = end(store, founding(genesis), key, SystemClock())
    with progress("writing"):
        head = write_sealed(store, encode(genesis), output)
    app_hash = head.last.state.app_hash()
    facts: Facts = {
        "sealed": str(output),
        "chain": genesis.chain,
        "height": height,
        "log_size": head.last.state.log_size,
        "app_hash": app_hash,
        "genesis": genesis_hash(genesis),
    }
    lines = [
        f"sealed {genesis.chain} at height {height}, {head.last.state.log_size} events: it makes no block any more",
        f"for the founders of the network that goes on with it: {output}",
        f"fingerprint of its state, to read to them: {fingerprint(app_hash)}",
        "next, each founder: salus network init, with --node where it has a node, then salus network adopt",
    ]
    show(facts, lines, as_json=as_json)


@click.command(name="adopt", short_help="Make the genesis of a network that goes on with a sealed ledger.")
@click.argument("folder", type=FOLDER)
@click.argument("sealed", type=FILE)
@click.argument("files", nargs=-1, required=True, type=FILE)
@as_json_option
def adopt(folder: Path, sealed: Path, files: tuple[Path, ...], as_json: bool) -> None:
    """Make the genesis in FOLDER from the SEALED ledger and the member FILES of all founders, FOLDER's own among them.

    Every founder does this alone, and gives its agreement to the others. The same files give the same genesis: compare
    its fingerprint over the telephone. Founders that are members of the old ledger keep the keys that they have there,
    and are more than two thirds of its members; policies, people, rights and history go on as they are.

    \b
    Example:
      salus network adopt ./rz1 ./north.sealed ./RZ1.member ./RZ2.member ./RZ3.member ./RZ4.member
    """
    from salus.contracts.genesis import genesis_hash
    from salus.node.network.adoption import adopt as go_on
    from salus.node.network.adoption import agreement_path
    from salus.node.network.files import fingerprint
    from salus.node.network.folder import open_folder
    from salus.node.network.member_file import read_member_file

    member = open_folder(folder)
    with progress("checking"):
        genesis = go_on(member, sealed, [read_member_file(path) for path in files], now_s=int(time.time()))
    digest, stands = genesis_hash(genesis), genesis.adopted
    agreement = agreement_path(member)
    seats = [each.organisation for each in genesis.validators]
    facts: Facts = {
        "chain": genesis.chain,
        "genesis": digest,
        "fingerprint": fingerprint(digest),
        "height": stands.height,
        "log_size": stands.log_size,
        "validators": seats,
        "agreement": str(agreement),
    }
    lines = [
        f"{genesis.chain} goes on after height {stands.height} with {stands.log_size} events",
        f"blocks are signed by {', '.join(seats)}",
        f"agreement of {member.organisation}, for the other founders: {agreement}",
        f"fingerprint of the genesis, the same for all founders: {fingerprint(digest)}",
        f"next, when all have the same: salus network agree {folder} with the others' agreements",
    ]
    show(facts, lines, as_json=as_json)


@click.command(name="agree", short_help="Take the other founders' agreements.")
@click.argument("folder", type=FOLDER)
@click.argument("files", nargs=-1, required=True, type=FILE)
@as_json_option
def agree(folder: Path, files: tuple[Path, ...], as_json: bool) -> None:
    """Take the agreement FILES of other founders into FOLDER; nothing starts until all have agreed to one genesis.

    \b
    Example:
      salus network agree ./rz1 ./RZ2.agreement ./RZ3.agreement ./RZ4.agreement
    """
    from salus.node.network.adoption import take_agreements
    from salus.node.network.folder import open_folder

    missing = take_agreements(open_folder(folder), files)
    facts: Facts = {"agreed": not missing, "missing": missing}
    words = f"missing still: {', '.join(missing)}" if missing else f"all founders agreed: salus network start {folder}"
    show(facts, [words], as_json=as_json)
