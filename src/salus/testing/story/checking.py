"""What the patient and anybody else can check: what stayed and why, what the ledger knows, that nothing is missing."""

from salus.contracts import consent, records
from salus.contracts.access import DenialReason
from salus.ledger.receipts import FieldKind, View, decode_field, open_view
from salus.ledger.verifier import verify_history, verify_state
from salus.node.errors import Refusal, Refused
from salus.node.services.deposit import placed_entries
from salus.node.services.receive import receive
from salus.node.services.release import part_document
from salus.node.services.request import Denied
from salus.sdk import wallet
from salus.sdk.history_check import check_history
from salus.testing.identifier_scanner import scan_files
from salus.testing.needles import Needles, needles_of
from salus.testing.story.sharing import ask
from salus.testing.story.stage import Stage, Told, require


def letter_stayed(stage: Stage) -> Told:
    """By which rule the letter stayed; and that the practice was not told."""
    assert stage.receipt is not None
    assert stage.granted is not None
    withheld = stage.receipt.withheld
    require(len(withheld) == 2, "the letter and its PDF to be withheld", len(withheld))
    kept = part_document(stage.hospital, stage.granted.permit, 1)
    assert kept is not None, "the hospital keeps what it offered"
    theirs = [decode_field(opened.value) for opened in open_view(kept.fields, View.REQUESTER)]
    told = [type(each).__struct_config__.tag for each in theirs]
    require(FieldKind.WITHHELD not in told and FieldKind.SCOPE not in told, "the practice to be told nothing of it")
    return Told(
        "The psychiatric letter stayed, and she can see by which rule",
        (
            *(f"  withheld: {each.title or ', '.join(each.classes)}, by {each.rule}" for each in withheld),
            "She ran the rules again from the receipt alone, on what went and on what stayed: the same result.",
            "The practice's view of the same receipt has neither the letter nor a count from which to guess it.",
        ),
        {"withheld": len(withheld)},
    )


def ledger_knows_nothing(stage: Stage) -> Told:
    """Search every byte of the ledger for anything that tells of her."""
    needles = Needles(needles_of(stage.person), public=tuple(stage.names.values()))
    found = list(scan_files(stage.ledger_folder, needles))
    require(not found, "nothing of her on the ledger", found[:3])
    size_bytes = sum(path.stat().st_size for path in stage.ledger_folder.rglob("*") if path.is_file())
    with stage.hospital.engine.snapshot() as reader:
        placed = placed_entries(stage.hospital, stage.pseudonym)
        batch = records.batch(reader, stage.pseudonym, placed[0].batch_root)
        gates = [choice.gate for choice in consent.choices(reader, stage.pseudonym).choices]
    require(batch is not None and batch.size > len(placed), "a padded batch")
    assert batch is not None
    require(not any(gate.surely_denies for gate in gates), "a gate without the exception")
    return Told(
        "The ledger shows neither the letter nor that there is one",
        (
            f"Of her {len(placed)} records it has one hash, over a tree of {batch.size}: padding hides how many.",
            "Of her choice it has whom and what for, and not a word of what is excepted.",
            f"{len(needles):,} things that would tell something of her (number, names, dates, every text of her",
            f"records, in many encodings) were looked for in all {size_bytes:,} bytes of the ledger: none is there.",
        ),
        {"needles": len(needles), "ledger_bytes": size_bytes, "found": len(found), "batch_size": batch.size},
    )


def history_complete(stage: Stage) -> Told:
    """Her history shows everything, the refusal too, and proves that it is all."""
    assert stage.history is not None
    state = verify_state(stage.trust, stage.history.signed, now_s=stage.hospital.clock())
    history = verify_history(state, stage.history.history)
    words = audit_words(stage)
    return Told(
        "Her history is complete",
        (
            f"{len(history.leaves)} of {len(history.leaves)} events: the ledger proves that none is left out.",
            *(f"  {line}" for line in words),
        ),
        {"events": len(history.leaves)},
    )


def withdrawn(stage: Stage) -> Told:
    """She withdraws; the very next release is refused."""
    assert stage.wallet is not None
    assert stage.granted is not None
    now_s = stage.hospital.clock()
    mine = stage.at(stage.hospital)
    signed = wallet.sign_withdrawal(stage.wallet, mine, stage.choice, time_s=now_s)
    stage.hospital.submit_raw(signed.raw)
    stage.wallet = wallet.keep_withdrawal(stage.wallet, mine, stage.choice, time_s=now_s)
    words = _refusal(stage)
    again = ask(stage)
    is_refused = isinstance(again, Denied) and again.reason is DenialReason.NOTHING_PERMITS
    require(is_refused, "a new request to be refused")
    return Told(
        "She withdraws the choice: the very next release is refused",
        (f"Under the permit that still ran: {words}.", "A new request: refused, nothing permits it."),
        {"refused": "permit_dead", "then": "nothing_permits"},
    )


def audit_words(stage: Stage) -> list[str]:
    """The events of her history in plain words."""
    assert stage.history is not None
    checked = check_history(stage.trust, stage.history, now_s=stage.hospital.clock())
    return [f"{each.number}. {each.words}" for each in checked.events]


def _refusal(stage: Stage) -> str:
    assert stage.granted is not None
    try:
        list(receive(stage.practice, stage.peers, stage.granted))
    except Refused as refused:
        require(refused.refusal is Refusal.PERMIT_DEAD, "the permit to be dead", refused.refusal.name)
        return refused.words
    require(holds=False, expected="the next release to be refused", came="records")
    raise AssertionError("it was not as told")
