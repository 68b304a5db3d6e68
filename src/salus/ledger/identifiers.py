"""The identifiers that appear on the ledger, each with its own type and one fixed size.

A decoder that meets an identifier of another size refuses the bytes, so nothing further in has to measure again.
"""

from typing import Annotated, NewType

from msgspec import Meta

Pseudonym = NewType("Pseudonym", bytes)
"""One person at one custodian: 16 random bytes, never derived from anything (P7)."""
RecordId = NewType("RecordId", bytes)
"""One record, all its versions: 16 random bytes."""
PermitId = NewType("PermitId", bytes)
"""16 bytes, computed from the transaction and the message that asked (DESIGN §5.1)."""
ProposalId = NewType("ProposalId", bytes)
"""16 bytes, computed from the transaction and the message that proposed (DESIGN §5)."""
CertificateId = NewType("CertificateId", bytes)
"""32 bytes: the salted commitment to a person's certificate."""
PublicKey = NewType("PublicKey", bytes)
"""An Ed25519 public key, 32 bytes."""
Digest = NewType("Digest", bytes)
"""32 bytes out of SHA-256: a root, a commitment, a hash."""
OrganisationId = NewType("OrganisationId", str)
"""An ODS code, upper case."""

PseudonymField = Annotated[Pseudonym, Meta(min_length=16, max_length=16)]
RecordIdField = Annotated[RecordId, Meta(min_length=16, max_length=16)]
PermitIdField = Annotated[PermitId, Meta(min_length=16, max_length=16)]
ProposalIdField = Annotated[ProposalId, Meta(min_length=16, max_length=16)]
CertificateIdField = Annotated[CertificateId, Meta(min_length=32, max_length=32)]
PublicKeyField = Annotated[PublicKey, Meta(min_length=32, max_length=32)]
DigestField = Annotated[Digest, Meta(min_length=32, max_length=32)]
OrganisationIdField = Annotated[OrganisationId, Meta(pattern=r"^[A-Z0-9]{2,12}\Z")]
NonceField = Annotated[bytes, Meta(min_length=16, max_length=16)]
SignatureField = Annotated[bytes, Meta(min_length=64, max_length=64)]
SecondsField = Annotated[int, Meta(ge=0, lt=1 << 40)]
CountField = Annotated[int, Meta(ge=0, lt=1 << 53)]

EMPTY = Digest(b"")
"""Stands where a digest is absent; only fields of type `OptionalDigestField` take it."""
OptionalDigestField = Annotated[Digest, Meta(max_length=32)]
