"""Identify: find out, before anything is decided, who exactly asks: the part of a request that the ledger cannot see.

The certificate must be in force on the ledger, the session certified by its key, for this custodian and this moment.
"""

from dataclasses import dataclass
from typing import Final

from salus.contracts import membership, patients, residuals
from salus.contracts.access import Permit
from salus.contracts.patients import Actor
from salus.contracts.provisions import Purpose, RoleClass
from salus.contracts.residuals import SESSION_S_MAX, CertifiedSession, PersonCertificate, RequestResidual
from salus.crypto.signing import SignatureInvalid
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import CertificateId, OrganisationId, Pseudonym, PublicKey
from salus.ledger.receipts import Authentication
from salus.ledger.state import Reader
from salus.node.errors import Refusal, Refused

CLOCK_SLACK_S = 5
ACTED: Final = {
    Actor.PATIENT: Authentication.PERSON_SIGNED,
    Actor.DELEGATE: Authentication.DELEGATE,
    Actor.CUSTODIAN: Authentication.ASSISTED,
}
"""What a receipt says of who acted with a key of the pseudonym (DESIGN §7: assisted mode is marked)."""


@dataclass(frozen=True)
class Identified:
    """Who asks, as authenticated: a person's certificate id, or the key of the pseudonym for the patient."""

    authentication: Authentication
    certificate: bytes


def identify(reader: Reader, terms: Permit, residual: RequestResidual, *, time_s: int) -> Identified:
    """Return who asks under a permit. Raises Refused: PERSON_UNFIT or SESSION_UNFIT."""
    session = residual.session
    if session.session.session_key != terms.session_key:
        raise Refused(Refusal.SESSION_UNFIT, "expected the session key that signed the request")
    if terms.purpose is Purpose.PATRQT and terms.role_class is RoleClass.PATIENT_SIDE:
        key = check_patient_session(reader, terms.pseudonym, session, custodian=terms.custodian, time_s=time_s)
        actor = patients.actor_of(patients.require_relationship(reader, terms.pseudonym), key)
        return Identified(ACTED[actor], key)
    certificate = staff_certificate(
        reader, residual.certificate, organisation=terms.requester, role_class=terms.role_class, time_s=time_s
    )
    check_session(session, certificate.key, custodian=terms.custodian, time_s=time_s)
    return Identified(Authentication.PERSON_SIGNED, residual.certificate.root())


def check_patient_session(
    reader: Reader, pseudonym: Pseudonym, session: CertifiedSession, *, custodian: OrganisationId, time_s: int
) -> PublicKey:
    """Return the key of the pseudonym that certified a session. Raises Refused: SESSION_UNFIT."""
    relationship = patients.require_relationship(reader, pseudonym)
    for key in patients.acting_keys(relationship, time_s=time_s):
        try:
            check_session(session, key, custodian=custodian, time_s=time_s)
        except Refused:
            continue
        return key
    raise Refused(Refusal.SESSION_UNFIT, "expected a session that a key of this pseudonym certified")


def staff_certificate(
    reader: Reader, opened: CommittedFields, *, organisation: OrganisationId, role_class: RoleClass, time_s: int
) -> PersonCertificate:
    """Return a person's certificate, proved current. Raises Refused: PERSON_UNFIT."""
    try:
        certificate = residuals.person_certificate(opened)
    except (EncodingInvalid, IndexError) as error:
        raise Refused(Refusal.PERSON_UNFIT, "expected the person's certificate in the residual") from error
    if certificate.organisation != organisation:
        raise Refused(Refusal.PERSON_UNFIT, f"expected a certificate of {organisation}")
    row = membership.certificate_in_force(reader, organisation, CertificateId(opened.root()), time_s=time_s)
    if row is None:
        raise Refused(Refusal.PERSON_UNFIT, "the certificate is unknown, revoked or expired: certify the person")
    if role_class not in row.role_classes or role_class not in certificate.role_classes:
        raise Refused(Refusal.PERSON_UNFIT, f"the certificate does not cover the role class {role_class.name.lower()}")
    return certificate


def check_session(session: CertifiedSession, key: PublicKey, *, custodian: OrganisationId, time_s: int) -> None:
    """Raise Refused unless the session is certified by this key, for this custodian and this moment."""
    try:
        session.verify(key)
    except SignatureInvalid as error:
        raise Refused(Refusal.SESSION_UNFIT, "the session is not certified by the person's key") from error
    terms = session.session
    if terms.custodian != custodian:
        raise Refused(Refusal.SESSION_UNFIT, f"expected a session for {custodian}, came one for {terms.custodian}")
    if terms.until_s - terms.from_s > SESSION_S_MAX:
        raise Refused(Refusal.SESSION_UNFIT, f"expected a session of at most {SESSION_S_MAX} s")
    if not terms.from_s - CLOCK_SLACK_S <= time_s < terms.until_s:
        raise Refused(Refusal.SESSION_UNFIT, f"session runs to {terms.until_s}, now {time_s}: begin a new one")
