"""JWE against another implementation, and against RFC 7516's own rules."""

import base64
import json

import pytest
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from salus.crypto.jwe import write_jwe

KEY = bytes(range(32))
TYPE = "application/fhir+json"


@pytest.mark.parametrize("content", [b"", b"{}", "Llanfair­pwll ✓".encode() * 5000], ids=["empty", "short", "long"])
def test_another_implementation_reads_it(content: bytes) -> None:
    read = jwe.decrypt_compact(write_jwe(KEY, content, content_type=TYPE), OctKey.import_key(KEY))
    assert read.plaintext == content
    assert read.protected == {"alg": "dir", "enc": "A256GCM", "cty": TYPE, "zip": "DEF"}


def test_it_has_five_parts_and_no_wrapped_key() -> None:
    header, wrapped, nonce, _, tag = write_jwe(KEY, b"x", content_type=TYPE).split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "dir"
    assert (wrapped, len(nonce), len(tag)) == ("", 16, 22)


def test_the_same_content_is_never_encrypted_alike() -> None:
    assert len({write_jwe(KEY, b"x", content_type=TYPE) for _ in range(50)}) == 50


@pytest.mark.parametrize("part", [0, 2, 3, 4], ids=["header", "nonce", "text", "tag"])
def test_another_key_or_a_changed_part_opens_nothing(part: int) -> None:
    whole = write_jwe(KEY, b"content", content_type=TYPE)
    with pytest.raises(JoseError):
        jwe.decrypt_compact(whole, OctKey.import_key(bytes(32)))
    parts = whole.split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    with pytest.raises((JoseError, ValueError)):
        jwe.decrypt_compact(".".join(parts), OctKey.import_key(KEY))
