"""FHIR R4: resources, bundles and bulk files as values, with the facts by which sharing is decided.

Promises: a resource's bytes are kept exactly as they came; from a bundle, exactly the slice that the entry held.
Never validates against profiles: that is another module's work, and a record may be sealed without it.
"""

from salus.clinical.fhir.bundles import BUNDLE_BYTES_MAX, Bundle, Entry, PatientChart, patient_chart, read_bundle
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.metadata import RecordMetadata
from salus.clinical.fhir.ndjson import read_ndjson
from salus.clinical.fhir.patients import Demographics, demographics
from salus.clinical.fhir.resources import Resource, parse, require_patient

__all__ = [
    "BUNDLE_BYTES_MAX",
    "Bundle",
    "Demographics",
    "Entry",
    "Fault",
    "FhirRejected",
    "PatientChart",
    "RecordMetadata",
    "Resource",
    "demographics",
    "parse",
    "patient_chart",
    "read_bundle",
    "read_ndjson",
    "require_patient",
]
