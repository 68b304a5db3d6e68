"""Proofs as they are made: of outcomes of any age, rows, whole histories, and a log that only grew (L5)."""

import pytest

from salus.crypto.hashing import sha256
from salus.ledger.comet.types import Validator
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, OrganisationId, PermitId
from salus.ledger.machine import HISTORY, app_hash
from salus.ledger.outcomes import Leaf, encode_leaf
from salus.ledger.proofs import AppState, ConsistencyProof, OutcomeProof, SignedState, prove_consistency
from salus.ledger.verifier import (
    verify_consistency,
    verify_history,
    verify_outcome,
    verify_row,
    verify_state,
)
from tests.ledger.proof_world import NOTES, NOW_S, Ledger, Note, toy_ledger, visits, write_notes

pytestmark = pytest.mark.promise("L5")

ANN, BOB, NOBODY = (bytes([number]) * 16 for number in (1, 2, 3))


@pytest.fixture(scope="module")
def made() -> Ledger:
    """Fifty rows, four events of Ann and two of Bob, one of them denied."""
    ledger = toy_ledger()
    write_notes(ledger, *range(50))
    visits(ledger, ANN, 1, 2)
    visits(ledger, BOB, 5, 7)
    visits(ledger, ANN, 3, 4)
    return ledger


@pytest.fixture(scope="module")
def signed(made: Ledger) -> SignedState:
    return made.signed_state()


def test_state_is_what_the_next_header_carries(made: Ledger, signed: SignedState) -> None:
    state = signed.state
    want = app_hash(tree_root=state.tree_root, log_size=state.log_size, log_root=state.log_root)
    verified = verify_state(made.trust(), signed, now_s=NOW_S)
    assert made.headers[verified.height].header.app_hash == want == state.app_hash()
    assert verified.signers == ("RVJ",)
    assert verified.trust_words().startswith("Embedded ledger: trust is one key.")


def test_every_outcome_is_proved_under_one_header(made: Ledger, signed: SignedState) -> None:
    verified = verify_state(made.trust(), signed, now_s=NOW_S)
    proved = [verify_outcome(verified, made.prove_outcome(index, signed.state)) for index in range(56)]
    answered = [leaf for result in made.results for leaf in result.leaves]
    assert [encode_leaf(each.leaf) for each in proved] == answered
    assert [each.index for each in proved] == list(range(56))


def test_an_old_outcome_is_proved_under_a_recent_header() -> None:
    ledger = toy_ledger()
    visits(ledger, ANN, 1)
    for number in range(40):
        write_notes(ledger, number)
    recent = verify_state(ledger.trust(), ledger.signed_state(), now_s=NOW_S)
    proved = verify_outcome(recent, ledger.prove_outcome(0, recent.state))
    assert (proved.leaf.height, recent.height) == (1, 42)
    assert encode_leaf(proved.leaf) == ledger.results[0].leaves[0]


def test_proofs_hold_for_the_state_that_they_were_made_for_while_the_ledger_goes_on() -> None:
    ledger = toy_ledger()
    write_notes(ledger, 1, 2, 3)
    visits(ledger, ANN, 1, 2)
    signed, row = ledger.signed_state(), ledger.prove_row(HISTORY.key(ANN))
    history = ledger.prove_history(ANN)
    visits(ledger, ANN, 3)
    write_notes(ledger, *range(10, 40))
    verified = verify_state(ledger.trust(), signed, now_s=NOW_S)
    assert verify_outcome(verified, ledger.prove_outcome(1, signed.state)).index == 1
    assert verify_history(verified, history).leaves
    assert verify_row(verified, row).key == HISTORY.key(ANN)


def test_rows_and_their_absence(made: Ledger, signed: SignedState) -> None:
    verified = verify_state(made.trust(), signed, now_s=NOW_S)
    assert verify_row(verified, made.prove_row(NOTES.key(31))).row == encode(Note(31))
    assert verify_row(verified, made.prove_row(NOTES.key(50))).row is None


@pytest.mark.parametrize(
    ("pseudonym", "want"),
    [(ANN, [(0, 1), (0, 2), (0, 3), (0, 4)]), (BOB, [(0, 5), (1, 7)]), (NOBODY, [])],
    ids=["done", "one denied", "none"],
)
def test_history_shows_all_events(
    made: Ledger, signed: SignedState, pseudonym: bytes, want: list[tuple[int, int]]
) -> None:
    verified = verify_state(made.trust(), signed, now_s=NOW_S)
    history = verify_history(verified, made.prove_history(pseudonym))
    assert [(leaf.code, leaf.data[-1]) for leaf in history.leaves] == want


@pytest.mark.parametrize("later", [0, 1, 2, 7, 8, 33])
def test_log_only_grew_between_two_headers(later: int) -> None:
    ledger = toy_ledger()
    write_notes(ledger, *range(8))
    old = ledger.signed_state()
    if later:
        write_notes(ledger, *range(100, 100 + later))
    proof = prove_consistency(ledger.rows, old, ledger.signed_state())
    extension = verify_consistency(ledger.trust(), proof, now_s=NOW_S)
    assert extension.new.state.log_size - extension.old.state.log_size == later


def test_an_empty_log_is_the_beginning_of_every_log() -> None:
    ledger = toy_ledger()
    begun = ledger.signed_state()
    write_notes(ledger, *range(5))
    proof = prove_consistency(ledger.rows, begun, ledger.signed_state())
    assert proof.path == ()
    assert verify_consistency(ledger.trust(), proof, now_s=NOW_S).new.state.log_size == 5


# Sizes (DESIGN §9): computed for a log of 2^24 outcomes, which no test needs to fill.

PATH = tuple(Digest(sha256(b"%d" % depth)) for depth in range(24))


def largest_leaf() -> bytes:
    """As long as the largest outcome of access: a permit with everything that it can name."""
    text, digest = OrganisationId("ABCDEFGHIJKL"), bytes(32)
    data = encode((601, bytes(16), text, text, 8, 8, 4, 1 << 39, 6, digest, 1 << 40, 1 << 40, 1 << 40, digest))
    return encode_leaf(Leaf(1 << 40, 1 << 39, Digest(digest), 255, 0, data))


def test_size_of_an_outcome_proof() -> None:
    size_bytes = len(encode(OutcomeProof(largest_leaf(), (1 << 24) - 1, PATH)))
    assert size_bytes < 1_300
    anchored = encode((602, bytes(16), PermitId(bytes(16)), 2, bytes(32), True))
    assert len(anchored) < 80


def test_size_with_the_signed_header_of_four_validators() -> None:
    ledger = toy_ledger(validators=4)
    write_notes(ledger, 1)
    signed = ledger.signed_state()
    assert len(ledger.validators) == 4
    size_bytes = len(encode((signed, OutcomeProof(largest_leaf(), (1 << 24) - 1, PATH))))
    assert size_bytes < 2_500


def test_an_app_state_has_one_form() -> None:
    state = AppState(Digest(bytes(32)), 3, Digest(bytes(32)))
    assert encode(state) == b"\x93\xc4\x20" + bytes(32) + b"\x03\xc4\x20" + bytes(32)
    assert encode(Validator(bytes(32), 10))[:3] == b"\x92\xc4\x20"
    assert encode(ConsistencyProof.__struct_fields__) == encode(("old", "new", "path"))
