"""The people of the population, one after the other, each with a chart at every custodian that knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from salus.clinical.nhs_number import NhsNumber
from salus.testing.population.charts.hospital import hospital_chart
from salus.testing.population.charts.mental_health import mental_health_chart
from salus.testing.population.charts.pharmacy import pharmacy_chart
from salus.testing.population.charts.practice import practice_chart
from salus.testing.population.charts.writer import Chart
from salus.testing.population.custodians import HOSPITAL, MENTAL_HEALTH, PHARMACY, PRACTICE
from salus.testing.population.households import Identity, identities
from salus.testing.population.lives import Life, life_of
from salus.testing.population.numbers import PEOPLE_MAX

CHARTS: dict[str, Callable[[Life], Chart]] = {
    HOSPITAL.ods: hospital_chart,
    PRACTICE.ods: practice_chart,
    MENTAL_HEALTH.ods: mental_health_chart,
    PHARMACY.ods: pharmacy_chart,
}


@dataclass(frozen=True, slots=True)
class SyntheticPerson:
    """An invented person: demographics, and one chart for each custodian that holds records.

    `household` is equal for people who live together. `birth_date` is YYYY-MM-DD, `gender` a FHIR code.
    """

    index: int
    household: int
    nhs_number: NhsNumber
    given: tuple[str, ...]
    family: str
    gender: str
    birth_date: str
    postcode: str
    charts: tuple[Chart, ...]

    def chart_at(self, ods: str) -> Chart | None:
        """The chart at a custodian; None when it holds none."""
        return next((chart for chart in self.charts if chart.custodian.ods == ods), None)


def people(seed: int, count: int) -> Iterator[SyntheticPerson]:
    """The first `count` people of a seed, at constant memory; the same bytes on every Python version.

    Raises:
        ValueError: more people than there are NHS numbers of the test range.
    """
    if not 0 <= count <= PEOPLE_MAX:
        raise ValueError(
            f"expected 0 to {PEOPLE_MAX:,} people, came {count:,}: the test range of NHS numbers ends there"
        )
    return map(person_of, (life_of(seed, identity) for identity in islice(identities(seed), count)))


def person_of(life: Life) -> SyntheticPerson:
    """A person with charts told from a life."""
    return described(life.identity, tuple(CHARTS[custodian.ods](life) for custodian in life.custodians))


def described(identity: Identity, charts: tuple[Chart, ...]) -> SyntheticPerson:
    """A person with the given charts."""
    return SyntheticPerson(
        index=identity.index,
        household=identity.household,
        nhs_number=identity.nhs_number,
        given=identity.given,
        family=identity.family,
        gender=identity.gender,
        birth_date=identity.born.isoformat(),
        postcode=identity.home.postcode,
        charts=charts,
    )
