"""People with a story, told in the demo and in tests by name."""

from __future__ import annotations

from datetime import date

from salus.testing.population.charts.hospital import hospital_writer
from salus.testing.population.charts.practice import practice_chart
from salus.testing.population.charts.writer import ChartWriter, write_letter
from salus.testing.population.custodians import HOSPITAL, PRACTICE
from salus.testing.population.households import Home, Identity
from salus.testing.population.letters import CLINICAL_LETTER, letter
from salus.testing.population.lives import SMOKING, Episode, Life
from salus.testing.population.names import ethnic
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.population.people import SyntheticPerson, described
from salus.testing.population.problems import ALLERGIES, PROBLEMS, PSYCHIATRIC, Problem
from salus.testing.population.vaccines import VACCINATIONS

PSYCHIATRIC_LETTER_DAY = date(2026, 3, 18)


def story_patient(seed: int) -> SyntheticPerson:
    """Eleanor Hughes: known to the hospital and to the practice, with one psychiatric letter at the hospital.

    Hospital: diabetes clinic, an admission with pneumonia, results, allergies, letters; and one letter of the liaison
    psychiatrist, which alone carries PSY (the letter's entry and its PDF, both also R). Practice: problems, medicines,
    checks, vaccinations, the other letters. The seed changes values and days, never who she is or what is labelled.
    """
    life = story_life(seed)
    writer = hospital_writer(life)
    write_psychiatric_letter(writer)
    return described(life.identity, (writer.chart(), practice_chart(life)))


def story_life(seed: int) -> Life:
    """Her life, with the days on which things began."""
    return Life(
        seed=seed,
        identity=eleanor(),
        episodes=(
            Episode(named("Hypertensive disorder"), date(2015, 9, 3), None),
            Episode(named("Type 2 diabetes mellitus"), date(2018, 4, 19), None),
            Episode(named("Pneumonia"), date(2026, 1, 26), date(2026, 3, 2)),
        ),
        allergies=tuple(allergy for allergy, _ in ALLERGIES[:1]),
        vaccinations=tuple((each, date(2025, 10, 9)) for each in VACCINATIONS if each.text == "Influenza vaccine"),
        smoking=SMOKING[0][0],
        mass_index_tenths=291,
        custodians=(HOSPITAL, PRACTICE),
    )


def eleanor() -> Identity:
    """Who she is; index -1 keeps her chance apart from everybody's in the population."""
    return Identity(
        index=-1,
        household=-1,
        nhs_number=kept_nhs_number(0),
        given=("Eleanor", "Ruth"),
        family="Hughes",
        gender="female",
        born=date(1968, 3, 14),
        ethnicity=ethnic("A", "White - British"),
        home=Home("27 Orchard Lane", "Harrowmere", "ZZ2 6QD", "01632 960727"),
    )


def named(display: str) -> Problem:
    """A problem of the population by its name."""
    return next(problem for problem in PROBLEMS if problem.name.display == display)


def write_psychiatric_letter(writer: ChartWriter) -> None:
    """What the liaison psychiatrist wrote to the ward that had asked; the practice never got it."""
    sent = letter(
        identity=writer.life.identity,
        sender=HOSPITAL,
        author=HOSPITAL.working_in("Liaison psychiatry"),
        kind=CLINICAL_LETTER,
        written=PSYCHIATRIC_LETTER_DAY,
        diagnosis="Depressive episode after a bereavement",
        paragraphs=(
            "I saw Ms Hughes after her stay on your ward. She has slept little since her brother died in the autumn.",
            "She asked that this be kept between us as far as possible.",
            "There were no thoughts of self-harm. We agreed on talking therapy and no medicines for now.",
        ),
        sensitivity=PSYCHIATRIC,
        to=(HOSPITAL.working_in("Acute medicine").signature, "Acute medicine"),
    )
    write_letter(writer, sent)
