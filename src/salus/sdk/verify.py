"""Verify a file: one function for the command line and for other people's programs, whatever kind of proof it holds.

Needs the file, a trust root and the present time, and nothing else: no node, no server, no network.
"""

from dataclasses import dataclass

from salus.clinical.uk_time import uk_time
from salus.contracts.evidence import decode_outcome
from salus.ledger.bundles import (
    BundleUnknown,
    ConsistencyBundle,
    HistoryBundle,
    OutcomeBundle,
    ReceiptBundle,
    RowBundle,
    decode_bundle,
)
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.verifier import (
    Checklist,
    Trust,
    VerificationFailed,
    VerifiedExtension,
    VerifiedOutcome,
    VerifiedRow,
    VerifiedState,
    verify_consistency,
    verify_outcome,
    verify_row,
    verify_state,
)
from salus.sdk.history_check import all_faults, check_history, history_lines
from salus.sdk.receipt_check import check_receipt
from salus.sdk.receipt_words import receipt_lines
from salus.sdk.verified import VerifiedHistoryBundle, VerifiedReceipt

Verified = VerifiedReceipt | VerifiedHistoryBundle | VerifiedOutcome | VerifiedRow | VerifiedExtension


@dataclass(frozen=True)
class VerifiedFile:
    """What a file proves.

    Args:
        kind: receipt, history, outcome, row or consistency.
        lines: in plain words; the last says what the trust is in.
        faults: what somebody did wrong, each proved: a file with faults is genuine, and not well.
        value: the same for programs.
    """

    kind: str
    lines: tuple[str, ...]
    faults: tuple[str, ...]
    value: Verified


def verify_file(data: bytes, trust: Trust, *, now_s: int) -> VerifiedFile:
    """Verify a receipt, a history or a proof.

    Args:
        data: the file's bytes.
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: the file proves nothing; says which step of which checklist failed, and what to do.
    """
    try:
        bundle = decode_bundle(data)
    except BundleUnknown as error:
        raise VerificationFailed(Checklist.BUNDLE, 0, str(error)) from error
    match bundle:
        case ReceiptBundle():
            receipt = check_receipt(trust, bundle, now_s=now_s)
            return VerifiedFile("receipt", tuple(receipt_lines(receipt)), receipt.faults, receipt)
        case HistoryBundle():
            return _history(check_history(trust, bundle, now_s=now_s))
        case OutcomeBundle():
            state = verify_state(trust, bundle.signed, now_s=now_s)
            return _outcome(state, verify_outcome(state, bundle.outcome))
        case RowBundle():
            state = verify_state(trust, bundle.signed, now_s=now_s)
            return _row(state, verify_row(state, bundle.row))
        case ConsistencyBundle():
            return _consistency(verify_consistency(trust, bundle.consistency, now_s=now_s))


def _history(history: VerifiedHistoryBundle) -> VerifiedFile:
    return VerifiedFile("history", tuple(history_lines(history)), all_faults(history), history)


def _outcome(state: VerifiedState, outcome: VerifiedOutcome) -> VerifiedFile:
    leaf = outcome.leaf
    try:
        decoded = decode_outcome(leaf)
    except EncodingInvalid:
        name = "an outcome that this release does not know"
    else:
        name = f"rejection {leaf.code}" if decoded is None else type(decoded).__name__
    lines = (
        f"The ledger answered on {uk_time(leaf.time_s)}, in block {leaf.height}: {name}.",
        f"It is outcome {outcome.index + 1} of {state.state.log_size}.",
    )
    return VerifiedFile("outcome", (*lines, *_as_of(state)), (), outcome)


def _row(state: VerifiedState, row: VerifiedRow) -> VerifiedFile:
    table = row.key.partition(b"\x00")[0].decode("ascii", "replace")
    stands = "nothing stands" if row.row is None else f"a row of {len(row.row)} bytes stands"
    return VerifiedFile("row", (f"In the table {table} {stands} under this key.", *_as_of(state)), (), row)


def _consistency(extension: VerifiedExtension) -> VerifiedFile:
    old, new = extension.old, extension.new
    grown = new.state.log_size - old.state.log_size
    lines = (
        f"Between block {old.height} and block {new.height} the log kept all its {old.state.log_size} outcomes.",
        f"{grown} were added at its end.",
    )
    return VerifiedFile("consistency", (*lines, *_as_of(new)), (), extension)


def _as_of(state: VerifiedState) -> tuple[str, str]:
    as_of = f"All this is as the ledger stood in block {state.height} of {uk_time(state.time_s)}."
    return as_of, state.trust_words()
