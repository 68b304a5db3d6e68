"""Kinds of release, ends that stay silent, keys that change, things that are gone: what a receipt then shows."""

import dataclasses
from typing import Any

import msgspec
import pytest

from salus.contracts.access import Basis, End
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.bundles import BundleUnknown, ReceiptBundle, decode_bundle, encode_bundle
from salus.ledger.encoding import encode
from salus.ledger.receipts import (
    Conclusion,
    Delivery,
    Standing,
)
from salus.ledger.verifier import VerificationFailed
from salus.sdk.receipt_words import receipt_lines
from salus.sdk.verified import Rerun, ShownAnchor
from tests.ledger.single_changes import single_changes
from tests.sdk.receipt_cases import check, released, usual
from tests.sdk.receipt_network import CHART, HOSPITAL, PRACTICE, SHARE, Changes, receipt_key
from tests.sdk.receipt_world import Story, chart

replace = msgspec.structs.replace


# Kinds of release


ROOMS = (0, 9, 10, 64, 1024)
"""For how many records a receipt's tree has room."""


@pytest.mark.promise("R2", "R5")
def test_an_emergency_passes_the_patients_choice_and_not_a_policy() -> None:
    receipt = released(chart(), purpose=Purpose.BTG)
    assert receipt.terms is not None
    assert (receipt.terms.basis, receipt.terms.justification) == (Basis.EMERGENCY, "found unconscious")
    assert [record.title for record in receipt.withheld] == ["HIV test"]
    assert receipt.rerun is Rerun.SAME


@pytest.mark.promise("R2", "R5")
def test_a_patients_own_request() -> None:
    receipt = released(chart(), purpose=Purpose.PATRQT, role_class=RoleClass.PATIENT_SIDE)
    assert receipt.asker.name == ""
    assert len(receipt.released) == 4
    assert receipt.rerun is Rerun.SAME
    assert receipt.notes == ()
    words = (
        "You, or whoever holds your key, asked St Mary's Hospital (RVJ) to see your records. It was signed in person."
    )
    assert receipt_lines(receipt)[0] == words


@pytest.mark.promise("R3", "R5")
def test_care_that_went_on_while_the_ledger_was_out_of_reach() -> None:
    story = own_doctor()
    part = story.continuity()
    story.anchor(part, End.CUSTODIAN, is_on_ledger=False)
    receipt = check(story.bundle(part), story)
    assert (receipt.standing, receipt.delivery, receipt.terms) == (Standing.CONTINUITY, Delivery.TLS, None)
    assert receipt.rerun is Rerun.NOT_RUN
    opened = "Dr Jones (GP, GMC 1234567) of St Mary's Hospital (RVJ) opened your records"
    assert receipt_lines(receipt)[:3] == [
        f"{opened} while the ledger was out of reach, at 15 June 2025, 16:06:57 BST. It was signed in person.",
        "No permit was asked for: this is direct care that went on (continuity).",
        "The records were shown, not sent sealed.",
    ]
    changes = list(single_changes(encode_bundle(story.bundle(part))))
    held = [name for name, data in changes if accepts(data, story)]
    assert {name for name in held if not name.startswith("3.10")} == set()


@pytest.mark.promise("R3", "R5")
def test_continuity_counts_when_it_is_anchored() -> None:
    story = own_doctor()
    part = story.continuity()
    with pytest.raises(VerificationFailed, match=r"receipt check, step 3: .* when it is anchored"):
        check(story.bundle(part), story)


@pytest.mark.promise("R4", "R5")
def test_own_staff_with_a_permit_leaves_a_one_sided_receipt() -> None:
    story = own_doctor()
    part = story.release(requester=HOSPITAL, changes=Changes(delivery=Delivery.TLS))
    story.anchor(part, End.CUSTODIAN)
    receipt = check(story.bundle(part), story)
    assert receipt.terms is not None
    assert receipt.terms.basis is Basis.OWN_STAFF
    assert part.receipt.requester == b""
    assert receipt.rerun is Rerun.SAME
    assert receipt.notes == ()


@pytest.mark.promise("R2")
@pytest.mark.parametrize("room", ROOMS)
def test_a_tree_of_any_size_is_checked_as_the_smallest_is(room: int) -> None:
    """Receipts of before have the smallest class of sizes; since then the size follows the registered batches."""
    story = chart()
    part = story.release(changes=Changes(room=room))
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    assert len(part.fields.values) == max(16, 7 + room)
    receipt = check(story.bundle(part), story)
    assert (receipt.rerun, receipt.faults) == (Rerun.SAME, ())


def own_doctor() -> Story:
    """The usual story, but the doctor is the hospital's."""
    story = chart()
    doctor = story.certificate
    certificate = msgspec.msgpack.decode(doctor.values[0])
    story.certificate = replace(doctor, values=(encode([HOSPITAL, *certificate[1:]]),))
    story.certify_again(HOSPITAL)
    return story


def accepts(data: bytes, story: Story) -> bool:
    try:
        bundle = decode_bundle(data)
        assert isinstance(bundle, ReceiptBundle)
        check(bundle, story)
    except (BundleUnknown, VerificationFailed):
        return False
    return True


# Anchors


