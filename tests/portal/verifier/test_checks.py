"""The page, written from docs/spec, answers every golden file and every altered one as the SDK does (R5, L5)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from salus.contracts.access import End
from salus.contracts.evidence import decode_outcome
from salus.contracts.provisions import Purpose, RoleClass
from salus.crypto.edge_cases import EDGE_CASES, EdgeCase
from salus.ledger.bundles import Anchor, BundleUnknown, ConsistencyBundle, HistoryBundle, decode_bundle, encode_bundle
from salus.ledger.encoding import encode
from salus.ledger.outcomes import PatientOutcome, decode_leaf
from salus.ledger.receipts import (
    Anchored,
    Conclusion,
    ConductField,
    Delivery,
    Field,
    RequestField,
    Standing,
    WhoField,
    anchored_leaf,
)
from salus.ledger.verifier import VerificationFailed
from salus.ledger.verifier.trust import decode_trust, encode_trust
from salus.sdk.history_check import ANCHOR_GRACE_S
from salus.sdk.verify import verify_file
from tests.ledger import proof_vectors
from tests.ledger.proof_world import NOW_S
from tests.ledger.single_changes import bit_flips, single_changes
from tests.ledger.test_verifier_skipping import BAD_STORES
from tests.ledger.test_verifier_trust import REFUSED as BAD_ROOTS
from tests.portal.verifier.asking import Question, ask, disagreements
from tests.sdk import receipt_vectors, test_history_check, test_receipt_check
from tests.sdk.receipt_cases import usual
from tests.sdk.receipt_network import HOSPITAL, Changes, key
from tests.sdk.receipt_world import Story, chart, trust
from tests.sdk.test_receipt_false import FALSE, FAULTS
from tests.sdk.test_receipt_kinds import NOT_CURRENT, own_doctor, signed_by

pytestmark = [pytest.mark.promise("R5", "L5"), pytest.mark.services]

FOLDER = receipt_vectors.FOLDER
replace = msgspec.structs.replace
GOLDEN = json.loads((FOLDER / "verdicts.json").read_bytes())
ALTERED_MIN = 30
CHANGED = {"one-end.salus-receipt": 97, "four-validators.salus-receipt": 181, "history.salus-history": 499}
"""Every how many single changes to a file are compared, so that the test stays short."""


def about(bundle: Any, story: Story, **asked: object) -> Question:
    data = bundle if isinstance(bundle, bytes) else encode_bundle(bundle)
    return {"trust": encode_trust(trust(story)).decode(), "now_s": NOW_S, "file": data.hex(), **asked}


def golden(name: str, data: bytes | None = None, **asked: object) -> Question:
    file = (FOLDER / name).read_bytes() if data is None else data
    stated = (FOLDER / GOLDEN[name]["trust"]).read_text()
    return {"trust": stated, "now_s": GOLDEN[name]["now_s"], "file": file.hex(), **asked}


def anchored(story: Story, **asked: Any) -> Any:
    part = story.release(**asked)
    story.anchor(part, End.CUSTODIAN)
    if part.receipt.requester:
        story.anchor(part, End.REQUESTER)
    return story.bundle(part)


def test_golden_receipts_and_histories() -> None:
    want = ["refuse {} {}".format(*each["refused"]) if "refused" in each else "accept" for each in GOLDEN.values()]
    assert disagreements(list(GOLDEN), ask([golden(name) for name in GOLDEN]), want) == []


@pytest.mark.parametrize("file", [proof_vectors.FILE, proof_vectors.SKIPPING_FILE], ids=lambda file: file.stem)
def test_golden_proofs(file: Path) -> None:
    vectors = json.loads(file.read_bytes())
    cases = [each for each in (*vectors["holds"], *vectors["refused"]) if is_claim(bytes.fromhex(each["file"]))]
    questions = [{**each, "trust": vectors["trust_files"][each["trust_file"]], "claim": True} for each in cases]
    want = [f"refuse {each['checklist']} {each['step']}" if "step" in each else "accept" for each in cases]
    assert disagreements([each["name"] for each in cases], ask(questions), want) == []
    assert len(cases) > 15


def is_claim(data: bytes) -> bool:
    """An outcome, a row, or a history; not the consistency of two states, which no receipt needs."""
    bundle = decode_bundle(data)
    return not isinstance(bundle, ConsistencyBundle) and not (isinstance(bundle, HistoryBundle) and bundle.receipts)


def test_every_altered_receipt_and_history() -> None:
    tables: tuple[tuple[dict[str, Any], Any], ...] = (
        (test_receipt_check.REFUSED, usual()[0]),
        (test_history_check.REFUSED, test_history_check.usual()[0]),
    )
    rows = [(name, make, step, story) for table, story in tables for name, (make, step) in table.items()]
    rows = [each for each in rows if each[0] != "another trust root"]
    got = ask([about(make(), story) for _, make, _, story in rows])
    assert disagreements([each[0] for each in rows], got, [f"refuse {each[2]}" for each in rows]) == []
    assert len(rows) >= ALTERED_MIN


def test_receipts_that_both_ends_signed_and_that_are_false() -> None:
    made = [(story := chart(), anchored(story, **asked(story))) for asked, _ in FALSE.values()]
    want = [f"refuse receipt {step}" for _, step in FALSE.values()]
    assert disagreements(list(FALSE), ask([about(bundle, story) for story, bundle in made]), want) == []


def test_keys_that_were_not_current() -> None:
    questions = [about(bundle, story) for bundle, story in map(signed_by, NOT_CURRENT.values())]
    assert disagreements(list(NOT_CURRENT), ask(questions), ["refuse receipt 9"] * len(NOT_CURRENT)) == []


@pytest.mark.parametrize("name", CHANGED)
def test_single_changes(name: str) -> None:
    assert changed_answers(name, every=CHANGED[name]) > 10


@pytest.mark.long
@pytest.mark.parametrize("name", CHANGED)
def test_every_single_change(name: str) -> None:
    assert changed_answers(name, every=1) > 2000


def changed_answers(name: str, *, every: int) -> int:
    """Compare the answers on changed files; return how many there were."""
    data = (FOLDER / name).read_bytes()
    changed = [*list(single_changes(data))[::every], *bit_flips(data, every=23 * every)]
    got = ask([golden(name, each) for _, each in changed])
    want = [sdk_verdict(golden(name, each)) for _, each in changed]
    assert disagreements([what for what, _ in changed], got, want) == []
    return len(got)


def test_trust_files_that_are_refused() -> None:
    # JSON strings carry text: the one row of other bytes is the SDK's alone.
    rows = {name: data.decode() for name, (data, _) in {**BAD_ROOTS, **BAD_STORES}.items() if name != "not UTF-8"}
    got = ask([{"trust": text, "now_s": 0, "file": ""} for text in rows.values()])
    assert disagreements(list(rows), got, ["refuse trust 0"] * len(rows)) == []


@pytest.mark.parametrize("alone", [False, True], ids=["by the browser", "by arithmetic alone"])
@pytest.mark.parametrize("rule", ["zip215", "plain"])
def test_signatures_on_which_libraries_disagree(rule: str, alone: bool) -> None:
    """Alone: in a browser that does not know Ed25519."""
    rows = [(each.name, *signed(each), each.zip215 if rule == "zip215" else each.pynacl) for each in EDGE_CASES]
    public, message, signature = key("doctor").public.hex(), b"\x01tx".hex(), key("doctor").sign_tagged("t", b"x").hex()
    rows += [
        ("a good one", public, message, signature, True),
        ("of other words", public, message + "00", signature, False),
        ("of another key", key("nurse").public.hex(), message, signature, False),
        ("a short key", public[:-2], message, signature, False),
        ("a long signature", public, message, signature + "00", False),
    ]
    asked = [
        {"public": public, "message": message, "signature": signature, "rule": rule, "alone": alone}
        for _, public, message, signature, _ in rows
    ]
    want = ["accept" if holds else "refuse" for *_, holds in rows]
    assert disagreements([each[0] for each in rows], ask(asked), want) == []


def signed(case: EdgeCase) -> tuple[str, str, str]:
    return case.public, case.message, case.signature


def test_parts_that_are_out_of_bounds_are_no_receipt() -> None:
    story, _, bundle = usual()
    rows, receipt = bundle.opened.rows, bundle.opened.receipt
    bad = {
        "a row without a key": {"rows": (replace(rows[0], key=b""), *rows[1:])},
        "no chain": {"receipt": replace(receipt, statement=replace(receipt.statement, chain=""))},
        "a long chain": {"receipt": replace(receipt, statement=replace(receipt.statement, chain="é" * 51))},
    }
    files = [encode_bundle(replace(bundle, opened=replace(bundle.opened, **changed))) for changed in bad.values()]
    for data in files:
        with pytest.raises(BundleUnknown):
            decode_bundle(data)
    got = ask([about(data, story) for data in files])
    assert disagreements(list(bad), got, ["refuse bundle 0"] * len(bad)) == []


def crafted(
    *, conclusion: Conclusion = Conclusion.SLOT_SENT, is_on_ledger: bool = True, more: bool = False
) -> Question:
    """A receipt whose only anchor the custodian's node put together as nobody else would."""
    story = chart()
    part = story.release()
    index = story.ledger.meta.log_size
    story.anchor(part, End.CUSTODIAN, conclusion, is_on_ledger=is_on_ledger)
    bundle = story.bundle(part)
    leaf = anchored_leaf(Anchored(part.receipt, conclusion))
    outcome = story.ledger.prove_outcome(index, bundle.signed.state)
    anchor = Anchor(outcome, conclusion, (leaf, leaf) if more else (leaf,))
    return about(replace(bundle, opened=replace(bundle.opened, anchors=(anchor,))), story)


