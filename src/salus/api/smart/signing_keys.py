"""The keys with which a node signs tokens that others read, and how they follow each other.

Each is Ed25519, used for a month, published for a month before and after. It is derived from the secret of the node's
interfaces and the number of its month, so that all workers have the same one and none has to be stored.
"""

import base64
import warnings
from collections.abc import Callable
from typing import Final

from joserfc import jwt
from joserfc.jwk import OKPKey

from salus.node.assemble import Node
from salus.node.sealed_rows import SealedRows

# RFC 9864 calls it Ed25519 since 2025; what apps know is the older name, which with this key means the same.
warnings.filterwarnings("ignore", "EdDSA is deprecated")

PERIOD_S: Final = 30 * 86_400
ALGORITHM: Final = "EdDSA"
ID_TOKEN_S: Final = 300


class SigningKeys:
    """The signing keys of one node."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._rows = rows

    def sign(self, claims: dict[str, object]) -> str:
        """Return a JWT of these claims, signed with this month's key."""
        key = self._key(self._period())
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])

    def sign_bytes(self, made: Callable[[str], bytes]) -> bytes:
        """Return a signature by this month's key over what is made with its id in the JWK Set."""
        period = self._period()
        return self._rows.signing_key(period).sign(made(str(self._key(period).kid)))

    def jwks(self) -> dict[str, object]:
        """Return the public keys of the month before, this one and the next, as a JWK Set (RFC 7517)."""
        now = self._period()
        keys = [self._key(period).as_dict(private=False) for period in (now, now + 1, now - 1)]
        return {"keys": [{**each, "use": "sig", "alg": ALGORITHM} for each in keys]}

    def _period(self) -> int:
        return self._node.clock() // PERIOD_S

    def _key(self, period: int) -> OKPKey:
        key = self._rows.signing_key(period)
        written = {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public), "d": _base64url(key.seed)}
        return OKPKey.import_key({**written, "kid": f"{period}-{_base64url(key.public)[:8]}"})


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
