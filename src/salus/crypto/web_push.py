"""Web Push: a message to a browser through its maker's push service, which learns that there is one and nothing more.

The payload is sealed for the browser alone (RFC 8291 over RFC 8188, `aes128gcm`); a request says by a signature from
which server it is (VAPID, RFC 8292), so that nobody else can use a browser's address.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.crypto.derive import hkdf

RECORD_BYTES: Final = 4_096
PAYLOAD_BYTES_MAX: Final = RECORD_BYTES - 86 - 17
"""RFC 8291 4: header, delimiter and tag of the one record that there is."""
SALT_BYTES: Final = 16
AUTH_BYTES: Final = 16
SIGNED_S: Final = 43_200
"""RFC 8292 2: at most a day."""
_CURVE: Final = ec.SECP256R1()
_POINT = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint


class PushUnfit(Exception):
    """What a browser gave is no address that something can be sealed for."""


@dataclass(frozen=True)
class Recipient:
    """A browser: its public key as a point of P-256, and the secret that it shares with its server (RFC 8291 2)."""

    point: bytes = field(repr=False)
    auth: bytes = field(repr=False)


def recipient(p256dh: str, auth: str) -> Recipient:
    """Return a browser's keys as it gave them, in base64url. Raises PushUnfit."""
    try:
        found = Recipient(_decoded(p256dh), _decoded(auth))
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, found.point)
    except ValueError as error:
        raise PushUnfit("expected a key of P-256 and a secret, in base64url") from error
    if len(found.auth) != AUTH_BYTES:
        raise PushUnfit(f"expected a secret of {AUTH_BYTES} bytes")
    return found


def seal(
    payload: bytes, to: Recipient, *, own: ec.EllipticCurvePrivateKey | None = None, salt: bytes | None = None
) -> bytes:
    """Return a payload sealed for one browser.

    Args:
        own, salt: for test vectors; else new ones, as each message needs.
    """
    assert len(payload) <= PAYLOAD_BYTES_MAX, "a payload fits in one record"
    own, salt = own or ec.generate_private_key(_CURVE), salt or secrets.token_bytes(SALT_BYTES)
    their = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, to.point)
    point = own.public_key().public_bytes(*_POINT)
    shared = own.exchange(ec.ECDH(), their)
    material = hkdf(shared, salt=to.auth, info=b"WebPush: info\0" + to.point + point, length=32)  # RFC 8291 3.3
    key = hkdf(material, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16)  # RFC 8188 2.2
    nonce = hkdf(material, salt=salt, info=b"Content-Encoding: nonce\0", length=12)  # RFC 8188 2.3, record 0
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(point)]) + point  # RFC 8188 2.1
    return header + AESGCM(key).encrypt(nonce, payload + b"\x02", None)  # 2: the last record


class PushKey:
    """The key by which push services know one server."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> str:
        """The point that browsers are given (applicationServerKey), in base64url."""
        return _encoded(self._key.public_key().public_bytes(*_POINT))

    def authorization(self, audience: str, *, contact: str, now_s: int) -> str:
        """Return the Authorization field of one request (RFC 8292 3).

        Args:
            audience: origin of the push service; contact: `mailto:` or `https:`, whom its operators ask.
        """
        claims = {"aud": audience, "exp": now_s + SIGNED_S, "sub": contact}
        signed = ".".join(_encoded(json.dumps(each).encode()) for each in ({"typ": "JWT", "alg": "ES256"}, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = _encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))  # RFC 7518 3.4
        return f"vapid t={signed}.{signature}, k={self.public}"


def new_push_key(path: Path) -> None:
    """Write a new key to a file that only its owner may read; one that is there stays. Raises OSError."""
    encoded = ec.generate_private_key(_CURVE).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    part.touch(mode=0o600)
    part.write_bytes(encoded)
    try:
        path.hardlink_to(part)  # of two that do this at the same moment, one is first
    except FileExistsError:
        pass
    finally:
        part.unlink()


def read_push_key(pem: str) -> PushKey:
    """Return a key from its text. Raises PushUnfit."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError) as error:
        raise PushUnfit("expected a key of P-256 in PEM, without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PushUnfit("expected a key of P-256, came another")
    return PushKey(key)


def _decoded(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("expected base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