def test_anchors_that_nobody_else_would_make() -> None:
    asked = {
        "as it should be": crafted(),
        "under no permit": crafted(is_on_ledger=False),
        "over more receipts": crafted(more=True),
        "with what only the other end can say": crafted(conclusion=Conclusion.OPENED),
    }
    want = ["accept", *["refuse receipt 8"] * 3]
    assert disagreements(list(asked), ask(list(asked.values())), want) == []
    assert [sdk_verdict(each) for each in asked.values()] == want


def test_a_sealed_delivery_that_nobody_took_is_refused() -> None:
    """The requester did not sign, as over TLS, and the receipt says that it was sent sealed."""

    def sealed(written: list[Field]) -> list[Field]:
        return [replace(each, delivery=Delivery.SEALED) if isinstance(each, ConductField) else each for each in written]

    story = chart()
    bundle = anchored(story, changes=Changes(delivery=Delivery.TLS, rewrite=sealed))
    asked = about(bundle, story)
    assert (bundle.opened.receipt.requester, sdk_verdict(asked)) == (b"", "refuse receipt 9")
    assert ask([asked]) == ["refuse receipt 9"]


def sdk_verdict(asked: Question) -> str:
    try:
        verify_file(bytes.fromhex(asked["file"]), decode_trust(asked["trust"].encode()), now_s=asked["now_s"])
    except VerificationFailed as failed:
        return f"refuse {failed.checklist} {failed.step}"
    return "accept"


