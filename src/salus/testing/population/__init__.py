"""A synthetic UK population: invented people with records at four organisations, from a seed.

Promises: the same seed gives the same bytes on every Python version and platform; every NHS number lies in the test
range and is given out once; what should carry a sensitivity label carries it. No person, address or organisation is
real. Uses the standard library only.
"""

from salus.testing.population.charts.writer import Chart
from salus.testing.population.custodians import (
    CUSTODIANS,
    HOSPITAL,
    MENTAL_HEALTH,
    PHARMACY,
    PRACTICE,
    Custodian,
    shared_resources,
)
from salus.testing.population.people import SyntheticPerson, people
from salus.testing.population.story import story_patient
from salus.testing.population.writing import FolderInUse, Population, write

__all__ = [
    "CUSTODIANS",
    "HOSPITAL",
    "MENTAL_HEALTH",
    "PHARMACY",
    "PRACTICE",
    "Chart",
    "Custodian",
    "FolderInUse",
    "Population",
    "SyntheticPerson",
    "people",
    "shared_resources",
    "story_patient",
    "write",
]
