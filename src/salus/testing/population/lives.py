"""What happened to a person: illnesses with their days, allergies, vaccinations, habits. Charts are told from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from salus.testing.population.calendar import AS_OF, age_at, working_day, years_before
from salus.testing.population.chance import Chance
from salus.testing.population.custodians import HOSPITAL, MENTAL_HEALTH, PHARMACY, PRACTICE, Custodian
from salus.testing.population.households import Identity
from salus.testing.population.problems import ALLERGIES, PROBLEMS, Allergy, Problem
from salus.testing.population.uk_core.coding import Code
from salus.testing.population.vaccines import VACCINATIONS, Vaccination

BAND_AGES = (0, 18, 40, 65)  # the lower ends of the bands for which problems give rates
LATEST_ONSET = AS_OF - timedelta(days=90)  # so that what follows from an illness lies before the last day too

SMOKING = (
    (Code("266919005", "Never smoked tobacco"), 620),
    (Code("8517006", "Ex-smoker"), 240),
    (Code("77176002", "Smoker"), 140),
)


@dataclass(frozen=True, slots=True)
class Episode:
    """An illness of one person; `ended` is None while it lasts."""

    problem: Problem
    onset: date
    ended: date | None


@dataclass(frozen=True, slots=True)
class Life:
    """A person and what there is to record; `seed` and the person's index name every further draw."""

    seed: int
    identity: Identity
    episodes: tuple[Episode, ...]
    allergies: tuple[Allergy, ...]
    vaccinations: tuple[tuple[Vaccination, date], ...]
    smoking: Code
    mass_index_tenths: int
    custodians: tuple[Custodian, ...]

    def chance(self, *purpose: int | str) -> Chance:
        """A stream of chance of this person's own."""
        return Chance(self.seed, "person", self.identity.index, *purpose)

    @property
    def age(self) -> int:
        """Completed years on the population's last day."""
        return age_at(AS_OF, self.identity.born)

    def since(self, days: int) -> date:
        """So many days before the population's last day, or the birth if that is later."""
        return max(self.identity.born, AS_OF - timedelta(days=days))


def life_of(seed: int, identity: Identity) -> Life:
    """Draw the life of a person."""
    chance = Chance(seed, "life", identity.index)
    episodes = tuple(episode_of(chance, identity, problem) for problem in drawn_problems(chance, identity))
    return Life(
        seed=seed,
        identity=identity,
        episodes=tuple(sorted(episodes, key=lambda episode: (episode.onset, episode.problem.name.code))),
        allergies=tuple(allergy for allergy, rate in ALLERGIES if chance.per_mille(rate)),
        vaccinations=vaccinations_of(chance, identity),
        smoking=chance.weighted(SMOKING),
        mass_index_tenths=chance.around(265, 60),
        custodians=custodians_of(chance, episodes),
    )


def drawn_problems(chance: Chance, identity: Identity) -> list[Problem]:
    """The illnesses that fall to somebody of this age and gender."""
    age = age_at(AS_OF, identity.born)
    band = sum(age >= bound for bound in BAND_AGES[1:])
    return [
        problem
        for problem in PROBLEMS
        if chance.per_mille(problem.rates[band])
        and problem.gender in ("", identity.gender)
        and earliest_onset(identity, problem) <= LATEST_ONSET
    ]


def earliest_onset(identity: Identity, problem: Problem) -> date:
    """Lasting illnesses go back up to 15 years and others up to 6, never before the age at which they occur."""
    youngest = next(age for age, rate in zip(BAND_AGES, problem.rates, strict=True) if rate)
    of_age = years_before(identity.born, -youngest) + timedelta(days=30)
    return max(of_age, years_before(AS_OF, 15 if problem.lasts else 6))


def episode_of(chance: Chance, identity: Identity, problem: Problem) -> Episode:
    """When it was noticed and, if it heals, ended."""
    onset = working_day(chance, earliest_onset(identity, problem), LATEST_ONSET)
    return Episode(problem, onset, None if problem.lasts else onset + timedelta(days=chance.between(7, 60)))


def vaccinations_of(chance: Chance, identity: Identity) -> tuple[tuple[Vaccination, date], ...]:
    """The vaccinations that somebody of this age has had, with the day."""
    age = age_at(AS_OF, identity.born)
    due = [each for each in VACCINATIONS if chance.per_mille(each.rate) and age >= each.from_age]
    days = [(each, vaccination_day(chance, identity, each)) for each in due]
    # What was given before 2010 is in paper records; what is due after the last day has not been given.
    return tuple((each, day) for each, day in days if date(2010, 1, 1) <= day <= AS_OF)


def vaccination_day(chance: Chance, identity: Identity, vaccination: Vaccination) -> date:
    """A day in the year of the campaign, or soon after the birthday at which it is due."""
    if vaccination.given_in_year is not None:
        return date(vaccination.given_in_year, 1, 4) + timedelta(days=chance.below(340))
    assert vaccination.given_at_age is not None
    birthday = years_before(identity.born, -vaccination.given_at_age)
    return birthday + timedelta(days=chance.between(5, 120))


def custodians_of(chance: Chance, episodes: tuple[Episode, ...]) -> tuple[Custodian, ...]:
    """Who holds records of a person: by what happened, and by chance; somebody always does."""
    clinics = {episode.problem.clinic for episode in episodes} - {""}
    takes_medicines = any(episode.problem.medicines for episode in episodes)
    holds = (
        (HOSPITAL, bool(clinics - {"psychiatry"}) or chance.per_mille(380)),
        (PRACTICE, chance.per_mille(970)),
        (MENTAL_HEALTH, "psychiatry" in clinics),
        (PHARMACY, takes_medicines and chance.per_mille(850)),
    )
    found = tuple(custodian for custodian, does in holds if does)
    return found or (PRACTICE,)
