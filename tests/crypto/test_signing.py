"""Ed25519: the twelve cases where libraries disagree, Wycheproof, ZIP-215, and which keys may be registered."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto import edwards, signing
from salus.crypto.edge_cases import EDGE_CASES, EdgeCase
from salus.crypto.signing import (
    KeyInvalid,
    LibraryUnfit,
    SignatureInvalid,
    SigningKey,
    check_public_key,
    verify,
    verify_tagged,
    verify_zip215,
)

KEY = SigningKey.from_seed(bytes(range(32)))

# RFC 8032 7.1: seed, public key, message, signature
RFC8032 = {
    "test 1, empty message": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "test 3, two octets": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
}

# The eight points of small order, and the six more ways to write some of them (y >= p, or x = 0 with a sign).
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
]
SIGNED_ZERO = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
Y_TOO_LARGE = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("name", RFC8032)
def test_rfc8032(name: str) -> None:
    seed, public, message, signature = (bytes.fromhex(x) for x in RFC8032[name])
    key = SigningKey.from_seed(seed)
    assert (key.public, key.sign(message)) == (public, signature)
    verify(public, message, signature)


@pytest.mark.promise("L1")
@pytest.mark.parametrize("case", EDGE_CASES, ids=lambda case: case.name)
def test_edge_case(case: EdgeCase) -> None:
    arguments = bytes.fromhex(case.public), bytes.fromhex(case.message), bytes.fromhex(case.signature)
    assert (accepts(verify, *arguments), accepts(verify_zip215, *arguments)) == (case.pynacl, case.zip215)


def test_edge_cases_are_the_published_row_of_libsodium_and_of_zip215() -> None:
    """The rows "LibSodium" and "Zebra" of ed25519-speccheck's results.md."""
    assert "".join("XV"[case.pynacl] for case in EDGE_CASES) == "XXXVXXXXXXXX"
    assert "".join("XV"[case.zip215] for case in EDGE_CASES) == "VVVVVVXXXVVV"


def test_large_s_cases_fail_by_their_size_alone() -> None:
    """Cases 6 and 7 satisfy the equation once S is reduced: what refuses them is the check that S < L."""
    for case in EDGE_CASES[6:8]:
        public, message, signature = (bytes.fromhex(x) for x in (case.public, case.message, case.signature))
        scalar = int.from_bytes(signature[32:], "little") % edwards.ORDER
        verify(public, message, signature[:32] + scalar.to_bytes(32, "little"))


def test_self_test_passes() -> None:
    signing.self_test()


@pytest.mark.promise("L1")
@pytest.mark.parametrize(
    ("answer", "words"),
    [(None, "edge case 0"), (SignatureInvalid("refused"), "RFC 8032"), ("no points", "without point checks")],
    ids=["accepts everything", "accepts nothing", "minimal libsodium"],
)
def test_self_test_refuses_another_library(
    monkeypatch: pytest.MonkeyPatch, answer: SignatureInvalid | str | None, words: str
) -> None:
    def library(public: bytes, message: bytes, signature: bytes) -> None:
        if isinstance(answer, SignatureInvalid):
            raise answer

    if answer == "no points":
        monkeypatch.setattr(signing, "has_crypto_core_ed25519", False)
    else:
        monkeypatch.setattr(signing, "verify", library)
    if answer is None:
        monkeypatch.setattr(signing, "_test_rfc8032", lambda: None)
    with pytest.raises(LibraryUnfit, match=words):
        signing.self_test()


def test_wycheproof(shared_data: Path) -> None:
    groups = json.loads((shared_data / "crypto/wycheproof/ed25519_test.json").read_text())["testGroups"]
    counts = {"valid": 0, "invalid": 0}
    for group in groups:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for test in group["tests"]:
            arguments = public, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            want = test["result"] == "valid"
            assert (accepts(verify, *arguments), accepts(verify_zip215, *arguments)) == (want, want), test["tcId"]
            counts[test["result"]] += 1
    assert counts == {"valid": 44, "invalid": 31}


@pytest.mark.parametrize("public", SMALL_ORDER)
@pytest.mark.parametrize("nonce_point", SMALL_ORDER + SIGNED_ZERO + Y_TOO_LARGE)
def test_zip215_accepts_all_small_order_signatures_and_pynacl_none(public: str, nonce_point: str) -> None:
    """ZIP-215's own test set: S = 0 with small-order points verifies for any message."""
    arguments = bytes.fromhex(public), b"Zcash", bytes.fromhex(nonce_point) + bytes(32)
    assert (accepts(verify, *arguments), accepts(verify_zip215, *arguments)) == (False, True)


