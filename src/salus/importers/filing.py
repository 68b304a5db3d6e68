"""File a chart: find the person or enrol them, and deposit everything as one batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from salus.clinical.fhir import Demographics, Fault, FhirRejected, Resource, demographics
from salus.clinical.fhir.elements import objects, text
from salus.clinical.fhir.strict_json import read_object
from salus.clinical.local_number import LENGTH_MAX, LocalNumber
from salus.importers.charts import Chart
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.services import enrol
from salus.node.services.deposit import Filed, deposit

RECORDS_PER_DEPOSIT = 4096
"""A larger chart is filed in several batches: memory and transactions stay bounded."""
BORN_UNKNOWN = ""


@dataclass(frozen=True)
class FiledChart:
    """What became of a chart: whose it is here, what was new, what was here before."""

    pseudonym: bytes
    is_enrolled_now: bool
    new_count: int
    known_count: int
    size_bytes: int


def file_chart(node: Node, chart: Chart) -> FiledChart:
    """File a chart, and enrol its person with a key that the custodian holds if they have none here.

    Raises:
        FhirRejected: the Patient cannot be told from others; or another person has this number here.
        Refused: the ledger says no.
        NotNow: ledger or vault are away; the same file again goes on where this stopped.
    """
    person = demographics(chart.patient.body)
    number = person_number(person, chart.patient)
    born = person.birth_date or BORN_UNKNOWN
    pseudonym = enrol.match(node, number, born)
    is_new = pseudonym is None
    if pseudonym is None:
        with _told_apart(chart.source):
            pseudonym = enrol.enrol(node, number, born)
    filed: list[Filed] = []
    for start in range(0, len(chart.resources), RECORDS_PER_DEPOSIT):
        filed += deposit(node, pseudonym, chart.resources[start : start + RECORDS_PER_DEPOSIT])
    new_count = sum(each.is_new for each in filed)
    size_bytes = sum(len(each.body) for each in chart.resources)
    return FiledChart(bytes(pseudonym), is_new, new_count, len(filed) - new_count, size_bytes)


def person_number(person: Demographics, patient: Resource) -> enrol.PersonNumber:
    """Return the number by which a person is known: the NHS number, else the first of the source's own.

    Raises:
        FhirRejected: the Patient has no number and no id.
    """
    if person.nhs_number is not None:
        return person.nhs_number
    for identifier in objects(read_object(patient.body), "identifier"):
        system, value = text(identifier, "system"), text(identifier, "value")
        if system and value and identifier.get("use") != "old" and len(system) + len(value) <= LENGTH_MAX:
            return LocalNumber(system, value)
    if patient.id is not None:
        return LocalNumber("Patient", patient.id)
    expected, hint = "a Patient with an NHS number, an identifier or an id", "add one at its source"
    raise FhirRejected(Fault.NO_PATIENT, expected=expected, came="one without any", hint=hint)


@contextmanager
def _told_apart(source: str) -> Iterator[None]:
    """Whoever has this number here has the same date of birth, or it is somebody else's chart."""
    try:
        yield
    except Refused as refused:
        if refused.refusal is not Refusal.ALREADY_ENROLLED:
            raise
        hint = "check the number and the date of birth at the source: two people may have been mixed up"
        expected, came = "the date of birth that this person has here", "another"
        raise FhirRejected(Fault.WRONG_PATIENT, expected=expected, came=came, hint=hint, place=source) from refused
