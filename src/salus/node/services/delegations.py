"""Delegations: how far somebody may act for a patient is off the ledger, and their custodian sees to it (DESIGN §5.2).

The ledger knows a delegate's key, its end, and the commitment to the terms. A custodian that does not hold the terms,
or whose copy does not open the commitment, lets the delegate do nothing. Ages are counted here: only the custodian
knows when the patient was born.
"""

from collections.abc import Sequence
from datetime import date

from salus.clinical.uk_time import uk_datetime
from salus.contracts import patients, residuals
from salus.contracts.gathering import read_trail
from salus.contracts.patients import KeyAdded, KeyKind, Relationship
from salus.contracts.residuals import Ability, Band, CertifiedSession, DelegateTerms, RequestResidual, ResidualInvalid
from salus.crypto.signing import SignatureInvalid
from salus.ledger.encoding import EncodingInvalid, decoder
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, PermitId, Pseudonym, PublicKey
from salus.ledger.state import Reader
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.members import read_time_s
from salus.node.people import OpenSession
from salus.node.services.enrol import date_of_birth
from salus.node.services.identify import check_patient_session

_FIELDS = decoder(CommittedFields)
WITHOUT_LIMITS = Band(until_age=0, abilities=(Ability.READ, Ability.SHARE))
"""Where the patient let somebody act and gave no terms."""


def require_may_read(
    node: Node, reader: Reader, pseudonym: Pseudonym, key: PublicKey, *, classes: Sequence[str], time_s: int
) -> None:
    """Raise Refused (DELEGATE_UNFIT) unless a delegate may ask for records of these classes at this moment.

    Args:
        key: the delegate's, which certified the session.
        classes: that are asked for; none means all.
    """
    band = band_of(node, reader, pseudonym, key, time_s=time_s)
    if Ability.READ not in band.abilities:
        raise Refused(Refusal.DELEGATE_UNFIT, "the terms do not let this delegate read: ask the patient")
    if band.classes and not (classes and set(classes) <= set(band.classes)):
        words = ", ".join(band.classes)
        raise Refused(Refusal.DELEGATE_UNFIT, f"the terms let this delegate read {words} only: ask for these")


def require_may_share(
    node: Node, reader: Reader, pseudonym: Pseudonym, signers: Sequence[PublicKey], *, time_s: int
) -> None:
    """Raise Refused (DELEGATE_UNFIT) when a delegate signed who may not share for the patient at this moment."""
    relationship = patients.require_relationship(reader, pseudonym)
    for key in signers:
        if _is_delegate(relationship, key):
            band = band_of(node, reader, pseudonym, key, time_s=time_s)
            if Ability.SHARE not in band.abilities:
                raise Refused(Refusal.DELEGATE_UNFIT, "the terms do not let this delegate share: ask the patient")


def is_delegate(reader: Reader, pseudonym: Pseudonym, key: PublicKey) -> bool:
    """Tell whether a key is a delegate's, whoever appointed them: one whom a custodian appointed acts by custodian."""
    return _is_delegate(patients.require_relationship(reader, pseudonym), key)


def require_own(node: Node, pseudonym: Pseudonym, session: OpenSession) -> None:
    """Raise Refused (PERSON_UNFIT) where a delegate's key certified a session: what is asked for is the patient's."""
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        key = check_patient_session(reader, pseudonym, session.certified, custodian=node.organisation, time_s=time_s)
        if is_delegate(reader, pseudonym, key):
            raise Refused(Refusal.PERSON_UNFIT, "expected the patient: nobody else decides this for them")


def signed_by(
    node: Node, pseudonym: Pseudonym, commitment: Digest, signers: Sequence[PublicKey]
) -> list[documents.Document]:
    """Return what is kept of which delegate signed a choice, so that the patient reads who decided it."""
    with node.engine.snapshot() as reader:
        relationship = patients.require_relationship(reader, pseudonym)
    return [documents.Document(Kind.DELEGATE, commitment, key) for key in signers if _is_delegate(relationship, key)]


