"""The pharmacy's chart: what was dispensed, and when it was handed over."""

from __future__ import annotations

from datetime import timedelta

from salus.testing.population.calendar import AS_OF, at, opening_minute, working_day
from salus.testing.population.charts.writer import Chart, ChartWriter
from salus.testing.population.custodians import PHARMACY
from salus.testing.population.lives import Episode, Life
from salus.testing.population.medicines import MEDICINES
from salus.testing.population.uk_core import medication

ISSUES = 2  # how many of the monthly supplies are still in the record


def pharmacy_chart(life: Life) -> Chart:
    """The pharmacy's records of a person."""
    writer = ChartWriter(life, PHARMACY)
    for episode in life.episodes:
        for name in episode.problem.medicines:
            write_supplies(writer, episode, name)
    return writer.chart()


def write_supplies(writer: ChartWriter, episode: Episode, name: str) -> None:
    """The last monthly supplies of a lasting treatment, or the one supply of a short one."""
    chance = writer.chance
    for issue in range(ISSUES if episode.ended is None else 1):
        first = AS_OF - timedelta(days=3) if episode.ended is None else episode.onset
        day = working_day(chance, first, first + timedelta(days=3)) - timedelta(days=28 * issue)
        minute = opening_minute(chance)
        elements = medication.dispense(
            subject=writer.subject,
            medicine=MEDICINES[name],
            prepared=at(day, minute),
            handed_over=at(day, minute + 25),
            performer=writer.by(chance.pick(PHARMACY.staff)),
        )
        writer.add("MedicationDispense", elements, sensitivity=episode.problem.sensitivity)
