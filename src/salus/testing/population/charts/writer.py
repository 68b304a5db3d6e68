"""A chart being written: resources of one person at one custodian, each with its id, profile and labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from salus.testing.population.calendar import at
from salus.testing.population.chance import Chance
from salus.testing.population.custodians import Custodian, Staff, by
from salus.testing.population.encoding import Json, json_bytes
from salus.testing.population.laboratory import PANELS, TESTS, LaboratoryTest
from salus.testing.population.letters import Letter
from salus.testing.population.lives import Life
from salus.testing.population.numbers import opaque_id
from salus.testing.population.uk_core import documents, events, people, results
from salus.testing.population.uk_core.coding import Code, meta, reference, security


@dataclass(frozen=True, slots=True)
class Chart:
    """A person's records at one custodian; `resources` begins with the Patient."""

    custodian: Custodian
    patient_id: str
    resources: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """An encounter that was written: its reference, its day and time, who was seen."""

    encounter: Json
    day: date
    time: str
    seen_by: Staff


class ChartWriter:
    """Collects the resources of a chart. Ids follow from seed, person, custodian and place in the chart."""

    def __init__(self, life: Life, custodian: Custodian) -> None:
        """Begin with the Patient resource."""
        self.life = life
        self.custodian = custodian
        self.chance = life.chance("chart", custodian.ods)
        self.patient_id = opaque_id(life.seed, "patient", life.identity.index, custodian.ods)
        self.subject = reference("Patient", self.patient_id)
        self.provider = reference("Organization", custodian.organisation_id, custodian.name)
        self.place = reference("Location", custodian.location_id)
        self._resources: list[bytes] = []
        self.add("Patient", patient_elements(self), own_id=self.patient_id)

    def add(
        self,
        kind: str,
        elements: Json,
        *,
        profile: str = "",
        sensitivity: tuple[str, ...] = (),
        own_id: str = "",
    ) -> str:
        """Write a resource and give back its id; the profile is that of the type unless another is named."""
        own_id = own_id or opaque_id(self.patient_id, len(self._resources))
        # R4 has no UK Core profile for Binary; its `meta` holds labels only.
        head = security(sensitivity) if kind == "Binary" and sensitivity else meta(profile or kind, sensitivity)
        start: Json = {"resourceType": kind, "id": own_id}
        if kind != "Binary" or sensitivity:
            start["meta"] = head
        self._resources.append(json_bytes(start | elements))
        return own_id

    def by(self, staff: Staff) -> Json:
        """A reference to a member of staff here."""
        return by(self.custodian, staff)

    def chart(self) -> Chart:
        """What was written."""
        return Chart(self.custodian, self.patient_id, tuple(self._resources))


def patient_elements(writer: ChartWriter) -> Json:
    """Elements of the Patient, as this custodian wrote them down.

    One in twenty was not traced there, and one in twenty has an old telephone number: what matching must cope with.
    """
    identity, chance = writer.life.identity, writer.life.chance("demographics", writer.custodian.ods)
    name = people.human_name(given=identity.given, family=identity.family, prefix=identity.title)
    home = identity.home
    telephone = f"01632 960{chance.between(500, 999)}" if chance.per_mille(50) else home.telephone
    return {
        "extension": [people.ethnic_category(identity.ethnicity)],
        "identifier": [
            people.nhs_number_identifier(identity.nhs_number, verified=not chance.per_mille(50)),
            people.local_identifier(writer.custodian.ods, f"{chance.between(1_000_000, 9_999_999)}"),
        ],
        "active": True,
        "name": [name],
        "telecom": [people.phone(telephone, "home")],
        "gender": identity.gender,
        "birthDate": identity.born.isoformat(),
        "address": [people.address(lines=(home.line,), city=home.city, postcode=home.postcode)],
        "communication": [people.speaks()],
        "managingOrganization": reference("Organization", writer.custodian.organisation_id),
    }


def write_visit(
    writer: ChartWriter,
    *,
    kind: Code,
    setting: str,
    start: tuple[date, int],
    end: tuple[date, int],
    staff: Staff,
    reason: Code | None = None,
    sensitivity: tuple[str, ...] = (),
) -> Visit:
    """Write an Encounter; times are a day with minutes after midnight."""
    elements = events.encounter(
        subject=writer.subject,
        kind=kind,
        setting=setting,
        start=at(*start),
        end=at(*end),
        seen_by=writer.by(staff),
        provider=writer.provider,
        place=writer.place,
        reason=reason,
    )
    own_id = writer.add("Encounter", elements, sensitivity=sensitivity)
    return Visit(reference("Encounter", own_id), start[0], at(*start), staff)


def write_panel(
    writer: ChartWriter, panel: str, *, day: date, minute: int, raised: bool, sensitivity: tuple[str, ...]
) -> None:
    """Write the results of a panel and the report that lists them; issued four hours after the sample."""
    found: list[tuple[str, str]] = []
    sampled, issued = at(day, minute), at(day, minute + 240)
    for name in PANELS[panel].tests:
        elements = results.laboratory(
            test=TESTS[name],
            value=measured(writer.chance, TESTS[name], raised=raised),
            subject=writer.subject,
            effective=sampled,
            issued=issued,
            performer=writer.provider,
        )
        own_id = writer.add("Observation", elements, profile="Observation-Lab", sensitivity=sensitivity)
        found.append((own_id, TESTS[name].names[0].display))
    report = results.report(
        subject=writer.subject,
        title=PANELS[panel].title,
        effective=sampled,
        issued=issued,
        performer=writer.provider,
        results=found,
    )
    writer.add("DiagnosticReport", report, profile="DiagnosticReport-Lab", sensitivity=sensitivity)


def measured(chance: Chance, test: LaboratoryTest, *, raised: bool) -> int:
    """A value around the usual middle, or around that of people with the illness; never below zero."""
    middle = test.raised if raised and chance.per_mille(600) else test.usual
    return max(1, chance.around(middle, test.spread))


def write_letter(writer: ChartWriter, letter: Letter) -> None:
    """File a letter: the PDF as a Binary, and the DocumentReference that describes it; both carry its labels."""
    binary = documents.binary(content=letter.pdf, patient_id=writer.patient_id)
    binary_id = writer.add("Binary", binary, sensitivity=letter.sensitivity)
    sent_here = letter.sender is writer.custodian
    elements = documents.document_reference(
        subject=writer.subject,
        kind=letter.kind,
        description=letter.title,
        written=at(letter.written, 960),
        author=by(letter.sender, letter.author) if sent_here else {"display": letter.author.signature},
        custodian=writer.provider,
        binary_id=binary_id,
        size_bytes=len(letter.pdf),
        sensitivity=letter.sensitivity,
    )
    writer.add("DocumentReference", elements, sensitivity=letter.sensitivity)
