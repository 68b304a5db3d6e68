"""A verifier in Go, written from docs/spec alone, answers every vector and every altered proof as ours does (L5)."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from salus.contracts.access import End
from salus.crypto.edge_cases import EDGE_CASES
from salus.engines.cometbft.installing import CannotInstall, find_go
from salus.ledger.bundles import BundleUnknown, decode_bundle, encode_bundle
from salus.ledger.verifier import TrustRoot, VerificationFailed
from salus.ledger.verifier.trust import decode_trust, encode_trust
from salus.sdk.verify import verify_file
from tests.conftest import absent
from tests.ledger import proof_cases, proof_vectors, skip_cases
from tests.ledger.proof_cases import Case
from tests.ledger.proof_world import NOW_S
from tests.ledger.single_changes import bit_flips, single_changes
from tests.ledger.test_verifier_skipping import BAD_STORES
from tests.ledger.test_verifier_trust import REFUSED as BAD_ROOTS
from tests.sdk import receipt_vectors, test_history_check, test_receipt_check
from tests.sdk.receipt_cases import usual
from tests.sdk.receipt_network import Changes
from tests.sdk.receipt_world import Story, chart, trust
from tests.sdk.test_receipt_false import FALSE
from tests.sdk.test_receipt_kinds import NOT_CURRENT, ROOMS, signed_by

pytestmark = [pytest.mark.promise("L5"), pytest.mark.services]

SOURCE = Path(__file__).parent
ALTERED_MIN = 40
CHANGES_STEP = 17
"""Every how many single changes to a receipt are compared, so that the test stays short."""
Question = dict[str, Any]
Answers = Callable[[Sequence[Question]], list[str]]


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Build the second verifier, and ask it: one answer per question."""
    try:
        go = find_go()
    except CannotInstall as error:
        absent(f"Go: {error}")
    program = tmp_path_factory.mktemp("second-verifier") / "secondverifier"
    surroundings = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    subprocess.run([go, "vet", "."], cwd=SOURCE, env=surroundings, check=True, timeout=300)
    subprocess.run([go, "build", "-o", program, "."], cwd=SOURCE, env=surroundings, check=True, timeout=300)

    def ask(questions: Sequence[Question]) -> list[str]:
        asked = "".join(f"{json.dumps(each)}\n" for each in questions)
        done = subprocess.run([program], input=asked, capture_output=True, text=True, check=True, timeout=300)
        answers = done.stdout.splitlines()
        assert len(answers) == len(questions)
        return answers

    return ask


def disagreements(names: Sequence[str], got: Sequence[str], want: Sequence[str]) -> list[str]:
    return [f"{name}: {one}, not {two}" for name, one, two in zip(names, got, want, strict=True) if one != two]


@pytest.mark.parametrize("file", [proof_vectors.FILE, proof_vectors.SKIPPING_FILE], ids=lambda file: file.stem)
def test_agrees_on_every_golden_proof(second: Answers, file: Path) -> None:
    vectors = json.loads(file.read_bytes())
    cases = [*vectors["holds"], *vectors["refused"]]
    questions = [{**case, "trust": vectors["trust_files"][case["trust_file"]]} for case in cases]
    want = [f"refuse {case['checklist']} {case['step']}" if "step" in case else "accept" for case in cases]
    assert disagreements([case["name"] for case in cases], second(questions), want) == []


def test_the_altered_proofs_are_many_and_each_has_a_name() -> None:
    names = [case.name for case in (*proof_cases.refused(), *skip_cases.refused())]
    assert len(set(names)) >= ALTERED_MIN
    print(f"altered proofs, each refused at its step by both: {len(names)}")


ALTERED = (
    *("an outcome in the middle", "a row", "no row, another's leaf in its place", "a history", "a log that grew"),
    *("the next header, by the validators that were announced", "further on, half of the validators new"),
)


@pytest.mark.parametrize("name", ALTERED)
def test_agrees_on_every_single_change(second: Answers, name: str) -> None:
    case = next(each for each in (*proof_cases.holding(), *skip_cases.holding()) if each.name == name)
    changed = list(changes(case))
    trust = proof_vectors.trust_file(case.trust)
    got = second([{"trust": trust, "now_s": case.now_s, "file": data.hex()} for _, data in changed])
    want = [verdict(data, case) for _, data in changed]
    assert disagreements([what for what, _ in changed], got, want) == []
    assert len(got) > 100


def changes(case: Case) -> Iterator[tuple[str, bytes]]:
    data = encode_bundle(case.bundle)
    yield from single_changes(data)
    yield from bit_flips(data, every=7)


def verdict(data: bytes, case: Case) -> str:
    try:
        proof_vectors.claim(decode_bundle(data), case.trust, now_s=case.now_s)
    except BundleUnknown:
        return "refuse bundle 0"
    except VerificationFailed as failed:
        return f"refuse {failed.checklist} {failed.step}"
    return "accept"


