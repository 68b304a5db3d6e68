"""salus staff: certify the people who ask on an organisation's behalf."""

import re
from pathlib import Path

import click

from salus.cli.options import NEW_FILE, as_json_option, node_argument
from salus.cli.output import Facts, show

ROLE_CLASSES = ("clinical", "pharmacy", "administrative", "insurer", "research", "officer")


@click.group(name="staff", short_help="Certify the people who ask on an organisation's behalf.")
def command() -> None:
    """Certify the people who ask on an organisation's behalf.

    \b
    Example:
      salus staff certify ./north/z99001 --name "Dr Anita Rao" --role GP --registration "GMC 7654321"
    """


@command.command()
@node_argument
@click.option("--name", required=True, help="As patients will read it.")
@click.option("--role", required=True, help="What they are, such as GP.")
@click.option("--registration", default="", help="With whom they are registered, under which number.")
@click.option("--role-class", default="clinical", show_default=True, type=click.Choice(ROLE_CLASSES))
@click.option("--out", type=NEW_FILE, help="Where their key and certificate go; else NODE/staff/NAME.staff.")
@as_json_option
def certify(
    node: Path, name: str, role: str, registration: str, role_class: str, out: Path | None, as_json: bool
) -> None:
    """Certify a person on the ledger, where only a salted commitment to who it is can be seen.

    \b
    Example:
      salus staff certify ./north/z99001 --name "Dr Anita Rao" --role GP --registration "GMC 7654321"
    """
    from salus.cli.persons import STAFF_SUFFIX, write_staff
    from salus.contracts.provisions import RoleClass
    from salus.node.opening import open_node
    from salus.node.people import certify_person

    path = out or node / "staff" / f"{_slug(name)}{STAFF_SUFFIX}"
    path.parent.mkdir(exist_ok=True, mode=0o700)
    if path.exists():
        raise FileExistsError(17, "File exists", str(path))
    kind = RoleClass[role_class.upper()]
    with open_node(node) as opened:
        person = certify_person(opened, name=name, role=role, registration=registration, role_class=kind)
        write_staff(path, person, kind)
    facts: Facts = {"file": str(path), "certificate": person.certificate_id, "role_class": role_class}
    show(facts, [f"certified {name}, {role}: {path}"], as_json=as_json)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "person"
