"""The check of a history: that it is complete, what each event was, and what only completeness can show (R2, R5, L5).

A receipt alone cannot show that an end never anchored it; a history can, because nothing is missing in it.
"""

from collections.abc import Iterator, Sequence

from salus.clinical.uk_time import uk_time
from salus.contracts.access import AccessDenied, AccessPermitted, End, ReleasesCommitted
from salus.contracts.evidence import Event, decode_outcome, permit_of
from salus.contracts.patients import Enrolled, KeyAdded, KeyTakenOver, PseudonymKeyRotated, RecoveryFinished
from salus.crypto.hashing import EMPTY_ROOT
from salus.ledger.bundles import HistoryBundle
from salus.ledger.encoding import EncodingInvalid, decoder
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, PermitId
from salus.ledger.outcomes import Leaf, PatientOutcome
from salus.ledger.verifier import Trust, VerifiedState, verify_history, verify_state
from salus.ledger.verifier.failure import Checklist, Steps
from salus.sdk.outcome_words import Permits, outcome_words
from salus.sdk.receipt_check import check_opened
from salus.sdk.receipt_request import is_patients_own
from salus.sdk.verified import ShownEvent, VerifiedHistoryBundle, VerifiedReceipt

ANCHOR_GRACE_S = 600
"""How long after a permit's end both ends must have anchored what they released or received."""
MATCH_FIELDS = 4
KEY_EVENTS = (Enrolled, PseudonymKeyRotated, KeyTakenOver, KeyAdded, RecoveryFinished)
"""The events that give a pseudonym a key."""
_CHECK = Steps(Checklist.BUNDLE)
_ORGANISATION = decoder(OrganisationId)
Notes = dict[bytes, str]


def check_history(trust: Trust, bundle: HistoryBundle, *, now_s: int) -> VerifiedHistoryBundle:
    """Check a history's file against a trust root.

    1. The state is signed (`verify_state`).
    2. The events are all events of the pseudonym (`verify_history`): n of n.
    3. Each is an outcome that this release knows, and of this pseudonym.
    4. Each receipt holds under the same state (`check_opened`), is of this pseudonym, and is there once.
    5. Each note of a match is what an event committed to, and is there once.

    Args:
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: with the step of this list (`bundle`), or of the list of the claim that failed.
    """
    state = verify_state(trust, bundle.signed, now_s=now_s)  # 1
    history = verify_history(state, bundle.history)  # 2
    events = [_event(place, leaf, history.pseudonym) for place, leaf in enumerate(history.leaves)]  # 3
    receipts = tuple(check_opened(state, opened) for opened in bundle.receipts)  # 4
    _CHECK.require(4, all(each.pseudonym == history.pseudonym for each in receipts), "a receipt is of somebody else")
    parts = {(each.permit, each.part) for each in receipts}
    _CHECK.require(4, len(parts) == len(receipts), "expected each receipt once")
    permits = _permits(events)
    matches = _matches(events, bundle.matches, custodian=permits.custodian)  # 5
    return VerifiedHistoryBundle(
        state=state,
        pseudonym=history.pseudonym,
        events=tuple(_shown(event, permits, matches) for event in events),
        receipts=receipts,
        faults=(*_silent_ends(state, events), *_strange_keys(events, receipts)),
        notes=tuple(_notes(events, receipts)),
    )


def history_lines(history: VerifiedHistoryBundle) -> list[str]:
    """Return a history in sentences."""
    count = len(history.events)
    return [
        f"{count} of {count} events are shown: none is left out." if count else "There are no events, and that is all.",
        *(f"{event.number}. {uk_time(event.at_s)}: {event.words}" for event in history.events),
        *_receipts(history.receipts),
        *(f"Note: {note}" for note in history.notes),
        *(f"WRONG: {fault}" for fault in all_faults(history)),
        f"All this is as the ledger stood in block {history.state.height} of {uk_time(history.state.time_s)}.",
        history.state.trust_words(),
    ]


def all_faults(history: VerifiedHistoryBundle) -> tuple[str, ...]:
    """Return what somebody did wrong, by the history and by each of its receipts."""
    return (*history.faults, *(fault for receipt in history.receipts for fault in receipt.faults))


def _receipts(receipts: Sequence[VerifiedReceipt]) -> Iterator[str]:
    if receipts:
        count = "1 receipt is" if len(receipts) == 1 else f"{len(receipts)} receipts are"
        records = sum(len(receipt.released) for receipt in receipts)
        kept = sum(len(receipt.withheld) for receipt in receipts)
        yield f"{count} in this file, and checked: {records} records released, {kept} withheld."


def sum_line(histories: Sequence[VerifiedHistoryBundle]) -> str:
    """Return how many events there are in several relationships together."""
    total = sum(len(history.events) for history in histories)
    relationships = "1 relationship" if len(histories) == 1 else f"{len(histories)} relationships"
    return f"{total} of {total} events in {relationships}."


