"""The check of a receipt: everything that a patient can know of one release, alone and offline (R2, R5, L5).

A numbered checklist; `docs/spec/receipts.md` has the same numbers and is enough to write a second one. What does not
hold raises; what holds and shows that somebody did wrong is a fault of the result.
"""

from collections.abc import Iterator, Sequence

from salus.contracts import membership, patients
from salus.contracts.access import End, ReleasesCommitted
from salus.contracts.evidence import CONCLUSIONS, keys_between, row_keys
from salus.contracts.membership import KeyUse
from salus.crypto.signing import SignatureInvalid
from salus.ledger import receipts
from salus.ledger.bundles import Anchor, OpenedReceipt, ReceiptBundle, anchor_root
from salus.ledger.identifiers import OrganisationId
from salus.ledger.receipts import Anchored, Delivery, Receipt, anchored_leaf
from salus.ledger.verifier import Trust, VerifiedState, verify_row, verify_state
from salus.sdk.receipt_fields import ASK_AGAIN, CHECK, PatientView, decode_row, open_fields
from salus.sdk.receipt_request import (
    Ground,
    asked_by,
    check_transaction,
    is_patients_own,
    proved_event,
    shown_terms,
    stand_on,
)
from salus.sdk.receipt_rules import Rows, judge
from salus.sdk.verified import Party, ShownAnchor, VerifiedReceipt


def check_receipt(trust: Trust, bundle: ReceiptBundle, *, now_s: int) -> VerifiedReceipt:
    """Check a receipt's file against a trust root.

    1. The state is signed (`verify_state`); steps 2 to 12 are relative to it (`check_opened`).

    Args:
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: with the step of this list, or of the list of the claim that failed.
    """
    return check_opened(verify_state(trust, bundle.signed, now_s=now_s), bundle.opened)  # 1


def check_opened(state: VerifiedState, opened: OpenedReceipt) -> VerifiedReceipt:
    """Check an opened receipt under a verified state.

    2. The fields are the receipt's, and are the patient's view of it: one each of request, who, choices, scope, conduct
       and release key, and as many released and withheld as the scope says (R2).
    3. The permit is committed, and is the one that the receipt names; the receipt was written while it ran (R1). In
       continuity: the receipt is anchored, and stands for a request of the custodian's own staff.
    4. What the request kept off the ledger opens the permit's commitment, all of it.
    5. The person who asked is the receipt's: their certificate is of the requester and covers the role, and certified a
       session for this custodian that ran while the permit did. A patient's session is certified by the key named.
    6. If the request's bytes are shown: they are the permit's, signed, and by that session key.
    7. The rows are those that a receipt rests on (`row_keys`), in the state, and name these organisations.
    8. Each anchor shown is committed for this end and permit, after it, and this receipt is under its root (R5).
    9. Both ends signed the receipt, each with a receipt key of its own that was current at some second between the
       permit and the anchor: a key retired before can back-date nothing. Only a delivery over TLS, or to own staff, may
       lack the requester's.
    10. The choices are all that were made up to the version that was applied, those in force are the receipt's, and the
        rules shown open them, but for those that the receipt says were missing. (Missing rules are a note; a fault
        where the custodian released to others, or for anything but care.)
    11. Each record's entry is in a batch that was registered for this patient here before the permit (R6), is the one
        that the receipt names, and its metadata opens under it.
    12. The rules, run again on each record, give what was done: released, or withheld by the same rule. (What differs
        is a fault of the result, since the proof of it holds.)

    Raises:
        VerificationFailed: with the step.
    """
    view = open_fields(state.chain, opened)  # 2
    ground = stand_on(state, opened, view)  # 3
    asker, request = asked_by(opened, view, ground)  # 4, 5
    is_signed = check_transaction(state, opened, ground, request)  # 6
    rows = _check_rows(state, opened, view, ground)  # 7
    anchors = _check_anchors(state, opened, ground)  # 8
    _check_signatures(state, opened.receipt, view, ground, rows, anchors)  # 9
    judgement = judge(state, opened, view, ground, request, rows)  # 10, 11, 12
    statement = opened.receipt.statement
    return VerifiedReceipt(
        state=state,
        pseudonym=ground.pseudonym,
        permit=statement.permit,
        part=statement.part,
        part_count=view.request.part_count,
        custodian=_party(rows, ground.custodian),
        requester=_party(rows, ground.requester),
        asker=asker,
        terms=shown_terms(ground, request),
        standing=view.conduct.standing,
        delivery=view.conduct.delivery,
        at_s=view.conduct.at_s,
        released=judgement.released,
        withheld=judgement.withheld,
        anchors=anchors,
        rerun=judgement.rerun,
        rerun_words=judgement.words,
        faults=judgement.faults,
        notes=tuple(_notes(view, ground, rows, anchors, is_signed=is_signed)),
    )


# 7. Rows


def _check_rows(state: VerifiedState, opened: OpenedReceipt, view: PatientView, ground: Ground) -> Rows:
    expected = row_keys(
        ground.pseudonym, custodian=ground.custodian, requester=ground.requester, certificate=view.who.certificate
    )
    came = tuple(each.key for each in opened.rows)
    CHECK.require(7, came == expected, f"expected the {len(expected)} rows of a receipt, came others: {ASK_AGAIN}")
    rows = {each.key: verify_row(state, each).row for each in opened.rows}
    relationship = rows[patients.RELATIONSHIPS.key(ground.pseudonym)]
    is_here = relationship is not None and (
        decode_row(patients.RELATIONSHIPS, relationship).custodian == ground.custodian
    )
    CHECK.require(7, is_here, f"the relationship is not at {ground.custodian}")
    return rows


