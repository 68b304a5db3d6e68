"""Contributions: what patients add to their record here, as theirs, marked so wherever it is shown.

Promises: only the patient adds, to their own record and no other's; each resource says that the patient asserts it; a
file is one of the few kinds that it says it is, whatever its name; and only so many come within an hour.
"""

import secrets
from collections.abc import Sequence
from decimal import Decimal
from typing import Final
from uuid import uuid4

import msgspec

from salus.clinical.fhir import contributed
from salus.clinical.fhir.contributed import File
from salus.clinical.fhir.renaming import instant
from salus.clinical.fhir.resources import parse
from salus.clinical.file_types import file_type
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.projections import resources
from salus.node.services.derived import is_patient
from salus.node.services.respond import Login
from salus.node.services.store import Write, store
from salus.node.tallies import Counted, Tally, count

MOST: Final = 20
WITHIN_S: Final = 3_600
"""So many things one patient adds within an hour."""
FILE_BYTES_MAX: Final = 10_000_000
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def add_reading(node: Node, login: Login, pseudonym: bytes, kind: str, values: tuple[Decimal, ...], *, at: str) -> None:
    """Add a reading.

    Args:
        kind: one of `contributed.READINGS`; values: one for each of its parts, within its bounds.
        at: a FHIR dateTime, when it was measured.

    Raises:
        Refused: PERSON_UNFIT for anybody but the patient; TOO_MANY; RECORD_UNFIT, or as `store`.
        NotNow: as `store`.
    """
    parts = contributed.READINGS[kind].parts
    if not all(each.low <= value <= each.high for each, value in zip(parts, values, strict=True)):
        raise Refused(Refusal.RECORD_UNFIT, "expected values that can be: measure again")
    patient = _require_patient(node, login, pseudonym)
    _store(node, pseudonym, [contributed.reading(kind, values, logical_id=str(uuid4()), patient=patient, at=at)])


def add_file(node: Node, login: Login, pseudonym: bytes, *, title: str, name: str, content: bytes) -> None:
    """Add a document.

    Args:
        title: what the patient calls it; name: of the file, as their browser says.

    Raises:
        Refused: PERSON_UNFIT for anybody but the patient; TOO_MANY; RECORD_UNFIT for a file of another kind, or above
            FILE_BYTES_MAX; or as `store`.
        NotNow: as `store`.
    """
    media_type = file_type(content)
    if not media_type or len(content) > FILE_BYTES_MAX:
        raise Refused(Refusal.RECORD_UNFIT, "expected a PDF, a JPEG, a PNG or plain text of at most 10 MB")
    patient = _require_patient(node, login, pseudonym)
    file = File(title, name, media_type, content)
    at = instant(node.clock())
    _store(
        node,
        pseudonym,
        contributed.document(file, logical_id=str(uuid4()), binary=str(uuid4()), patient=patient, at=at),
    )


def _require_patient(node: Node, login: Login, pseudonym: bytes) -> str:
    """Return `Patient/id` of whoever adds, and count it."""
    if not is_patient(login) or login.ticket is not None:
        raise Refused(Refusal.PERSON_UNFIT, "expected the patient: what is added is theirs")
    logical_id = resources.patient_id(node, pseudonym)
    if not logical_id:
        raise Refused(Refusal.RECORD_UNFIT, "expected a record here: ask the organisation to begin one")
    what = secrets.token_bytes(16)
    counted = count(
        node, Tally.CONTRIBUTION, who=pseudonym, what=what, now_s=node.clock(), within_s=WITHIN_S, most=MOST
    )
    if counted is Counted.TOO_MANY:
        raise Refused(Refusal.TOO_MANY, f"expected at most {MOST} things an hour: wait, and go on then")
    return f"Patient/{logical_id}"


def _store(node: Node, pseudonym: bytes, contents: Sequence[dict[str, object]]) -> None:
    writes = [Write(parse(_ENCODER.encode(each)), after=0) for each in contents]
    store(node, writes, only=Pseudonym(pseudonym))
