"""What a sharing choice can ask of a record: its class, codes, labels, author and period, derived from the content.

Promises: pure functions of the content; the same bytes give the same metadata on every machine and version.
Never raises for a resource that `parse` accepts: what cannot be read is left out, and an unknown period says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from salus.clinical.fhir.elements import objects, present, text
from salus.clinical.fhir.periods import clinical_period
from salus.clinical.labels import CONFIDENTIALITY

TITLE_CHARACTERS_MAX = 200
UNITS = "http://unitsofmeasure.org"  # a unit is part of a number and classifies nothing

WITH_FILES = frozenset({"DiagnosticReport", "DocumentReference"})
"""Types of which a Binary can be a part: a rule about one of them is about its files as well."""
AUTHOR_PATHS = (
    *("author", "recorder", "asserter", "requester", "prescriber", "provider", "enterer", "sender", "operator"),
    *("performer.actor", "performer", "informationSource", "participant.individual", "agent.who"),
)
TITLE_PATHS = (
    *("title", "description", "code.text", "code.coding.display", "type.text", "type.coding.display"),
    *("medicationCodeableConcept.text", "medicationCodeableConcept.coding.display"),
    *("vaccineCode.text", "vaccineCode.coding.display", "category.text", "category.coding.display"),
)


class RecordMetadata(msgspec.Struct, frozen=True, array_like=True):
    """The facts about a record by which it is released or withheld.

    Attributes:
        resource_type: the FHIR type, such as `Observation`.
        codes: every coding in the content as `system|code`, sorted; what FHIR Consent calls a code "found in an
            instance". Units of measure are left out.
        labels: security labels as `system|code`, sorted.
        period_from_s: first second of the content's period in Unix time; None when no start is known.
        period_to_s: last second, included; None when no end is known.
        author: the reference or `system|value` of who wrote it; None when nobody is named.
        title: a few words for people; clinical content, to be sealed like the rest.
        part_of: of a Binary, the types among `WITH_FILES` of what it belongs to, sorted.
    """

    resource_type: str
    codes: tuple[str, ...]
    labels: tuple[str, ...]
    period_from_s: int | None
    period_to_s: int | None
    author: str | None
    title: str | None = None
    part_of: tuple[str, ...] = ()


def derive(content: Mapping[str, object]) -> RecordMetadata:
    """The metadata of a parsed resource."""
    codes, labels = codes_and_labels(content)
    period = clinical_period(content)
    return RecordMetadata(
        resource_type=str(content["resourceType"]),
        codes=codes,
        labels=labels,
        period_from_s=period.from_s,
        period_to_s=period.to_s,
        author=author(content),
        title=title(content),
    )


def codes_and_labels(content: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All codings of the content, and all labels of the resource and of whatever resources it holds inside."""
    codes: set[str] = set()
    labels: set[str] = set()
    rest: list[object] = [content]
    while rest:
        node = rest.pop()
        if isinstance(node, list):
            rest.extend(node)
        elif isinstance(node, dict):
            if "coding" in node or "code" in node:
                codes.update(codings(node))
            if "resourceType" in node:
                labels.update(own_labels(node))
            # Profiles and tags in `meta` are no content.
            rest.extend(value for key, value in node.items() if key != "meta" and isinstance(value, (dict, list)))
    return tuple(sorted(codes)), tuple(sorted(labels))


def codings(node: Mapping[str, object]) -> Iterator[str]:
    """The codings directly in an object: those of a CodeableConcept, or itself when it is a lone Coding."""
    if "coding" in node:
        for coding in objects(node, "coding"):
            yield from token(coding)
    elif "code" in node and "system" in node and "value" not in node and "unit" not in node:
        yield from token(node)


def token(coding: Mapping[str, object]) -> Iterator[str]:
    """`system|code`, with nothing before the bar when no system is given, as in a FHIR token search."""
    system, code = coding.get("system", ""), coding.get("code")
    if isinstance(code, str) and isinstance(system, str) and system != UNITS:
        yield f"{system}|{code}"


def own_labels(node: Mapping[str, object]) -> Iterator[str]:
    """The labels that a resource states of itself.

    Besides `meta.security` there are two older places: a document's label and a composition's confidentiality.
    """
    for coding in objects(node, "meta.security"):
        yield from token(coding)
    if node["resourceType"] == "DocumentReference":
        for coding in objects(node, "securityLabel.coding"):
            yield from token(coding)
    confidentiality = node.get("confidentiality")
    if node["resourceType"] == "Composition" and isinstance(confidentiality, str):
        yield f"{CONFIDENTIALITY}|{confidentiality}"


def author(content: Mapping[str, object]) -> str | None:
    """The first person or body that the resource names as its source, by reference or else by identifier."""
    for path in present(content, AUTHOR_PATHS):
        for reference in objects(content, path):
            literal = reference.get("reference")
            if isinstance(literal, str):
                return literal
            system, value = text(reference, "identifier.system"), text(reference, "identifier.value")
            if value is not None:
                return f"{system or ''}|{value}"
    return None


def title(content: Mapping[str, object]) -> str | None:
    """The first words that say what the record is, cut to a length for lists."""
    found = next((words for path in present(content, TITLE_PATHS) if (words := text(content, path))), None)
    return None if found is None else found[:TITLE_CHARACTERS_MAX]
