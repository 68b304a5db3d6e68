"""A chart: all records of one patient in a source, ready to be filed; and the chart of a FHIR bundle."""

from dataclasses import dataclass
from pathlib import Path

from salus.clinical.fhir import (
    BUNDLE_BYTES_MAX,
    Fault,
    FhirRejected,
    PatientChart,
    Resource,
    patient_chart,
    read_bundle,
)


@dataclass(frozen=True)
class Chart:
    """All records of one patient in a source.

    Args:
        source: where it was read from, for messages: a file's name, or a place in it.
        resources: the Patient first, then what is about the patient, then what stands beside it for anybody.
    """

    source: str
    patient: Resource
    resources: tuple[Resource, ...]


def chart_of(source: str, found: PatientChart) -> Chart:
    """Return the chart of a sorted bundle; what stands beside the patient goes with it, so that it can be read."""
    return Chart(source, found.patient, (found.patient, *found.resources, *found.shared))


def read_bundle_file(path: Path) -> Chart:
    """Read a whole-patient bundle.

    Raises:
        FhirRejected: too large (50 MB), no bundle, several patients, or a resource of somebody else; nothing is used.
    """
    size_bytes = path.stat().st_size
    if size_bytes > BUNDLE_BYTES_MAX:  # said before it is read into memory
        expected, came = f"a bundle of at most {BUNDLE_BYTES_MAX:,} bytes", f"{size_bytes:,}"
        hint = "import it as NDJSON, one resource a line, which has no limit (salus import NODE FILE.ndjson)"
        raise FhirRejected(Fault.TOO_LARGE, expected=expected, came=came, hint=hint, place=path.name)
    try:
        return chart_of(path.name, patient_chart(read_bundle(path.read_bytes())))
    except FhirRejected as fault:
        raise fault.at(path.name) from fault