def _event(place: int, leaf: Leaf, pseudonym: bytes) -> Event:
    try:
        outcome = decode_outcome(leaf)
    except EncodingInvalid as error:
        raise _CHECK.fail(3, f"event {place + 1} is of no known kind: {error}: use a newer release") from error
    if not isinstance(outcome, PatientOutcome) or outcome.pseudonym != pseudonym:
        raise _CHECK.fail(3, f"event {place + 1} is not of this pseudonym")
    return Event(place, leaf, outcome)


def _permits(events: Sequence[Event]) -> Permits:
    asked = [event for event in events if isinstance(event.outcome, AccessPermitted | AccessDenied)]
    custodian = next((event.outcome.custodian for event in events if isinstance(event.outcome, Enrolled)), "it")
    return Permits(
        numbers={permit_of(event.leaf): event.index + 1 for event in asked},
        ends={
            permit_of(event.leaf): (event.outcome.custodian, event.outcome.requester)
            for event in asked
            if isinstance(event.outcome, AccessPermitted)
        },
        custodian=custodian,
    )


def _shown(event: Event, permits: Permits, matches: Notes) -> ShownEvent:
    outcome = event.outcome
    words = outcome_words(outcome, permits)
    if isinstance(outcome, ReleasesCommitted) and not outcome.permit:
        words = matches.get(outcome.root, words)
    return ShownEvent(event.index + 1, event.leaf.time_s, words)


def _matches(events: Sequence[Event], notes: Sequence[CommittedFields], *, custodian: str) -> Notes:
    roots = {
        event.outcome.root
        for event in events
        if isinstance(event.outcome, ReleasesCommitted) and not event.outcome.permit
    }
    words: Notes = {}
    for note in notes:
        root = _root(note)
        _CHECK.require(5, root in roots and root not in words, "a note of a match is no event's, or is there twice")
        words[root] = _match_words(note, custodian)
    return words


def _root(note: CommittedFields) -> Digest:
    _CHECK.require(5, len(note.values) == MATCH_FIELDS, f"expected {MATCH_FIELDS} fields of a match")
    return note.root()


def _match_words(note: CommittedFields, custodian: str) -> str:
    try:
        sender: OrganisationId = _ORGANISATION.decode(note.values[0])
    except EncodingInvalid as error:
        raise _CHECK.fail(5, f"the note of a match is of no known form: {error}: use a newer release") from error
    if sender == custodian:  # which never asks itself: its officer has read this history
        return f"A privacy officer of {sender} looked at this history."
    return f"{sender} asked whether there are records of you here, and was told yes."


# What only completeness shows


def _silent_ends(state: VerifiedState, events: Sequence[Event]) -> Iterator[str]:
    for event, anchored in _accesses(events):
        outcome = event.outcome
        assert isinstance(outcome, AccessPermitted)
        is_late = state.time_s > outcome.until_s + ANCHOR_GRACE_S
        if outcome.requester == outcome.custodian or len(anchored) != 1 or not is_late:
            continue
        if End.CUSTODIAN in anchored:
            silent, other, did = outcome.requester, outcome.custodian, "released"
        else:
            silent, other, did = outcome.custodian, outcome.requester, "received"
        under = f"under the permit of event {event.index + 1}"
        yield f"{silent} never committed a receipt for what {other} says it {did} {under}."


def _strange_keys(events: Sequence[Event], receipts: Sequence[VerifiedReceipt]) -> Iterator[str]:
    # The ledger cannot see who asks in the patient's name; only a key that was the patient's may (DESIGN §5, step 6).
    known = {event.outcome.key for event in events if isinstance(event.outcome, KEY_EVENTS)}
    for receipt in receipts:
        asker = receipt.asker.key_or_certificate
        if receipt.terms is not None and is_patients_own(receipt.terms) and asker not in known:
            yield f"Somebody asked {receipt.custodian.organisation} in your name, with a key that was never yours."


def _accesses(events: Sequence[Event]) -> Iterator[tuple[Event, set[End]]]:
    """Yield each permit's event, and the ends that anchored receipts under it."""
    anchored: dict[PermitId, set[End]] = {}
    for event in events:
        outcome = event.outcome
        if isinstance(outcome, ReleasesCommitted) and outcome.root != EMPTY_ROOT:
            anchored.setdefault(outcome.permit, set()).add(outcome.end)
    for event in events:
        if isinstance(event.outcome, AccessPermitted):
            yield event, anchored.get(permit_of(event.leaf), set())


def _notes(events: Sequence[Event], receipts: Sequence[VerifiedReceipt]) -> Iterator[str]:
    shown = {receipt.permit for receipt in receipts}
    for event, anchored in _accesses(events):
        if anchored and permit_of(event.leaf) not in shown:
            yield f"The receipts under the permit of event {event.index + 1} are not in this file: ask for them."
