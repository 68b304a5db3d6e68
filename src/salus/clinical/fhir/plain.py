"""What a resource says in plain values: its name, its day, its value with unit and range; for pages that people read.

Promises: numbers keep the digits that were measured; nothing is guessed: what a resource does not say is empty.
Takes resources as `read_exact` or `read_object` gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from salus.clinical.fhir.elements import objects, text, texts, values

Content = Mapping[str, object]

NAMES: Final = {
    "AllergyIntolerance": ("code",),
    "Condition": ("code",),
    "DiagnosticReport": ("code",),
    "DocumentReference": ("description", "type", "category"),
    "Encounter": ("type", "serviceType", "class"),
    "Flag": ("code",),
    "ImagingStudy": ("description", "procedureCode", "modality"),
    "Immunization": ("vaccineCode",),
    "MedicationRequest": ("medicationCodeableConcept", "medicationReference"),
    "MedicationStatement": ("medicationCodeableConcept", "medicationReference"),
    "Observation": ("code",),
    "Procedure": ("code",),
}
"""Where a type says what it is about, the best place first."""
DATES: Final = {
    "AllergyIntolerance": ("onsetDateTime", "recordedDate"),
    "Condition": ("onsetDateTime", "onsetPeriod.start", "recordedDate"),
    "DiagnosticReport": ("effectiveDateTime", "effectivePeriod.start", "issued"),
    "DocumentReference": ("date", "content.attachment.creation"),
    "Encounter": ("period.start",),
    "Flag": ("period.start",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrenceDateTime",),
    "MedicationRequest": ("authoredOn",),
    "MedicationStatement": ("effectiveDateTime", "effectivePeriod.start", "dateAsserted"),
    "Observation": ("effectiveDateTime", "effectivePeriod.start", "issued"),
    "Procedure": ("performedDateTime", "performedPeriod.start"),
}
"""Where a type says when it was, the best place first."""
_CONCERNS: Final = {"HH": "critical", "LL": "critical", "AA": "critical", "A": "abnormal"}
_NORMAL: Final = "normal"
"""FHIR R4 referencerange-meaning: the range of healthy people, which a range is that says nothing else."""
_FLAGS: Final = {"H": "high", "HH": "high", "HU": "high", "L": "low", "LL": "low", "LU": "low"}
"""HL7 v3 ObservationInterpretation, of those that say on which side a value is."""


@dataclass(frozen=True)
class Value:
    """A measured or stated value.

    Args:
        words: as it was written: `4.30`, `< 5`, `Never smoked tobacco`; empty where there is none.
        unit: as people read it; number: for a chart, None for what is no number.
    """

    words: str
    unit: str = ""
    number: Decimal | None = None

    @property
    def with_unit(self) -> str:
        """Value and unit."""
        return f"{self.words} {self.unit}".strip()


@dataclass(frozen=True)
class Range:
    """A usual range; None where it is open on that side, `words` where it is said otherwise."""

    low: Decimal | None = None
    high: Decimal | None = None
    words: str = ""


NOTHING: Final = Value("")
ANY: Final = Range()


def concept(node: object) -> str:
    """Return what a CodeableConcept, a Coding, a Reference or a string is called; its code where it has no name."""
    if isinstance(node, str):
        return node
    found = (text(node, path) for path in ("text", "coding.display", "display", "coding.code", "code"))
    return next((each for each in found if each), "")


def name_of(content: Content) -> str:
    """Return what a resource is about, in its source's words."""
    places = NAMES.get(str(content.get("resourceType")), ())
    named = (concept(each) or _contained(content, each) for place in places for each in values(content, place))
    return next((each for each in named if each), "")


def codes_of(content: Content) -> tuple[tuple[str, str], ...]:
    """Return the codes of what a resource is about: system, code."""
    places = NAMES.get(str(content.get("resourceType")), ())
    coded = [each for place in places for each in objects(content, f"{place}.coding")]
    return tuple((text(each, "system") or "", text(each, "code") or "") for each in coded if text(each, "code"))


def date_of(content: Content) -> str:
    """Return when it was, as it was written, to the day or less exactly; empty where that is not said."""
    places = DATES.get(str(content.get("resourceType")), ())
    return next((each for place in places for each in texts(content, place)), "")


def value_of(observation: Content) -> Value:
    """Return what was observed; of several components all, with their names."""
    found = _value(observation)
    if found is not NOTHING:
        return found
    parts = [(concept(each.get("code")), _value(each)) for each in objects(observation, "component")]
    return Value("; ".join(f"{name}: {value.with_unit}" for name, value in parts if value.words))


