"""Validation on one core: Synthea by the table of R4's definitions, UK Core's examples by its profiles (issue C)."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.measure import Line, rate
from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.definitions.library import Library
from salus.clinical.fhir.validation import Validator, has_errors
from salus.clinical.fhir.xml import read_xml

DATA = Path(os.environ.get("SALUS_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data") / "fhir"
UK_CORE = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-"

Work = list[tuple[dict[str, Any], list[str]]]
"""Resources with the profiles that each must conform to."""


def run() -> list[Line]:
    """Measure all three; left out where the outside test data is not laid out."""
    synthea: Work = [(each, []) for each in _synthea()]
    if not synthea:
        return []
    uk_core = Validator(Library(r4(), _definitions()))
    return [
        _line("by the base table", 20_000, Validator(r4(), with_invariants=False), synthea),
        _line("by the base table and all invariants", 0, Validator(r4()), synthea),
        _line("by UK Core's profiles and all invariants", 2_000, uk_core, list(_examples())),
    ]


def _line(what: str, budget: int, validator: Validator, work: Work) -> Line:
    assert not any(has_errors(validator.validate(*each)) for each in work), "these resources are sound"
    measured = rate(_all_of(validator, work))
    said, asked = f"{measured.median:,.0f} resources/s", f"≥ {budget:,} resources/s" if budget else "-"
    held = measured.median >= budget if budget else None
    return Line(f"validate a resource {what}, one core", asked, said, held, {"resources_per_s": measured.raw()})


def _all_of(validator: Validator, work: Work) -> Callable[[], int]:
    def validate() -> int:
        for resource, profiles in work:
            validator.validate(resource, profiles)
        return len(work)

    return validate


def _synthea() -> Iterator[dict[str, Any]]:
    for path in sorted((DATA / "synthea-r4").glob("*.json")):
        yield from (entry["resource"] for entry in json.loads(path.read_bytes())["entry"])


def _examples() -> Iterator[tuple[dict[str, Any], list[str]]]:
    for path in sorted((DATA / "uk-core").glob("*.xml")):
        resource = read_xml(path.read_bytes())
        yield resource, [UK_CORE + resource["resourceType"]]


def _definitions() -> Iterator[dict[str, Any]]:
    for path in sorted((DATA / "uk-core-definitions").glob("*/*.xml")):
        try:
            yield read_xml(path.read_bytes())
        except FhirRejected:  # one file has text between its elements
            continue
