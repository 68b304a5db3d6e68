"""salus fhir deliveries: what a node told the subscriptions of its clients, and what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.cli.options import as_json_option, node_argument
from salus.cli.output import Facts, show, table

if TYPE_CHECKING:
    from salus.node.services.subscription_events import Delivery

NAME_BYTES = 16
PAGE_MAX = 1_000


@click.command(short_help="Show what subscriptions were told, and what came of it.")
@node_argument
@click.option("--subscription", default="", metavar="ID", help="Of this subscription only.")
@click.option("--before", type=click.IntRange(1), metavar="NUMBER", help="Go on with what came before this delivery.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, PAGE_MAX), help="How many to show.")
@as_json_option
def deliveries(node: Path, subscription: str, before: int | None, limit: int, as_json: bool) -> None:
    """Show the log of deliveries of NODE, the newest first; it is kept for a week and names nobody.

    \b
    Example:
      salus fhir deliveries ./north/rz1
      salus fhir deliveries ./north/rz1 --subscription ID --before 120 --json
    """
    from salus.node.opening import open_node
    from salus.node.services.subscription_events import LATEST, Events

    name = _name(subscription)
    with open_node(node) as opened:
        found = Events(opened).deliveries(of=name, before=before or LATEST, limit=limit + 1)
    read = found[:limit]
    earlier = read[-1].number if len(found) > limit else None
    facts: Facts = {"deliveries": [_facts(each) for each in read], "before": earlier}
    lines = table(("number", "at", "subscription", "what", "events", "outcome"), [_row(each) for each in read])
    more = [f"there is more: --before {earlier}"] if earlier else []
    show(facts, [*lines, *more] if read else ["nothing was delivered within a week"], as_json=as_json)


def _name(subscription: str) -> bytes:
    if subscription and (len(subscription) != 2 * NAME_BYTES or set(subscription) - set("0123456789abcdef")):
        hint = "copy it from the address of the subscription"
        raise Failure(BAD_INPUT, "expected 32 digits of 0 to 9 and a to f, came something else", hint)
    return bytes.fromhex(subscription)


def _facts(delivery: "Delivery") -> Facts:
    attempt = delivery.attempt
    return {
        "number": delivery.number,
        "at_s": attempt.at_s,
        "subscription": delivery.subscription,
        "kind": attempt.kind,
        "first": attempt.first,
        "last": attempt.last,
        "outcome": attempt.outcome,
    }


def _row(delivery: "Delivery") -> tuple[object, ...]:
    from salus.clinical.uk_time import uk_time

    attempt = delivery.attempt
    events = f"{attempt.first} to {attempt.last}" if attempt.first else "-"
    return delivery.number, uk_time(attempt.at_s), delivery.subscription.hex(), attempt.kind, events, attempt.outcome
