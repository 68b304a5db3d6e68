"""The verifier against its golden file, and against every single change to a proof that holds (L5)."""

import json
from typing import Any

import pytest

from salus.ledger.bundles import BundleUnknown, decode_bundle, encode_bundle
from salus.ledger.verifier import TrustRoot, VerificationFailed
from salus.ledger.verifier.trust import decode_trust
from tests.ledger import proof_cases, proof_vectors
from tests.ledger.proof_cases import Case, Refused
from tests.ledger.single_changes import bit_flips, single_changes

pytestmark = pytest.mark.promise("L5")

VECTORS = json.loads(proof_vectors.FILE.read_bytes())
HOLDING, REFUSED = proof_cases.holding(), proof_cases.refused()
STEPS = {
    "state": {1, 2, 3, 4, 5, 6},
    "outcome": {1, 2, 3},
    "row": {1, 2},
    "history": {1, 2, 3, 4, 5},
    "consistency": {2, 3, 4},
}


def named(group: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[group]]


def trust_of(case: dict[str, Any]) -> TrustRoot:
    return decode_trust(VECTORS["trust_files"][case["trust_file"]].encode())


@pytest.mark.parametrize("case", named("holds"))
def test_golden_proof_holds(case: dict[str, Any]) -> None:
    bundle, trust = decode_bundle(bytes.fromhex(case["file"])), trust_of(case)
    assert proof_vectors.claim(bundle, trust, now_s=case["now_s"]) == case["claim"]
    assert encode_bundle(bundle).hex() == case["file"]


@pytest.mark.parametrize("case", named("refused"))
def test_golden_proof_is_refused_at_its_step(case: dict[str, Any]) -> None:
    bundle, trust = decode_bundle(bytes.fromhex(case["file"])), trust_of(case)
    with pytest.raises(VerificationFailed) as failed:
        proof_vectors.claim(bundle, trust, now_s=case["now_s"])
    assert (failed.value.checklist, failed.value.step) == (case["checklist"], case["step"])


def test_proofs_are_made_as_the_golden_file_has_them() -> None:
    assert json.loads(json.dumps(proof_vectors.written())) == VECTORS


def test_every_step_refuses_something() -> None:
    found: dict[str, set[int]] = {}
    for case in REFUSED:
        found.setdefault(case.checklist, set()).add(case.step)
    assert found == STEPS


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_words_say_where_and_what(case: Refused) -> None:
    with pytest.raises(VerificationFailed, match=f"^{case.checklist} check, step {case.step}: .{{20,}}"):
        proof_vectors.claim(case.bundle, case.trust, now_s=case.now_s)


def accepts(data: bytes, case: Case) -> bool:
    try:
        proof_vectors.claim(decode_bundle(data), case.trust, now_s=case.now_s)
    except (BundleUnknown, VerificationFailed):
        return False
    return True


ABSENT = "no row, another's leaf in its place"
PRESENT = ["an outcome in the middle", "a row", "a history", "a log that grew"]


def these(*names: str) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in HOLDING if case.name in names]


@pytest.mark.parametrize("case", these(*PRESENT, ABSENT))
def test_every_single_change_is_refused(case: Case) -> None:
    data = encode_bundle(case.bundle)
    assert accepts(data, case)
    changes = list(single_changes(data))
    assert len(changes) > 100
    held = [name for name, changed in changes if accepts(changed, case)]
    # Another key may well be absent from the same place: that is another claim, and it is true.
    assert [name for name in held if not (name.startswith("3.0 ") and case.name == ABSENT)] == []


@pytest.mark.parametrize("case", these(*PRESENT))
def test_every_flipped_byte_is_refused(case: Case) -> None:
    data = encode_bundle(case.bundle)
    assert [name for name, changed in bit_flips(data, every=7) if accepts(changed, case)] == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "fetch the file again$"),
        (b"\xff", "whole and unchanged"),
        (b"\x93\x09\x01\x90", "whole and unchanged"),
        (b"\x93\x01\x02\x90", "expected bundle format 1, came 2: use the release that wrote it"),
        (encode_bundle(proof_cases.outcome(0)) + b"\x00", "whole and unchanged"),
        (encode_bundle(proof_cases.outcome(0))[:-1], "whole and unchanged"),
    ],
    ids=["nothing", "no MessagePack", "unknown kind", "newer format", "one byte more", "one byte less"],
)
def test_what_is_no_bundle(data: bytes, words: str) -> None:
    with pytest.raises(BundleUnknown, match=words):
        decode_bundle(data)
