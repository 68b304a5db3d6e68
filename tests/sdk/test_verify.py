"""One function for every kind of file, against a golden file for each; and nothing but the package is needed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from salus.ledger.bundles import (
    FORMAT,
    ConsistencyBundle,
    OutcomeBundle,
    RowBundle,
    encode_bundle,
)
from salus.ledger.proofs import prove_consistency
from salus.ledger.verifier import VerificationFailed
from salus.ledger.verifier.trust import decode_trust, encode_trust
from salus.sdk.verify import verify_file
from tests.ledger.proof_world import NOW_S
from tests.sdk import receipt_vectors
from tests.sdk.receipt_network import ANN
from tests.sdk.receipt_world import Story, chart, trust
from tests.sdk.test_history_check import usual

VECTORS: dict[str, Any] = json.loads((receipt_vectors.FOLDER / "verdicts.json").read_bytes())


@pytest.mark.promise("R5", "L5")
@pytest.mark.parametrize("name", VECTORS)
def test_golden_file(name: str) -> None:
    golden = VECTORS[name]
    found = decode_trust((receipt_vectors.FOLDER / golden["trust"]).read_bytes())
    data = (receipt_vectors.FOLDER / name).read_bytes()
    if "refused" in golden:
        with pytest.raises(VerificationFailed) as failed:
            verify_file(data, found, now_s=golden["now_s"])
        assert [failed.value.checklist, failed.value.step] == golden["refused"]
        return
    verdict = verify_file(data, found, now_s=golden["now_s"])
    assert (verdict.kind, list(verdict.lines)) == (golden["kind"], golden["lines"])
    assert list(verdict.faults) == golden["faults"]


def test_golden_files_are_made_as_they_stand() -> None:
    written = receipt_vectors.written()
    assert {name: (receipt_vectors.FOLDER / name).read_bytes() for name in written} == written


@pytest.fixture
def story() -> Story:
    """One for each test: some write into it."""
    return chart()


@pytest.mark.promise("L5")
def test_an_outcome(story: Story) -> None:
    signed = story.ledger.signed_state()
    data = encode_bundle(OutcomeBundle(FORMAT, signed, story.ledger.prove_outcome(0, signed.state)))
    verdict = verify_file(data, trust(story), now_s=NOW_S)
    assert verdict.lines[:2] == (
        "The ledger answered on 15 June 2025, 16:06:42 BST, in block 1: Enrolled.",
        "It is outcome 1 of 7.",
    )


@pytest.mark.promise("L5")
def test_a_row_and_its_absence(story: Story) -> None:
    signed = story.ledger.signed_state()
    for key, words in (
        (b"patients.relationships\x00\xc4\x10" + ANN, "a row of"),
        (b"patients.relationships\x00\xc4\x10" + bytes(16), "nothing stands"),
    ):
        data = encode_bundle(RowBundle(FORMAT, signed, story.ledger.prove_row(key)))
        verdict = verify_file(data, trust(story), now_s=NOW_S)
        assert verdict.lines[0].startswith(f"In the table patients.relationships {words}")


@pytest.mark.promise("L5")
def test_a_log_that_grew(story: Story) -> None:
    old = story.ledger.signed_state()
    story.match()
    proof = prove_consistency(story.ledger.rows, old, story.ledger.signed_state())
    verdict = verify_file(encode_bundle(ConsistencyBundle(FORMAT, proof)), trust(story), now_s=NOW_S)
    assert verdict.lines[1] == "1 were added at its end."


@pytest.mark.promise("L5")
def test_every_verdict_says_what_the_trust_is_in(story: Story) -> None:
    for words, validators in (("Embedded ledger: trust is one key.", 1), ("Signed by 4 validators", 4)):
        made = chart(validators=validators)
        verdict = verify_file(encode_bundle(made.history()), trust(made), now_s=NOW_S)
        assert verdict.lines[-1].startswith(words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "bundle check, step 0: expected a receipt, a history or a proof, whole and unchanged"),
        (b'{"resourceType": "Bundle"}', "bundle check, step 0"),
        (b"\x94\x04\x09\x90\x90", "came 9: use the release that wrote it"),
    ],
    ids=["nothing", "a FHIR bundle", "a newer format"],
)
def test_what_is_no_file_of_ours(story: Story, data: bytes, words: str) -> None:
    with pytest.raises(VerificationFailed, match=words):
        verify_file(data, trust(story), now_s=NOW_S)


OFFLINE = """
import socket, sys

def refuse(*_):
    raise AssertionError("the network was asked")

socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from pathlib import Path
from salus.ledger.verifier.trust import decode_trust
from salus.sdk.verify import verify_file

verdict = verify_file(Path(sys.argv[1]).read_bytes(), decode_trust(Path(sys.argv[2]).read_bytes()), now_s=1750086400)
print(verdict.kind, len(verdict.faults))
rings = sorted({name.split(".")[1] for name in sys.modules if name.startswith("salus.") and name.count(".")})
print(" ".join(rings), "nacl" in sys.modules, "lmdb" in sys.modules, "sqlalchemy" in sys.modules)
"""


@pytest.mark.promise("R5", "L5")
def test_a_fresh_process_needs_no_network_and_no_node(tmp_path: Path) -> None:
    made, bundle = usual()
    receipt, trusted = tmp_path / "one.salus-history", tmp_path / "trust.json"
    receipt.write_bytes(encode_bundle(bundle))
    trusted.write_bytes(encode_trust(trust(made)))
    run = [sys.executable, "-c", OFFLINE, str(receipt), str(trusted)]
    done = subprocess.run(run, capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["history 0", "clinical contracts crypto ledger sdk True False False"]
