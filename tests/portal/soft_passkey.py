"""A passkey in software, with every part of what it says open to change (WebAuthn Level 3)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestedCredentialData, AuthenticatorData

from tests.portal.portal_world import ORIGIN

HOST = "portal.example"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class SoftPasskey:
    """A credential with its private key, and how often it has signed."""

    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    count: int = 0

    def made(self, challenge: bytes, **other: Any) -> dict[str, Any]:
        """What a browser answers that was to make it (5.1.3)."""
        public = ES256.from_cryptography_key(self.key.public_key())
        attested = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        data = _authenticator_data(other, self.count, PRESENT | VERIFIED | ATTESTED, attested)
        attestation = other.get("attestation", cbor.encode({"fmt": "none", "attStmt": {}, "authData": data}))
        client = _client_data("webauthn.create", challenge, other)
        return self._answer({"clientDataJSON": client, "attestationObject": attestation})

    def signed(self, challenge: bytes, **other: Any) -> dict[str, Any]:
        """What a browser answers that was to sign with it (5.1.4)."""
        data = _authenticator_data(other, other.get("count", self.count), PRESENT | VERIFIED)
        client = _client_data("webauthn.get", challenge, other)
        signature = self.key.sign(data + sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        parts = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        return self._answer(parts | other.get("parts", {}), id_=other.get("id", self.id))

    def _answer(self, parts: dict[str, bytes], *, id_: bytes = b"") -> dict[str, Any]:
        name = websafe_encode(id_ or self.id)
        response = {each: websafe_encode(value) for each, value in parts.items()}
        return {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}, "response": response}


def _authenticator_data(other: dict[str, Any], count: int, flags: int, attested: bytes = b"") -> bytes:
    rp = sha256(other.get("host", HOST).encode()).digest()
    flags = other.get("flags", flags)
    made = AuthenticatorData.create(rp, AuthenticatorData.FLAG(flags), count, attested if flags & ATTESTED else b"")
    return bytes(other.get("data", made))


def _client_data(kind: str, challenge: bytes, other: dict[str, Any]) -> bytes:
    said = {"type": other.get("type", kind), "challenge": websafe_encode(challenge)}
    said |= {"origin": other.get("origin", ORIGIN), "crossOrigin": False}
    return json.dumps(said).encode()
