"""A ticket in the form in which its holder has it: a SMART Permission Ticket, a JWT that is itself the bearer secret.

The ticket's key is derived from everything that is signed, 32 random bytes of it in `jti`. So the row on the ledger,
which a key of the patient put there, vouches for each claim: whoever changes one has the key of no ticket. No key of an
issuer has to be published, and none that is replaced takes its tickets with it.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from salus.crypto.derive import ticket_key
from salus.crypto.signing import SignatureInvalid, SigningKey, verify

BEARER_CHARACTERS_MAX: Final = 8192
SECRET_BYTES: Final = 32
TICKET_TYPE: Final = "urn:salus:ticket-type:1"
ISSUER_PREFIX: Final = "urn:salus:ledger:"
PSEUDONYM_SYSTEM: Final = "urn:salus:pseudonym"
_HEADER: Final = b'{"alg":"EdDSA","typ":"JWT"}'
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})")

Text = Annotated[str, Meta(min_length=1, max_length=512)]


class BearerUnfit(Exception):
    """Text that is no ticket of this format; the message says what was expected."""


class Coding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A code that narrows: a system, which may be left out, and a code."""

    code: Text
    system: str = ""


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One kind of records that a ticket is about; `*` is every kind. A ticket reads and never writes."""

    type: Annotated[str, Meta(pattern=r"^(\*|[A-Z][A-Za-z]{1,63})$")]
    interactions: Annotated[tuple[Literal["read", "search"], ...], Meta(min_length=1, max_length=2)]
    category: Coding | None = None
    code: Coding | None = None


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a ticket may be exchanged for; a limit that is not known here is none that could be kept."""

    fhir_resources: Annotated[tuple[Resources, ...], Meta(min_length=1, max_length=64)]


class Identifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The relationship, by its pseudonym in hexadecimal."""

    system: Literal["urn:salus:pseudonym"]
    value: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]


class Patient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"resource_type": "resourceType"}):
    """Whose records, without a word about the person (P1)."""

    resource_type: Literal["Patient"]
    identifier: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=1)]


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom it is about."""

    patient: Patient


class PresenterBinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one program that may show the ticket, by the thumbprint of a key of its own (RFC 7638)."""

    method: Literal["jkt"]
    jkt: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]


class TicketClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The claims of a ticket (SMART Permission Tickets); what is not listed here is refused.

    Args:
        iss: the ledger that vouches for it.
        aud: the server of the custodian at which it may be shown.
        exp: when it ends; iat: when it was made. Unix seconds.
        jti: 32 random bytes in base64url.
    """

    iss: Text
    aud: Text
    exp: Annotated[int, Meta(ge=0)]
    iat: Annotated[int, Meta(ge=0)]
    jti: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]
    ticket_type: Literal["urn:salus:ticket-type:1"]
    subject: Subject
    access: Access
    presenter_binding: PresenterBinding | None = None


@dataclass(frozen=True)
class TicketBearer:
    """A ticket that was read: its claims, and the key that it stands for."""

    claims: TicketClaims
    key: SigningKey = field(repr=False)

    @property
    def pseudonym(self) -> bytes:
        """Whose records it is about."""
        return bytes.fromhex(self.claims.subject.patient.identifier[0].value)


def new_claims(
    *,
    chain: str,
    audience: str,
    pseudonym: bytes,
    resources: tuple[Resources, ...],
    time_s: int,
    expires_at_s: int,
    secret: bytes,
    thumbprint: str = "",
) -> TicketClaims:
    """Return the claims of a new ticket.

    Args:
        audience: the base of the custodian's FHIR server.
        time_s: now; `expires_at_s` is that of the ledger's message. Unix seconds.
        secret: 32 random bytes of this ticket alone.
        thumbprint: of a key of the program that may show it; empty for whoever has it.
    """
    assert len(secret) == SECRET_BYTES, f"a ticket's secret has {SECRET_BYTES} bytes, got {len(secret)}"
    identifier = Identifier(PSEUDONYM_SYSTEM, pseudonym.hex())
    return TicketClaims(
        iss=ISSUER_PREFIX + chain,
        aud=audience,
        exp=expires_at_s,
        iat=time_s,
        jti=_encoded(secret).decode(),
        ticket_type=TICKET_TYPE,
        subject=Subject(Patient("Patient", (identifier,))),
        access=Access(resources),
        presenter_binding=PresenterBinding("jkt", thumbprint) if thumbprint else None,
    )


def write_bearer(claims: TicketClaims) -> tuple[str, SigningKey]:
    """Return a ticket as its holder has it (RFC 7515 3.1), and its key."""
    signed = _encoded(_HEADER) + b"." + _encoded(msgspec.json.encode(claims))
    key = ticket_key(signed)
    return (signed + b"." + _encoded(key.sign(signed))).decode(), key


def read_bearer(text: str) -> TicketBearer:
    """Read a ticket; whether there is one with its key, the ledger says.

    Raises:
        BearerUnfit: no JWT of this format, a claim that is not known, or another signature than its own key's.
    """
    found = _COMPACT.fullmatch(text) if len(text) <= BEARER_CHARACTERS_MAX else None
    if found is None or found[1].encode() != _encoded(_HEADER):
        raise BearerUnfit("expected a ticket: a JWT with the header of tickets")
    signed = text.rpartition(".")[0].encode()
    key = ticket_key(signed)
    try:
        claims = msgspec.json.decode(_decoded(found[2]), type=TicketClaims)
        verify(key.public, signed, _decoded(found[3]))
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, SignatureInvalid) as error:
        raise BearerUnfit("expected a ticket with known claims alone, signed by the key that it stands for") from error
    return TicketBearer(claims, key)


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
