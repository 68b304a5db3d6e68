"""Deposit: FHIR resources parsed, sealed and registered (DESIGN §9)."""

import tempfile
import time
from pathlib import Path

from bench.measure import Line
from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.node.new_records import new_record
from salus.node.services.deposit import ChartDeposit, deposit_charts
from salus.node.services.enrol import enrol
from salus.testing.population import HOSPITAL as TRUST
from salus.testing.population import people
from salus.testing.world import HOSPITAL, world

PEOPLE = 600
TOGETHER = 50


def run() -> list[Line]:
    """Deposit whole charts, one batch each."""
    charts = [(person, person.chart_at(TRUST.ods)) for person in people(1, PEOPLE)]
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), organisations=(HOSPITAL,)) as made:
        node = made.hospital
        enrolled = [
            (enrol(node, NhsNumber(person.nhs_number.digits), str(person.birth_date)), chart)
            for person, chart in charts
            if chart is not None
        ]
        begun, count = time.perf_counter(), 0
        for start in range(0, len(enrolled), TOGETHER):
            charts = [
                ChartDeposit(pseudonym, [new_record(parse(body)) for body in chart.resources])
                for pseudonym, chart in enrolled[start : start + TOGETHER]
            ]
            count += sum(len(filed) for filed in deposit_charts(node, charts))
        elapsed_s = time.perf_counter() - begun
    per_s = count / elapsed_s
    return [
        Line(
            "deposit: parsed, sealed, registered; each chart one batch, 50 charts together",
            "≥ 2,000 records/s",
            f"{per_s:,.0f} records/s ({count} records in {elapsed_s:.1f} s, one client)",
            per_s >= 2000,
            {"records": count, "elapsed_s": elapsed_s},
        )
    ]
