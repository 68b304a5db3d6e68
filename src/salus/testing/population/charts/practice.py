"""The practice's chart: the long view, with problems, repeat medicines, checks, vaccinations and letters received."""

from __future__ import annotations

from datetime import date, timedelta

from salus.testing.population.calendar import AS_OF, at, opening_minute, working_day
from salus.testing.population.charts.correspondence import letter_about
from salus.testing.population.charts.writer import Chart, ChartWriter, Visit, write_letter, write_panel, write_visit
from salus.testing.population.custodians import PRACTICE
from salus.testing.population.lives import Episode, Life
from salus.testing.population.medicines import MEDICINES
from salus.testing.population.problems import NO_KNOWN_ALLERGY
from salus.testing.population.uk_core import events, medication, results
from salus.testing.population.uk_core.coding import Code

SURGERY = Code("185202000", "Seen in GP's surgery")
TELEPHONE = Code("386472008", "Telephone consultation")
NURSE = PRACTICE.working_in("Treatment room")


def practice_chart(life: Life) -> Chart:
    """The practice's records of a person."""
    writer = ChartWriter(life, PRACTICE)
    known = [episode for episode in life.episodes if episode.problem.at_practice]
    write_allergies(writer)
    for episode in known:
        write_problem(writer, episode)
    write_checks(writer)
    write_vaccinations(writer)
    for episode in known:
        if episode.problem.clinic:
            write_letter(writer, letter_about(life, episode))
    return writer.chart()


def write_allergies(writer: ChartWriter) -> None:
    """What the person must not have, or that nothing is known."""
    chance = writer.chance
    recorder = writer.by(PRACTICE.staff[0])
    recorded = at(working_day(chance, writer.life.since(3000), writer.life.since(900)), opening_minute(chance))
    if not writer.life.allergies:
        elements = events.no_known_allergy(
            subject=writer.subject, name=NO_KNOWN_ALLERGY, recorded=recorded, recorder=recorder
        )
        writer.add("AllergyIntolerance", elements)
    for allergy in writer.life.allergies:
        elements = events.allergy(
            subject=writer.subject,
            substance=allergy.substance,
            category=allergy.category,
            manifestation=allergy.manifestation,
            severity=allergy.severity,
            recorded=recorded,
            recorder=recorder,
        )
        writer.add("AllergyIntolerance", elements)


def write_problem(writer: ChartWriter, episode: Episode) -> None:
    """The consultation at which it was found, the entry in the problem list, its treatment and its tests."""
    problem = episode.problem
    visit = write_consultation(writer, episode.onset, reason=problem.name, sensitivity=problem.sensitivity)
    elements = events.condition(
        subject=writer.subject,
        name=problem.name,
        onset=episode.onset.isoformat(),
        ended=episode.ended.isoformat() if episode.ended else None,
        recorded=visit.time,
        recorder=writer.by(visit.seen_by),
        on_problem_list=True,
    )
    writer.add("Condition", elements, sensitivity=problem.sensitivity)
    write_treatment(writer, episode, visit)
    if episode.ended is None:
        write_monitoring(writer, episode)


def write_consultation(
    writer: ChartWriter, day: date, *, reason: Code | None = None, sensitivity: tuple[str, ...] = ()
) -> Visit:
    """Ten minutes with a doctor, now and then by telephone."""
    chance = writer.chance
    by_telephone = chance.per_mille(250)
    minute = opening_minute(chance)
    return write_visit(
        writer,
        kind=TELEPHONE if by_telephone else SURGERY,
        setting="VR" if by_telephone else "AMB",
        start=(day, minute),
        end=(day, minute + 10),
        staff=chance.pick(PRACTICE.staff[:3]),
        reason=reason,
        sensitivity=sensitivity,
    )


def write_treatment(writer: ChartWriter, episode: Episode, visit: Visit) -> None:
    """A prescription for each medicine; for lasting illnesses the latest issue."""
    lasts = episode.ended is None
    for name in episode.problem.medicines:
        issued = working_day(writer.chance, AS_OF - timedelta(days=60), AS_OF) if lasts else visit.day
        elements = medication.request(
            subject=writer.subject,
            medicine=MEDICINES[name],
            written=at(issued, 700),
            requester=writer.by(visit.seen_by),
            repeats=lasts,
            setting="community",
        )
        writer.add("MedicationRequest", elements, sensitivity=episode.problem.sensitivity)


def write_monitoring(writer: ChartWriter, episode: Episode) -> None:
    """The yearly blood test of a lasting illness, in each of the last two years that it has been known."""
    chance = writer.chance
    for years in (2, 1):
        end = AS_OF - timedelta(days=365 * (years - 1))
        day = working_day(chance, end - timedelta(days=200), end)
        if day <= episode.onset:
            continue
        minute = opening_minute(chance)
        for panel in episode.problem.panels:
            write_panel(writer, panel, day=day, minute=minute, raised=True, sensitivity=episode.problem.sensitivity)


def write_checks(writer: ChartWriter) -> None:
    """Some consultations without a finding, and for adults the nurse's yearly check."""
    for _ in range(writer.chance.between(1, 5)):
        write_consultation(writer, working_day(writer.chance, writer.life.since(1100), AS_OF))
    if writer.life.age >= 18:
        write_nurse_check(writer)


def write_nurse_check(writer: ChartWriter) -> None:
    """Blood pressure, weight, mass index and smoking, all at one visit."""
    chance, life = writer.chance, writer.life
    day, minute = working_day(chance, life.since(400), AS_OF), opening_minute(chance)
    visit = write_visit(writer, kind=SURGERY, setting="AMB", start=(day, minute), end=(day, minute + 20), staff=NURSE)
    seen = {"subject": writer.subject, "performer": writer.by(NURSE)}
    raised = any(episode.problem.name.display == "Hypertensive disorder" for episode in life.episodes)
    pressure = results.blood_pressure(
        systolic=chance.around(142 if raised else 124, 18),
        diastolic=chance.around(86 if raised else 76, 10),
        effective=visit.time,
        **seen,
    )
    writer.add("Observation", pressure, profile="Observation-VitalSigns-BloodPressure")
    height_squared = chance.around(2890, 400)  # in thousandths of a square metre
    tenths_of_kg = life.mass_index_tenths * height_squared // 1000
    weight = results.weight(tenths_of_kg=tenths_of_kg, effective=visit.time, **seen)
    writer.add("Observation", weight, profile="Observation-VitalSigns-BodyWeight")
    mass_index = results.body_mass_index(tenths=life.mass_index_tenths, effective=visit.time, **seen)
    writer.add("Observation", mass_index, profile="Observation-VitalSigns-BMI")
    writer.add("Observation", results.smoking(status=life.smoking, effective=visit.time, **seen))


def write_vaccinations(writer: ChartWriter) -> None:
    """What the practice gave or was told of."""
    for vaccination, day in writer.life.vaccinations:
        elements = events.immunisation(
            subject=writer.subject,
            procedure=vaccination.procedure,
            product=vaccination.product,
            text=vaccination.text,
            given=at(day, opening_minute(writer.chance)),
            lot=f"{writer.chance.pick('ABFKLX')}{writer.chance.between(1000, 9999)}",
            performer=writer.by(NURSE),
        )
        writer.add("Immunization", elements)
