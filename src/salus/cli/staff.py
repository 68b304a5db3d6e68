"""salus staff: certify the people who ask on an organisation's behalf."""

import re
from pathlib import Path

import click

from salus.cli.options import NEW_FILE, as_json_option, node_argument
from salus.cli.output import Facts, show, table

KINDS = {
    "EMERGENCY_REFUSED": "an emergency too many",
    "SESSION_REFUSED": "a session too many",
    "CHALLENGED": "an access was questioned",
}
ROLE_CLASSES = ("clinical", "pharmacy", "administrative", "insurer", "research", "officer", "system")


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


@command.command(name="notices")
@node_argument
@as_json_option
def list_notices(node: Path, as_json: bool) -> None:
    """Show what NODE noted for its privacy officer.

    That is who was refused one emergency or one session too many, and who questioned an access.

    People and patients are named by the beginnings of their certificates and pseudonyms.

    \b
    Example:
      salus staff notices ./north/rz1
    """
    from salus.clinical.uk_time import uk_time
    from salus.node.notices import notices
    from salus.node.opening import open_node

    with open_node(node) as opened:
        found = notices(opened)
    facts: Facts = {
        "notices": [
            {
                "kind": each.kind.name.lower(),
                "at_s": each.at_s,
                "certificate": each.certificate,
                "pseudonym": each.pseudonym,
            }
            for each in found
        ]
    }
    rows = [
        (uk_time(each.at_s), KINDS[each.kind.name], each.certificate.hex()[:8], each.pseudonym.hex()[:8])
        for each in found
    ]
    lines = table(("when", "what", "certificate", "patient"), rows) if rows else ["nothing was noted"]
    show(facts, lines, as_json=as_json)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "person"
