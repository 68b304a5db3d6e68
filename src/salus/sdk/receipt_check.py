"""The check of a receipt: everything that a patient can know of one release, alone and offline (R2, R5, L5).

A numbered checklist; `docs/spec/receipts.md` has the same numbers and is enough to write a second one. What does not
hold raises; what holds and shows that somebody did wrong is a fault of the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from salus.contracts import membership, patients
from salus.contracts.access import End, ReleasesCommitted
from salus.contracts.evidence import CONCLUSIONS, keys_between, row_keys
from salus.contracts.membership import Keys, KeyUse, Organisation
from salus.crypto.signing import SignatureInvalid
from salus.ledger import receipts
from salus.ledger.bundles import Anchor, OpenedReceipt, ReceiptBundle, anchor_root
from salus.ledger.identifiers import EMPTY, OrganisationId, PublicKey
from salus.ledger.receipts import Anchored, Delivery, Receipt, Standing, anchored_leaf
from salus.ledger.verifier import TrustRoot, VerifiedState, verify_row, verify_state
from salus.sdk.receipt_fields import PatientView, open_fields
from salus.sdk.receipt_request import CHECK, Ground, asked_by, check_transaction, proved_outcome, stand_on
from salus.sdk.receipt_rules import Judgement, judge
from salus.sdk.verified import Party, ShownAnchor, VerifiedReceipt

Rows = Mapping[bytes, bytes | None]


def check_receipt(trust: TrustRoot, bundle: ReceiptBundle, *, now_s: int) -> VerifiedReceipt:
    """Check a receipt's file against a trust root.

    1. The state is signed (`verify_state`; the steps 2 to 12 are relative to it).

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
    4. What the request kept off the ledger opens the permit's commitment.
    5. The person who asked is the receipt's: their certificate is of the requester and covers the role, and certified a
       session for this custodian that ran while the permit did. A patient's session is certified by the key named.
    6. If the request's bytes are shown: they are the permit's, signed, and by that session key.
    7. The rows are those that a receipt rests on (`row_keys`), in the state, and name these organisations.
    8. Each anchor shown is committed for this end and permit, after it, and this receipt is under its root (R5).
    9. Both ends signed the receipt, each with a receipt key of its own that was current at some second between the
       permit and the anchor: a key retired before can back-date nothing. Only a delivery over TLS, or to own staff, may
       lack the requester's.
    10. The choices are all that were made up to the version that was applied, those in force are the receipt's, and the
       rules shown open them.
    11. Each record's entry is in a batch that was registered for this patient here before the permit (R6), is the one
       that the receipt names, and its metadata opens under it.
    12. The rules, run again on each record, give what was done: released, or withheld by the same rule. (What differs
       is a fault of the result, since the proof of it holds.)

    Raises:
        VerificationFailed: with the step.
    """
    view = open_fields(state, opened)  # 2
    ground = stand_on(state, opened, view)  # 3
    request, asker = asked_by(opened, view, ground)  # 4, 5
    signed = check_transaction(state, opened, ground, request)  # 6
    rows = _check_rows(state, opened, view, ground)  # 7
    anchors = tuple(_check_anchor(state, opened, ground, anchor) for anchor in opened.anchors)  # 8
    CHECK.require(8, [each.end for each in anchors] == sorted({each.end for each in anchors}), "one anchor for each end")
    _check_signatures(state, opened.receipt, view, ground, rows, anchors)  # 9
    judgement = judge(state, opened, view, ground, request, rows)  # 10, 11, 12
    is_certified = rows[membership.CERTIFICATES.key((ground.requester, view.who.certificate))] is not None
    return VerifiedReceipt(
        state=state,
        pseudonym=ground.pseudonym,
        permit=opened.receipt.statement.permit,
        part=opened.receipt.statement.part,
        part_count=view.request.part_count,
        custodian=_party(rows, ground.custodian),
        requester=_party(rows, ground.requester),
        asker=msgspec.structs.replace(asker) if False else asker,
        terms=ground.shown_terms(request),
        standing=view.conduct.standing,
        delivery=view.conduct.delivery,
        at_s=view.conduct.at_s,
        released=judgement.released,
        withheld=judgement.withheld,
        anchors=anchors,
        rerun=judgement.rerun,
        rerun_words=judgement.words,
        faults=judgement.faults,
        notes=_notes(ground, anchors, judgement, signed=signed, is_certified=is_certified),
    )
