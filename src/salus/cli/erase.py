"""salus erase: destroy what a node keeps of a patient."""

from pathlib import Path

import click

from salus.cli.options import as_json_option, node_argument, patient_options
from salus.cli.output import Facts, show


@click.command(name="erase", short_help="Destroy what a node keeps of a patient.")
@node_argument
@patient_options
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@as_json_option
def command(
    node: Path, nhs_number: str | None, born: str | None, pseudonym: str | None, yes: bool, as_json: bool
) -> None:
    """Erase a relationship at NODE: a tombstone on the ledger, then the keys, then the bytes. It cannot be undone.

    Whoever received copies destroys them when it sees the tombstone. What stays on the ledger links to nothing.

    \b
    Example:
      salus erase ./north/rz1 --nhs-number 9990000018 --born 1968-03-14 --yes
    """
    from salus.cli.persons import find_patient
    from salus.node.opening import open_node
    from salus.node.services.erase import erase

    with open_node(node) as desk:
        name = find_patient(desk, number=nhs_number, born=born, pseudonym=pseudonym)
        if not yes:
            click.confirm("erase everything that this node keeps of this patient, for good?", abort=True, err=True)
        count = erase(desk, name)
    facts: Facts = {"pseudonym": name, "objects": count}
    show(facts, [f"erased: {count} sealed objects and their keys; the tombstone is on the ledger"], as_json=as_json)
