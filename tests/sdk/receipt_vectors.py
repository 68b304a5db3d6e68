"""The golden files of receipts and histories, and what a verifier says of each.

    python -m tests.sdk.receipt_vectors

Written once for a new format, never to make a failing test pass. Steps of refused files stand here by hand.
"""

import json
from pathlib import Path

import msgspec

from salus.contracts.access import End
from salus.contracts.provisions import Purpose
from salus.ledger.bundles import Bundle, ReceiptBundle, encode_bundle
from salus.ledger.verifier.trust import encode_trust
from salus.sdk.verify import verify_file
from tests.ledger.proof_world import NOW_S
from tests.sdk.receipt_network import Changes
from tests.sdk.receipt_world import Story, chart, trust

FOLDER = Path(__file__).parent / "vectors"
replace = msgspec.structs.replace


def usual(validators: int, changes: Changes | None = None) -> tuple[Story, ReceiptBundle]:
    """A release that both ends anchored."""
    story = chart(validators=validators)
    part = story.release(changes=changes)
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    return story, story.bundle(part)


def written() -> dict[str, bytes]:
    """Return every golden file by its name."""
    one, receipt = usual(1)
    four, of_four = usual(4)
    _, leaked = usual(1, Changes(let_go=(2,)))
    files = {
        "embedded.trust.json": encode_trust(trust(one)),
        "four.trust.json": encode_trust(trust(four)),
    }
    held: dict[str, tuple[str, Bundle]] = {
        "receipt.salus-receipt": ("embedded.trust.json", receipt),
        "four-validators.salus-receipt": ("four.trust.json", of_four),
        "leak.salus-receipt": ("embedded.trust.json", leaked),
        "one-end.salus-receipt": ("embedded.trust.json", one_end(receipt)),
        "history.salus-history": ("embedded.trust.json", history()),
    }
    opened = receipt.opened
    refused: dict[str, tuple[Bundle, list[object]]] = {
        "other-state.salus-receipt": (with_size(receipt), ["state", 6]),
        "missing-field.salus-receipt": (with_opened(receipt, fields=opened.fields[:-1]), ["receipt", 2]),
        "other-permit.salus-receipt": (with_opened(receipt, permitted=(opened.anchors[0].outcome,)), ["receipt", 3]),
        "hidden-request.salus-receipt": (with_opened(receipt, request=opened.request[1:]), ["receipt", 4]),
        "missing-row.salus-receipt": (with_opened(receipt, rows=opened.rows[1:]), ["receipt", 7]),
        "anchors-exchanged.salus-receipt": (with_opened(receipt, anchors=opened.anchors[::-1]), ["receipt", 8]),
        "hidden-choice.salus-receipt": (with_opened(receipt, choices=opened.choices[1:]), ["receipt", 10]),
        "records-exchanged.salus-receipt": (with_opened(receipt, records=opened.records[::-1]), ["receipt", 11]),
    }
    verdicts: dict[str, object] = {}
    for name, (trusted, bundle) in held.items():
        files[name] = encode_bundle(bundle)
        story = four if trusted.startswith("four") else one
        verdict = verify_file(files[name], trust(story), now_s=NOW_S)
        said = {"kind": verdict.kind, "lines": verdict.lines, "faults": verdict.faults}
        verdicts[name] = {"trust": trusted, "now_s": NOW_S, **said}
    for name, (bundle, step) in refused.items():
        files[name] = encode_bundle(bundle)
        verdicts[name] = {"trust": "embedded.trust.json", "now_s": NOW_S, "refused": step}
    text = json.dumps(verdicts, indent=1, ensure_ascii=False) + "\n"
    return {**files, "verdicts.json": text.encode()}


def with_opened(bundle: ReceiptBundle, **fields: object) -> ReceiptBundle:
    """The receipt with something else in it."""
    return replace(bundle, opened=replace(bundle.opened, **fields))


def with_size(bundle: ReceiptBundle) -> ReceiptBundle:
    """The receipt under a state that nobody signed."""
    state = bundle.signed.state
    return replace(bundle, signed=replace(bundle.signed, state=replace(state, log_size=state.log_size + 1)))


def one_end(bundle: ReceiptBundle) -> ReceiptBundle:
    """The receipt as it is while the requester has not anchored it."""
    return with_opened(bundle, anchors=bundle.opened.anchors[:1])


def history() -> Bundle:
    """A match, a release and an emergency."""
    story = chart()
    note = story.match()
    part = story.release()
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    emergency = story.release(purpose=Purpose.BTG)
    story.anchor(emergency, End.CUSTODIAN, is_closed=True)
    return story.history(matches=[note])


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in written().items():
        (FOLDER / name).write_bytes(data)