def range_of(observation: Content) -> Range:
    """Return the usual range that came with a value; in words where it is not one in the value's own unit.

    Of several it is not said here which is this person's, and one that is of a treatment is not what is usual: then
    all are in words, with whom or what they are for.
    """
    found = list(objects(observation, "referenceRange"))
    usual = [
        each for each in found if _NORMAL in (*texts(each, "type.coding.code"), *(() if "type" in each else (_NORMAL,)))
    ]
    only = usual[0] if len(usual) == 1 else found[0] if len(found) == 1 and not usual else None
    if only is None:
        return Range(words="; ".join(filter(None, map(_range_words, usual or found))))
    low, high = _number(only.get("low")), _number(only.get("high"))
    if low is None and high is None:
        return Range(words=text(only, "text") or "")
    is_own = only in usual and _is_in_unit_of(observation.get("valueQuantity"), only)
    return Range(low, high) if is_own else Range(words=_range_words(only))


def flag_of(observation: Content) -> str:
    """Return `high` or `low` where the laboratory said so, or the value is outside of its range; else nothing."""
    said = next((_FLAGS[each] for each in texts(observation, "interpretation.coding.code") if each in _FLAGS), "")
    number, usual = value_of(observation).number, range_of(observation)
    if said or number is None:
        return said
    if usual.high is not None and number > usual.high:
        return "high"
    return "low" if usual.low is not None and number < usual.low else ""


def _contained(content: Content, reference: object) -> str:
    """What a resource is called that is inside of this one (FHIR R4 2.3.0.3), as a medicine often is."""
    named = text(reference, "reference") or ""
    inside = (each for each in objects(content, "contained") if named == f"#{text(each, 'id')}")
    return next((concept(each.get("code")) for each in inside), "")


def concern_of(observation: Content) -> str:
    """Return `critical` or `abnormal` where the laboratory said so of a value; else nothing."""
    said = {_CONCERNS[each] for each in texts(observation, "interpretation.coding.code") if each in _CONCERNS}
    return min(said, key=("critical", "abnormal").index, default="")


def _range_words(node: Content) -> str:
    """A range with its unit, and for whom or what it is, in no language: `men: 130 g/L – 170 g/L`."""
    about = ", ".join(concept(each) for path in ("type", "appliesTo") for each in objects(node, path))
    ends = [_value({"valueQuantity": node[each]}).with_unit for each in ("low", "high") if each in node]
    open_end = {(True, False): "≥ ", (False, True): "≤ "}.get(("low" in node, "high" in node), "")
    said = text(node, "text") or open_end + " – ".join(ends)
    return ": ".join(each for each in (about, said) if each)


def _is_in_unit_of(quantity: object, usual: Content) -> bool:
    """Tell whether a range is in the unit of a value; one that names no unit is."""
    return all(_is_same_unit(quantity, usual[end]) for end in ("low", "high") if end in usual)


def _is_same_unit(one: object, other: object) -> bool:
    """By their codes where both have one, else by any name that either has."""
    (code, unit), (other_code, other_unit) = _unit_of(one), _unit_of(other)
    if code and other_code:
        return code == other_code
    names, others = {code, unit} - {""}, {other_code, other_unit} - {""}
    return not names or not others or bool(names & others)


def _unit_of(quantity: object) -> tuple[str, str]:
    code, unit = text(quantity, "code") or "", text(quantity, "unit") or ""
    return code.casefold(), unit.casefold()


def _value(node: Content) -> Value:
    quantity = node.get("valueQuantity")
    if isinstance(quantity, dict) and _number(quantity) is not None:
        written = f"{text(quantity, 'comparator') or ''} {_literal(quantity['value'])}".strip()
        number = None if "comparator" in quantity else _number(quantity)
        return Value(written, text(quantity, "unit") or text(quantity, "code") or "", number)
    if "valueCodeableConcept" in node:
        return Value(concept(node["valueCodeableConcept"]))
    if (said := _compound(node)) is not None:
        return Value(said)
    if isinstance(node.get("valueBoolean"), bool):
        return Value("yes" if node["valueBoolean"] else "no")
    stated = next(
        (node[each] for each in ("valueString", "valueInteger", "valueDateTime", "valueTime") if each in node), ""
    )
    return Value(_literal(stated)) if stated != "" else NOTHING


def _compound(node: Content) -> str | None:
    """A ratio, a range or a period in words; None for another kind of value."""
    if (ratio := node.get("valueRatio")) is not None:
        parts = [
            _value({"valueQuantity": each}) for end in ("numerator", "denominator") for each in objects(ratio, end)
        ]
        return " : ".join(each.with_unit for each in parts if each.words)
    if isinstance(extent := node.get("valueRange"), dict):
        return _range_words(extent)
    if (period := node.get("valuePeriod")) is not None:
        return " – ".join(filter(None, (text(period, "start"), text(period, "end"))))
    return None


def _number(quantity: object) -> Decimal | None:
    number = quantity.get("value") if isinstance(quantity, dict) else None
    if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
        return None
    return Decimal(_literal(number))


def _literal(number: object) -> str:
    """A number as it was written, where the reader kept that."""
    return str(getattr(number, "literal", number))