# Receipts and histories


RECEIPTS = json.loads((receipt_vectors.FOLDER / "verdicts.json").read_bytes())


def test_agrees_on_every_golden_receipt_and_history(second: Answers) -> None:
    folder = receipt_vectors.FOLDER
    questions = [
        {
            "trust": (folder / golden["trust"]).read_text(),
            "now_s": golden["now_s"],
            "file": (folder / name).read_bytes().hex(),
        }
        for name, golden in RECEIPTS.items()
    ]
    want = [
        "refuse {} {}".format(*golden["refused"]) if "refused" in golden else "accept" for golden in RECEIPTS.values()
    ]
    assert disagreements(list(RECEIPTS), second(questions), want) == []


def test_agrees_on_every_altered_receipt_and_history(second: Answers) -> None:
    tables: tuple[tuple[dict[str, Any], Any], ...] = (
        (test_receipt_check.REFUSED, usual()[0]),
        (test_history_check.REFUSED, test_history_check.usual()[0]),
    )
    names, questions, want = [], [], []
    for table, story in tables:
        for name, (make, step) in table.items():
            if name != "another trust root":
                names.append(name)
                questions.append(about(encode_bundle(make()), story))
                want.append(f"refuse {step}")
    assert disagreements(names, second(questions), want) == []
    assert len(names) > ALTERED_MIN // 2


def test_agrees_on_receipts_that_both_ends_signed_and_that_are_false(second: Answers) -> None:
    questions = []
    for asked, _ in FALSE.values():
        story = chart()
        part = story.release(**asked(story))
        for end in (End.CUSTODIAN, End.REQUESTER):
            story.anchor(part, end)
        questions.append(about(encode_bundle(story.bundle(part)), story))
    want = [f"refuse receipt {step}" for _, step in FALSE.values()]
    assert disagreements(list(FALSE), second(questions), want) == []


def test_agrees_on_keys_that_were_not_current(second: Answers) -> None:
    questions = [about(encode_bundle(bundle), story) for bundle, story in map(signed_by, NOT_CURRENT.values())]
    assert disagreements(list(NOT_CURRENT), second(questions), ["refuse receipt 9"] * len(NOT_CURRENT)) == []


def test_agrees_on_trees_of_any_size(second: Answers) -> None:
    questions = []
    for room in ROOMS:
        story = chart()
        part = story.release(changes=Changes(room=room))
        for end in (End.CUSTODIAN, End.REQUESTER):
            story.anchor(part, end)
        questions.append(about(encode_bundle(story.bundle(part)), story))
    assert disagreements([str(room) for room in ROOMS], second(questions), ["accept"] * len(ROOMS)) == []


@pytest.mark.parametrize("name", ["one-end.salus-receipt", "history.salus-history"])
def test_agrees_on_single_changes_to_a_receipt_and_a_history(second: Answers, name: str) -> None:
    data = (receipt_vectors.FOLDER / name).read_bytes()
    golden = RECEIPTS[name]
    root = (receipt_vectors.FOLDER / golden["trust"]).read_bytes()
    changed = list(single_changes(data))[::CHANGES_STEP]
    asked = [{"trust": root.decode(), "now_s": golden["now_s"], "file": each.hex()} for _, each in changed]
    want = [file_verdict(each, decode_trust(root), golden["now_s"]) for _, each in changed]
    assert disagreements([what for what, _ in changed], second(asked), want) == []


def about(data: bytes, story: Story) -> Question:
    return {"trust": encode_trust(trust(story)).decode(), "now_s": NOW_S, "file": data.hex()}


def file_verdict(data: bytes, root: TrustRoot, now_s: int) -> str:
    try:
        verify_file(data, root, now_s=now_s)
    except VerificationFailed as failed:
        return f"refuse {failed.checklist} {failed.step}"
    return "accept"


def test_refuses_every_trust_file_that_ours_refuses(second: Answers) -> None:
    # JSON strings carry text: the one row of other bytes is ours alone.
    rows = {**BAD_ROOTS, **BAD_STORES}
    files = {name: data.decode() for name, (data, _) in rows.items() if name != "not UTF-8"}
    got = second([{"trust": text, "now_s": 0, "file": ""} for text in files.values()])
    assert disagreements(list(files), got, ["refuse trust 0"] * len(files)) == []


def test_signatures_are_those_of_zip215(second: Answers) -> None:
    questions = [{"public": each.public, "message": each.message, "signature": each.signature} for each in EDGE_CASES]
    want = ["accept" if each.zip215 else "refuse signature 1" for each in EDGE_CASES]
    assert {"accept", "refuse signature 1"} == set(want)
    assert disagreements([each.name for each in EDGE_CASES], second(questions), want) == []


def test_uses_nothing_but_the_standard_library() -> None:
    assert (SOURCE / "go.mod").read_text().split() == ["module", "secondverifier", "go", "1.24"]
    assert not (SOURCE / "go.sum").exists()
