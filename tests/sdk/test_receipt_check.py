"""The check of a receipt: what it shows, and that nothing of a receipt can be changed, left out or put in its place."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest

from salus.contracts.access import Basis, End
from salus.contracts.provisions import Purpose, RoleClass
from salus.contracts.residuals import Scope, commit_certificate, person_certificate
from salus.ledger.bundles import BundleUnknown, OpenedReceipt, ReceiptBundle, decode_bundle, encode_bundle
from salus.ledger.encoding import encode
from salus.ledger.entries import entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.receipts import (
    ChoicesField,
    Conclusion,
    ConductField,
    Delivery,
    Field,
    ReleasedField,
    RequestField,
    ScopeField,
    Standing,
    WhoField,
    WithheldField,
)
from salus.ledger.verifier import VerificationFailed
from salus.sdk.receipt_check import check_receipt
from salus.sdk.receipt_words import receipt_lines
from salus.sdk.verified import Rerun, ShownAnchor, VerifiedReceipt
from tests.ledger.proof_world import NOW_S
from tests.ledger.single_changes import bit_flips, single_changes
from tests.sdk.receipt_world import (
    CHART,
    HOSPITAL,
    PRACTICE,
    SHARE,
    Changes,
    Released,
    Story,
    begin,
    chart,
    key,
    receipt_key,
    trust,
)

replace = msgspec.structs.replace


@cache
def usual() -> tuple[Story, Released, ReceiptBundle]:
    """A release that both ends anchored, and its receipt."""
    story = chart()
    part = story.release()
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    return story, part, story.bundle(part)


def check(bundle: ReceiptBundle, story: Story | None = None) -> VerifiedReceipt:
    return check_receipt(trust(story or usual()[0]), bundle, now_s=NOW_S)


def released(story: Story, **asked: Any) -> VerifiedReceipt:
    """Release, anchor at both ends, check."""
    part = story.release(**asked)
    story.anchor(part, End.CUSTODIAN)
    if part.receipt.requester:
        story.anchor(part, End.REQUESTER)
    return check(story.bundle(part), story)


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


CHOICE = "your sharing choice of 15 June 2025, 16:06:50 BST, rule 1.1: “But not: records about mental health.”"
POLICY = (
    "the custodian’s policy, rule 1: “Anybody may not see records about HIV, for your care or breaking the glass in an "
    "emergency.”"
)
LETTER, TEST = "“Letter from psychiatry” (letters and documents)", "“HIV test” (results and observations)"
BLOOD = "“Haemoglobin” (results and observations)"
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


# Receipts that both ends signed and anchored, and that are false


def rewrites(kind: type[Field], **fields: object) -> Changes:
    """A custodian that writes another field."""
    return Changes(
        rewrite=lambda written: [replace(each, **fields) if isinstance(each, kind) else each for each in written]
    )


def with_session(**fields: Any) -> Callable[[Story], dict[str, Any]]:
    """A request whose session is certified otherwise."""

    def asked(story: Story) -> dict[str, Any]:
        certifier = fields.get("certifier", key("doctor"))
        others = {name: value for name, value in fields.items() if name not in ("certifier", "session")}
        session = story.session(fields.get("session", story.next_session_key()), certifier, **others)
        return {"residual_changes": {"session": session}}

    return asked


def with_certificate(**fields: Any) -> Callable[[Story], dict[str, Any]]:
    """A request that names another certificate."""

    def asked(story: Story) -> dict[str, Any]:
        certificate = replace(person_certificate(story.certificate), **fields)
        return {"residual_changes": {"certificate": commit_certificate(certificate, secret=bytes(32))}}

    return asked


def late_record(story: Story) -> dict[str, Any]:
    return {"changes": Changes(rewrite=lambda written: late(story, written))}


def late(story: Story, written: list[Field]) -> list[Field]:
    """Register a record after the permit was given, and write that it was released."""
    story.register(CHART[0])
    placed = story.records[-1].placed
    scope = next(each for each in written if isinstance(each, ScopeField))
    more = replace(scope, in_scope=scope.in_scope + 1, released=scope.released + 1)
    at = next(place for place, each in enumerate(written) if isinstance(each, WithheldField))
    named = ReleasedField(entry_hash(placed.entry), placed.batch_root, placed.entry.sealed_root, 9)
    return [more if each is scope else each for each in [*written[:at], named, *written[at:]]]


NO_CERTIFICATE = CommittedFields(bytes(32), (b"",))
FALSE: dict[str, tuple[Callable[[Story], dict[str, Any]], int]] = {
    "more in scope than shown": (lambda _: {"changes": rewrites(ScopeField, in_scope=5)}, 2),
    "a part beyond the last": (lambda _: {"changes": rewrites(RequestField, part_count=0)}, 2),
    "a record twice": (lambda _: {"changes": Changes(rewrite=twice)}, 2),
    "continuity, although there is a permit": (
        lambda _: {"changes": Changes(standing=Standing.CONTINUITY, delivery=Delivery.TLS)},
        3,
    ),
    "a scope of another moment": (lambda _: {"changes": rewrites(ScopeField, as_of_s=1)}, 3),
    "choices of another version": (lambda _: {"changes": rewrites(ChoicesField, choices_version=2)}, 3),
    "a policy of another version": (lambda _: {"changes": rewrites(ChoicesField, custodian_policy_version=0)}, 3),
    "written after the permit": (lambda story: {"changes": rewrites(ConductField, at_s=story.ledger.time_s + 961)}, 3),
    "written before the permit": (lambda story: {"changes": rewrites(ConductField, at_s=story.ledger.time_s - 61)}, 3),
    "rules of another day": (lambda _: {"changes": rewrites(ConductField, day=1)}, 3),
    "another request": (lambda _: {"changes": rewrites(RequestField, request=bytes(16))}, 4),
    "another person": (lambda _: {"changes": rewrites(WhoField, certificate=bytes(32))}, 5),
    "a certificate of another organisation": (with_certificate(organisation=HOSPITAL), 5),
    "a certificate for another role": (with_certificate(role_classes=(RoleClass.ADMINISTRATIVE,)), 5),
    "no certificate": (lambda _: {"residual_changes": {"certificate": CommittedFields(bytes(32), ())}}, 5),
    "a certificate that is none": (
        lambda _: {"residual_changes": {"certificate": CommittedFields(bytes(32), (b"",))}},
        5,
    ),
    "a session certified by somebody else": (with_session(certifier=key("nurse")), 5),
    "a session for another custodian": (with_session(custodian=PRACTICE), 5),
    "a session that is too long": (with_session(duration_s=13 * 3600), 5),
    "a session that had ended": (with_session(ahead_s=-4000), 5),
    "a session that had not begun": (with_session(ahead_s=4000), 5),
    "another session than the one that signed": (with_session(session=key("another session")), 6),
    "a choice that was not applied": (lambda _: {"changes": Changes(rewrite=fewer_choices)}, 10),
    "other bytes than the entry's": (lambda _: {"changes": rewrites(ReleasedField, sealed_root=bytes(32))}, 11),
    "another batch than the entry's": (lambda _: {"changes": rewrites(ReleasedField, batch_root=bytes(32))}, 11),
    "a record registered after the permit": (late_record, 11),
}


def twice(written: list[Field]) -> list[Field]:
    scope = next(each for each in written if isinstance(each, ScopeField))
    more = replace(scope, in_scope=scope.in_scope + 1, withheld=scope.withheld + 1)
    return [*(more if each is scope else each for each in written), written[-1]]


def fewer_choices(written: list[Field]) -> list[Field]:
    return [replace(each, choices=()) if isinstance(each, ChoicesField) else each for each in written]


@pytest.mark.promise("R1", "R2", "R5", "R6")
@pytest.mark.parametrize("name", FALSE)
def test_false_although_both_ends_signed_it(name: str) -> None:
    asked, step = FALSE[name]
    story = chart()
    part = story.release(**asked(story))
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    with pytest.raises(VerificationFailed) as failed:
        check(story.bundle(part), story)
    assert (failed.value.checklist, failed.value.step) == ("receipt", step)


# Who did wrong

FAULTS: dict[str, tuple[Changes, str, Rerun]] = {
    "nothing": (Changes(), "", Rerun.SAME),
    "what the patient keeps back was released": (
        Changes(let_go=(2,)),
        f"{LETTER} was released, although a rule keeps it: {CHOICE}",
        Rerun.OTHER,
    ),
    "what a policy keeps back was released": (
        Changes(let_go=(3,)),
        f"{TEST} was released, although a rule keeps it: {POLICY}",
        Rerun.OTHER,
    ),
    "what may go was withheld": (
        Changes(keep_back=(0,)),
        f"{BLOOD} was withheld, although no rule keeps it.",
        Rerun.OTHER,
    ),
    "another rule was given": (
        Changes(wrong_rule=True),
        f"{LETTER} was withheld by another rule than the one stated: {CHOICE}",
        Rerun.OTHER,
    ),
}


@pytest.mark.promise("R1", "R2")
@pytest.mark.parametrize("name", FAULTS)
def test_rules_are_run_again(name: str) -> None:
    changes, fault, rerun = FAULTS[name]
    receipt = released(chart(), changes=changes)
    assert receipt.faults == ((fault,) if fault else ())
    assert receipt.rerun is rerun
    assert [line for line in receipt_lines(receipt) if line.startswith("WRONG")] == (
        [f"WRONG: {fault}"] if fault else []
    )


@pytest.mark.promise("R1")
def test_what_nobody_asked_for_was_released() -> None:
    receipt = released(chart(), scope=Scope(classes=("AllergyIntolerance",)))
    assert receipt.faults == ("“Haemoglobin” (results and observations) was released, although nobody asked for it.",)


# Kinds of release


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


@pytest.mark.promise("R5", "L5")
@pytest.mark.parametrize(
    "wrong",
    [
        Changes(custodian_key=receipt_key(HOSPITAL)),
        Changes(custodian_key=receipt_key(HOSPITAL, 2)),
        Changes(custodian_key=receipt_key(HOSPITAL, 1), requester_key=receipt_key(HOSPITAL, 1)),
        Changes(custodian_key=receipt_key(HOSPITAL, 1), requester_key=receipt_key(PRACTICE, 1)),
        Changes(custodian_key=receipt_key(HOSPITAL, 1), delivery=Delivery.SEALED, requester_key=receipt_key("X")),
    ],
    ids=["retired before the permit", "registered later", "the other end's", "never registered", "a stranger's"],
)
def test_a_key_that_was_not_current_does_not_count(wrong: Changes) -> None:
    story = chart()
    story.rotate_receipt_key(HOSPITAL, 1)
    part = story.release(changes=wrong)
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    story.rotate_receipt_key(HOSPITAL, 2)
    with pytest.raises(VerificationFailed, match="receipt check, step 9"):
        check(story.bundle(part), story)


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
