"""A patient's records as one document that other systems read: in the sections of the International Patient Summary.

Promises: every record is in it as it was written, in one section, by which alone it is found; where a section that the
summary asks for has nothing, it says that nothing is available, which is not that there is nothing.
Records keep their own shape: none is made to fit the summary's profiles, and none is claimed to.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from salus.clinical.fhir import plain
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.exact_json import write_exact
from salus.clinical.fhir.plain import Content

LOINC: Final = "http://loinc.org"
SUMMARY: Final = "60591-5"
EMPTY_REASON: Final = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
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


def document(
    records: Sequence[Content],
    *,
    identifier: str,
    made: str,
    title: str,
    author: str,
    base: str,
) -> bytes:
    """Return a Bundle of the type `document` (FHIR R4 3.3).

    Args:
        records: the Patient among them, if it may be shown; in the order in which sections list them.
        identifier: of this document alone, `urn:uuid:…`.
        made: an instant.
        author: which organisation made it.
        base: under which `base/Type/id` stands for each record, so that references within are found.
    """
    patient = next((each for each in records if each.get("resourceType") == "Patient"), None)
    others = [each for each in records if each is not patient]
    known = {name for section in SECTIONS for name in section.types}
    sections = [_section(each, [one for one in others if _type(one) in each.types], base) for each in SECTIONS]
    sections.append(_section(OTHERS, [each for each in others if _type(each) not in known], base))
    composition = {
        "resourceType": "Composition",
        "id": "summary",
        "language": "en-GB",
        "status": "final",
        "type": _concept(LOINC, SUMMARY, "Patient summary Document"),
        "subject": {"reference": _address(base, patient)} if patient is not None else {"display": "Not said"},
        "date": made,
        "author": [{"display": author}],
        "title": title,
        "section": [each for each in sections if each is not None],
    }
    entries: list[dict[str, object]] = [{"fullUrl": f"{base}/Composition/summary", "resource": composition}]
    first = [] if patient is None else [patient]
    for each in (*first, *others):
        entries.append({"fullUrl": _address(base, each), "resource": msgspec.Raw(write_exact(each))})
    whole = {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": identifier},
        "type": "document",
        "timestamp": made,
        "entry": entries,
    }
    return msgspec.json.encode(whole)


def _section(section: Section, records: Sequence[Content], base: str) -> dict[str, object] | None:
    said: dict[str, object] = {"title": section.title, "code": _concept(LOINC, section.code, section.display)}
    if records:
        told = [" · ".join(filter(None, (plain.name_of(each), plain.date_of(each)))) or _type(each) for each in records]
        return said | {"text": _narrative(told), "entry": [{"reference": _address(base, each)} for each in records]}
    if not section.is_asked_for:
        return None
    reason = _concept(EMPTY_REASON, "unavailable", "Unavailable")
    return said | {"text": _narrative(["Nothing is available here."]), "emptyReason": reason}


def _narrative(lines: Sequence[str]) -> dict[str, str]:
    items = "".join(f"<li>{html.escape(each)}</li>" for each in lines)
    return {"status": "generated", "div": f'<div xmlns="{_XHTML}"><ul>{items}</ul></div>'}


def _concept(system: str, code: str, display: str) -> dict[str, object]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _address(base: str, content: Content) -> str:
    return f"{base}/{_type(content)}/{text(content, 'id')}"


def _type(content: Content) -> str:
    return text(content, "resourceType") or ""
