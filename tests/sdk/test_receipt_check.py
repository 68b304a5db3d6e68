"""The check of a receipt: what it shows, and that nothing of a receipt can be changed, left out or put in its place."""

from collections import Counter
from collections.abc import Callable
from functools import cache

import msgspec
import pytest

from salus.contracts.access import Basis, End
from salus.contracts.provisions import Purpose
from salus.ledger.bundles import BundleUnknown, OpenedReceipt, ReceiptBundle, decode_bundle, encode_bundle
from salus.ledger.receipts import (
    Conclusion,
)
from salus.ledger.verifier import VerificationFailed
from salus.sdk.receipt_check import check_receipt
from salus.sdk.receipt_words import receipt_lines
from salus.sdk.verified import Rerun, VerifiedReceipt
from tests.ledger.proof_world import NOW_S
from tests.ledger.single_changes import bit_flips, single_changes
from tests.sdk.receipt_cases import BLOOD, CHOICE, LETTER, POLICY, TEST, check, usual
from tests.sdk.receipt_world import begin, trust

replace = msgspec.structs.replace


@pytest.mark.promise("R2", "R5", "L5")
def test_what_a_receipt_shows() -> None:
    receipt = check(usual()[2])
    assert (receipt.custodian.name, receipt.requester.name) == ("St Mary's Hospital", "Dr Jones's Surgery")
    assert (receipt.asker.name, receipt.asker.registration) == ("Dr Jones", "GMC 1234567")
    assert receipt.terms is not None
    assert (receipt.terms.purpose, receipt.terms.basis) == (Purpose.TREAT, Basis.CHOICE)
    assert [record.title for record in receipt.released] == ["Haemoglobin", "Allergy to penicillin"]
    assert [record.title for record in receipt.withheld] == ["Letter from psychiatry", "HIV test"]
    assert [(anchor.end, anchor.conclusion) for anchor in receipt.anchors] == [
        (End.CUSTODIAN, Conclusion.SLOT_SENT),
        (End.REQUESTER, Conclusion.OPENED),
    ]
    assert (receipt.rerun, receipt.faults, receipt.notes) == (Rerun.SAME, (), ())


WORDS = f"""\
Dr Jones (GP, GMC 1234567) of Dr Jones's Surgery (A81001), one of the clinicians there, asked \
St Mary's Hospital (RVJ) to see your records, for your care. It was signed in person.
Permitted on 15 June 2025, 16:06:56 BST for 15 minutes, because of your sharing choice.
Released: 2 records.
  released: {BLOOD}
  released: “Allergy to penicillin” (allergies)
Withheld: 2 records.
  withheld: {LETTER}, by {CHOICE}
  withheld: {TEST}, by {POLICY}
The rules were run again here on 4 records and gave the same result.
St Mary's Hospital (RVJ) committed the receipt on 15 June 2025, 16:06:58 BST: the key was sent.
Dr Jones's Surgery (A81001) committed the receipt on 15 June 2025, 16:07:00 BST: it was opened.
All this is as the ledger stood in block 11 of 15 June 2025, 16:07:02 BST.
Embedded ledger: trust is one key. Whoever holds the key of RVJ could have written another history; nobody else could.
"""


@pytest.mark.promise("R2", "U1")
def test_a_receipt_in_words() -> None:
    assert receipt_lines(check(usual()[2])) == WORDS.splitlines()


@pytest.mark.promise("R5", "L5")
def test_a_receipt_is_what_it_was_when_it_is_written_and_read() -> None:
    bundle = usual()[2]
    assert decode_bundle(encode_bundle(bundle)) == bundle
    assert len(encode_bundle(bundle)) < 16_000


# Single changes

LEFT_OUT = {
    "3.5 first left out": "No anchor by RVJ is shown. Your history shows whether there is one.",
    "3.5 last left out": "No anchor by A81001 is shown. Your history shows whether there is one.",
    "3.10 first left out": "one record was not opened: what was erased since can be opened no longer",
}
"""What may be left out, and then the receipt says that it is not shown. (3.5 are the anchors, 3.10 the records.)"""
TITLES = {f"3.10.{number}.1 last left out" for number in range(4)}


def verdict(data: bytes) -> VerifiedReceipt | str:
    try:
        bundle = decode_bundle(data)
        assert isinstance(bundle, ReceiptBundle)
        return check(bundle)
    except BundleUnknown:
        return "bundle"
    except VerificationFailed as failed:
        return f"{failed.checklist} {failed.step}"


@pytest.mark.promise("R5", "L5")
def test_every_single_change_is_refused() -> None:
    verdicts = {name: verdict(data) for name, data in single_changes(encode_bundle(usual()[2]))}
    assert len(verdicts) > 2_000
    held = {name: found for name, found in verdicts.items() if isinstance(found, VerifiedReceipt)}
    assert set(held) == {*LEFT_OUT, *TITLES}
    for name, words in LEFT_OUT.items():
        assert words in (*held[name].notes, held[name].rerun_words)
    assert {held[name].faults for name in held} == {()}
    refusals = Counter(found for found in verdicts.values() if isinstance(found, str))
    # Each kind of change met the check that is meant for it; the counts themselves say nothing.
    assert {"bundle", "state 6", "outcome 2", "row 1", "row 2", *(f"receipt {step}" for step in (2, 3, 4))} <= set(
        refusals
    )
    assert {f"receipt {step}" for step in (6, 7, 8, 10, 11)} <= set(refusals)