def test_an_outcome_about_nobody_is_no_permit() -> None:
    story, _, bundle = usual()
    state = bundle.signed.state
    proof = next(
        story.ledger.prove_outcome(index, state)
        for index in range(state.log_size)
        if not isinstance(decode_outcome(decode_leaf(story.ledger.prove_outcome(index, state).leaf)), PatientOutcome)
    )
    altered = replace(bundle, opened=replace(bundle.opened, permitted=(proof,)))
    with pytest.raises(VerificationFailed, match="receipt check, step 3"):
        verify_file(encode_bundle(altered), trust(story), now_s=NOW_S)
    assert ask([about(altered, story)]) == ["refuse receipt 3"]


# The rules, again

SAID = {
    "nothing": "same",
    "what the patient keeps back was released": "other released",
    "what a policy keeps back was released": "other released",
    "what may go was withheld": "other withheld",
    "another rule was given": "other otherRule",
}


@pytest.mark.promise("R1", "R2")
def test_rules_are_run_again() -> None:
    made = [(story := chart(), anchored(story, changes=changes)) for changes, _, _ in FAULTS.values()]
    got = ask([about(bundle, story, says=True) for story, bundle in made])
    assert disagreements(list(FAULTS), got, [SAID[name] for name in FAULTS]) == []


def continuity(rewrite: Callable[[list[Field]], list[Field]] = lambda fields: fields) -> tuple[Story, Any]:
    """Care that went on while the ledger was out of reach; `rewrite` is what its custodian falsifies."""
    story = own_doctor()
    honest = story.fields
    story.fields = lambda *asked: rewrite(honest(*asked))  # type: ignore[method-assign]
    part = story.continuity()
    story.anchor(part, End.CUSTODIAN, is_on_ledger=False)
    return story, story.bundle(part)


def with_other(kind: type[Field], **others: Any) -> Callable[[list[Field]], list[Field]]:
    return lambda fields: [
        replace(each, **{name: give(each) for name, give in others.items()}) if isinstance(each, kind) else each
        for each in fields
    ]


FALSE_CONTINUITY = {
    "standing on the ledger": with_other(ConductField, standing=lambda _: Standing.LEDGER),
    "sent sealed": with_other(ConductField, delivery=lambda _: Delivery.SEALED),
    "for another request": with_other(RequestField, request=lambda _: bytes(16)),
    "long before": with_other(ConductField, at_s=lambda each: each.at_s - 120),
    "after it was anchored": with_other(ConductField, at_s=lambda each: each.at_s + 3600),
}


@pytest.mark.promise("R3")
def test_care_without_the_ledger_that_is_false() -> None:
    made = {name: continuity(rewrite) for name, rewrite in FALSE_CONTINUITY.items()}
    story, bundle = continuity()
    made["never anchored"] = story, replace(bundle, opened=replace(bundle.opened, anchors=()))
    asked = [about(bundle, story) for story, bundle in made.values()]
    assert [sdk_verdict(each) for each in asked] == ["refuse receipt 3"] * len(asked)
    assert disagreements(list(made), ask(asked), ["refuse receipt 3"] * len(asked)) == []


