"""Derived keys: HKDF and HMAC against Wycheproof, and branches that never meet."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto.commitments import field_leaf
from salus.crypto.derive import branch, hkdf, ticket_key

SEED = bytes(range(32))
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
paths = st.lists(names, min_size=1, max_size=3).map(tuple)


def test_wycheproof_hkdf(shared_data: Path) -> None:
    counts = {"valid": 0, "invalid": 0}
    for test in wycheproof_tests(shared_data, "hkdf_sha256_test.json"):
        ikm, salt, info = (bytes.fromhex(test[x]) for x in ("ikm", "salt", "info"))
        if test["result"] == "valid":
            assert hkdf(ikm, salt=salt, info=info, length=test["size"]).hex() == test["okm"], test["tcId"]
        else:
            with pytest.raises(ValueError, match="RFC 5869"):
                hkdf(ikm, salt=salt, info=info, length=test["size"])
        counts[test["result"]] += 1
    assert counts == {"valid": 41, "invalid": 2}


def test_wycheproof_hmac(shared_data: Path) -> None:
    """Tags shorter than 32 bytes in the file are the first bytes of the whole tag."""
    counts = {"valid": 0, "invalid": 0}
    for test in wycheproof_tests(shared_data, "hmac_sha256_test.json"):
        key, message, tag = (bytes.fromhex(test[x]) for x in ("key", "msg", "tag"))
        full = field_leaf(key, message) if len(key) == 32 else hmac.digest(key, message, "sha256")
        assert (full[: len(tag)] == tag) == (test["result"] == "valid"), test["tcId"]
        counts[test["result"]] += 1
    assert counts == {"valid": 33, "invalid": 54}


@pytest.mark.promise("P7")
@given(paths, paths)
def test_two_paths_never_meet(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (branch(SEED, *one) == branch(SEED, *other)) == (one == other)


def test_branch_is_its_description() -> None:
    step = b"\x0esalus/branch/1" + b"\x07signing"
    extracted = hmac.digest(bytes(32), SEED, "sha256")
    assert branch(SEED, "signing") == hmac.digest(extracted, step + b"\x01", "sha256")
    assert branch(SEED, "signing", "ab") == branch(branch(SEED, "signing"), "ab")


def test_branch_known_answer() -> None:
    """Frozen: patients' keys of stored ledgers depend on it."""
    want = "b830f8831326192d97e56140ce2e424b17a2d95877cc71522c870beb21d9ba10"
    assert branch(SEED, "signing", "00" * 16).hex() == want


def test_ticket_key_known_answer() -> None:
    """Frozen: printed tickets depend on it."""
    assert (
        ticket_key(bytes(range(16))).public.hex() == "1154ac0d346106cd5273d8a429ad3cfc9c4d765f1c7ff23808b998b3c95facdf"
    )


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_has_32_bytes(seed: bytes) -> None:
    with pytest.raises(AssertionError, match="32 bytes"):
        branch(seed, "signing")


def test_a_branch_is_never_the_seed_itself() -> None:
    with pytest.raises(AssertionError, match="needs a path"):
        branch(SEED)


def test_a_guessable_bearer_secret_is_refused() -> None:
    with pytest.raises(AssertionError, match="16 bytes"):
        ticket_key(b"short")


def test_different_secrets_give_different_tickets() -> None:
    assert ticket_key(bytes(16)).public != ticket_key(bytes(17)).public


def wycheproof_tests(shared_data: Path, file: str) -> list[dict[str, Any]]:
    groups = json.loads((shared_data / "crypto" / "wycheproof" / file).read_text())["testGroups"]
    return [test for group in groups for test in group["tests"]]
