"""The mental health trust's chart. All but the demographics is labelled: even the date of a visit says something."""

from __future__ import annotations

from datetime import date, timedelta

from salus.testing.population.calendar import AS_OF, opening_minute, working_day
from salus.testing.population.charts.correspondence import letter_about
from salus.testing.population.charts.writer import Chart, ChartWriter, Visit, write_letter, write_visit
from salus.testing.population.custodians import MENTAL_HEALTH, Staff
from salus.testing.population.lives import Episode, Life
from salus.testing.population.medicines import MEDICINES
from salus.testing.population.problems import CLINICS
from salus.testing.population.uk_core import events, medication

NURSE = MENTAL_HEALTH.working_in("Community team")


def mental_health_chart(life: Life) -> Chart:
    """The mental health trust's records of a person."""
    writer = ChartWriter(life, MENTAL_HEALTH)
    for episode in life.episodes:
        if episode.problem.clinic == "psychiatry":
            write_care(writer, episode)
    return writer.chart()


def write_care(writer: ChartWriter, episode: Episode) -> None:
    """The first assessment, the diagnosis, medicines, the care plan, a follow-up visit and the letter."""
    problem, letter = episode.problem, letter_about(writer.life, episode)
    visit = write_assessment(writer, episode, seen=letter.written, by=letter.author)
    diagnosis = events.condition(
        subject=writer.subject,
        name=problem.name,
        onset=episode.onset.isoformat(),
        ended=None,
        recorded=visit.time,
        recorder=writer.by(visit.seen_by),
        on_problem_list=False,
    )
    diagnosis_id = writer.add("Condition", diagnosis, sensitivity=problem.sensitivity)
    write_medicines(writer, episode, visit)
    write_plan(writer, episode, diagnosis_id)
    last = working_day(writer.chance, max(episode.onset, AS_OF - timedelta(days=120)), AS_OF)
    write_assessment(writer, episode, seen=last, by=NURSE)
    write_letter(writer, letter)


def write_assessment(writer: ChartWriter, episode: Episode, *, seen: date, by: Staff) -> Visit:
    """Fifty minutes in the clinic."""
    minute = opening_minute(writer.chance)
    return write_visit(
        writer,
        kind=CLINICS["psychiatry"].encounter,
        setting="AMB",
        start=(seen, minute),
        end=(seen, minute + 50),
        staff=by,
        reason=episode.problem.name,
        sensitivity=episode.problem.sensitivity,
    )


def write_medicines(writer: ChartWriter, episode: Episode, visit: Visit) -> None:
    """What the psychiatrist started."""
    for name in episode.problem.medicines:
        prescribed = medication.request(
            subject=writer.subject,
            medicine=MEDICINES[name],
            written=visit.time,
            requester=writer.by(visit.seen_by),
            repeats=True,
            setting="outpatient",
        )
        writer.add("MedicationRequest", prescribed, sensitivity=episode.problem.sensitivity)


def write_plan(writer: ChartWriter, episode: Episode, diagnosis_id: str) -> None:
    """What was agreed."""
    plan = events.care_plan(
        subject=writer.subject,
        title="Care plan",
        description="Weekly contact with the community team; crisis line explained; review with the psychiatrist.",
        start=episode.onset.isoformat(),
        author=writer.by(NURSE),
        about=diagnosis_id,
    )
    writer.add("CarePlan", plan, sensitivity=episode.problem.sensitivity)
