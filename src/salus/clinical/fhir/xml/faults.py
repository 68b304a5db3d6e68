"""Refusals of XML, each with the line on which it stands and nothing of what stands there."""

from __future__ import annotations

from salus.clinical.fhir.faults import Fault, FhirRejected


def not_xml(came: str, place: str = "") -> FhirRejected:
    """The refusal of bytes that are not XML in UTF-8."""
    hint = "check that the file is whole"
    return FhirRejected(Fault.NOT_XML, expected="XML in UTF-8", came=came, hint=hint, place=place)


def forbidden(came: str, place: str) -> FhirRejected:
    """The refusal of what XML has and FHIR does not use, because it makes readers fetch, grow or run something."""
    hint = "take it out: FHIR needs none"
    return FhirRejected(Fault.XML_FORBIDDEN, expected="elements, attributes, text", came=came, hint=hint, place=place)


def not_fhir(expected: str, came: str, place: str) -> FhirRejected:
    """The refusal of XML that is well formed and not FHIR's."""
    hint = "compare with the XML template of the type in FHIR R4"
    return FhirRejected(Fault.NOT_FHIR_XML, expected=expected, came=came, hint=hint, place=place)


def no_xml_form(expected: str, came: str, place: str) -> FhirRejected:
    """The refusal of a JSON value that has no form in XML."""
    hint = "validate it first: only what has the shape of its type can be told in XML"
    return FhirRejected(Fault.NO_XML_FORM, expected=expected, came=came, hint=hint, place=place)
