"""The people who act for an organisation: a certificate on the ledger, an own key, short sessions (DESIGN §5.1).

What the ledger cannot see, since it knows sessions and no people, is limited here: how many emergencies one person has,
and in how many sessions the organisation lets one person ask. Who is refused is noted for the officer.
Staff signs in by OIDC in a later issue; here a person's key and certificate are one file.
"""

import hmac
from dataclasses import dataclass

import msgspec

from salus.contracts.membership import CertificateKind, Certify
from salus.contracts.provisions import RoleClass
from salus.contracts.residuals import (
    SESSION_S_MAX,
    CertifiedSession,
    PersonCertificate,
    Session,
    certify_session,
    commit_certificate,
    person_certificate,
)
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode, in_nfc
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import CertificateId, OrganisationId, Pseudonym, PublicKey
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.notices import Notice, NoticeKind, note
from salus.node.tallies import Counted, Tally, count

CERTIFICATE_S = 365 * 86_400


@dataclass(frozen=True)
class Person:
    """A person's key and certificate; the certificate's root is its id on the ledger."""

    key: SigningKey
    certificate: CommittedFields

    @property
    def certificate_id(self) -> CertificateId:
        """The id by which the ledger knows the certificate."""
        return CertificateId(self.certificate.root())


@dataclass(frozen=True)
class OpenSession:
    """A session key with its certification, and the certificate of whoever holds it."""

    key: SigningKey
    certified: CertifiedSession
    certificate: CommittedFields


class HeldSession(msgspec.Struct, frozen=True, array_like=True):
    """A session as it is kept sealed while its holder is signed in.

    Args:
        custodian: who is asked in it.
        pseudonym: of a patient there; empty for staff.
        seed: of the session key.
        certificate: of staff; a patient's is empty.
    """

    custodian: str
    pseudonym: bytes
    seed: bytes
    certified: CertifiedSession
    certificate: CommittedFields

    def __repr__(self) -> str:
        """Hide all of it."""
        return "HeldSession(…)"

    @property
    def opened(self) -> OpenSession:
        """The session as services take it."""
        return OpenSession(SigningKey.from_seed(self.seed), self.certified, self.certificate)


def held(session: OpenSession, custodian: OrganisationId, pseudonym: Pseudonym) -> HeldSession:
    """Return a session in the form in which it is kept; `pseudonym` is a patient's there, or empty."""
    return HeldSession(custodian, pseudonym, session.key.seed, session.certified, session.certificate)


NOBODY = CommittedFields(secret=b"", values=())
"""Stands for the certificate in a patient's own request: the pseudonym's key certifies the session instead."""


def certify_person(node: Node, *, name: str, role: str, registration: str, role_class: RoleClass) -> Person:
    """Certify a person for one role class on the ledger. Raises Refused with what the ledger says."""
    key = SigningKey.generate()
    certificate = PersonCertificate(
        organisation=node.organisation,
        name=in_nfc(name),
        role=in_nfc(role),
        registration=in_nfc(registration),
        role_classes=(role_class,),
        key=PublicKey(key.public),
    )
    person = Person(key, commit_certificate(certificate, secret=new_key()))
    node.submit(
        Certify(
            organisation=node.organisation,
            certificate=person.certificate_id,
            kind=CertificateKind.PERSON,
            role_classes=(role_class,),
            expires_at_s=node.clock() + CERTIFICATE_S,
        )
    )
    return person


def open_session(
    signer: SigningKey,
    certificate: CommittedFields,
    *,
    custodian: OrganisationId,
    from_s: int,
    duration_s: int = SESSION_S_MAX,
) -> OpenSession:
    """Certify a fresh session key for one custodian; it links to no session at another (P7)."""
    key = SigningKey.generate()
    session = Session(PublicKey(key.public), custodian, from_s, from_s + duration_s)
    return OpenSession(key, certify_session(session, signer), certificate)


def require_session_room(node: Node, session: OpenSession) -> None:
    """Count a session in which a person of this organisation asks; a patient's own are not counted.

    Raises:
        Refused: TOO_MANY; the officer has a notice of it.
        NotNow: it cannot be counted at this moment.
    """
    if session.certificate == NOBODY:
        return
    most = node.person_limits.sessions_max
    if not _has_room(node, Tally.SESSION, session.certificate, what=session.key.public, most=most):
        _note(node, NoticeKind.SESSION_REFUSED, session.certificate, about=b"", name=session.key.public)
        words = f"expected at most {most} sessions of one person in {node.person_limits.window_h} h"
        raise Refused(Refusal.TOO_MANY, f"{words}: use one that is open; the officer was told")


def require_emergency_room(node: Node, certificate: CommittedFields, *, name: bytes, pseudonym: Pseudonym) -> None:
    """Count an emergency of a person, whatever the session; the same one is counted once.

    Args:
        certificate: whose emergency; checked before.
        name: of the emergency: its permit, or the id of its request.

    Raises:
        Refused: TOO_MANY; the officer has a notice of it.
        NotNow: it cannot be counted at this moment.
    """
    most = node.person_limits.emergencies_max
    if not _has_room(node, Tally.EMERGENCY, certificate, what=name, most=most):
        _note(node, NoticeKind.EMERGENCY_REFUSED, certificate, about=pseudonym, name=name)
        words = f"expected at most {most} emergencies of one person in {node.person_limits.window_h} h"
        raise Refused(Refusal.TOO_MANY, f"{words}: let another clinician ask; the officer was told")


def is_same_person(node: Node, one: CommittedFields, other: CommittedFields) -> bool:
    """Tell whether two certificates are one person's, as far as a registration joins them."""
    return hmac.compare_digest(_person(node, one), _person(node, other))


def _has_room(node: Node, tally: Tally, certificate: CommittedFields, *, what: bytes, most: int) -> bool:
    within_s = node.person_limits.window_h * 3600
    who = _person(node, certificate)
    return count(node, tally, who=who, what=what, now_s=node.clock(), within_s=within_s, most=most) is not (
        Counted.TOO_MANY
    )


def _person(node: Node, certificate: CommittedFields) -> bytes:
    """Return a keyed hash that is one person's under all their certificates, as far as these name a registration."""
    said = person_certificate(certificate)
    name = said.registration.encode() or certificate.root()
    return hmac.digest(node.keys.lookup, encode(("person", said.organisation, name)), "sha256")


def _note(node: Node, kind: NoticeKind, certificate: CommittedFields, *, about: bytes, name: bytes) -> None:
    note(node, Notice(kind, node.clock(), CertificateId(certificate.root()), Pseudonym(about)), name=name)
