"""The check of a history: n of n, each event in words, and the end that stayed silent (R2, R5, L5)."""

from collections.abc import Callable
from functools import cache

import msgspec
import pytest

from salus.contracts import CONTRACTS
from salus.contracts.access import DenialReason, End
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.bundles import BundleUnknown, HistoryBundle, decode_bundle, encode_bundle, receipts_of
from salus.ledger.fields import CommittedFields
from salus.ledger.outcomes import PatientOutcome
from salus.ledger.receipts import Field, WhoField
from salus.ledger.verifier import VerificationFailed
from salus.sdk.history_check import ANCHOR_GRACE_S, check_history, history_lines, sum_line
from salus.sdk.outcome_words import REASONS, WORDS
from salus.sdk.receipt_check import check_receipt
from salus.sdk.verified import VerifiedHistoryBundle
from tests.ledger.proof_world import BLOCK_S, NOW_S
from tests.ledger.single_changes import bit_flips, single_changes
from tests.sdk.receipt_network import Changes, key
from tests.sdk.receipt_world import Story, chart, trust

replace = msgspec.structs.replace


@cache
def usual() -> tuple[Story, HistoryBundle]:
    """A match, a refusal, a release, an emergency that is never anchored by the practice."""
    story = chart()
    note = story.match()
    story.request(purpose=Purpose.HPAYMT, role_class=RoleClass.ADMINISTRATIVE)
    part = story.release()
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    emergency = story.release(purpose=Purpose.BTG)
    story.anchor(emergency, End.CUSTODIAN, is_closed=True)
    return story, story.history(matches=[note])


def check(bundle: HistoryBundle, story: Story | None = None) -> VerifiedHistoryBundle:
    return check_history(trust(story or usual()[0]), bundle, now_s=NOW_S)


