"""Reviews: the emergencies that wait for the verdict of this custodian's privacy officer (DESIGN §5).

An emergency passes a patient's denial, so somebody who was not part of it has to say afterwards whether it was
justified. Until then it counts against whoever asked. To see what was released in one is a look at the patient's
history, and leaves its mark there; the list of those that wait says nothing of patients and leaves none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from salus.contracts import access, residuals
from salus.contracts.access import EMERGENCIES, Emergency, EmergencyReviewed, ReviewEmergency, Verdict
from salus.contracts.gathering import read_trail
from salus.contracts.membership import KeyUse
from salus.contracts.residuals import RequestResidual
from salus.crypto.sealing import new_key
from salus.ledger.encoding import decoder, encode, in_nfc
from salus.ledger.entries import entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.readers import ReadOnce
from salus.ledger.receipts import ReleasedField, WithheldField
from salus.node import documents, people
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.people import OpenSession
from salus.node.projections import resources
from salus.node.services import officers
from salus.node.services.deposit import placed_entries
from salus.node.services.release import part_fields

WORDS_MAX: Final = residuals.WORDS_MAX
REVIEW_S: Final = 3 * 86_400
"""Within how long a verdict is due: three days, so that a weekend passes."""
_KEY_HEAD_BYTES: Final = 2
"""Before the 16 bytes of a permit's id in the key of a row."""
_RESIDUAL = decoder(CommittedFields)


@dataclass(frozen=True)
class Waiting:
    """An emergency without a verdict.

    Args:
        opened_at_s, due_at_s: Unix seconds.
        name, role: of whoever asked; empty where they got a permit and asked for no record under it.
    """

    permit: PermitId
    requester: OrganisationId
    opened_at_s: int
    due_at_s: int
    name: str = field(repr=False)
    role: str


@dataclass(frozen=True)
class Review:
    """What happened in an emergency.

    Args:
        patient: logical id of their Patient; empty where there is none.
        justification: the reason that was given.
        released: `Type/id/_history/version` of each record that went; its id in hexadecimal where it has no name.
        withheld_count: how many were kept back even so.
    """

    waiting: Waiting
    pseudonym: Pseudonym
    patient: str = field(repr=False)
    justification: str = field(repr=False)
    released: tuple[str, ...] = field(repr=False)
    withheld_count: int


@dataclass(frozen=True)
class Reviewed:
    """The verdict on an emergency, and why in the officer's words; empty where they are not held here."""

    is_justified: bool
    words: str = field(repr=False)


def waiting(node: Node, officer: OpenSession) -> list[Waiting]:
    """Return the emergencies of this custodian's patients that wait for a verdict, the one that is due first first.

    Raises:
        Refused: PERSON_UNFIT, SESSION_UNFIT.
    """
    officers.require_officer(node, officer)
    with node.engine.snapshot() as reader:
        rows = [
            (PermitId(key[_KEY_HEAD_BYTES:]), row)
            for key, row in EMERGENCIES.under(ReadOnce(reader))
            if row.custodian == node.organisation
        ]
    said = _residuals(node, [permit for permit, _ in rows])
    found = [_waiting(permit, row, each) for (permit, row), each in zip(rows, said, strict=True)]
    return sorted(found, key=lambda each: (each.due_at_s, each.permit))


def open_review(node: Node, officer: OpenSession, permit: PermitId) -> Review:
    """Return what happened in an emergency that waits, to an officer whose look is in the patient's history.

    Raises:
        Refused: as `officers.look`, and NOT_YOURS for an emergency that is not here, or has its verdict.
        NotNow: the ledger is away.
    """
    row = _look(node, officer, permit)
    residual = _residual(node, permit)
    released, withheld_count = _released(node, row.pseudonym, permit)
    return Review(
        waiting=_waiting(permit, row, residual),
        pseudonym=row.pseudonym,
        patient=resources.patient_id(node, row.pseudonym),
        justification="" if residual is None else residual.justification,
        released=released,
        withheld_count=withheld_count,
    )


