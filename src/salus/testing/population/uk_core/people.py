"""Patient, Practitioner, PractitionerRole, Organization and Location in UK Core shapes."""

from __future__ import annotations

from salus.clinical import nhs_number
from salus.testing.population.encoding import Json
from salus.testing.population.uk_core.coding import (
    TERMINOLOGY,
    UK_SYSTEM,
    Code,
    coding,
    concept,
    extension,
    reference,
)

ODS_ORGANISATION = "https://fhir.nhs.uk/Id/ods-organization-code"
ODS_SITE = "https://fhir.nhs.uk/Id/ods-site-code"
SDS_USER = "https://fhir.nhs.uk/Id/sds-user-id"
SDS_ROLE = "https://fhir.nhs.uk/Id/sds-role-profile-id"

VERIFIED = Code("01", "Number present and verified", f"{UK_SYSTEM}/UKCore-NHSNumberVerificationStatusEngland")
NOT_TRACED = Code("02", "Number present but not traced", f"{UK_SYSTEM}/UKCore-NHSNumberVerificationStatusEngland")
ENGLISH = Code("en", "English", "urn:ietf:bcp:47")
PROVIDER = Code("prov", "Healthcare Provider", f"{TERMINOLOGY}/organization-type")


def nhs_number_identifier(number: nhs_number.NhsNumber, *, verified: bool) -> Json:
    """The NHS number with whether it was traced; written out, for it is the content of a synthetic record."""
    status = concept(VERIFIED if verified else NOT_TRACED)
    return {
        "extension": [extension("NHSNumberVerificationStatus", valueCodeableConcept=status)],
        "system": nhs_number.SYSTEM,
        "value": number.digits,
    }


def local_identifier(ods: str, value: str) -> Json:
    """A custodian's own number for a patient."""
    return {"use": "usual", "system": f"https://{ods.lower()}.example/Id/patient", "value": value}


def ethnic_category(code: Code) -> Json:
    """The ethnic category as the person states it."""
    return extension("EthnicCategory", valueCodeableConcept=concept(code))


def human_name(*, given: tuple[str, ...], family: str, prefix: str, use: str = "official") -> Json:
    """A name."""
    return {"use": use, "family": family, "given": list(given), "prefix": [prefix]}


def phone(number: str, use: str) -> Json:
    """A telephone number from the ranges that are kept for drama."""
    return {"system": "phone", "value": number, "use": use}


def address(*, lines: tuple[str, ...], city: str, postcode: str, use: str = "home") -> Json:
    """A postal address."""
    return {"use": use, "type": "both", "line": list(lines), "city": city, "postalCode": postcode, "country": "GBR"}


def organisation(*, ods: str, name: str, telephone: str, place: Json) -> Json:
    """Elements of an Organization."""
    return {
        "identifier": [{"use": "official", "system": ODS_ORGANISATION, "value": ods}],
        "active": True,
        "type": [concept(PROVIDER)],
        "name": name,
        "telecom": [phone(telephone, "work")],
        "address": [place],
    }


def location(*, site: str, name: str, place: Json, organisation_id: str) -> Json:
    """Elements of a Location."""
    return {
        "identifier": [{"system": ODS_SITE, "value": site}],
        "status": "active",
        "name": name,
        "address": place,
        "managingOrganization": reference("Organization", organisation_id),
    }


def practitioner(*, user: str, name: Json, gender: str) -> Json:
    """Elements of a Practitioner."""
    return {"identifier": [{"system": SDS_USER, "value": user}], "active": True, "name": [name], "gender": gender}


def practitioner_role(*, profile: str, practitioner_id: str, organisation_id: str, role: Code) -> Json:
    """Elements of a PractitionerRole."""
    return {
        "identifier": [{"system": SDS_ROLE, "value": profile}],
        "active": True,
        "practitioner": reference("Practitioner", practitioner_id),
        "organization": reference("Organization", organisation_id),
        "code": [concept(role)],
    }


def speaks(language: Code = ENGLISH) -> Json:
    """The language in which to speak to a person."""
    return {"language": {"coding": [coding(language)]}, "preferred": True}
