"""salus network: a ledger that several organisations run together, from its first key to a member's leave."""

import click

from salus.cli.network.adopting import adopt, agree, seal
from salus.cli.network.engine import install_engine
from salus.cli.network.founding import found, init
from salus.cli.network.joining import invite, join, peers
from salus.cli.network.leaving import leave
from salus.cli.network.policies import policies
from salus.cli.network.running import start
from salus.cli.network.standing import status
from salus.cli.network.votes import accuse, members, propose, vote


@click.group(name="network", short_help="What belongs to a ledger of several organisations.")
def command() -> None:
    """Run one ledger together with other organisations, on CometBFT.

    Founders each run init, exchange their member files, run found on all of them, and start. Who comes later gets an
    invitation, joins, is voted in, and starts. docs/network.md goes through all of it; docs/adoption.md shows how a
    network goes on with a ledger of one key.

    \b
    Example:
      salus network install-engine
      salus network init ./rz1 --chain north --organisation RZ1 --kind hospital --name "Ambleford" --host 10.0.0.1
    """


FOUNDING = (install_engine, init, found, start, status)
ADOPTING = (seal, adopt, agree)
GROWING = (invite, join, peers, members, policies, propose, vote, accuse, leave)

for each in (*FOUNDING, *ADOPTING, *GROWING):
    command.add_command(each)
