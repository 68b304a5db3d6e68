"""Officers: the privacy officers of this organisation, and the mark that each look of theirs leaves (decision 0014).

A look is in the patient's history before anything is shown; while the ledger is away nothing is. It covers what the
same session reads of that history for a quarter of an hour, so that a search with its pages is one event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from salus.contracts import patients
from salus.contracts.access import ReleasesCommitted
from salus.contracts.evidence import Event
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.encoding import decoder
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import CertificateId, OrganisationId, Pseudonym, PublicKey
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.members import read_time_s
from salus.node.people import OpenSession
from salus.node.services.anchor import anchor_note
from salus.node.services.identify import check_session, staff_certificate
from salus.node.services.respond import Login

PURPOSE: Final = Purpose.HLEGAL
"""Why an officer looks: to see that the law is kept. It permits no record by default."""
LOOK_S: Final = 900
"""How long a look covers, as a session permit does."""
_NOTE = decoder(CommittedFields)
_TEXT, _BYTES = decoder(str), decoder(bytes)


@dataclass(frozen=True)
class Look:
    """Under which certificate, in which session, an officer looked."""

    certificate: CertificateId
    session_key: PublicKey


def is_officer(login: Login) -> bool:
    """Tell whether somebody asks as a privacy officer; that they are one, `look` finds out."""
    return login.role_class is RoleClass.OFFICER


def require_officer(node: Node, officer: OpenSession) -> None:
    """Raise Refused unless somebody is certified as an officer here, at this moment, in a session for this node.

    Raises:
        Refused: PERSON_UNFIT, SESSION_UNFIT.
    """
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        certificate = staff_certificate(
            reader, officer.certificate, organisation=node.organisation, role_class=RoleClass.OFFICER, time_s=time_s
        )
    check_session(officer.certified, certificate.key, custodian=node.organisation, time_s=time_s)


def look(node: Node, officer: OpenSession, pseudonym: Pseudonym, *, covered_s: int = LOOK_S) -> None:
    """Let an officer look at a patient's history, who leaves a mark in it (U2).

    1. They are certified, in a session for this node, and the patient is one of this node's.
    2. Anchor the look in the patient's history, unless the same session's last one covers this, too.

    Args:
        covered_s: how many seconds ago that may have been; 0 leaves a mark each time.

    Raises:
        Refused: PERSON_UNFIT, SESSION_UNFIT, PATIENT_UNKNOWN.
        NotNow: the ledger is away: nothing is shown.
    """
    require_officer(node, officer)  # 1
    with node.engine.snapshot() as reader:
        relationship = patients.relationship_of(reader, pseudonym)
        if relationship is None or relationship.custodian != node.organisation:
            raise Refused(Refusal.PATIENT_UNKNOWN, "no such relationship here: ask its custodian")
        trail = read_trail(reader, pseudonym) if covered_s else []
        since_s = read_time_s(reader, node.clock) - covered_s
    node.require_fresh()
    key = officer.certified.session.session_key
    recent = [event for event in trail if event.leaf.time_s > since_s]
    if not any(found.session_key == key for _, found in looks(node, recent)):  # 2
        anchor_note(node, pseudonym, node.organisation, officer.certified, officer.certificate)


def looks(node: Node, trail: Sequence[Event]) -> Iterator[tuple[Event, Look]]:
    """Return which events of a history are looks of officers of this organisation, and whose."""
    for event in trail:
        if isinstance(event.outcome, ReleasesCommitted) and not event.outcome.permit:
            kept = documents.find(node.vault, Kind.MATCH, event.outcome.root)
            if kept is not None and is_look(node, kept):
                _, certificate, session_key, _ = _NOTE.decode(kept).values
                yield event, Look(_BYTES.decode(certificate), _BYTES.decode(session_key))


def is_look(node: Node, note: bytes) -> bool:
    """Tell whether a note is of an officer's look here; else it is of a match, for which nobody asks themself."""
    return OrganisationId(_TEXT.decode(_NOTE.decode(note).values[0])) == node.organisation
