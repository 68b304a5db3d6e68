"""Deterministic sealing for names: the same bytes give the same text, and nobody without the key reads or makes one.

AES-SIV (RFC 5297). For what has to be stable and short, such as an id in an address; what is sealed must itself be
unique, since equal bytes show as equal.
"""

import base64
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from salus.crypto.derive import expand
from salus.crypto.hashing import tag_prefix
from salus.crypto.seal_format import SealBroken

KEY_SIZE_BYTES: Final = 64
_ALTERNATIVES: Final = b"-."
"""Instead of `+` and `/`: a FHIR id has letters, digits, hyphens and full stops (FHIR R4 datatypes, id)."""


class NameKey:
    """A key for names, made from another secret of at least 32 random bytes for one use."""

    def __init__(self, secret: bytes, use: str) -> None:
        self._siv = AESSIV(expand(secret, info=tag_prefix(use), length=KEY_SIZE_BYTES))

    def seal_name(self, content: bytes, *, kind: str) -> str:
        """Return the name of some bytes, a multiple of 3 less 1: of 32 bytes it has 64 characters."""
        return base64.b64encode(self._siv.encrypt(content, [kind.encode()]), _ALTERNATIVES).decode()

    def open_name(self, name: str, *, kind: str) -> bytes:
        """Return the bytes of a name. Raises SealBroken for what was not made with this key for this kind."""
        try:
            sealed = base64.b64decode(name.encode(), _ALTERNATIVES, validate=True)
            content = self._siv.decrypt(sealed, [kind.encode()])
        except (InvalidTag, ValueError) as error:
            raise SealBroken("a name that was not made here") from error
        if self.seal_name(content, kind=kind) != name:  # `+` is read as `-`: one thing has one name
            raise SealBroken("a name that was written in another way")
        return content
