"""Web Push against RFC 8291's example, an independent opening, and a signature that another library checks."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import ECKey

from salus.crypto.web_push import (
    PAYLOAD_BYTES_MAX,
    SIGNED_S,
    PushUnfit,
    new_push_key,
    read_push_key,
    recipient,
    seal,
)

# RFC 8291, appendix A
PLAIN = b"When I grow up, I want to be a watermelon"
OWN = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
THEIR_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
THEIR = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
    "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decoded(text), "big"), ec.SECP256R1())


def opened(body: bytes, key: ec.EllipticCurvePrivateKey, point: bytes, auth: bytes) -> bytes:
    """What a browser does (RFC 8291 3.3, 3.4; RFC 8188 2)."""

    def derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, salt, info).derive(secret)

    salt, length = body[:16], body[20]
    theirs, sealed = body[21 : 21 + length], body[21 + length :]
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))
    material = derived(shared, auth, b"WebPush: info\0" + point + theirs, 32)
    content_key = derived(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = derived(material, salt, b"Content-Encoding: nonce\0", 12)
    plain = AESGCM(content_key).decrypt(nonce, sealed, None)
    assert plain.endswith(b"\x02")
    return plain[:-1]


def test_the_example_of_the_standard_comes_out() -> None:
    sealed = seal(PLAIN, recipient(THEIR, AUTH), own=private(OWN), salt=decoded(SALT))
    assert sealed == decoded(SEALED)


def test_a_browser_opens_what_is_sealed_for_it_each_time_anew() -> None:
    to = recipient(THEIR, AUTH)
    first, second = seal(b"a" * PAYLOAD_BYTES_MAX, to), seal(b"b", to)
    assert opened(first, private(THEIR_PRIVATE), to.point, to.auth) == b"a" * PAYLOAD_BYTES_MAX
    assert opened(second, private(THEIR_PRIVATE), to.point, to.auth) == b"b"
    assert len(first) == 4096
    assert first[:86] != second[:86]


@pytest.mark.parametrize(
    ("point", "auth"),
    [
        ("", AUTH),
        (THEIR[:-1], AUTH),
        ("B" + "A" * 86, AUTH),
        (THEIR.replace("V", "é", 1), AUTH),
        (THEIR, ""),
        (THEIR, AUTH[:-2]),
        (THEIR, AUTH + "AAAA"),
    ],
    ids=["no key", "a short key", "no point of the curve", "no base64", "no secret", "a short secret", "a long secret"],
)
def test_what_is_no_browser_is_refused(point: str, auth: str) -> None:
    with pytest.raises(PushUnfit):
        recipient(point, auth)


def test_a_request_is_signed_as_another_library_checks_it(tmp_path: Path) -> None:
    new_push_key(tmp_path / "push.key")
    text = (tmp_path / "push.key").read_text()
    assert (tmp_path / "push.key").stat().st_mode & 0o077 == 0
    new_push_key(tmp_path / "push.key")
    assert (tmp_path / "push.key").read_text() == text  # one that is there stays
    assert [each.name for each in tmp_path.iterdir()] == ["push.key"]
    key = read_push_key(text)
    field = key.authorization("https://push.example", contact="mailto:a@b.example", now_s=1000)
    scheme, token, public = field.partition(" ")[0], *field.partition(" ")[2].split(", ")
    assert (scheme, public) == ("vapid", f"k={key.public}")
    found = jwt.decode(token.removeprefix("t="), ECKey.import_key(text), algorithms=["ES256"])
    assert found.claims == {"aud": "https://push.example", "exp": 1000 + SIGNED_S, "sub": "mailto:a@b.example"}


@pytest.mark.parametrize("text", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(PushUnfit):
        read_push_key(text)
