"""AES-GCM of Wycheproof: the library that sealing and wrapping stand on."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def test_wycheproof(shared_data: Path) -> None:
    """Every valid message opens and seals to the same bytes, every invalid one is refused.

    The library takes nonces of 8 to 128 bytes, and refuses the 15 valid cases with other lengths too. Salus uses nonces
    of 12 bytes and keys of 32 only: all 33 such cases are judged as the file says.
    """
    counts: Counter[str] = Counter()
    groups = json.loads((shared_data / "crypto/wycheproof/aes_gcm_test.json").read_text())["testGroups"]
    for test in (test for group in groups for test in group["tests"]):
        nonce_offered = 8 <= len(test["iv"]) // 2 <= 128
        assert opens(test) == (test["result"] == "valid" and nonce_offered), test["tcId"]
        counts[test["result"] + ("" if nonce_offered else ", nonce length not offered")] += 1
        counts["of the shape that Salus uses"] += len(test["iv"]) == 24 and len(test["key"]) == 64
    assert counts == {
        "valid": 100,
        "valid, nonce length not offered": 15,
        "invalid": 40,
        "invalid, nonce length not offered": 3,
        "of the shape that Salus uses": 33,
    }


def opens(test: dict[str, Any]) -> bool:
    key, nonce, associated, message, sealed = (
        bytes.fromhex(x) for x in (test["key"], test["iv"], test["aad"], test["msg"], test["ct"] + test["tag"])
    )
    try:
        return (
            AESGCM(key).decrypt(nonce, sealed, associated) == message
            and AESGCM(key).encrypt(nonce, message, associated) == sealed
        )
    except (InvalidTag, ValueError):
        return False
