"""A trust store and the skipping rule against their golden file: each proof held or refused at its step (L5)."""

import json
from typing import Any

import msgspec
import pytest

from salus.ledger.bundles import decode_bundle, encode_bundle
from salus.ledger.comet.commit import decode_signed_header, encode_signed_header
from salus.ledger.comet.validators import validators_hash
from salus.ledger.proofs import LightBlock
from salus.ledger.verifier import Conflict, TrustRootInvalid, VerificationFailed, verify_state
from salus.ledger.verifier.store import decode_trust_file, encode_store
from salus.ledger.verifier.trust import encode_trust
from tests.ledger import proof_vectors, skip_cases
from tests.ledger.proof_cases import Refused
from tests.ledger.single_changes import bit_flips

pytestmark = pytest.mark.promise("L3", "L5")

VECTORS = json.loads(proof_vectors.SKIPPING_FILE.read_bytes())
REFUSED = skip_cases.refused()
STORE = skip_cases.life().store
replace = msgspec.structs.replace


def named(group: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[group]]


def claim(case: dict[str, Any]) -> Any:
    trust = decode_trust_file(VECTORS["trust_files"][case["trust_file"]].encode())
    return proof_vectors.claim(decode_bundle(bytes.fromhex(case["file"])), trust, now_s=case["now_s"])


@pytest.mark.parametrize("case", named("holds"))
def test_golden_proof_holds(case: dict[str, Any]) -> None:
    assert claim(case) == case["claim"]


@pytest.mark.parametrize("case", named("refused"))
def test_golden_proof_is_refused_at_its_step(case: dict[str, Any]) -> None:
    with pytest.raises(VerificationFailed) as failed:
        claim(case)
    assert (failed.value.checklist, failed.value.step) == (case["checklist"], case["step"])


def test_proofs_are_made_as_the_golden_file_has_them() -> None:
    assert json.loads(json.dumps(proof_vectors.written_skipping())) == VECTORS


def test_every_step_refuses_something() -> None:
    assert {case.step for case in REFUSED if case.checklist == "skip"} == set(range(1, 9))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_words_say_where_and_what(case: Refused) -> None:
    with pytest.raises(VerificationFailed, match=f"^{case.checklist} check, step {case.step}: .{{20,}}"):
        proof_vectors.claim(case.bundle, case.trust, now_s=case.now_s)


def test_every_flipped_byte_of_the_header_is_refused() -> None:
    case = skip_cases.holding()[4]
    good = skip_cases.outcome("half new")
    assert case.name == "further on, half of the validators new"
    held = []
    for name, changed in bit_flips(good.signed.header, every=3):
        try:
            bundle = replace(good, signed=replace(good.signed, header=changed))
            proof_vectors.claim(decode_bundle(encode_bundle(bundle)), case.trust, now_s=case.now_s)
        except VerificationFailed:
            continue
        held.append(name)
    assert held == []


def test_words_name_who_the_trust_file_does_not_know() -> None:
    words = verify_state(STORE, skip_cases.life().states["half new"], now_s=skip_cases.NOW_S).trust_words()
    assert words.startswith("Signed by 4 validators (")
    assert words.count("one that the trust file does not name") == 2


# The file


def test_a_trust_store_is_read_as_it_was_written() -> None:
    assert decode_trust_file(encode_store(STORE)) == STORE
    assert decode_trust_file(encode_trust(STORE.root)) == STORE.root


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(encode_store(STORE)) | fields).encode()


def stored(**fields: Any) -> bytes:
    return encode_store(replace(STORE, **fields))


NOTHING = LightBlock(b"", ())
OTHERS = skip_cases.life().states["half new"].validators


def of_a_key_twice() -> LightBlock:
    """A header that names, by their right hash, validators that are no set."""
    twice = (STORE.newest.validators[0],) * 2
    signed = decode_signed_header(STORE.newest.header)
    header = replace(signed.header, validators_hash=validators_hash(twice))
    return LightBlock(encode_signed_header(replace(signed, header=header)), twice)


BAD_STORES = {
    "validators that are no set": (stored(newest=of_a_key_twice()), "expected each validator once"),
    "a newer format": (changed(format=3), "expected trust file format 1, came 3"),
    "an unknown field": (changed(colour="red"), "expected the fields of a trust store"),
    "a header that is none": (stored(newest=replace(STORE.newest, header=b"x")), "the trust store is damaged"),
    "validators of another header": (stored(newest=replace(STORE.newest, validators=OTHERS)), "names other validators"),
    "no validators": (stored(newest=replace(STORE.newest, validators=())), "the trust store is damaged"),
    "a header of another chain": (stored(root=replace(STORE.root, chain="other")), "expected a header of 'other'"),
    "a root of another format": (stored(root=replace(STORE.root, format=2)), "expected a root of format 1"),
    "a root with a key twice": (
        stored(root=replace(STORE.root, validators=STORE.root.validators[:1] * 2)),
        "expected each validator once",
    ),
    "a conflict without a header": (
        stored(conflicts=(Conflict(9, NOTHING, STORE.newest, "signature"),)),
        "the trust store is damaged",
    ),
    "a conflict whose witness has no header, and is not refused": (
        stored(conflicts=(Conflict(9, STORE.newest, NOTHING, ""),)),
        "the trust store is damaged",
    ),
    "an embedded root of four keys": (stored(root=replace(STORE.root, engine="embedded")), "has one key"),
    "a field twice": (
        encode_store(STORE).replace(b'"source": "north"', b'"source": "west", "source": "north"'),
        "expected each field once",
    ),
}


@pytest.mark.parametrize("name", BAD_STORES)
def test_a_trust_store_is_refused(name: str) -> None:
    data, words = BAD_STORES[name]
    with pytest.raises(TrustRootInvalid, match=words):
        decode_trust_file(data)
