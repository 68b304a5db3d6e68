"""Who lives together: households with names, ages and an address, drawn one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from salus.clinical.nhs_number import NhsNumber
from salus.testing.population.calendar import AS_OF, years_before
from salus.testing.population.chance import Chance
from salus.testing.population.names import BACKGROUNDS, POSTCODE_LETTERS, STREET_KINDS, STREETS, TOWNS, Background
from salus.testing.population.numbers import nhs_numbers
from salus.testing.population.uk_core.coding import Code

# Adults and children of a household, by how common they are.
SHAPES = (
    ((1, 0), 300),
    ((2, 0), 290),
    ((2, 1), 110),
    ((2, 2), 130),
    ((2, 3), 40),
    ((1, 1), 60),
    ((1, 2), 30),
    ((3, 0), 40),
)
ADULT_AGES = (((18, 39), 380), ((40, 64), 400), ((65, 79), 160), ((80, 97), 60))


@dataclass(frozen=True, slots=True)
class Home:
    """An address and the telephone number that goes with it."""

    line: str
    city: str
    postcode: str
    telephone: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is; the same at every custodian, however each one writes it down."""

    index: int
    household: int
    nhs_number: NhsNumber
    given: tuple[str, ...]
    family: str
    gender: str
    born: date
    ethnicity: Code
    home: Home

    @property
    def title(self) -> str:
        """How letters address the person."""
        if self.born > years_before(AS_OF, 18):
            return "Miss" if self.gender == "female" else "Master"
        return "Ms" if self.gender == "female" else "Mr"

    @property
    def full_name(self) -> str:
        """Title, first given name, family name."""
        return f"{self.title} {self.given[0]} {self.family}"


def identities(seed: int) -> Iterator[Identity]:
    """People without end, household by household; NHS numbers run out after some 900,000."""
    numbers = nhs_numbers(seed)
    index = 0
    household = 0
    while True:
        for identity in household_of(seed, household, index, numbers):
            yield identity
            index += 1
        household += 1


def household_of(seed: int, household: int, first_index: int, numbers: Iterator[NhsNumber]) -> Iterator[Identity]:
    """The people of one household, adults first; children have the first adult's name."""
    chance = Chance(seed, "household", household)
    adults, children = chance.weighted(SHAPES)
    background = chance.weighted(BACKGROUNDS)
    family = chance.pick(background.families)
    home = some_home(chance)
    ages = adult_ages(chance, adults, children) + [chance.between(0, 17) for _ in range(children)]
    for place, age in enumerate(ages):
        number = next(numbers, None)
        if number is None:
            return
        own_family = chance.pick(background.families) if 0 < place < adults and chance.per_mille(350) else family
        gender = "female" if chance.per_mille(505) else "male"
        yield Identity(
            index=first_index + place,
            household=household,
            nhs_number=number,
            given=some_given(chance, background, gender),
            family=own_family,
            gender=gender,
            born=years_before(AS_OF, age) - timedelta(days=chance.below(365)),
            ethnicity=chance.pick(background.categories),
            home=home,
        )


def adult_ages(chance: Chance, adults: int, children: int) -> list[int]:
    """Ages of adults who live together; with children none is above 55."""
    first = chance.between(*chance.weighted(ADULT_AGES))
    first = min(first, chance.between(24, 55)) if children else first
    return [first] + [max(18, first + chance.between(-6, 6)) for _ in range(adults - 1)]


def some_given(chance: Chance, background: Background, gender: str) -> tuple[str, ...]:
    """One or two given names."""
    names = background.women if gender == "female" else background.men
    first, second = chance.pick(names), chance.pick(names)
    return (first, second) if second != first and chance.per_mille(450) else (first,)


def some_home(chance: Chance) -> Home:
    """An address in one of the towns, with a number from the range kept for drama (Ofcom: 01632 960000 to 960999)."""
    city, area = chance.pick(TOWNS)
    letters = chance.pick(POSTCODE_LETTERS) + chance.pick(POSTCODE_LETTERS)
    return Home(
        line=f"{chance.between(1, 140)} {chance.pick(STREETS)} {chance.pick(STREET_KINDS)}",
        city=city,
        postcode=f"{area} {chance.between(1, 9)}{letters}",
        telephone=f"01632 960{chance.between(500, 999)}",
    )