def test_care_without_the_ledger_is_by_own_staff() -> None:
    story = chart()
    part = story.continuity()
    story.anchor(part, End.CUSTODIAN, is_on_ledger=False)
    asked = about(story.bundle(part), story)
    assert (sdk_verdict(asked), ask([asked])) == ("refuse receipt 5", ["refuse receipt 5"])


@pytest.mark.promise("R2", "R3")
def test_kinds_of_release() -> None:
    patient = {"purpose": Purpose.PATRQT, "role_class": RoleClass.PATIENT_SIDE}
    own = {"requester": HOSPITAL, "changes": Changes(delivery=Delivery.TLS)}
    kinds = {
        "an emergency": ((story := chart()), anchored(story, purpose=Purpose.BTG)),
        "the patient's own request": ((story := chart()), anchored(story, **patient)),
        "own staff": ((story := own_doctor()), anchored(story, **own)),
        "over TLS": ((story := chart()), anchored(story, changes=Changes(delivery=Delivery.TLS))),
        "continuity": continuity(),
    }
    want = ["same", "same", "same", "same", "not run"]
    got = ask([about(bundle, story, says=True) for story, bundle in kinds.values()])
    assert disagreements(list(kinds), got, want) == []


# What only a history shows


@pytest.mark.promise("R5")
@pytest.mark.parametrize(
    ("ends", "late", "said"),
    [
        ((End.CUSTODIAN, End.REQUESTER), True, "none"),
        ((), True, "none"),
        ((End.CUSTODIAN,), False, "none"),
        ((End.CUSTODIAN,), True, "none silent"),
        ((End.REQUESTER,), True, "none silent"),
    ],
    ids=["both", "nothing was released", "not late yet", "the requester is silent", "the custodian is silent"],
)
def test_an_end_that_never_anchored_is_a_fault(ends: tuple[End, ...], late: bool, said: str) -> None:
    story = chart()
    part = story.release()
    for end in ends:
        story.anchor(part, end)
    if late:
        test_history_check.wait(story, 900 + ANCHOR_GRACE_S)
    assert ask([about(story.history(), story, says=True)]) == [said]


@pytest.mark.promise("R1", "R5")
def test_a_key_that_was_never_the_patients_is_a_fault() -> None:
    mallory, story = key("mallory"), chart()
    patient: dict[str, Any] = {"purpose": Purpose.PATRQT, "role_class": RoleClass.PATIENT_SIDE}
    story.release(**patient)
    assert ask([about(story.history(), story, says=True)]) == ["none"]
    story.release(
        **patient,
        residual_changes={"session": story.session(story.next_session_key(), mallory)},
        changes=Changes(rewrite=with_other(WhoField, certificate=lambda _: mallory.public)),
    )
    assert ask([about(story.history(), story, says=True)]) == ["none strangeKey"]


# The request's own bytes


def test_requests_that_were_not_signed_as_they_should_be() -> None:
    story, _, bundle = usual()
    body, signatures = msgspec.msgpack.decode(bundle.opened.transaction)
    own_story, own = continuity()
    rows = {
        "a signature that does not hold": (story, bundle, [body, [bytes(64), *signatures[1:]]]),
        "a signature too few": (story, bundle, [body, signatures[1:]]),
        "no transaction": (story, bundle, [body]),
        "a request where nothing was asked of the ledger": (own_story, own, [body, signatures]),
    }
    asked = [
        about(replace(made, opened=replace(made.opened, transaction=encode(shown))), whose)
        for whose, made, shown in rows.values()
    ]
    want = ["refuse receipt 6"] * len(rows)
    assert disagreements(list(rows), [sdk_verdict(each) for each in asked], want) == []
    assert disagreements(list(rows), ask(asked), want) == []


# Values of another type


def of_another_type(value: Any) -> Any:
    return {bytes: "text", str: b"bytes", int: True, bool: 1, list: 7}[type(value)]


def swapped(value: Any, places: list[int]) -> Any:
    """The value with the part at a place, counted down from 0 as they come, of another type."""
    places[0] -= 1
    if places[0] == -1:
        return of_another_type(value)
    return [swapped(each, places) for each in value] if isinstance(value, list) else value


def test_a_value_of_another_type_is_refused() -> None:
    whole = msgspec.msgpack.decode((FOLDER / "receipt.salus-receipt").read_bytes())
    files = [encode(swapped(whole, [place])) for place in (*range(40), *range(40, 400, 23))]
    assert encode(whole) not in files
    asked = [golden("receipt.salus-receipt", each) for each in files]
    assert {sdk_verdict(each) for each in asked} == {"refuse bundle 0"}
    assert set(ask(asked)) == {"refuse bundle 0"}