def _party(rows: Rows, organisation: OrganisationId) -> Party:
    row = rows[membership.ORGANISATIONS.key(organisation)]
    if row is None:
        return Party(organisation, "")
    return Party(organisation, decode_row(membership.ORGANISATIONS, row).name)


# 8. Anchors


def _check_anchors(state: VerifiedState, opened: OpenedReceipt, ground: Ground) -> tuple[ShownAnchor, ...]:
    anchors = tuple(_check_anchor(state, opened.receipt, ground, anchor) for anchor in opened.anchors)
    ends = [anchor.end for anchor in anchors]
    CHECK.require(8, ends == sorted(set(ends)), "expected one anchor for each end, the custodian's first")
    return anchors


def _check_anchor(state: VerifiedState, receipt: Receipt, ground: Ground, anchor: Anchor) -> ShownAnchor:
    event = proved_event(state, anchor.outcome, step=8)
    outcome = event.outcome
    if not isinstance(outcome, ReleasesCommitted):
        raise CHECK.fail(8, f"expected the outcome of an anchor, came {type(outcome).__name__}: {ASK_AGAIN}")
    is_ours = (outcome.pseudonym, outcome.permit) == (ground.pseudonym, ground.permit)
    CHECK.require(8, is_ours, "the anchor is of another permit, or another patient")
    is_after = ground.event is None or event.index > ground.event.index
    CHECK.require(8, is_after, "the anchor was committed before the permit")
    CHECK.require(8, anchor_root(anchor.leaves) == outcome.root, f"the anchor is over other receipts: {ASK_AGAIN}")
    is_under = anchored_leaf(Anchored(receipt, anchor.conclusion)) in anchor.leaves
    CHECK.require(8, is_under, "the receipt, with this conclusion, is not among those that were anchored")
    CHECK.require(8, anchor.conclusion in CONCLUSIONS[outcome.end], "this end cannot come to this conclusion")
    return ShownAnchor(outcome.end, event.leaf.time_s, anchor.conclusion)


# 9. Signatures


def _check_signatures(
    state: VerifiedState,
    receipt: Receipt,
    view: PatientView,
    ground: Ground,
    rows: Rows,
    anchors: Sequence[ShownAnchor],
) -> None:
    anchored_s = {anchor.end: anchor.at_s for anchor in anchors}
    until_s = max(anchored_s.values(), default=state.time_s)
    for end, organisation in ((End.CUSTODIAN, ground.custodian), (End.REQUESTER, ground.requester)):
        if end is End.REQUESTER and not receipt.requester:
            is_marked = ground.requester == ground.custodian or view.conduct.delivery is Delivery.TLS
            CHECK.require(9, is_marked, f"expected the signature of {organisation}: it took nothing without one")
            continue
        keys = _receipt_keys(rows, organisation, from_s=ground.from_s, until_s=anchored_s.get(end, until_s))
        is_signed = any(_is_signed(receipt, end, key) for key in keys)
        CHECK.require(9, is_signed, f"the receipt is not signed by a receipt key that {organisation} had at the time")


def _receipt_keys(rows: Rows, organisation: OrganisationId, *, from_s: int, until_s: int) -> Iterator[bytes]:
    row = rows[membership.KEYS.key((organisation, KeyUse.RECEIPT))]
    if row is not None:
        yield from keys_between(decode_row(membership.KEYS, row), from_s=from_s, until_s=until_s)


def _is_signed(receipt: Receipt, end: End, key: bytes) -> bool:
    verify = receipts.verify_custodian if end is End.CUSTODIAN else receipts.verify_requester
    try:
        verify(receipt, key)
    except SignatureInvalid:
        return False
    return True


# What one receipt cannot show


def _notes(
    view: PatientView, ground: Ground, rows: Rows, anchors: Sequence[ShownAnchor], *, is_signed: bool
) -> Iterator[str]:
    if view.rules.missing:
        count = len(view.rules.missing)
        which = "a sharing choice or ticket" if count == 1 else f"{count} sharing choices or tickets"
        yield f"{ground.custodian} did not hold the rules of {which} of yours, and went on without: deliver them again."
    anchored = {anchor.end for anchor in anchors}
    for end, organisation in ((End.CUSTODIAN, ground.custodian), (End.REQUESTER, ground.requester)):
        if end is End.REQUESTER and ground.requester == ground.custodian:
            continue
        if end not in anchored:
            yield f"No anchor by {organisation} is shown. Your history shows whether there is one."
    if ground.terms is None:
        return
    if not is_signed:
        yield "The bytes of the request are kept no longer: who asked rests on what the two organisations kept."
    if is_patients_own(ground.terms):
        if view.who.certificate not in _patient_keys(rows, ground):
            yield "The key that asked in your name is none of your keys here now: it was replaced, or never yours."
    elif rows[membership.CERTIFICATES.key((ground.requester, view.who.certificate))] is None:
        yield f"{ground.requester} no longer vouches for whoever asked, or never did."


def _patient_keys(rows: Rows, ground: Ground) -> list[bytes]:
    row = rows[patients.RELATIONSHIPS.key(ground.pseudonym)]
    assert row is not None, "step 7 found the relationship"
    relationship = decode_row(patients.RELATIONSHIPS, row)
    return [relationship.key, *(each.key for each in relationship.keys)]
