"""One FHIR R4 resource, from its bytes to a frozen value.

Promises: `body` is exactly what came in; everything else is derived from it once. Never shows content in its `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.metadata import RecordMetadata, derive
from salus.clinical.fhir.strict_json import JsonObject, read_object
from salus.clinical.fhir.subjects import attachments, hosts, stated_nhs_number, subjects
from salus.clinical.nhs_number import NhsNumber

RESOURCE_BYTES_MAX = 50_000_000
TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{1,63}")
LOGICAL_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # FHIR R4 datatype `id`


@dataclass(frozen=True, slots=True, repr=False)
class Resource:
    """A resource and the facts that are needed to file, choose and release it.

    Attributes:
        type: the FHIR type.
        id: the logical id at its source; None when it has none.
        body: the bytes received, the record itself.
        subjects: references to the patient it is about, as written; of a Patient, to itself.
        hosts: references to what it belongs to, of a type that need not name a patient, such as a Binary.
        nhs_number: the NHS number that it states for its patient; None when it states none.
        attachments: addresses of documents it points to.
        metadata: the facts by which a sharing choice decides.
    """

    type: str
    id: str | None
    body: bytes
    subjects: tuple[str, ...]
    hosts: tuple[str, ...]
    nhs_number: NhsNumber | None
    attachments: tuple[str, ...]
    metadata: RecordMetadata

    def __repr__(self) -> str:
        """Show type and size only: an id of a hospital can identify a person."""
        return f"Resource({self.type}, {len(self.body)} bytes)"


def parse(body: bytes) -> Resource:
    """Read one resource.

    Raises:
        FhirRejected: TOO_LARGE, NOT_JSON, DUPLICATE_KEY, TOO_DEEP, NO_RESOURCE_TYPE, BAD_ID, BAD_NHS_NUMBER.
    """
    if len(body) > RESOURCE_BYTES_MAX:
        expected, came = f"at most {RESOURCE_BYTES_MAX:,} bytes", f"{len(body):,}"
        raise FhirRejected(Fault.TOO_LARGE, expected=expected, came=came, hint="send the document as its own object")
    return from_content(read_object(body), body)


def from_content(content: JsonObject, body: bytes) -> Resource:
    """The value of a parsed object and the bytes that it was parsed from."""
    return Resource(
        type=type_of(content),
        id=id_of(content),
        body=body,
        subjects=subjects(content),
        hosts=hosts(content),
        nhs_number=stated_nhs_number(content),
        attachments=attachments(content),
        metadata=derive(content),
    )


def type_of(content: JsonObject) -> str:
    """The value of `resourceType`, which every FHIR resource must have."""
    kind = content.get("resourceType")
    if isinstance(kind, str) and TYPE_NAME.fullmatch(kind):
        return kind
    came = "none" if kind is None else "something that names no type"
    hint = "send FHIR R4 resources in JSON"
    raise FhirRejected(Fault.NO_RESOURCE_TYPE, expected="a resourceType such as Observation", came=came, hint=hint)


def id_of(content: JsonObject) -> str | None:
    """The logical id; None when absent."""
    own_id = content.get("id")
    if own_id is None or (isinstance(own_id, str) and LOGICAL_ID.fullmatch(own_id)):
        return own_id
    expected = "an id of 1 to 64 letters, digits, '-' and '.'"
    raise FhirRejected(Fault.BAD_ID, expected=expected, came="another", hint="let the source give it a FHIR id")


def require_patient(resource: Resource, *, references: Collection[str], nhs_number: NhsNumber | None = None) -> None:
    """Make sure that a resource is about one given patient before it is filed in that patient's record.

    Args:
        resource: what is to be filed.
        references: all that mean this patient at the source, such as `Patient/17` and its `urn:uuid:`.
        nhs_number: the patient's number, compared when the resource states one.

    Raises:
        FhirRejected: NO_PATIENT when it names nobody, WRONG_PATIENT when it names anybody else.
    """
    stated, expected = resource.nhs_number, f"a {resource.type} of the patient whose record this is"
    hint = "file it in the record of the patient that it names"
    if stated is not None and nhs_number is not None and stated != nhs_number:
        raise FhirRejected(Fault.WRONG_PATIENT, expected=expected, came="another NHS number", hint=hint)
    if any(subject not in references for subject in resource.subjects):
        raise FhirRejected(Fault.WRONG_PATIENT, expected=expected, came="a reference to somebody else", hint=hint)
    if not resource.subjects and (stated is None or nhs_number is None):
        hint = "add the reference to the patient at its source"
        raise FhirRejected(Fault.NO_PATIENT, expected=expected, came="no reference to a patient", hint=hint)
