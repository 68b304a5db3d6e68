"""salus request: ask another organisation for a patient's records."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, NO, Failure
from salus.cli.options import FILE, as_json_option, node_argument, patient_options
from salus.cli.output import Facts, show

if TYPE_CHECKING:
    from salus.ledger.identifiers import OrganisationId, Pseudonym
    from salus.node.assemble import Node
    from salus.node.people import OpenSession
    from salus.node.services.request import Denied, Granted

PURPOSES = ("TREAT", "ETREAT", "BTG", "HPAYMT", "HRESCH", "PUBHLTH", "HLEGAL")
MINUTES = 15


@click.command(name="request", short_help="Ask another organisation for a patient's records.")
@node_argument
@click.option("--staff", type=FILE, required=True, help="Who asks: a file of salus staff certify.")
@click.option("--from", "custodian", required=True, metavar="CODE", help="The organisation that holds the records.")
@patient_options
@click.option("--purpose", default="TREAT", show_default=True, type=click.Choice(PURPOSES), help="Why.")
@click.option("--class", "classes", multiple=True, metavar="TYPE", help="Only records of this FHIR type.")
@click.option("--justification", default="", help="In words, for the patient to read; needed to break the glass.")
@click.option("--minutes", default=MINUTES, show_default=True, type=click.IntRange(1, 60), help="How long it may run.")
@as_json_option
def command(
    node: Path,
    staff: Path,
    custodian: str,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    purpose: str,
    classes: tuple[str, ...],
    justification: str,
    minutes: int,
    as_json: bool,
) -> int:
    """Ask on behalf of a member of NODE's staff; the ledger decides, and either answer is in the patient's history.

    A permit is kept in NODE until it ends; `salus release NODE PERMIT` fetches under it. Exit status 1: the answer is
    no, or the custodian has no such patient.

    \b
    Example:
      salus request ./north/z99001 --staff ./north/z99001/staff/dr-anita-rao.staff --from RZ1 \\
        --nhs-number 9990000018 --born 1968-03-14
    """
    from salus.cli.permit_files import remove_ended
    from salus.cli.persons import read_staff
    from salus.contracts.provisions import Purpose
    from salus.contracts.residuals import Scope
    from salus.ledger.identifiers import OrganisationId
    from salus.node.opening import open_node
    from salus.node.people import open_session
    from salus.node.services.request import Denied, Wish
    from salus.node.services.request import request as ask

    if purpose == "BTG" and not justification:
        raise Failure(BAD_INPUT, "expected a reason for breaking the glass, came none", "add --justification WORDS")
    person, role_class = read_staff(staff)
    holder = OrganisationId(custodian.upper())
    with open_node(node) as asking:
        session = open_session(person.key, person.certificate, custodian=holder, from_s=asking.clock())
        wish = Wish(
            pseudonym=_find(asking, holder, session, nhs_number, born, pseudonym),
            custodian=holder,
            role_class=role_class,
            purpose=Purpose[purpose],
            scope=Scope(classes=tuple(sorted(set(classes)))),
            justification=justification,
            duration_s=minutes * 60,
        )
        answer = ask(asking, session, wish)
        remove_ended(node, now_s=asking.clock())
    return _show_refusal(answer, as_json) if isinstance(answer, Denied) else _show_permit(node, answer, as_json)


def _show_refusal(answer: "Denied", as_json: bool) -> int:
    from salus.cli.decision_words import DENIALS

    facts: Facts = {"permitted": False, "reason": answer.reason.name.lower(), "height": answer.height}
    show(facts, [f"refused: {DENIALS[answer.reason]}", "the refusal is in the patient's history"], as_json=as_json)
    return NO


def _show_permit(node: Path, answer: "Granted", as_json: bool) -> int:
    from salus.cli.decision_words import BASES
    from salus.cli.permit_files import keep_permit
    from salus.clinical.uk_time import uk_time

    terms = answer.terms
    facts: Facts = {
        "permitted": True,
        "permit": answer.permit,
        "basis": terms.basis.name.lower(),
        "pseudonym": terms.pseudonym,
        "until_s": terms.until_s,
        "height": answer.height,
        "file": str(keep_permit(node, answer)),
    }
    lines = [
        f"permitted, because {BASES[terms.basis]}; until {uk_time(terms.until_s)}",
        f"next: salus release {node} {answer.permit.hex()[:8]}",
    ]
    show(facts, lines, as_json=as_json)
    return 0


def _find(
    node: "Node",
    custodian: "OrganisationId",
    session: "OpenSession",
    number: str | None,
    born: str | None,
    pseudonym: str | None,
) -> "Pseudonym":
    from contextlib import closing

    from salus.cli.persons import find_patient, read_born, read_number
    from salus.node.http_peers import node_peers
    from salus.node.services.match import match

    if pseudonym is not None or number is None or custodian == node.organisation:
        return find_patient(node, number=number, born=born, pseudonym=pseudonym)
    with closing(node_peers(node)) as peers:
        found = match(node, peers, custodian, session, read_number(number), date_of_birth=read_born(born))
    if found is None:
        raise Failure(NO, f"{custodian} answers nothing for this person", "check number and date of birth")
    return found