def keep_asker(node: Node, pseudonym: Pseudonym, permit: PermitId, asked: RequestResidual) -> None:
    """Keep which delegate asked under a permit; nothing where it was the patient, or anybody else."""
    if asked.certificate.values:
        return
    with node.engine.snapshot() as reader:
        relationship = patients.relationship_of(reader, pseudonym)
        for each in relationship.keys if relationship is not None else ():
            if each.kind is KeyKind.DELEGATE and _certified(asked.session, each.key):
                documents.keep(node.vault, node.chain, pseudonym, Kind.DELEGATE, permit, each.key)


def signer_name(node: Node, reader: Reader, pseudonym: Pseudonym, commitment: Digest) -> str:
    """Return what the patient calls the delegate who signed a choice; empty for nobody, or nobody known here."""
    key = documents.find(node.vault, Kind.DELEGATE, commitment)
    return "" if key is None else name_of(node, reader, pseudonym, PublicKey(key))


def name_of(node: Node, reader: Reader, pseudonym: Pseudonym, key: PublicKey) -> str:
    """Return what the patient calls a delegate, whether or not they still act; empty where it is not held here."""
    try:
        terms = terms_of(node, reader, pseudonym, key)
    except Refused:
        return ""
    return "" if terms is None else terms.name


def band_of(node: Node, reader: Reader, pseudonym: Pseudonym, key: PublicKey, *, time_s: int) -> Band:
    """Return what a delegate may do at this moment.

    Raises:
        Refused: DELEGATE_UNFIT: the terms are not held here, or the patient has passed the last age that they name.
    """
    terms = terms_of(node, reader, pseudonym, key)
    if terms is None:
        return WITHOUT_LIMITS
    today = uk_datetime(time_s).date()
    born = date_of_birth(node, pseudonym)
    for band in terms.bands:
        if not band.until_age or (born is not None and today < birthday(born, age=band.until_age)):
            return band
    raise Refused(Refusal.DELEGATE_UNFIT, "the terms ended with the patient's age: the patient lets act anew")


def terms_of(node: Node, reader: Reader, pseudonym: Pseudonym, key: PublicKey) -> DelegateTerms | None:
    """Return the terms of a delegate's key; None where the patient gave none. Raises Refused (DELEGATE_UNFIT)."""
    commitment = _commitment(reader, pseudonym, key)
    kept = None if commitment is None else documents.find(node.vault, Kind.REASON, commitment)
    if kept is None:
        raise Refused(Refusal.DELEGATE_UNFIT, "the terms of this delegate are not held here: deliver them again")
    residual: CommittedFields = _FIELDS.decode(kept)
    if residual.root() != commitment:
        raise Refused(Refusal.DELEGATE_UNFIT, "the terms held here do not open the commitment: deliver them again")
    return read_terms(residual)


def read_terms(residual: CommittedFields) -> DelegateTerms | None:
    """Return what a residual says of how far a key may act; None for a reason alone. Raises Refused: DELEGATE_UNFIT."""
    try:
        return residuals.delegate_terms(residual)
    except (EncodingInvalid, ResidualInvalid) as error:
        raise Refused(Refusal.DELEGATE_UNFIT, f"the terms are not well formed: {error}") from error


def birthday(born: date, *, age: int) -> date:
    """Return the day on which somebody reaches an age in years; who was born on 29 February does so on 1 March."""
    if (born.month, born.day) == (2, 29) and not _is_leap(born.year + age):
        return date(born.year + age, 3, 1)
    return born.replace(year=born.year + age)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _commitment(reader: Reader, pseudonym: Pseudonym, key: PublicKey) -> Digest | None:
    """Return what the newest addition of a key committed to: a key that was removed may come back."""
    for event in reversed(read_trail(reader, pseudonym)):
        if isinstance(event.outcome, KeyAdded) and event.outcome.key == key:
            return event.outcome.commitment
    return None


def _certified(session: CertifiedSession, key: bytes) -> bool:
    try:
        session.verify(PublicKey(key))
    except SignatureInvalid:
        return False
    return True


def _is_delegate(relationship: Relationship, key: PublicKey) -> bool:
    further = patients.further_key(relationship, key)
    return further is not None and further.kind is KeyKind.DELEGATE
