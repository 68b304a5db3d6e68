"""The hospital's chart: visits to clinics, admissions, the emergency department, tests, procedures, letters sent."""

from __future__ import annotations

from datetime import date, timedelta

from salus.testing.population.calendar import AS_OF, at, opening_minute, some_day
from salus.testing.population.charts.correspondence import letter_about
from salus.testing.population.charts.writer import Chart, ChartWriter, Visit, write_letter, write_panel, write_visit
from salus.testing.population.custodians import HOSPITAL
from salus.testing.population.lives import Episode, Life
from salus.testing.population.medicines import MEDICINES
from salus.testing.population.problems import CLINICS, DOMESTIC_ABUSE, OPERATIONS
from salus.testing.population.uk_core import events, medication
from salus.testing.population.uk_core.coding import Code

EMERGENCY = Code("185210004", "Seen in hospital casualty")
EMERGENCY_REASONS = (
    Code("271807003", "Eruption of skin"),
    Code("29857009", "Chest pain"),
    Code("21522001", "Abdominal pain"),
    Code("25064002", "Headache"),
    Code("25374005", "Gastroenteritis"),
)


def hospital_chart(life: Life) -> Chart:
    """The hospital's records of a person."""
    return hospital_writer(life).chart()


def hospital_writer(life: Life) -> ChartWriter:
    """The same, to which more can be added."""
    writer = ChartWriter(life, HOSPITAL)
    write_allergies(writer)
    cared_for = [each for each in life.episodes if each.problem.clinic not in ("", "psychiatry")]
    for episode in cared_for:
        write_care(writer, episode)
    if not cared_for or writer.chance.per_mille(300):
        write_emergency(writer)
    return writer


def write_allergies(writer: ChartWriter) -> None:
    """The allergies that people tell on admission; the hospital asks only what there is."""
    for allergy in writer.life.allergies:
        elements = events.allergy(
            subject=writer.subject,
            substance=allergy.substance,
            category=allergy.category,
            manifestation=allergy.manifestation,
            severity=allergy.severity,
            recorded=at(some_day(writer.chance, writer.life.since(900), AS_OF), 600),
            recorder=writer.by(HOSPITAL.staff[0]),
        )
        writer.add("AllergyIntolerance", elements)


def write_care(writer: ChartWriter, episode: Episode) -> None:
    """The visit, the diagnosis, tests, procedures, medicines and the letter of one illness."""
    problem = episode.problem
    letter = letter_about(writer.life, episode)
    visit = write_clinic_visit(writer, episode, letter.written)
    elements = events.condition(
        subject=writer.subject,
        name=problem.name,
        onset=episode.onset.isoformat(),
        ended=episode.ended.isoformat() if episode.ended else None,
        recorded=visit.time,
        recorder=writer.by(visit.seen_by),
        on_problem_list=False,
    )
    writer.add("Condition", elements, sensitivity=problem.sensitivity)
    for panel in problem.panels:
        write_panel(writer, panel, day=visit.day, minute=560, raised=True, sensitivity=problem.sensitivity)
    write_procedures(writer, episode, visit)
    write_medicines(writer, episode, visit)
    if problem.sensitivity == DOMESTIC_ABUSE:
        write_warning(writer, visit)
    write_letter(writer, letter)


def write_clinic_visit(writer: ChartWriter, episode: Episode, seen: date) -> Visit:
    """Half an hour in a clinic, or a stay of up to nine days that ends on the day of the letter."""
    clinic = CLINICS[episode.problem.clinic]
    minute = opening_minute(writer.chance)
    stay = timedelta(days=writer.chance.between(1, 9) if clinic.admits else 0)
    start = max(episode.onset, seen - stay)
    return write_visit(
        writer,
        kind=clinic.encounter,
        setting="IMP" if clinic.admits else "EMER" if clinic.service == "Emergency department" else "AMB",
        start=(start, minute),
        end=(seen, minute + 30),
        staff=HOSPITAL.working_in(clinic.service),
        reason=episode.problem.name,
        sensitivity=episode.problem.sensitivity,
    )


def write_procedures(writer: ChartWriter, episode: Episode, visit: Visit) -> None:
    """What the clinic does for everybody, and the operation that this illness needs."""
    done = (CLINICS[episode.problem.clinic].procedure, OPERATIONS.get(episode.problem.name.code))
    for name in done:
        if name is None:
            continue
        elements = events.procedure(
            subject=writer.subject,
            name=name,
            performed=visit.time,
            performer=writer.by(visit.seen_by),
            encounter=visit.encounter,
        )
        writer.add("Procedure", elements, sensitivity=episode.problem.sensitivity)


def write_medicines(writer: ChartWriter, episode: Episode, visit: Visit) -> None:
    """What was prescribed on discharge or in the clinic."""
    setting = "discharge" if CLINICS[episode.problem.clinic].admits else "outpatient"
    for name in episode.problem.medicines:
        elements = medication.request(
            subject=writer.subject,
            medicine=MEDICINES[name],
            written=visit.time,
            requester=writer.by(visit.seen_by),
            repeats=episode.ended is None,
            setting=setting,
        )
        writer.add("MedicationRequest", elements, sensitivity=episode.problem.sensitivity)


def write_warning(writer: ChartWriter, visit: Visit) -> None:
    """What staff must know before they speak with relatives or ring the home."""
    text = "Do not discuss with anybody at the home address; speak with the safeguarding team first."
    elements = events.flag(
        subject=writer.subject, text=text, start=visit.day.isoformat(), author=writer.by(visit.seen_by)
    )
    writer.add("Flag", elements, sensitivity=DOMESTIC_ABUSE)


def write_emergency(writer: ChartWriter) -> None:
    """An evening in the emergency department, with blood tests."""
    chance = writer.chance
    day = some_day(chance, writer.life.since(1000), AS_OF)
    minute = chance.between(60, 1100)
    write_visit(
        writer,
        kind=EMERGENCY,
        setting="EMER",
        start=(day, minute),
        end=(day, minute + chance.between(40, 230)),
        staff=HOSPITAL.working_in("Emergency department"),
        reason=chance.pick(EMERGENCY_REASONS),
    )
    for panel in ("FBC", "U&E"):
        write_panel(writer, panel, day=day, minute=minute + 20, raised=False, sensitivity=())
