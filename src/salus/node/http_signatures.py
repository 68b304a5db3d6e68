"""HTTP message signatures between nodes (RFC 9421) over content digests (RFC 9530), in one fixed profile.

Promises: what is covered, the parameters, the algorithm and the digest are fixed, so nothing can be negotiated down;
a request is bound to its path, body, sender and recipient, an answer to its status, its body and its request.
Signatures of others in the same fields, such as a gateway's, are left alone. Never looks at the Host field: whom a
request is for, its sender says and signs. Byte formats: docs/spec/exchange.md.
"""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from salus.crypto.hashing import sha256
from salus.crypto.signing import SignatureInvalid, SigningKey, verify
from salus.ledger.identifiers import OrganisationId

NONCE_BYTES: Final = 16
FIELD_CHARACTERS_MAX: Final = 4096
REQUEST_TAG: Final = "salus-request-1"
ANSWER_TAG: Final = "salus-answer-1"
DEVICE: Final = "device"
"""Stands for the sender in a request of a patient's own device; codes of organisations are in upper case."""

Fields = Mapping[str, str]
"""Header fields by lower-case name; several of one name joined with a comma and a space (RFC 9110 5.3)."""

_LABEL: Final = "salus"
_COVERED_REQUEST: Final = '("@method" "@path" "content-digest" "salus-sender" "salus-recipient")'
_COVERED_ANSWER: Final = '("@status" "content-digest" "content-digest";req "signature";req;key="salus")'
_REQUEST_INPUT: Final = re.compile(
    re.escape(_COVERED_REQUEST) + r";created=(0|[1-9][0-9]{0,11})"
    r';nonce="([0-9a-f]{32})";keyid="([0-9a-f]{64})";alg="ed25519"' + f';tag="{REQUEST_TAG}"'
)
_ANSWER_INPUT: Final = re.compile(
    re.escape(_COVERED_ANSWER) + r";created=(0|[1-9][0-9]{0,11})"
    r';keyid="([0-9a-f]{64})";alg="ed25519"' + f';tag="{ANSWER_TAG}"'
)
# RFC 9651 3.2: members are separated by commas; one inside a string separates nothing. No part of this goes back.
_MEMBER: Final = re.compile(r'[ \t]*+([a-z*][a-z0-9_.*-]*+)=((?:"(?:[^"\\]|\\.)*+"|[^",]++)*+)(?:,|\Z)')
_ORGANISATION: Final = re.compile(r"[A-Z0-9]{2,12}")


class MessageUnsigned(Exception):
    """A message that does not carry a signature of this profile, or one that does not hold."""


@dataclass(frozen=True)
class RequestHead:
    """What a request's signature covers.

    Args:
        path: as the recipient's registered endpoint gives it, without a query.
        sender: empty for a patient's own device.
        digest: SHA-256 of the body, 32 bytes.
    """

    path: str
    sender: OrganisationId
    recipient: OrganisationId
    digest: bytes


@dataclass(frozen=True)
class SignedRequest:
    """A request's head with its signature, which is checked only by `verify`.

    Args:
        created_s: Unix seconds.
        nonce: 16 random bytes.
        key: the public key that it names; whose that is, the ledger says.
    """

    head: RequestHead
    created_s: int
    nonce: bytes
    key: bytes
    signature: bytes

    def verify(self) -> None:
        """Check the signature with the key that the request names. Raises MessageUnsigned."""
        try:
            verify(self.key, _request_base(self.head, self._parameters()), self.signature)
        except SignatureInvalid as error:
            raise MessageUnsigned("the signature is not that key's over this request") from error

    def fields(self) -> dict[str, str]:
        """Return the header fields that carry all of this."""
        return {
            "content-digest": _digest_field(self.head.digest),
            "salus-sender": self.head.sender or DEVICE,
            "salus-recipient": self.head.recipient,
            "signature-input": f"{_LABEL}={self._parameters()}",
            "signature": f"{_LABEL}={_byte_sequence(self.signature)}",
        }

    def _parameters(self) -> str:
        return _request_parameters(self.created_s, self.nonce, self.key)


