"""JWE in the one form that SMART Health Links take: a shared key, AES-256-GCM, compact, compressed (RFC 7516, 7518).

Promises: each is encrypted under a new nonce; nothing but what the key's holder gets can be read from it, save its type
and its size.
"""

import base64
import json
import os
import zlib
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.crypto.seal_format import NONCE_SIZE_BYTES, TAG_SIZE_BYTES
from salus.crypto.sealing import KEY_SIZE_BYTES

_RAW_DEFLATE: Final = -15


def write_jwe(key: bytes, content: bytes, *, content_type: str) -> str:
    """Encrypt content directly with a key (RFC 7518 4.5, 5.3), deflated first (RFC 7516 4.1.3).

    Args:
        key: 32 bytes that whoever is to read it has.
        content_type: a media type, which stands beside it in clear (RFC 7516 4.1.12).
    """
    assert len(key) == KEY_SIZE_BYTES, f"A256GCM takes {KEY_SIZE_BYTES} bytes, got {len(key)}"
    fields = {"alg": "dir", "enc": "A256GCM", "cty": content_type, "zip": "DEF"}
    header = _encoded(json.dumps(fields, separators=(",", ":")).encode())
    nonce = os.urandom(NONCE_SIZE_BYTES)
    deflate = zlib.compressobj(wbits=_RAW_DEFLATE)
    encrypted = AESGCM(key).encrypt(nonce, deflate.compress(content) + deflate.flush(), header.encode())
    text, tag = encrypted[:-TAG_SIZE_BYTES], encrypted[-TAG_SIZE_BYTES:]
    return ".".join((header, "", _encoded(nonce), _encoded(text), _encoded(tag)))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
