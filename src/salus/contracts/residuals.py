"""Residuals: what stands behind the commitment of a message and never on the ledger (DESIGN §5.1, P1).

A choice's residual is its rules; a request's is who exactly asks, for what, and why. Each is a list of salted fields:
exchanged between the parties, kept by custodian and patient, opened field by field to whom it concerns.
"""

from enum import IntEnum
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts.provisions import EARLIEST_S, LATEST_S, Provision, RoleClass, check, decode_tree
from salus.contracts.provisions.tree import CLASS_LENGTH_MAX
from salus.crypto.signing import SigningKey, verify_tagged
from salus.ledger.encoding import decoder, encode
from salus.ledger.fields import CommittedFields, commit_fields
from salus.ledger.identifiers import OrganisationIdField, PublicKey, PublicKeyField, SecondsField, SignatureField

SESSION_TAG = "salus/session/1"
SESSION_S_MAX = 12 * 3600
SCOPE_ITEMS_MAX = 64
CHILD_AGES = (11, 13, 16)
"""Ages in years at which what a parent may do for a child narrows or ends: a policy of the network."""
WORDS_MAX = 2000
"""Characters of a reason, or of a justification."""
_Class = Annotated[str, Meta(max_length=CLASS_LENGTH_MAX)]


class Scope(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Which records are asked for; an empty list means any. Times in seconds, inclusive; record ids of 16 bytes."""

    classes: Annotated[tuple[str, ...], Meta(max_length=SCOPE_ITEMS_MAX)] = ()
    records: Annotated[tuple[bytes, ...], Meta(max_length=1024)] = ()
    data_from_s: int = EARLIEST_S
    data_to_s: int = LATEST_S


class PersonCertificate(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who a certificate is for; its salted commitment is the certificate's id on the ledger."""

    organisation: OrganisationIdField
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    role: Annotated[str, Meta(max_length=120)]
    registration: Annotated[str, Meta(max_length=60)]
    role_classes: tuple[RoleClass, ...]
    key: PublicKeyField

    def __repr__(self) -> str:
        """Hide what it says of people (P4)."""
        return "PersonCertificate(…)"


class Session(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A session key, certified for one custodian and at most 12 hours by a person's key or a pseudonym's."""

    session_key: PublicKeyField
    custodian: OrganisationIdField
    from_s: SecondsField
    until_s: SecondsField


class CertifiedSession(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A session and the signature of whoever certified it."""

    session: Session
    signature: SignatureField

    def verify(self, key: PublicKey) -> None:
        """Check the certification. Raises SignatureInvalid."""
        verify_tagged(key, SESSION_TAG, encode(self.session), self.signature)


class Relation(IntEnum):
    """What a delegate is to the patient."""

    PARENT = 1
    CARER = 2
    ATTORNEY = 3
    OTHER = 4


class Ability(IntEnum):
    """What a delegate may do: ask for records, or sign sharing choices and tickets. Keys stay the patient's."""

    READ = 1
    SHARE = 2


class Band(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What holds until the patient is of an age in whole years, or for good where it is 0; no class means any."""

    until_age: Annotated[int, Meta(ge=0, le=120)]
    abilities: Annotated[tuple[Ability, ...], Meta(max_length=2)]
    classes: Annotated[tuple[_Class, ...], Meta(max_length=SCOPE_ITEMS_MAX)] = ()


class DelegateTerms(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """As whom, and how far, somebody may act for a patient; the end is the key's own, on the ledger."""

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    relation: Relation
    bands: Annotated[tuple[Band, ...], Meta(min_length=1, max_length=4)]

    def __repr__(self) -> str:
        """Hide what it says of people (P4)."""
        return "DelegateTerms(…)"


class ResidualInvalid(Exception):
    """A residual that is not of its format, or does not open its commitment."""


_SCOPE = decoder(Scope)
_CERTIFICATE = decoder(PersonCertificate)
_SESSION = decoder(CertifiedSession)
_TERMS = decoder(DelegateTerms)
_TEXT = decoder(Annotated[str, Meta(max_length=WORDS_MAX)])
_CERTIFICATE_FIELDS = decoder(CommittedFields)


def certify_session(session: Session, key: SigningKey) -> CertifiedSession:
    """Sign a session with a person's key or a pseudonym's."""
    return CertifiedSession(session, key.sign_tagged(SESSION_TAG, encode(session)))


def commit_choice(tree: Provision, *, secret: bytes) -> CommittedFields:
    """Return a choice's residual. `secret` is 32 random bytes of this choice under this pseudonym alone."""
    check(tree)
    return commit_fields([tree], secret=secret)


def choice_tree(residual: CommittedFields) -> Provision:
    """Return the rules of a choice. Raises ResidualInvalid or ProvisionInvalid."""
    if len(residual.values) != 1:
        raise ResidualInvalid(f"expected the one field of a choice, came {len(residual.values)}")
    return decode_tree(residual.values[0])


def commit_certificate(certificate: PersonCertificate, *, secret: bytes) -> CommittedFields:
    """Return a certificate's committed fields; their root is its id on the ledger."""
    return commit_fields([certificate], secret=secret)


def person_certificate(residual: CommittedFields) -> PersonCertificate:
    """Return whom a certificate is for. Raises EncodingInvalid."""
    certificate: PersonCertificate = _CERTIFICATE.decode(residual.values[0])
    return certificate


def reason(words: str, secret: bytes) -> CommittedFields:
    """Return the residual of a message that needs no more than a reason in words."""
    return commit_fields([words], secret=secret)


def reason_words(residual: CommittedFields) -> str:
    """Return the reason in words that a message has for a residual. Raises EncodingInvalid or ResidualInvalid."""
    if len(residual.values) != 1:
        raise ResidualInvalid(f"expected the one field of a reason, came {len(residual.values)}")
    words: str = _TEXT.decode(residual.values[0])
    return words


def commit_delegate(words: str, terms: DelegateTerms, *, secret: bytes) -> CommittedFields:
    """Return the residual of an AddKey that lets a delegate act within terms. Raises ResidualInvalid."""
    _check_terms(terms)
    return commit_fields([words, terms], secret=secret)


def delegate_terms(residual: CommittedFields) -> DelegateTerms | None:
    """Return how far a delegate may act; None where the patient gave a reason only: as far as the patient.

    Raises:
        EncodingInvalid: it does not decode.
        ResidualInvalid: it has other fields; or ages that do not rise; or a parent whose time does not end with one
            of `CHILD_AGES`.
    """
    if len(residual.values) != 2:
        reason_words(residual)
        return None
    _TEXT.decode(residual.values[0])
    terms: DelegateTerms = _TERMS.decode(residual.values[1])
    _check_terms(terms)
    return terms


def _check_terms(terms: DelegateTerms) -> None:
    ages = [band.until_age for band in terms.bands]
    rising = all(earlier and (not later or earlier < later) for earlier, later in pairwise(ages))
    if not rising:
        raise ResidualInvalid(f"expected ages that rise, 0 for the last at most, came {ages}")
    if terms.relation is Relation.PARENT and not set(ages) <= set(CHILD_AGES):
        raise ResidualInvalid(f"expected a parent's time to end at one of {CHILD_AGES}, came {ages}")


class RequestResidual(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a request keeps off the ledger.

    Args:
        request: the id under which the requester repeats it: 16 random bytes.
        certificate: the person's certificate, whole; without values for the patient's own request.
        session: the certified session key.
        justification: in words; empty where the purpose says all.
    """

    request: Annotated[bytes, Meta(min_length=16, max_length=16)]
    scope: Scope
    certificate: CommittedFields
    session: CertifiedSession
    justification: Annotated[str, Meta(max_length=WORDS_MAX)]

    def __repr__(self) -> str:
        """Hide what it says of people (P4)."""
        return "RequestResidual(…)"


def commit_request(residual: RequestResidual, *, secret: bytes) -> CommittedFields:
    """Return a request's committed fields, each opened by itself."""
    fields = [residual.request, residual.scope, residual.certificate, residual.session, residual.justification]
    return commit_fields(fields, secret=secret)


def request_residual(residual: CommittedFields) -> RequestResidual:
    """Return what a request kept off the ledger. Raises EncodingInvalid or ResidualInvalid."""
    if len(residual.values) != 5:
        raise ResidualInvalid(f"expected the 5 fields of a request, came {len(residual.values)}")
    request, scope, certificate, session, justification = residual.values
    return RequestResidual(
        request=_REQUEST_ID.decode(request),
        scope=_SCOPE.decode(scope),
        certificate=_CERTIFICATE_FIELDS.decode(certificate),
        session=_SESSION.decode(session),
        justification=_TEXT.decode(justification),
    )


_REQUEST_ID = decoder(Annotated[bytes, Meta(min_length=16, max_length=16)])
