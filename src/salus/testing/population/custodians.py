"""The four organisations that hold records of this population, with their staff. All invented.

ODS codes look like those of their kind (three characters for a trust, a letter and five digits for a practice, five
characters for a pharmacy) and lie where none has been issued.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from salus.testing.population.encoding import Json, json_bytes
from salus.testing.population.numbers import opaque_id
from salus.testing.population.uk_core import people
from salus.testing.population.uk_core.coding import Code, meta, reference

GENERAL_PRACTITIONER = Code("62247001", "General practitioner")
PRACTICE_NURSE = Code("159002008", "Practice nurse")
CONSULTANT = Code("309390008", "Hospital consultant")
EMERGENCY_PHYSICIAN = Code("309294001", "Emergency department physician")
PSYCHIATRIST = Code("80584001", "Psychiatrist")
LIAISON_PSYCHIATRIST = Code("309363004", "Liaison psychiatrist")
MENTAL_HEALTH_NURSE = Code("224564000", "Community mental health nurse")
PHARMACIST = Code("46255001", "Pharmacist")


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff; `works_in` is the service as letters name it."""

    works_in: str
    prefix: str
    given: str
    family: str
    gender: str
    role: Code

    @property
    def signature(self) -> str:
        """As under a letter."""
        return f"{self.prefix} {self.given} {self.family}"


@dataclass(frozen=True, slots=True)
class Custodian:
    """An organisation that keeps records; `kind` says what it is, in the words of this population's code."""

    ods: str
    kind: str
    name: str
    telephone: str
    lines: tuple[str, ...]
    city: str
    postcode: str
    staff: tuple[Staff, ...] = field(repr=False)

    @property
    def organisation_id(self) -> str:
        """The id of its Organization resource."""
        return opaque_id("organisation", self.ods)

    @property
    def location_id(self) -> str:
        """The id of its Location resource."""
        return opaque_id("location", self.ods)

    def practitioner_id(self, staff: Staff) -> str:
        """The id of a Practitioner resource at this custodian."""
        return opaque_id("practitioner", self.ods, staff.signature)

    def working_in(self, service: str) -> Staff:
        """Who answers for a service; the first of the staff when nobody is named for it."""
        return next((each for each in self.staff if each.works_in == service), self.staff[0])


HOSPITAL = Custodian(
    *("RZ1", "hospital", "Ambleford University Hospitals NHS Foundation Trust", "01632 960100"),
    *(("Ambleford General Hospital", "Infirmary Road"), "Ambleford", "ZZ1 4AH"),
    staff=(
        Staff("Acute medicine", "Dr", "Helen", "Marsh", "female", CONSULTANT),
        Staff("General surgery", "Mr", "Tunde", "Adeyemi", "male", CONSULTANT),
        Staff("Cardiology", "Dr", "Priya", "Nair", "female", CONSULTANT),
        Staff("Diabetes and endocrinology", "Dr", "Owen", "Price", "male", CONSULTANT),
        Staff("Respiratory medicine", "Dr", "Fiona", "Baird", "female", CONSULTANT),
        Staff("Rheumatology", "Dr", "Samuel", "Osei", "male", CONSULTANT),
        Staff("Neurology", "Dr", "Ingrid", "Holm", "female", CONSULTANT),
        Staff("Clinical genetics", "Dr", "Leila", "Haddad", "female", CONSULTANT),
        Staff("Early pregnancy unit", "Miss", "Joan", "Whitlock", "female", CONSULTANT),
        Staff("Sexual health", "Dr", "Marcus", "Bell", "male", CONSULTANT),
        Staff("Emergency department", "Dr", "Aoife", "Brennan", "female", EMERGENCY_PHYSICIAN),
        Staff("Liaison psychiatry", "Dr", "Edmund", "Farrow", "male", LIAISON_PSYCHIATRIST),
    ),
)
PRACTICE = Custodian(
    *("Z99001", "practice", "Harrowmere Medical Centre", "01632 960200"),
    *(("Harrowmere Medical Centre", "2 Chapel Street"), "Harrowmere", "ZZ2 1MC"),
    staff=(
        Staff("General practice", "Dr", "Anita", "Rao", "female", GENERAL_PRACTITIONER),
        Staff("General practice", "Dr", "James", "Thornbury", "male", GENERAL_PRACTITIONER),
        Staff("General practice", "Dr", "Siân", "Pugh", "female", GENERAL_PRACTITIONER),
        Staff("Treatment room", "Ms", "Carol", "Dunn", "female", PRACTICE_NURSE),
    ),
)
MENTAL_HEALTH = Custodian(
    *("RZ2", "mental health trust", "Stonewick Partnership NHS Foundation Trust", "01632 960300"),
    *(("Stonewick House", "Park Crescent"), "Stonewick", "ZZ3 7SW"),
    staff=(
        Staff("Adult psychiatry", "Dr", "Nadine", "Okoro", "female", PSYCHIATRIST),
        Staff("Adult psychiatry", "Dr", "Peter", "Lindqvist", "male", PSYCHIATRIST),
        Staff("Community team", "Mr", "Declan", "Shaw", "male", MENTAL_HEALTH_NURSE),
    ),
)
PHARMACY = Custodian(
    *("FZ901", "pharmacy", "Mill Lane Pharmacy", "01632 960400"),
    *(("14 Mill Lane",), "Harrowmere", "ZZ2 3ML"),
    staff=(
        Staff("Dispensary", "Ms", "Yasmin", "Chowdhury", "female", PHARMACIST),
        Staff("Dispensary", "Mr", "Gareth", "Lowe", "male", PHARMACIST),
    ),
)
CUSTODIANS = (HOSPITAL, PRACTICE, MENTAL_HEALTH, PHARMACY)


