"""salus erase: destroy what a node keeps of a patient."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.options import as_json_option, node_argument, patient_options
from salus.cli.output import Facts, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from salus.node.services.statements import HolderState


@click.command(name="erase", short_help="Destroy what a node keeps of a patient.")
@node_argument
@patient_options
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@as_json_option
def command(
    node: Path, nhs_number: str | None, born: str | None, pseudonym: str | None, yes: bool, as_json: bool
) -> None:
    """Erase a relationship at NODE: a tombstone on the ledger, then the keys, then the bytes. It cannot be undone.

    Whoever received copies destroys them when it sees the tombstone, and states so when NODE asks, which it does by
    itself while it runs. What stays on the ledger links to nothing. Called again with --pseudonym, it shows who has
    stated what, and who has not.

    \b
    Example:
      salus erase ./north/rz1 --nhs-number 9990000018 --born 1968-03-14 --yes
    """
    from salus.cli.persons import find_patient
    from salus.node.opening import open_node
    from salus.node.services.erase import erase, is_erased
    from salus.node.services.statements import holder_states

    with open_node(node) as desk:
        name = find_patient(desk, number=nhs_number, born=born, pseudonym=pseudonym)
        if not yes and not is_erased(desk, name):
            click.confirm("erase everything that this node keeps of this patient, for good?", abort=True, err=True)
        count = erase(desk, name)
        holders = holder_states(desk, name)
    facts: Facts = {"pseudonym": name, "objects": count, "holders": [holder_facts(each) for each in holders]}
    lines = [f"erased: {count} sealed objects and their keys; the tombstone is on the ledger", *holder_lines(holders)]
    show(facts, lines, as_json=as_json)


def holder_facts(state: "HolderState") -> Facts:
    """Return where a holder stands, for programs; times in Unix seconds, None where there is none yet."""
    said = state.statement
    return {
        "holder": state.holder,
        "since_s": state.since_s,
        "asked_in_vain": state.asked,
        "state": None if said is None else said.conclusion.name.lower(),
        "stated_at_s": None if said is None else said.at_s,
        "held_until_s": (said.until_s or None) if said is not None else None,
    }


def holder_lines(states: "Sequence[HolderState]") -> list[str]:
    """Return where the other holders stand, for people."""
    if not states:
        return ["nobody else received anything under this pseudonym"]
    silent = sum(each.statement is None for each in states)
    heading = f"signed statements of other holders: {len(states) - silent} of {len(states)}"
    if silent:
        heading += "; the others are asked again while the node runs"
    return [heading, *(f"  {each.holder}: {_words(each)}" for each in states)]


def _words(state: "HolderState") -> str:
    from salus.clinical.uk_time import uk_time
    from salus.ledger.erasure_statements import Conclusion

    said = state.statement
    if said is None:
        times = {0: "not asked yet", 1: "asked once"}.get(state.asked, f"asked {state.asked} times")
        return f"no statement since {uk_time(state.since_s)}, {times}"
    words = {
        Conclusion.ERASED: "has erased what it held",
        Conclusion.NOTHING_HELD: "held nothing",
        Conclusion.STILL_HELD: f"still holds something, and is asked again after {uk_time(said.until_s)}",
    }
    return f"{words[said.conclusion]} (stated {uk_time(said.at_s)})"