def wait(story: Story, seconds: int) -> None:
    """Let blocks pass."""
    for _ in range(seconds // BLOCK_S):
        story.ledger.block()


WORDS_OF_USUAL = """\
13 of 13 events are shown: none is left out.
1. 15 June 2025, 16:06:42 BST: You were enrolled at RVJ; you hold the key.
2. 15 June 2025, 16:06:46 BST: RVJ registered records of yours.
3. 15 June 2025, 16:06:48 BST: You made or changed a sharing choice; your choices are now version 1.
4. 15 June 2025, 16:06:50 BST: You made or changed a sharing choice; your choices are now version 2.
5. 15 June 2025, 16:06:52 BST: You withdrew a sharing choice; your choices are now version 3.
6. 15 June 2025, 16:06:54 BST: RVJ registered records of yours.
7. 15 June 2025, 16:06:56 BST: A81001 asked whether there are records of you here, and was told yes.
8. 15 June 2025, 16:06:58 BST: A81001 (administrative staff) asked RVJ to see your records, for payment. \
It was refused: nothing permits it.
9. 15 June 2025, 16:07:00 BST: A81001 (clinicians) asked RVJ to see your records, for your care. \
It was permitted until 15 June 2025, 16:22:00 BST.
10. 15 June 2025, 16:07:02 BST: RVJ committed its receipts under the permit of event 9.
11. 15 June 2025, 16:07:04 BST: A81001 committed its receipts under the permit of event 9.
12. 15 June 2025, 16:07:06 BST: A81001 (clinicians) asked RVJ to see your records, \
for breaking the glass in an emergency. It was permitted until 15 June 2025, 16:22:06 BST.
13. 15 June 2025, 16:07:08 BST: RVJ committed its receipts under the permit of event 12, and closed it.
2 receipts are in this file, and checked: 5 records released, 3 withheld.
All this is as the ledger stood in block 15 of 15 June 2025, 16:07:10 BST.
Embedded ledger: trust is one key. Whoever holds the key of RVJ could have written another history; nobody else could.
"""


@pytest.mark.promise("R2", "L5", "U1")
def test_a_history_in_words() -> None:
    lines = history_lines(check(usual()[1]))
    assert lines == WORDS_OF_USUAL.splitlines()


@pytest.mark.promise("R2", "R5")
def test_receipts_of_a_history_are_checked_under_the_same_header() -> None:
    history = check(usual()[1])
    assert [len(receipt.released) for receipt in history.receipts] == [2, 3]
    assert {receipt.state for receipt in history.receipts} == {history.state}
    assert (history.faults, history.notes) == ((), ())


@pytest.mark.promise("L5")
def test_no_history_is_proved_too() -> None:
    story = usual()[0]
    row, signed = story.ledger.prove_row(b"machine.history\x00\xc4\x10" + bytes(16)), story.ledger.signed_state()
    bundle = usual()[1]
    empty = replace(bundle.history, pseudonym=bytes(16), row=row, leaves=())
    history = check(HistoryBundle(1, signed, empty, (), ()))
    assert history.events == ()
    assert history_lines(history)[0] == "There are no events, and that is all."


def of(change: Callable[[HistoryBundle], HistoryBundle]) -> HistoryBundle:
    return change(usual()[1])


def with_leaves(change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> HistoryBundle:
    bundle = usual()[1]
    return replace(bundle, history=replace(bundle.history, leaves=change(bundle.history.leaves)))


def more_receipts() -> HistoryBundle:
    bundle = usual()[1]
    return replace(bundle, receipts=(*bundle.receipts, bundle.receipts[0]))


REFUSED: dict[str, tuple[Callable[[], HistoryBundle], str]] = {
    "one event left out": (lambda: with_leaves(lambda each: each[:7] + each[8:]), "history 3"),
    "one event twice": (lambda: with_leaves(lambda each: (*each, each[-1])), "history 3"),
    "one event in the place of another": (
        lambda: with_leaves(lambda each: (*each[:7], each[8], *each[8:])),
        "history 4",
    ),
    "two events exchanged": (lambda: with_leaves(lambda each: (each[1], each[0], *each[2:])), "history 4"),
    "all events left out": (lambda: with_leaves(lambda _: ()), "history 3"),
    "a receipt twice": (more_receipts, "bundle 4"),
    "a note of no match": (
        lambda: of(lambda each: replace(each, matches=(replace(each.matches[0], secret=bytes(32)),))),
        "bundle 5",
    ),
    "a note twice": (lambda: of(lambda each: replace(each, matches=each.matches * 2)), "bundle 5"),
    "a note with an empty secret": (
        lambda: of(lambda each: replace(each, matches=(replace(each.matches[0], secret=b""),))),
        "bundle 5",
    ),
    "a note that is none": (
        lambda: of(lambda each: replace(each, matches=(CommittedFields(bytes(32), (b"",)),))),
        "bundle 5",
    ),
}


@pytest.mark.promise("R2", "L5")
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, step = REFUSED[name]
    with pytest.raises(VerificationFailed) as failed:
        check(make())
    assert f"{failed.value.checklist} {failed.value.step}" == step


def accepts(data: bytes) -> bool:
    try:
        bundle = decode_bundle(data)
        assert isinstance(bundle, HistoryBundle)
        check(bundle)
    except (BundleUnknown, VerificationFailed):
        return False
    return True


@pytest.mark.promise("L5")
def test_no_single_change_of_a_history_is_accepted() -> None:
    bundle = replace(usual()[1], receipts=())
    changes = list(single_changes(encode_bundle(bundle)))
    assert len(changes) > 150
    without_the_note = ["5 first left out", "5 last left out"]
    assert [name for name, data in changes if accepts(data)] == without_the_note
    assert [name for name, data in bit_flips(encode_bundle(bundle), every=5) if accepts(data)] == []


@pytest.mark.promise("R5")
@pytest.mark.parametrize(
    ("ends", "late", "fault"),
    [
        ((End.CUSTODIAN, End.REQUESTER), True, ""),
        ((), True, ""),
        ((End.CUSTODIAN,), False, ""),
        (
            (End.CUSTODIAN,),
            True,
            "A81001 never committed a receipt for what RVJ says it released under the permit of event 7.",
        ),
        (
            (End.REQUESTER,),
            True,
            "RVJ never committed a receipt for what A81001 says it received under the permit of event 7.",
        ),
    ],
    ids=["both", "nothing was released", "not late yet", "the requester is silent", "the custodian is silent"],
)
def test_an_end_that_never_anchored_is_named(ends: tuple[End, ...], late: bool, fault: str) -> None:
    story = chart()
    part = story.release()
    for end in ends:
        story.anchor(part, end)
    if late:
        wait(story, 900 + ANCHOR_GRACE_S)
    history = check(story.history(), story)
    assert history.faults == ((fault,) if fault else ())
    assert [line for line in history_lines(history) if line.startswith("WRONG")] == (
        [f"WRONG: {fault}"] if fault else []
    )


@pytest.mark.promise("R1", "R5")
def test_a_key_that_was_never_the_patients_is_named() -> None:
    mallory = key("mallory")
    story = chart()
    session = story.session(story.next_session_key(), mallory)
    story.release(
        purpose=Purpose.PATRQT,
        role_class=RoleClass.PATIENT_SIDE,
        residual_changes={"session": session},
        changes=Changes(rewrite=lambda written: [named(each, mallory.public) for each in written]),
    )
    story.release(purpose=Purpose.PATRQT, role_class=RoleClass.PATIENT_SIDE)
    history = check(story.history(), story)
    assert history.faults == ("Somebody asked RVJ in your name, with a key that was never yours.",)
    note = "The key that asked in your name is none of your keys here now: it was replaced, or never yours."
    assert [note in receipt.notes for receipt in history.receipts] == [True, False]


def named(field: Field, public_key: bytes) -> Field:
    return replace(field, certificate=public_key) if isinstance(field, WhoField) else field


@pytest.mark.promise("L5")
def test_a_key_without_an_end_in_sight() -> None:
    story = chart()
    story.add_device(expires_at_s=(1 << 40) - 1)
    lines = history_lines(check(story.history(), story))
    assert lines[7].endswith(": A device of yours may act for you.")


@pytest.mark.promise("R5", "L5")
def test_each_receipt_of_a_history_is_a_file_of_its_own() -> None:
    story, bundle = usual()
    alone = [check_receipt(trust(story), each, now_s=NOW_S) for each in receipts_of(bundle)]
    assert alone == list(check(bundle).receipts)


@pytest.mark.promise("R5")
def test_receipts_that_are_not_in_the_file_are_named() -> None:
    history = check(replace(usual()[1], receipts=usual()[1].receipts[:1]))
    assert history.notes == ("The receipts under the permit of event 12 are not in this file: ask for them.",)


@pytest.mark.promise("L5")
def test_several_relationships_are_summed() -> None:
    histories = [check(usual()[1]), check(usual()[1])]
    assert sum_line(histories) == "26 of 26 events in 2 relationships."
    assert sum_line(histories[:1]) == "13 of 13 events in 1 relationship."


def test_every_outcome_of_a_history_has_words() -> None:
    kinds = {
        kind
        for contract in CONTRACTS
        for declared in contract.outcomes.values()
        for kind in declared
        if issubclass(kind, PatientOutcome)
    }
    assert kinds
    assert set(WORDS) == kinds
    assert set(REASONS) == set(DenialReason)
