"""DocumentReference and Binary in UK Core shapes: a letter's entry, and the letter."""

from __future__ import annotations

import base64

from salus.testing.population.encoding import Json
from salus.testing.population.uk_core.coding import Code, concept, reference, security

PDF = "application/pdf"


def document_reference(
    *,
    subject: Json,
    kind: Code,
    description: str,
    written: str,
    author: Json,
    custodian: Json,
    binary_id: str,
    size_bytes: int,
    sensitivity: tuple[str, ...],
) -> Json:
    """Elements of a current DocumentReference to a PDF beside it."""
    made: Json = {
        "status": "current",
        "type": concept(kind, text=kind.display),
        "subject": subject,
        "date": written,
        "author": [author],
        "custodian": custodian,
        "description": description,
    }
    if sensitivity:
        made["securityLabel"] = [{"coding": [label]} for label in labels_of(sensitivity)]
    attachment: Json = {"contentType": PDF, "url": f"Binary/{binary_id}", "size": size_bytes, "title": description}
    return made | {"content": [{"attachment": attachment | {"creation": written}}]}


def labels_of(sensitivity: tuple[str, ...]) -> list[object]:
    """The Codings of the labels."""
    found = security(sensitivity)["security"]
    assert isinstance(found, list)
    return found


def binary(*, content: bytes, patient_id: str) -> Json:
    """Elements of a Binary whose access follows the patient's record, so that a file of Binaries can be sorted."""
    return {
        "contentType": PDF,
        "securityContext": reference("Patient", patient_id),
        "data": base64.b64encode(content).decode("ascii"),
    }
