"""The people who act for an organisation: a certificate on the ledger, an own key, short sessions (DESIGN §5.1).

Staff signs in by OIDC in a later issue; here a person's key and certificate are one file.
"""

from dataclasses import dataclass

from salus.contracts.membership import CertificateKind, Certify
from salus.contracts.provisions import RoleClass
from salus.contracts.residuals import (
    SESSION_S_MAX,
    CertifiedSession,
    PersonCertificate,
    Session,
    certify_session,
    commit_certificate,
)
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import CertificateId, OrganisationId, PublicKey
from salus.node.assemble import Node

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


NOBODY = CommittedFields(secret=b"", values=())
"""Stands for the certificate in a patient's own request: the pseudonym's key certifies the session instead."""


def certify_person(node: Node, *, name: str, role: str, registration: str, role_class: RoleClass) -> Person:
    """Certify a person for one role class on the ledger. Raises Refused with what the ledger says."""
    key = SigningKey.generate()
    certificate = PersonCertificate(
        organisation=node.organisation,
        name=name,
        role=role,
        registration=registration,
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
