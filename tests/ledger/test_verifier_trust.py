"""The trust file: one form, readable, and refused with words when it is not what a verifier needs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.ledger.verifier.trust import (
    EngineKind,
    TrustRootInvalid,
    decode_trust,
    encode_trust,
    key_text,
)
from tests.ledger.proof_world import toy_ledger

pytestmark = pytest.mark.promise("L5")

TRUST = toy_ledger(validators=4).trust()
EMBEDDED = toy_ledger().trust()


def test_a_trust_file_is_read_as_it_was_written() -> None:
    assert decode_trust(encode_trust(TRUST)) == TRUST
    assert decode_trust(encode_trust(EMBEDDED)) == EMBEDDED


def test_a_trust_file_is_for_people_too() -> None:
    text = encode_trust(EMBEDDED).decode()
    assert text.splitlines()[:5] == [
        "{",
        '  "format": 1,',
        '  "chain": "proofs-1",',
        '  "genesis_hash": "ruutSnlvzC4V3ExgYbRe2bNz8mrfx5jKfS2MxYGCcY4=",',
        '  "engine": "embedded",',
    ]
    assert f'"public_key": "{key_text(EMBEDDED.validators[0].public_key)}"' in text
    assert decode_trust(text.replace("\n", "").replace("  ", "").encode()) == EMBEDDED


def changed(**fields: object) -> bytes:
    content = json.loads(encode_trust(TRUST))
    return json.dumps({name: value for name, value in {**content, **fields}.items() if value is not None}).encode()


def validators(**fields: object) -> list[dict[str, object]]:
    first, *others = json.loads(encode_trust(TRUST))["validators"]
    return [{name: value for name, value in {**first, **fields}.items() if value is not None}, *others]


REFUSED = {
    "nothing": (b"", "expected a trust file in JSON"),
    "no JSON": (b"{", "expected a trust file in JSON"),
    "not UTF-8": (b'{"format": "\xff"}', "expected a trust file in JSON"),
    "a list": (b"[1]", "expected a trust file in JSON"),
    "no format": (changed(format=None), "expected trust file format 1, came None"),
    "newer format": (changed(format=2), "expected trust file format 1, came 2: use the release that wrote it"),
    "unknown field": (changed(colour="red"), "unknown field `colour`"),
    "field missing": (changed(genesis_hash=None), "missing required field `genesis_hash`"),
    "unknown engine": (changed(engine="raft"), "Invalid enum value 'raft'"),
    "no chain": (changed(chain=""), "`chain`|\\$.chain"),
    "short hash": (changed(genesis_hash="AAAA"), "genesis_hash"),
    "no validators": (changed(validators=[]), "validators"),
    "short key": (changed(validators=validators(public_key="AAAA")), "public_key"),
    "no power": (changed(validators=validators(power=0)), "power"),
    "fraction of power": (changed(validators=validators(power=1.5)), "power"),
    "odd organisation": (changed(validators=validators(organisation="rvj")), "organisation"),
    "too much power": (changed(validators=validators(power=2**62)), "the validators are no set"),
    "a key twice": (changed(validators=[*validators(), validators()[0]]), "the validators are no set"),
    "several keys of an embedded ledger": (changed(engine="embedded"), "an embedded ledger has one key"),
    "no period": (changed(trusting_period_s=0), "trusting_period_s"),
    "too long": (b" " * (1 << 21), "expected a trust file of at most"),
    "a field twice": (
        encode_trust(TRUST).replace(b'"chain": "proofs-1"', b'"chain": "proofs-2", "chain": "proofs-1"'),
        "expected each field once",
    ),
    "another order": (json.dumps(json.loads(encode_trust(TRUST)), sort_keys=True).encode(), "in the order"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, words = REFUSED[name]
    with pytest.raises(TrustRootInvalid, match=words):
        decode_trust(data)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_refused_with_words(data: bytes) -> None:
    with pytest.raises(TrustRootInvalid):
        decode_trust(data)


def test_engine_kinds_are_those_of_the_engines() -> None:
    from salus.engines.headers import COMETBFT, EMBEDDED

    assert [EngineKind.EMBEDDED, EngineKind.COMETBFT] == [EMBEDDED, COMETBFT]