def give_verdict(node: Node, officer: OpenSession, permit: PermitId, words: str, *, is_justified: bool) -> None:
    """Give an emergency its verdict, for good; not justified ends a permit that is still live.

    1. It waits, and the officer's look is in the patient's history, which says who decided.
    2. The officer is not the person who asked, under whichever certificate: nobody reviews themselves.
    3. Keep the words, and commit the verdict, signed by the officer's session and the custodian.

    Args:
        words: why, at most WORDS_MAX characters.
        is_justified: whether it was right to look.

    Raises:
        Refused: as `open_review`; PERSON_UNFIT for the person's own emergency, MESSAGE_UNFIT for too many words; or
            what the ledger says.
        NotNow: the ledger is away.
    """
    row = _look(node, officer, permit)  # 1
    residual = _residual(node, permit)
    if residual is not None and people.is_same_person(node, residual.certificate, officer.certificate):  # 2
        raise Refused(Refusal.PERSON_UNFIT, "expected an officer who was not part of it: nobody reviews themselves")
    said = in_nfc(words)  # which may be longer
    if len(said) > residuals.WORDS_MAX:
        raise Refused(Refusal.MESSAGE_UNFIT, f"expected at most {residuals.WORDS_MAX} characters: say it in fewer")
    why = residuals.reason(said, new_key())
    documents.keep(node.vault, node.chain, row.pseudonym, Kind.REASON, why.root(), encode(why))  # 3
    verdict = Verdict.JUSTIFIED if is_justified else Verdict.NOT_JUSTIFIED
    message = ReviewEmergency(pseudonym=row.pseudonym, permit=permit, session=0, verdict=verdict, commitment=why.root())
    node.submit_signed((message,), (officer.key, node.signing(KeyUse.TRANSACTION)))


def verdict_on(node: Node, pseudonym: Pseudonym, permit: PermitId) -> Reviewed | None:
    """Return what an officer here said of an emergency, for the patient; None for one that waits, or is none."""
    with node.engine.snapshot() as reader:
        outcomes = [each.outcome for each in read_trail(reader, pseudonym)]
    for each in outcomes:
        if isinstance(each, EmergencyReviewed) and each.permit == permit:
            kept = documents.find(node.vault, Kind.REASON, each.commitment)
            words = "" if kept is None else residuals.reason_words(_RESIDUAL.decode(kept))
            return Reviewed(each.verdict is Verdict.JUSTIFIED, words)
    return None


def _look(node: Node, officer: OpenSession, permit: PermitId) -> Emergency:
    officers.require_officer(node, officer)
    with node.engine.snapshot() as reader:
        row = access.emergency(reader, permit)
    if row is None or row.custodian != node.organisation:
        raise Refused(Refusal.NOT_YOURS, "expected an emergency here that waits for its verdict: list them")
    officers.look(node, officer, row.pseudonym)
    return row


def _waiting(permit: PermitId, row: Emergency, residual: RequestResidual | None) -> Waiting:
    person = None if residual is None else residuals.person_certificate(residual.certificate)
    return Waiting(
        permit=permit,
        requester=row.requester,
        opened_at_s=row.opened_at_s,
        due_at_s=row.opened_at_s + REVIEW_S,
        name="" if person is None else person.name,
        role="" if person is None else person.role,
    )


def _residual(node: Node, permit: PermitId) -> RequestResidual | None:
    return _residuals(node, [permit])[0]


def _residuals(node: Node, permits: Sequence[PermitId]) -> list[RequestResidual | None]:
    kept = documents.find_many(node.vault, [(Kind.REQUEST, each) for each in permits])
    return [None if each is None else residuals.request_residual(_RESIDUAL.decode(each)) for each in kept]


def _released(node: Node, pseudonym: Pseudonym, permit: PermitId) -> tuple[tuple[str, ...], int]:
    node.custodian_journal.refresh()
    placed = {bytes(entry_hash(each.entry)): each.entry for each in placed_entries(node, pseudonym)}
    named = resources.names_of(node, {each.record for each in placed.values()})
    said = [each for _, fields in part_fields(node, permit) for each in fields]
    entries = [placed[each.entry] for each in said if isinstance(each, ReleasedField) and each.entry in placed]
    released = (
        f"{named[each.record]}/_history/{each.version}" if each.record in named else each.record.hex()
        for each in entries
    )
    withheld = {each.entry for each in said if isinstance(each, WithheldField)}
    return tuple(dict.fromkeys(released)), len(withheld)
