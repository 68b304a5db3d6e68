"""Validation of whole Synthea resources by the table of R4's definitions, on one core (issue C)."""

import json
import os
from pathlib import Path

from bench.measure import Line, rate
from salus.clinical.fhir.validation import base_validator, has_errors

SYNTHEA = (
    Path(os.environ.get("SALUS_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data") / "fhir" / "synthea-r4"
)


def run() -> list[Line]:
    """Measure the base table; left out where the outside test data is not laid out."""
    bundles = [json.loads(path.read_bytes()) for path in sorted(SYNTHEA.glob("*.json"))]
    resources = [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
    if not resources:
        return []
    validator = base_validator()
    assert not any(has_errors(validator.validate(each)) for each in resources), "Synthea's resources are sound"

    def all_of_them() -> int:
        for each in resources:
            validator.validate(each)
        return len(resources)

    measured = rate(all_of_them)
    what, budget = "validate a resource by the base table, one core", "≥ 20,000 resources/s"
    said = f"{measured.median:,.0f} resources/s"
    return [Line(what, budget, said, measured.median >= 20_000, {"resources_per_s": measured.raw()})]