@settings(max_examples=25)
@given(st.binary(max_size=100), st.data())
def test_one_changed_bit_is_refused_by_both_rules(message: bytes, data: st.DataObject) -> None:
    signed = KEY.sign(message) + message
    bit = data.draw(st.integers(0, len(signed) * 8 - 1))
    changed = bytearray(signed)
    changed[bit // 8] ^= 1 << bit % 8
    arguments = KEY.public, bytes(changed[64:]), bytes(changed[:64])
    assert (accepts(verify, *arguments), accepts(verify_zip215, *arguments)) == (False, False)


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_the_slow_check_agrees_with_the_fast_one_on_honest_signatures(seed: bytes, message: bytes) -> None:
    key = SigningKey.from_seed(seed)
    assert signing._holds_with_cofactor(key.public, message, key.sign(message))


WRONG_LENGTHS = {
    "short signature": (KEY.public, bytes(63)),
    "long signature": (KEY.public, bytes(65)),
    "no signature": (KEY.public, b""),
    "short key": (KEY.public[:31], KEY.sign(b"m")),
    "long key": (KEY.public + b"\0", KEY.sign(b"m")),
    "no key": (b"", KEY.sign(b"m")),
}


@pytest.mark.parametrize("name", WRONG_LENGTHS)
@pytest.mark.parametrize("check", [verify, verify_zip215])
def test_wrong_lengths_are_refused_before_the_library_reads(check: signing.Check, name: str) -> None:
    public, signature = WRONG_LENGTHS[name]
    with pytest.raises(SignatureInvalid, match="key of 32 and signature of 64"):
        check(public, b"m", signature)


def test_tag_is_part_of_what_is_signed() -> None:
    signature = KEY.sign_tagged("salus/test", b"message")
    verify_tagged(KEY.public, "salus/test", b"message", signature)
    verify(KEY.public, b"\x0asalus/testmessage", signature)
    for tag, message in (("salus/tes", b"tmessage"), ("salus/testm", b"essage"), ("salus/other", b"message")):
        with pytest.raises(SignatureInvalid):
            verify_tagged(KEY.public, tag, message, signature)


REFUSED_KEYS = {
    "no bytes": ("", "has 32 bytes"),
    "31 bytes": ("00" * 31, "has 32 bytes"),
    "33 bytes": ("00" * 33, "has 32 bytes"),
    "not on the curve": ("02" + "00" * 31, "no point"),
    "mixed order (edge case 2)": (EDGE_CASES[2].public, "mixed order"),
    "mixed order (edge case 3)": (EDGE_CASES[3].public, "mixed order"),
    **{f"small order {key[:8]}…{key[-2:]}": (key, "small order") for key in SMALL_ORDER + SIGNED_ZERO},
    **{f"y too large {key[:8]}…{key[-2:]}": (key, "non-canonical") for key in Y_TOO_LARGE},
    "y is p + 3, a point of large order": ("f0" + "ff" * 30 + "7f", "non-canonical"),
}


@pytest.mark.promise("L1")
@pytest.mark.parametrize("name", REFUSED_KEYS)
def test_key_refused(name: str) -> None:
    public, words = REFUSED_KEYS[name]
    with pytest.raises(KeyInvalid, match=words):
        check_public_key(bytes.fromhex(public))


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32))
def test_every_generated_key_may_be_registered(seed: bytes) -> None:
    check_public_key(SigningKey.from_seed(seed).public)


def test_the_order_of_points_agrees_with_the_library() -> None:
    """Prime-order check of libsodium against [L]A in plain integers."""
    for encoded in (KEY.public, *(bytes.fromhex(case.public) for case in EDGE_CASES)):
        point = edwards.decode(encoded)
        assert point is not None
        of_prime_order = edwards.is_identity(edwards.combine(0, edwards.ORDER, point))
        assert accepts_key(encoded) == (of_prime_order and not edwards.is_small_order(point))


def test_generated_keys_differ_and_print_no_secret() -> None:
    one, other = SigningKey.generate(), SigningKey.generate()
    assert one.seed != other.seed
    assert one.seed.hex() not in repr(one)
    assert repr(one) == f"SigningKey(public={one.public.hex()})"


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(AssertionError, match="32 bytes"):
        SigningKey.from_seed(bytes(31))


def accepts(check: signing.Check, public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        check(public, message, signature)
    except SignatureInvalid:
        return False
    return True


def accepts_key(public: bytes) -> bool:
    try:
        check_public_key(public)
    except KeyInvalid:
        return False
    return True