@pytest.mark.promise("R5")
@pytest.mark.parametrize(
    ("anchored", "notes"),
    [
        ({End.CUSTODIAN, End.REQUESTER}, ()),
        ({End.CUSTODIAN}, ("No anchor by A81001 is shown. Your history shows whether there is one.",)),
        ({End.REQUESTER}, ("No anchor by RVJ is shown. Your history shows whether there is one.",)),
        (
            set(),
            (
                "No anchor by RVJ is shown. Your history shows whether there is one.",
                "No anchor by A81001 is shown. Your history shows whether there is one.",
            ),
        ),
    ],
    ids=["both ends", "only the custodian", "only the requester", "nobody"],
)
def test_an_end_that_did_not_anchor_is_named(anchored: set[End], notes: tuple[str, ...]) -> None:
    story = chart()
    part = story.release()
    for end in sorted(anchored):
        story.anchor(part, end)
    receipt = check(story.bundle(part), story)
    assert receipt.notes == notes
    assert {anchor.end for anchor in receipt.anchors} == anchored


@pytest.mark.promise("R5")
def test_the_newest_conclusion_counts_and_the_first_time_it_was_anchored() -> None:
    story = chart()
    part = story.release()
    story.anchor(part, End.REQUESTER, Conclusion.SLOT_MISSING)
    story.anchor(part, End.REQUESTER, Conclusion.OPENED)
    at_s = story.ledger.meta.time_s
    story.anchor(part, End.REQUESTER, Conclusion.OPENED, is_closed=True)
    story.anchor(part, End.CUSTODIAN, is_closed=True)
    anchors = check(story.bundle(part), story).anchors
    assert anchors[1] == ShownAnchor(End.REQUESTER, at_s, Conclusion.OPENED)


# Keys


@pytest.mark.promise("R5", "L5")
@pytest.mark.parametrize("organisation", [HOSPITAL, PRACTICE])
def test_a_key_that_was_retired_after_the_anchor_still_counts(organisation: Any) -> None:
    story = chart()
    part = story.release()
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    for number in range(1, 4):
        story.rotate_receipt_key(organisation, number)
    assert check(story.bundle(part), story).faults == ()


@pytest.mark.promise("R5", "L5")
def test_a_key_that_was_replaced_between_release_and_anchor_counts() -> None:
    story = chart()
    part = story.release()
    story.rotate_receipt_key(HOSPITAL, 1)
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    assert check(story.bundle(part), story).faults == ()


NOT_CURRENT = {
    "retired before the permit": Changes(custodian_key=receipt_key(HOSPITAL)),
    "registered later": Changes(custodian_key=receipt_key(HOSPITAL, 2)),
    "the other end's": Changes(custodian_key=receipt_key(HOSPITAL, 1), requester_key=receipt_key(HOSPITAL, 1)),
    "never registered": Changes(custodian_key=receipt_key(HOSPITAL, 1), requester_key=receipt_key(PRACTICE, 1)),
    "a stranger's": Changes(
        custodian_key=receipt_key(HOSPITAL, 1), delivery=Delivery.SEALED, requester_key=receipt_key("X")
    ),
}


def signed_by(wrong: Changes) -> tuple[ReceiptBundle, Story]:
    """A receipt of a custodian that changed its key before the release and after the anchors."""
    story = chart()
    story.rotate_receipt_key(HOSPITAL, 1)
    part = story.release(changes=wrong)
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    story.rotate_receipt_key(HOSPITAL, 2)
    return story.bundle(part), story


@pytest.mark.promise("R5", "L5")
@pytest.mark.parametrize("name", NOT_CURRENT)
def test_a_key_that_was_not_current_does_not_count(name: str) -> None:
    bundle, story = signed_by(NOT_CURRENT[name])
    with pytest.raises(VerificationFailed, match="receipt check, step 9"):
        check(bundle, story)


@pytest.mark.promise("R5")
def test_a_sealed_delivery_has_both_signatures() -> None:
    story = chart()
    part = story.release()
    part = dataclasses.replace(part, receipt=replace(part.receipt, requester=b""))
    story.anchor(part, End.CUSTODIAN)
    with pytest.raises(VerificationFailed, match="step 9: expected the signature of A81001"):
        check(story.bundle(part), story)


# What is gone


@pytest.mark.promise("P5")
def test_what_was_erased_since_is_said_and_the_rest_is_checked() -> None:
    story, part, _ = usual()
    receipt = check(story.bundle(part, without=(1, 2)))
    assert [record.is_opened for record in (*receipt.released, *receipt.withheld)] == [True, False, False, True]
    assert (receipt.rerun, receipt.faults) == (Rerun.IN_PART, ())
    assert "  released: a record that is not opened" in receipt_lines(receipt)


def test_a_request_whose_bytes_were_pruned() -> None:
    story, part, _ = usual()
    receipt = check(story.bundle(dataclasses.replace(part, transaction=b"")))
    assert receipt.notes == (
        "The bytes of the request are kept no longer: who asked rests on what the two organisations kept.",
    )


@pytest.mark.promise("L5")
def test_an_old_receipt_under_a_recent_header() -> None:
    story = chart()
    part = story.release()
    story.anchor(part, End.CUSTODIAN, is_closed=True)
    story.anchor(part, End.REQUESTER, is_closed=True)
    for number in range(20):
        story.choose(SHARE, name=f"later {number % 5}")
        story.register(*CHART[:1])
    receipt = check(story.bundle(part), story)
    assert (receipt.rerun, receipt.faults) == (Rerun.SAME, ())
    assert receipt.state.height > 50