def gather(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header fields by name, as a signature sees them (RFC 9421 2.1)."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def sign_request(head: RequestHead, key: SigningKey, *, created_s: int, nonce: bytes) -> SignedRequest:
    """Sign a request.

    Args:
        key: the sender's registered http key; for a device its session key, or one made for this request alone.
        created_s: Unix seconds.
        nonce: 16 random bytes, never used again.
    """
    assert len(nonce) == NONCE_BYTES, f"a nonce has {NONCE_BYTES} bytes, got {len(nonce)}"
    base = _request_base(head, _request_parameters(created_s, nonce, key.public))
    return SignedRequest(head, created_s, nonce, key.public, key.sign(base))


def read_request(fields: Fields, *, path: str) -> SignedRequest:
    """Read what a request says of itself; nothing of it is true before `verify`.

    Raises:
        MessageUnsigned: a field is missing, is there twice, or is not of this profile.
    """
    found = _REQUEST_INPUT.fullmatch(_member(fields, "signature-input"))
    if found is None:
        raise MessageUnsigned("expected a signature over method, path, digest, sender and recipient, by ed25519")
    head = RequestHead(
        path=path,
        sender=_read_sender(fields),
        recipient=_read_organisation(fields, "salus-recipient"),
        digest=_read_digest(fields),
    )
    created, nonce, key = found.groups()
    signature = _read_bytes(_member(fields, "signature"), size_bytes=64)
    return SignedRequest(head, int(created), bytes.fromhex(nonce), bytes.fromhex(key), signature)


def check_digest(digest: bytes, body: bytes) -> None:
    """Check a body against its digest, in constant time. Raises MessageUnsigned."""
    if not hmac.compare_digest(digest, sha256(body)):
        raise MessageUnsigned("the body is not the one that was signed")


def sign_answer(request: SignedRequest, *, status: int, body: bytes, key: SigningKey, created_s: int) -> dict[str, str]:
    """Return the header fields of an answer to a request, signed by the responder's http key."""
    digest = sha256(body)
    parameters = _answer_parameters(created_s, key.public)
    signature = key.sign(_answer_base(request, status, digest, parameters))
    return {
        "content-digest": _digest_field(digest),
        "signature-input": f"{_LABEL}={parameters}",
        "signature": f"{_LABEL}={_byte_sequence(signature)}",
    }


def verify_answer(request: SignedRequest, *, status: int, fields: Fields, body: bytes, key: bytes) -> None:
    """Check that an answer is the responder's, whole, and to this request.

    Args:
        key: the responder's registered http key.

    Raises:
        MessageUnsigned: it is another's, was changed, or answers another request.
    """
    found = _ANSWER_INPUT.fullmatch(_member(fields, "signature-input"))
    if found is None:
        raise MessageUnsigned("expected a signature over status, digest and request, by ed25519")
    digest = _read_digest(fields)
    check_digest(digest, body)
    if not hmac.compare_digest(bytes.fromhex(found[2]), key):
        raise MessageUnsigned("the key is not the responder's registered http key")
    base = _answer_base(request, status, digest, _answer_parameters(int(found[1]), key))
    try:
        verify(key, base, _read_bytes(_member(fields, "signature"), size_bytes=64))
    except SignatureInvalid as error:
        raise MessageUnsigned("the signature is not that key's over this answer to this request") from error


# Signature bases (RFC 9421 2.5)


def signature_base(covered: Iterable[tuple[str, str]], parameters: str) -> bytes:
    """Return what is signed.

    Args:
        covered: component identifiers as they are written, quotes and parameters included, each with its value.
        parameters: the list of identifiers and the parameters, as in Signature-Input.
    """
    lines = [f"{identifier}: {value}\n" for identifier, value in covered]
    return "".join((*lines, f'"@signature-params": {parameters}')).encode("latin-1")


def _request_base(head: RequestHead, parameters: str) -> bytes:
    covered = (
        ('"@method"', "POST"),
        ('"@path"', head.path),
        ('"content-digest"', _digest_field(head.digest)),
        ('"salus-sender"', head.sender or DEVICE),
        ('"salus-recipient"', head.recipient),
    )
    return signature_base(covered, parameters)


def _answer_base(request: SignedRequest, status: int, digest: bytes, parameters: str) -> bytes:
    # RFC 9421 2.4: the request's signature alone would not say what was asked, so its digest stands beside it.
    covered = (
        ('"@status"', str(status)),
        ('"content-digest"', _digest_field(digest)),
        ('"content-digest";req', _digest_field(request.head.digest)),
        ('"signature";req;key="salus"', _byte_sequence(request.signature)),
    )
    return signature_base(covered, parameters)


def _request_parameters(created_s: int, nonce: bytes, key: bytes) -> str:
    return (
        f'{_COVERED_REQUEST};created={created_s};nonce="{nonce.hex()}"'
        f';keyid="{key.hex()}";alg="ed25519";tag="{REQUEST_TAG}"'
    )


def _answer_parameters(created_s: int, key: bytes) -> str:
    return f'{_COVERED_ANSWER};created={created_s};keyid="{key.hex()}";alg="ed25519";tag="{ANSWER_TAG}"'


# Fields


def _member(fields: Fields, name: str) -> str:
    """Return our member of a dictionary field; those of others may stand beside it (RFC 9421 4.3)."""
    value = fields.get(name, "")
    if len(value) > FIELD_CHARACTERS_MAX:
        raise MessageUnsigned(f"expected at most {FIELD_CHARACTERS_MAX} characters of {name}")
    members: dict[str, str] = {}
    offset = 0
    while offset < len(value):
        found = _MEMBER.match(value, offset)
        if found is None or found[1] in members:
            raise MessageUnsigned(f"expected {name} to be a dictionary with each label once")
        members[found[1]] = found[2].strip(" \t")
        offset = found.end()
    if _LABEL not in members:
        raise MessageUnsigned(f"expected {name} with the label {_LABEL}")
    return members[_LABEL]


def _read_digest(fields: Fields) -> bytes:
    # RFC 9530 allows several algorithms side by side; one that is weak would be an invitation.
    value = fields.get("content-digest", "")
    if not value.startswith("sha-256="):
        raise MessageUnsigned("expected content-digest with sha-256 and nothing else")
    return _read_bytes(value.removeprefix("sha-256="), size_bytes=32)


def _read_sender(fields: Fields) -> OrganisationId:
    return OrganisationId("") if fields.get("salus-sender") == DEVICE else _read_organisation(fields, "salus-sender")


def _read_organisation(fields: Fields, name: str) -> OrganisationId:
    value = fields.get(name, "")
    if _ORGANISATION.fullmatch(value) is None:
        raise MessageUnsigned(f"expected {name} with the code of one organisation")
    return OrganisationId(value)


def _read_bytes(value: str, *, size_bytes: int) -> bytes:
    """Parse a byte sequence (RFC 9651 3.3.5) of one size, in its only canonical form."""
    try:
        read = b64decode(value[1:-1], validate=True)
    except ValueError as error:
        raise MessageUnsigned("expected base64 between colons") from error
    if len(read) != size_bytes or _byte_sequence(read) != value:
        raise MessageUnsigned(f"expected {size_bytes} bytes in base64 between colons")
    return read


def _digest_field(digest: bytes) -> str:
    return f"sha-256={_byte_sequence(digest)}"


def _byte_sequence(data: bytes) -> str:
    return f":{b64encode(data).decode('ascii')}:"
