"""A patient's records as one document that other systems read: in the sections of the International Patient Summary.

Promises: every record is in it as it was written, in one section, by which alone it is found; where a section that the
summary asks for has nothing, it says that nothing is available, which is not that there is nothing.
Records keep their own shape: none is made to fit the summary's profiles, and none is claimed to.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.clinical.fhir import plain
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.exact_json import write_exact
from salus.clinical.fhir.plain import Content

LOINC: Final = "http://loinc.org"
SUMMARY: Final = "60591-5"
EMPTY_REASON: Final = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
ODS: Final = "https://fhir.nhs.uk/Id/ods-organization-code"
_XHTML: Final = "http://www.w3.org/1999/xhtml"


@dataclass(frozen=True)
class Section:
    """A section: its title, LOINC code and term, and which types are in it; `is_asked_for` when it has nothing, too."""

    title: str
    code: str
    display: str
    types: tuple[str, ...]
    is_asked_for: bool = False


SECTIONS: Final = (
    Section(
        "Allergies", "48765-2", "Allergies and adverse reactions Document", ("AllergyIntolerance",), is_asked_for=True
    ),
    Section(
        "Medicines",
        "10160-0",
        "History of Medication use Narrative",
        ("MedicationRequest", "MedicationStatement"),
        is_asked_for=True,
    ),
    Section("Health problems", "11450-4", "Problem list - Reported", ("Condition",), is_asked_for=True),
    Section("Vaccinations", "11369-6", "History of Immunization note", ("Immunization",)),
    Section(
        "Test results",
        "30954-2",
        "Relevant diagnostic tests/laboratory data note",
        ("Observation", "DiagnosticReport", "ImagingStudy"),
    ),
    Section("Operations and procedures", "47519-4", "History of Procedures Document", ("Procedure",)),
)
"""International Patient Summary (HL7 FHIR IG 2.0), Composition: the first three sections are required."""
OTHERS: Final = Section("Other records", "34109-9", "Note", ())
SILENT: Final = Section("Did not answer", "48767-8", "Annotation comment [Interpretation] Narrative", ())


def _concept(system: str, code: str, display: str) -> dict[str, object]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


_UNAVAILABLE: Final = _concept(EMPTY_REASON, "unavailable", "Unavailable")


@dataclass(frozen=True)
class Part:
    """What one organisation has: its name and code, and the base under which `base/Type/id` stands for each record."""

    name: str
    code: str
    base: str
    records: Sequence[Content] = field(repr=False)

    def address(self, content: Content) -> str:
        """Return where a record of this part is, so that references within are found."""
        return f"{self.base}/{_type(content)}/{text(content, 'id')}"


def document(parts: Sequence[Part], *, silent: Sequence[str], identifier: str, made: str) -> bytes:
    """Return a Bundle of the type `document` (FHIR R4 3.3).

    Args:
        parts: of each organisation, whoever makes the document first; its Patient is whom the document is about.
        silent: names of organisations that did not answer; the document says so.
        identifier: of this document alone, `urn:uuid:…`.
        made: an instant.
    """
    author, all_of = parts[0], [(part, each) for part in parts for each in part.records]
    patient = next((each for each in author.records if _type(each) == "Patient"), None)
    others = [(part, each) for part, each in all_of if each is not patient]
    known = {name for section in SECTIONS for name in section.types}
    sections = [_section(each, [one for one in others if _type(one[1]) in each.types]) for each in SECTIONS]
    sections.append(_section(OTHERS, [each for each in others if _type(each[1]) not in known]))
    sections.append(_silent(silent) if silent else None)
    composition = {
        "resourceType": "Composition",
        "id": "summary",
        "language": "en-GB",
        "status": "final",
        "type": _concept(LOINC, SUMMARY, "Patient summary Document"),
        "subject": {"display": "Not said"} if patient is None else {"reference": author.address(patient)},
        "date": made,
        "author": [{"identifier": {"system": ODS, "value": each.code}, "display": each.name} for each in parts],
        "title": author.name,
        "section": [each for each in sections if each is not None],
    }
    entries: list[dict[str, object]] = [{"fullUrl": f"{author.base}/Composition/summary", "resource": composition}]
    for part, each in [*(one for one in all_of if one[1] is patient), *others]:
        entries.append({"fullUrl": part.address(each), "resource": msgspec.Raw(write_exact(each))})
    whole = {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": identifier},
        "type": "document",
        "timestamp": made,
        "entry": entries,
    }
    return msgspec.json.encode(whole)


def _section(section: Section, records: Sequence[tuple[Part, Content]]) -> dict[str, object] | None:
    said: dict[str, object] = {"title": section.title, "code": _concept(LOINC, section.code, section.display)}
    if records:
        told = [_line(each) for _, each in records]
        entry = [{"reference": part.address(each)} for part, each in records]
        return said | {"text": _narrative(told), "entry": entry}
    if not section.is_asked_for:
        return None
    return said | {"text": _narrative(["Nothing is available here."]), "emptyReason": _UNAVAILABLE}


def _silent(names: Sequence[str]) -> dict[str, object]:
    """A section that has nothing, because these organisations did not answer."""
    said = {"title": SILENT.title, "code": _concept(LOINC, SILENT.code, SILENT.display)}
    return said | {
        "author": [{"display": each} for each in names],
        "text": _narrative([f"{each} did not answer." for each in names]),
        "emptyReason": _UNAVAILABLE,
    }


def _line(content: Content) -> str:
    return " · ".join(filter(None, (plain.name_of(content), plain.date_of(content)))) or _type(content)


def _narrative(lines: Sequence[str]) -> dict[str, str]:
    items = "".join(f"<li>{html.escape(each)}</li>" for each in lines)
    return {"status": "generated", "div": f'<div xmlns="{_XHTML}"><ul>{items}</ul></div>'}


def _type(content: Content) -> str:
    return text(content, "resourceType") or ""
