"""File a chart: find the person or enrol them, and deposit everything as one batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from salus.clinical.fhir import FhirRejected
from salus.importers.charts import Chart
from salus.node.assemble import Node
from salus.node.services.deposit import Filed, deposit
from salus.node.services.owners import known_patient

RECORDS_PER_DEPOSIT = 4096
"""A larger chart is filed in several batches: memory and transactions stay bounded."""


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
    with _placed(chart.source):
        pseudonym, is_new = known_patient(node, chart.patient)
    filed: list[Filed] = []
    for start in range(0, len(chart.resources), RECORDS_PER_DEPOSIT):
        filed += deposit(node, pseudonym, chart.resources[start : start + RECORDS_PER_DEPOSIT])
    new_count = sum(each.is_new for each in filed)
    size_bytes = sum(len(each.body) for each in chart.resources)
    return FiledChart(bytes(pseudonym), is_new, new_count, len(filed) - new_count, size_bytes)


@contextmanager
def _placed(source: str) -> Iterator[None]:
    try:
        yield
    except FhirRejected as fault:
        raise fault.at(source) from fault
