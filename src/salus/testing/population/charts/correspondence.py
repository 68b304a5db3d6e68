"""The letters of a life: one for each illness that a clinic or team looks after, the same for sender and receiver."""

from __future__ import annotations

from datetime import timedelta

from salus.testing.population.calendar import AS_OF, working_day
from salus.testing.population.custodians import HOSPITAL, MENTAL_HEALTH, Custodian
from salus.testing.population.letters import CLINICAL_LETTER, DISCHARGE_SUMMARY, Letter, letter
from salus.testing.population.lives import Episode, Life
from salus.testing.population.medicines import MEDICINES
from salus.testing.population.problems import CLINICS

# What such letters say; drawn by chance, so that no two people's letters read alike.
EXAMINATIONS = (
    "On examination there was nothing of concern.",
    "Examination today was unremarkable and the results are enclosed with our records.",
    "There has been steady improvement since the last appointment.",
    "Symptoms are much as they were and sleep is poor.",
)
PLANS = (
    "We will see {name} again in six months and would be grateful if you continued the treatment.",
    "We have made no change to the treatment. Please contact us if things get worse.",
    "We have talked about the options and {name} would like some time to decide.",
    "No further appointment has been made with us.",
)


def letter_about(life: Life, episode: Episode) -> Letter:
    """The letter after the first visit to the clinic that looks after an illness."""
    problem, clinic = episode.problem, CLINICS[episode.problem.clinic]
    chance = life.chance("letter", problem.name.code)
    sender = sender_of(episode)
    first = episode.onset + timedelta(days=2)
    written = working_day(chance, first, min(AS_OF, first + timedelta(days=40)))
    opening = "was admitted to our care" if clinic.admits else f"was seen in our {clinic.service.lower()} clinic"
    name = f"{life.identity.title} {life.identity.family}"
    return letter(
        identity=life.identity,
        sender=sender,
        author=sender.working_in(clinic.service),
        kind=DISCHARGE_SUMMARY if clinic.admits else CLINICAL_LETTER,
        written=written,
        diagnosis=problem.name.display,
        paragraphs=(
            f"Thank you for letting us see {name}, who {opening}. {chance.pick(EXAMINATIONS)}",
            treatment(problem.medicines),
            chance.pick(PLANS).format(name=name),
        ),
        sensitivity=problem.sensitivity,
    )


def sender_of(episode: Episode) -> Custodian:
    """Who looks after an illness that has a clinic."""
    return MENTAL_HEALTH if episode.problem.clinic == "psychiatry" else HOSPITAL


def treatment(medicines: tuple[str, ...]) -> str:
    """What was prescribed, in a sentence."""
    if not medicines:
        return "No medicines were started."
    named = [MEDICINES[each] for each in medicines]
    return (
        "Treatment: "
        + "; ".join(f"{each.product.display}, {each.instruction[:1].lower()}{each.instruction[1:]}" for each in named)
        + "."
    )
