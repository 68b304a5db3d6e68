"""salus demo: a ledger process, two nodes, 200 patients, and the story of one of them."""

import time

import click

from salus.cli.failures import TRY_LATER, Failure
from salus.cli.options import as_json_option
from salus.cli.output import note, show

PEOPLE = 200


@click.command(name="demo", short_help="A hospital, a practice, and the story of one patient.")
@click.option("--exit", "stops", is_flag=True, help="Stop after the story.")
@click.option(
    "--people", default=PEOPLE, show_default=True, type=click.IntRange(1), help="How many patients there are."
)
@click.option("--network", type=click.Choice(["4"]), help="Four organisations, each a validator, on CometBFT.")
@click.option("--seed", default=1, show_default=True, help="Which synthetic population.")
@click.option("--keep", is_flag=True, help="Keep the folder afterwards.")
@as_json_option
def command(stops: bool, people: int, network: str | None, seed: int, keep: bool, as_json: bool) -> int:
    """Start a ledger process and two nodes, a hospital and a practice, with 200 invented patients; tell one's story.

    She makes a choice, the practice's doctor asks, sealed records cross, the receipt is checked; a psychiatric letter
    stays; a withdrawal stops the next release; flipped bytes are caught. Then the nodes go on until Ctrl-C, with
    a portal. Needs no root, and no network but this machine's own.

    With --network 4 the ledger is run by four organisations; one of them is killed on the way, and comes back.

    \b
    Example:
      salus demo --exit
      salus demo --exit --network 4
    """
    began_s = time.monotonic()

    from salus.cli.demonstration import Demonstration
    from salus.cli.running import wait_for_stop
    from salus.testing.story import NotAsTold

    demonstration = Demonstration(
        began_s=began_s, people=people, seed=seed, keep=keep, on_network=network is not None, stays=not stops
    )
    with demonstration:
        tell = note if as_json else click.echo
        try:
            facts = demonstration.tell(tell)
        except NotAsTold as error:
            raise Failure(
                1, f"the story did not come out as promised: {error}", "this is a fault: report it"
            ) from error
        if as_json:
            show(facts, [], as_json=True)
        if stops:
            return 0
        for line in demonstration.where_to_look():
            tell(line)
        if not wait_for_stop(demonstration.setting):
            raise Failure(TRY_LATER, f"{demonstration.setting.ended()} has ended by itself", f"see {demonstration.log}")
    return 0