@pytest.mark.promise("R5")
def test_every_flipped_byte_is_refused() -> None:
    data = encode_bundle(usual()[2])
    assert [name for name, changed in bit_flips(data, every=23) if isinstance(verdict(changed), VerifiedReceipt)] == []


# Refused, with the step


def of(change: Callable[[OpenedReceipt], OpenedReceipt]) -> ReceiptBundle:
    bundle = usual()[2]
    return replace(bundle, opened=change(bundle.opened))


@cache
def second() -> ReceiptBundle:
    """Another release of the same story, under the same state as the first."""
    story, part, _ = usual()
    other = story.release()
    story.anchor(other, End.CUSTODIAN)
    first = story.bundle(part)
    later = story.bundle(other)
    assert first.signed.state == later.signed.state
    return later


def swapped(**fields: str) -> ReceiptBundle:
    """The first receipt with parts of the second's: each of them holds by itself."""
    story, part, _ = usual()
    mine, other = second(), story.bundle(part)
    return replace(
        other, signed=mine.signed, opened=replace(other.opened, **{each: getattr(mine.opened, each) for each in fields})
    )


REFUSED: dict[str, tuple[Callable[[], ReceiptBundle], str]] = {
    "another trust root": (lambda: usual()[2], "state 3"),
    "no fields": (lambda: of(lambda each: replace(each, fields=())), "receipt 2"),
    "a withheld record not shown": (lambda: of(lambda each: replace(each, fields=each.fields[:-1])), "receipt 2"),
    "fields in another order": (
        lambda: of(lambda each: replace(each, fields=(each.fields[1], each.fields[0], *each.fields[2:]))),
        "receipt 2",
    ),
    "no permit": (lambda: of(lambda each: replace(each, permitted=())), "receipt 3"),
    "an anchor in the place of the permit": (
        lambda: of(lambda each: replace(each, permitted=(each.anchors[0].outcome,))),
        "receipt 3",
    ),
    "the permit of another release": (lambda: swapped(permitted=""), "receipt 3"),
    "the request of another release": (lambda: swapped(request=""), "receipt 4"),
    "a request with one field hidden": (lambda: of(lambda each: replace(each, request=each.request[:4])), "receipt 4"),
    "the bytes of another request": (lambda: swapped(transaction=""), "receipt 6"),
    "no rows": (lambda: of(lambda each: replace(each, rows=())), "receipt 7"),
    "one row too many": (lambda: of(lambda each: replace(each, rows=(*each.rows, each.rows[0]))), "receipt 7"),
    "the anchors of another release": (lambda: swapped(anchors=""), "receipt 8"),
    "the requester's anchor first": (lambda: of(lambda each: replace(each, anchors=each.anchors[::-1])), "receipt 8"),
    "another conclusion": (
        lambda: of(
            lambda each: replace(
                each, anchors=(replace(each.anchors[0], conclusion=Conclusion.POSSIBLY_RELEASED), each.anchors[1])
            )
        ),
        "receipt 8",
    ),
    "the anchor of a permit": (
        lambda: of(lambda each: replace(each, anchors=(replace(each.anchors[0], outcome=each.permitted[0]),))),
        "receipt 8",
    ),
    "a choice not shown": (lambda: of(lambda each: replace(each, choices=each.choices[:-1])), "receipt 10"),
    "a choice in the middle not shown": (
        lambda: of(lambda each: replace(each, choices=(each.choices[0], each.choices[2]))),
        "receipt 10",
    ),
    "rules not shown": (lambda: of(lambda each: replace(each, rules=())), "receipt 10"),
    "other rules": (lambda: of(lambda each: replace(each, rules=each.request[:1])), "receipt 10"),
    "a batch not shown": (lambda: of(lambda each: replace(each, batches=each.batches[:1])), "receipt 11"),
    "metadata not shown": (
        lambda: of(lambda each: replace(each, records=(replace(each.records[0], metadata=()), *each.records[1:]))),
        "receipt 11",
    ),
    "labels not shown": (
        lambda: of(
            lambda each: replace(
                each,
                records=(
                    replace(each.records[0], metadata=(*each.records[0].metadata[:2], *each.records[0].metadata[3:])),
                    *each.records[1:],
                ),
            )
        ),
        "receipt 11",
    ),
    "records in another order": (lambda: of(lambda each: replace(each, records=each.records[::-1])), "receipt 11"),
}


@pytest.mark.promise("R5", "L5")
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, step = REFUSED[name]
    bundle = make()
    story = begin(validators=2) if name == "another trust root" else usual()[0]
    with pytest.raises(VerificationFailed) as failed:
        check_receipt(trust(story), bundle, now_s=NOW_S)
    assert f"{failed.value.checklist} {failed.value.step}" == step
