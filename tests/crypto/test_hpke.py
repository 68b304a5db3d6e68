"""HPKE: RFC 9180's own vectors, the X-Wing draft's first key, X25519 of Wycheproof, and every refusal by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto.hpke import HpkeKey, HpkeSuite, check_public_key, open_with, seal_to
from salus.crypto.sealing import SealBroken
from salus.crypto.signing import KeyInvalid

KEYS = {suite: HpkeKey.from_seed(suite, bytes(range(32))) for suite in HpkeSuite}
OVERHEAD_BYTES = {HpkeSuite.X25519: 1 + 32 + 16, HpkeSuite.HYBRID: 1 + 1120 + 16}
AEADS = {1: AEAD.AES_128_GCM, 2: AEAD.AES_256_GCM, 3: AEAD.CHACHA20_POLY1305}
both = pytest.mark.parametrize("suite", HpkeSuite)


@both
def test_what_was_sealed_opens(suite: HpkeSuite) -> None:
    sealed = seal_to(KEYS[suite].public, b"release key", info=b"permit")
    assert open_with(KEYS[suite], sealed, info=b"permit") == b"release key"
    assert len(sealed) == len(b"release key") + OVERHEAD_BYTES[suite]
    assert seal_to(KEYS[suite].public, b"release key", info=b"permit") != sealed


@both
def test_keys_follow_from_their_seed(suite: HpkeSuite) -> None:
    generated = HpkeKey.generate(suite)
    assert HpkeKey.from_private(generated.private) == generated
    assert HpkeKey.from_private(generated.private).public == generated.public
    assert HpkeKey.generate(suite).public != generated.public
    check_public_key(generated.public)


def test_one_seed_gives_unrelated_keys_in_the_two_suites() -> None:
    one, other = KEYS.values()
    assert one.public[-32:] != other.public[-32:]


@both
def test_a_key_prints_no_secret(suite: HpkeSuite) -> None:
    assert KEYS[suite].seed.hex() not in repr(KEYS[suite])


def test_rfc9180_key_pairs(shared_data: Path) -> None:
    """DeriveKeyPair of RFC 9180 7.1.3: ikmR gives pkRm, and the scalar skRm."""
    for case in rfc9180(shared_data):
        key = HpkeKey.from_seed(HpkeSuite.X25519, bytes.fromhex(case["ikmR"]))
        assert key.public == b"\x01" + bytes.fromhex(case["pkRm"])
        assert key._private.private_bytes_raw().hex() == case["skRm"]  # type: ignore[union-attr]


def test_rfc9180_messages(shared_data: Path) -> None:
    """The first message of each base-mode context: all that a one-shot interface can open.

    Later messages count the nonce on, modes 1 to 3 authenticate the sender and suite ffff only exports: the library
    has none of them, and neither has Salus. The vectors have aad, hence the library's inner function.
    """
    opened = []
    for case in rfc9180(shared_data):
        if case["mode"] == 0 and case["aead_id"] in AEADS:
            first = case["encryptions"][0]
            suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEADS[case["aead_id"]])
            private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["skRm"]))
            sealed, info, aad = (bytes.fromhex(x) for x in (case["enc"] + first["ct"], case["info"], first["aad"]))
            got = openssl.hpke._decrypt_with_aad(suite, sealed, private, info, aad)
            assert got.hex() == first["pt"]
            opened.append(case["aead_id"])
    assert opened == [1, 2, 3]


def test_xwing_draft_key() -> None:
    """draft-connolly-cfrg-xwing-kem, appendix C, first vector: how its 1216-byte public key begins and ends."""
    seed = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    public = HpkeKey.from_seed(HpkeSuite.HYBRID, seed).public
    assert (len(public), public[0]) == (1 + 1216, 2)
    assert public[1:25].hex() == "e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b"
    assert public[-15:].hex() == "593d4ba32d9abac8cd049040ef6534"


def test_wycheproof_x25519(shared_data: Path) -> None:
    """Every shared secret, and the refusal of exactly the keys that give zero.

    "Acceptable" are points on the twist and other encodings of points, which RFC 7748 5 accepts and computes as the
    file says; but not those of small order, which RFC 9180 7.1.4 must refuse.
    """
    counts = {"computed": 0, "refused": 0}
    groups = json.loads((shared_data / "crypto/wycheproof/x25519_test.json").read_text())["testGroups"]
    for test in (test for group in groups for test in group["tests"]):
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(test["private"]))
        public = bytes.fromhex(test["public"])
        if "ZeroSharedSecret" in test["flags"]:
            with pytest.raises(KeyInvalid, match="small order"):
                seal_to(b"\x01" + public, b"", info=b"")
            counts["refused"] += 1
        else:
            check_public_key(b"\x01" + public)
            assert private.exchange(X25519PublicKey.from_public_bytes(public)).hex() == test["shared"], test["tcId"]
            counts["computed"] += 1
    assert counts == {"computed": 243, "refused": 16}


REFUSED_KEYS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no HPKE suite none"),
    "suite 0": (bytes(33), "no HPKE suite 00"),
    "suite 3": (b"\x03" + bytes(32), "no HPKE suite 03"),
    "X25519, one byte short": (KEYS[HpkeSuite.X25519].public[:-1], "has 33 bytes, got 32"),
    "X25519, one byte long": (KEYS[HpkeSuite.X25519].public + b"\0", "has 33 bytes, got 34"),
    "hybrid suite on an X25519 key": (b"\x02" + KEYS[HpkeSuite.X25519].public[1:], "has 1217 bytes, got 33"),
    "X25519 zero": (b"\x01" + bytes(32), "small order"),
    "hybrid with X25519 one": (KEYS[HpkeSuite.HYBRID].public[:-32] + b"\x01" + bytes(31), "small order"),
    "ML-KEM coefficient above q": (
        b"\x02" + b"\xff" * 1184 + KEYS[HpkeSuite.HYBRID].public[-32:],
        "coefficient out of range",
    ),
}


@pytest.mark.parametrize("name", REFUSED_KEYS)
def test_public_key_refused(name: str) -> None:
    public, words = REFUSED_KEYS[name]
    with pytest.raises(KeyInvalid, match=words):
        check_public_key(public)
    with pytest.raises(KeyInvalid, match=words):
        seal_to(public, b"key", info=b"")


@pytest.mark.parametrize(
    ("private", "words"),
    [(b"", "has 33 bytes, got 0"), (b"\x01" * 34, "got 34"), (b"\x07" * 33, "no HPKE suite 07")],
)
def test_private_key_refused(private: bytes, words: str) -> None:
    with pytest.raises(KeyInvalid, match=words):
        HpkeKey.from_private(private)


@both
def test_other_key_other_info_other_suite_open_nothing(suite: HpkeSuite) -> None:
    sealed = seal_to(KEYS[suite].public, b"key", info=b"permit")
    with pytest.raises(SealBroken, match="another key"):
        open_with(HpkeKey.generate(suite), sealed, info=b"permit")
    with pytest.raises(SealBroken, match="another use"):
        open_with(KEYS[suite], sealed, info=b"permit 2")
    other = KEYS[HpkeSuite(3 - suite)]
    with pytest.raises(SealBroken, match="the key is of suite"):
        open_with(other, sealed, info=b"permit")
    with pytest.raises(SealBroken, match="was changed"):
        open_with(other, bytes((other.suite,)) + sealed[1:], info=b"permit")


@settings(max_examples=30)
@given(st.sampled_from(HpkeSuite), st.data())
def test_any_changed_bit_or_missing_end_is_refused(suite: HpkeSuite, data: st.DataObject) -> None:
    """Even the top bit of an X25519 point, which no exchange sees: HPKE hashes the point as it came."""
    sealed = bytearray(seal_to(KEYS[suite].public, b"release key", info=b"permit"))
    if data.draw(st.booleans()):
        del sealed[data.draw(st.integers(0, len(sealed) - 1)) :]
    else:
        bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
        sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        open_with(KEYS[suite], bytes(sealed), info=b"permit")


def rfc9180(shared_data: Path) -> list[dict[str, Any]]:
    file = shared_data / "crypto" / "hpke-rfc9180-x25519-hkdfsha256.json"
    return list(json.loads(file.read_text()))