def shared_resources(custodian: Custodian) -> tuple[bytes, ...]:
    """The resources that are about nobody's health: the organisation, its site, its staff and their roles."""
    staff = (body for number, each in enumerate(custodian.staff) for body in staff_resources(custodian, each, number))
    return (organisation_resource(custodian), location_resource(custodian), *staff)


def organisation_resource(custodian: Custodian) -> bytes:
    """The Organization."""
    elements = people.organisation(
        ods=custodian.ods, name=custodian.name, telephone=custodian.telephone, place=place_of(custodian)
    )
    return resource("Organization", custodian.organisation_id, "Organization", elements)


def location_resource(custodian: Custodian) -> bytes:
    """The Location of its one site."""
    elements = people.location(
        site=f"{custodian.ods}01",
        name=custodian.lines[0],
        place=place_of(custodian),
        organisation_id=custodian.organisation_id,
    )
    return resource("Location", custodian.location_id, "Location", elements)


def staff_resources(custodian: Custodian, staff: Staff, number: int) -> tuple[bytes, bytes]:
    """A Practitioner and the PractitionerRole."""
    own_id = custodian.practitioner_id(staff)
    name = people.human_name(given=(staff.given,), family=staff.family, prefix=staff.prefix)
    serial = f"999{[each.ods for each in CUSTODIANS].index(custodian.ods)}{number:03}"
    person = people.practitioner(user=f"{serial}00001", name=name, gender=staff.gender)
    role = people.practitioner_role(
        profile=f"{serial}00002",
        practitioner_id=own_id,
        organisation_id=custodian.organisation_id,
        role=staff.role,
    )
    return (
        resource("Practitioner", own_id, "Practitioner", person),
        resource("PractitionerRole", opaque_id("role", own_id), "PractitionerRole", role),
    )


def place_of(custodian: Custodian) -> Json:
    """The postal address."""
    return people.address(lines=custodian.lines, city=custodian.city, postcode=custodian.postcode, use="work")


def resource(kind: str, own_id: str, profile: str, elements: Json) -> bytes:
    """The bytes of a resource that carries no label."""
    return json_bytes({"resourceType": kind, "id": own_id, "meta": meta(profile)} | elements)


def by(custodian: Custodian, staff: Staff) -> Json:
    """A reference to a member of staff."""
    return reference("Practitioner", custodian.practitioner_id(staff), staff.signature)
