"""Steps 10 to 12 of the check of a receipt: which rules applied, to which records, and whether they give what was done.

The patient's machine runs the same function that the custodian's ran (`contracts.decision`), on the same values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from salus.clinical.uk_time import uk_time
from salus.contracts import access, decision, membership, record_metadata
from salus.contracts.access import Permit
from salus.contracts.consent import ConsentFiled, ConsentWithdrawn
from salus.contracts.decision import ChoiceRules, RecordDecision, Rules, Source
from salus.contracts.evidence import Event, in_force, is_asked_for, ticket_events, ticket_made
from salus.contracts.membership import Policy
from salus.contracts.provisions import Provision, ProvisionInvalid, Record, Request, decode_tree
from salus.contracts.records import BatchRegistered
from salus.contracts.residuals import RequestResidual, Scope
from salus.contracts.tickets import TicketIssued
from salus.crypto.merkle import ProofInvalid
from salus.ledger.bundles import OpenedReceipt, OpenedRecord
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.entries import Entry, entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId
from salus.ledger.outcomes import PatientOutcome
from salus.ledger.receipts import ReleasedField, WithheldField
from salus.ledger.verifier import VerifiedState
from salus.sdk.choice_words import classes_in_words, sentences
from salus.sdk.receipt_fields import ASK_AGAIN, CHECK, Named, PatientView, decode_row, open_values
from salus.sdk.receipt_request import Ground, proved_event
from salus.sdk.verified import ReleasedRecord, Rerun, WithheldRecord

Rows = Mapping[bytes, bytes | None]


@dataclass(frozen=True)
class Opened:
    """A record that the receipt names, with what rules may know of it; `title` is empty where it is not shown."""

    record: Record
    title: str


@dataclass(frozen=True)
class Choice:
    """A choice that was in force: when it was filed, and its rules."""

    filed_at_s: int
    rules: ChoiceRules


@dataclass(frozen=True)
class Judgement:
    """What came of running the rules again, and the records in words."""

    released: tuple[ReleasedRecord, ...]
    withheld: tuple[WithheldRecord, ...]
    rerun: Rerun
    words: str
    faults: tuple[str, ...]


def judge(
    state: VerifiedState,
    opened: OpenedReceipt,
    view: PatientView,
    ground: Ground,
    request: RequestResidual | None,
    rows: Rows,
) -> Judgement:
    """Check choices and records, run the rules again. Raises VerificationFailed: steps 10 and 11."""
    events = [proved_event(state, proof, step=10) for proof in opened.choices]
    choices = _choices(events, opened, view, ground)  # 10
    ticket = _ticket(events, opened, view, ground)
    records = _records(state, opened, view, ground)  # 11
    network, custodian = _policy(rows, membership.NETWORK_POLICY), _policy(rows, ground.custodian)
    rules = Rules(network.provisions, custodian.provisions, tuple(each.rules for each in choices), ticket)
    why_not = _why_not(view, ground, network=network.version, custodian=custodian.version)
    explanation = Explanation(rules, choices, policies_are_known=not why_not)
    faults = tuple(_lack(view, ground))
    if not why_not and request is not None and ground.terms is not None:
        asked = _asked(ground.terms, view)
        decided = {
            entry: decision.decide(ground.terms, rules, asked, each.record) for entry, each in records.items()
        }  # 12
        faults += tuple(_faults(view, records, decided, explanation, request.scope))
    missing = len(view.named()) - len(records)
    return Judgement(
        released=tuple(_released(each, records.get(each.entry)) for each in view.released),
        withheld=tuple(_withheld(each, records.get(each.entry), explanation) for each in view.withheld),
        rerun=_rerun(why_not, faults, missing),
        words=why_not or _missing_words(missing),
        faults=faults,
    )


# 10. Choices


def _choices(proved: Sequence[Event], opened: OpenedReceipt, view: PatientView, ground: Ground) -> list[Choice]:
    applied = view.choices.choices_version
    events = proved[:applied] if view.rules.ticket else proved
    for version, event in enumerate(events, start=1):
        outcome = event.outcome
        if not isinstance(outcome, ConsentFiled | ConsentWithdrawn) or outcome.pseudonym != ground.pseudonym:
            raise CHECK.fail(10, f"expected a change of this patient's choices, came {type(outcome).__name__}")
        words = f"expected version {version} of the choices, came {outcome.version}: {ASK_AGAIN}"
        CHECK.require(10, outcome.version == version, words)
    CHECK.require(10, len(events) == applied, f"expected {applied} changes of the choices, came {len(events)}")
    filed = in_force(events)
    commitments = tuple(bytes(_filed(event).commitment) for event in filed)
    CHECK.require(10, commitments == view.choices.choices, "the receipt applied other choices than those in force")
    missing = view.rules.missing
    applying = (*commitments, *view.rules.ticket)
    CHECK.require(10, set(missing) <= set(applying), "rules are said to be missing that are of no choice in force")
    count = len([each for each in applying if each not in missing])
    CHECK.require(10, len(opened.rules) == count, f"expected the rules of {count} choices and tickets: {ASK_AGAIN}")
    held = [event for event in filed if _filed(event).commitment not in missing]
    return [Choice(event.leaf.time_s, _choice(opened, place, _filed(event))) for place, event in enumerate(held)]


def _filed(event: Event) -> ConsentFiled:
    assert isinstance(event.outcome, ConsentFiled), "what is in force was filed"
    return event.outcome


def _ticket(proved: Sequence[Event], opened: OpenedReceipt, view: PatientView, ground: Ground) -> tuple[Provision, ...]:
    """Return the rules of the permit's ticket and of those it was made from; none where one of them was missing."""
    stated = view.rules.ticket
    if not stated:
        return ()
    _check_ticket_events(proved[view.choices.choices_version :], stated, ground)
    held = [each for each in stated if each not in view.rules.missing]
    first = len(opened.rules) - len(held)
    trees = tuple(_rules(opened, first + place, Digest(each)) for place, each in enumerate(held))
    return trees if len(held) == len(stated) else ()


def _check_ticket_events(shown: Sequence[Event], stated: Sequence[bytes], ground: Ground) -> None:
    if ground.event is None or ground.terms is None or not ground.terms.ticket:
        raise CHECK.fail(10, "the receipt names a ticket, and the permit has none")
    events = ticket_events(shown[::-1], ground.event)
    is_whole = list(shown) == events and bool(events) and isinstance(events[-1].outcome, TicketIssued)
    CHECK.require(10, is_whole, f"expected how the permit's ticket came about: {ASK_AGAIN}")
    made = [ticket for event in events if (ticket := ticket_made(event.outcome)) is not None]
    is_the_permits = [bytes(commitment) for _, commitment in made] == list(stated)
    CHECK.require(10, is_the_permits, "the receipt applied the rules of another ticket than the permit's")
    is_ours = all(_pseudonym(event) == ground.pseudonym for event in events)
    CHECK.require(10, is_ours, "the permit's ticket is of another patient")


def _pseudonym(event: Event) -> bytes:
    assert isinstance(event.outcome, PatientOutcome), "a ticket is of one pseudonym"
    return event.outcome.pseudonym


def _choice(opened: OpenedReceipt, place: int, filed: ConsentFiled) -> ChoiceRules:
    return ChoiceRules(filed.commitment, _rules(opened, place, filed.commitment))


def _rules(opened: OpenedReceipt, place: int, commitment: Digest) -> Provision:
    shown = opened.rules[place]
    values = open_values(10, (shown,), commitment, what="a choice")
    CHECK.require(10, shown.size == 1, "a choice has one field")
    try:
        return decode_tree(values[0])
    except ProvisionInvalid as error:
        raise CHECK.fail(10, f"the rules of a choice are of no known form: {error}: use a newer release") from error


# 11. Records


def _records(state: VerifiedState, opened: OpenedReceipt, view: PatientView, ground: Ground) -> dict[bytes, Opened]:
    batches = _batches(state, opened, ground)
    named = view.named()
    shown: dict[bytes, Opened] = {}
    for each in opened.records:
        entry = bytes(entry_hash(each.placed.entry))
        if entry not in named or entry in shown:
            raise CHECK.fail(11, "a record is shown that the receipt does not name, or twice")
        _check_place(each, named[entry], batches, ground)
        shown[entry] = _open_record(each)
    order = [entry for entry in named if entry in shown]
    CHECK.require(11, order == list(shown), "expected the records in the receipt's order")
    used = list(dict.fromkeys(bytes(each.placed.batch_root) for each in opened.records))
    is_each_once = used == list(batches) and len(opened.batches) == len(used)
    CHECK.require(11, is_each_once, "expected the registration of each batch once, in the records' order")
    return shown


def _batches(state: VerifiedState, opened: OpenedReceipt, ground: Ground) -> dict[bytes, BatchRegistered]:
    batches: dict[bytes, BatchRegistered] = {}
    for proof in opened.batches:
        event = proved_event(state, proof, step=11)
        batch = event.outcome
        if not isinstance(batch, BatchRegistered) or batch.pseudonym != ground.pseudonym:
            raise CHECK.fail(11, f"expected a batch of this patient, came {type(batch).__name__}")
        is_before = event.leaf.time_s <= ground.from_s
        CHECK.require(11, is_before, f"a batch was registered at {event.leaf.time_s}, the permit is of {ground.from_s}")
        batches[bytes(batch.root)] = batch
    return batches


def _check_place(shown: OpenedRecord, named: Named, batches: Mapping[bytes, BatchRegistered], ground: Ground) -> None:
    placed = shown.placed
    batch = batches.get(bytes(placed.batch_root))
    is_registered = batch is not None and (batch.size, batch.custodian) == (placed.batch_size, ground.custodian)
    CHECK.require(11, is_registered, "a record is in no batch that was registered for this patient here")
    try:
        placed.verify()
    except ProofInvalid as error:
        raise CHECK.fail(11, f"a record's path does not lead to its batch: {ASK_AGAIN}") from error
    if isinstance(named, ReleasedField):
        same = (named.batch_root, named.sealed_root) == (placed.batch_root, placed.entry.sealed_root)
        CHECK.require(11, same, "a record was released from another batch, or with other bytes, than the entry says")


def _open_record(shown: OpenedRecord) -> Opened:
    entry: Entry = shown.placed.entry
    values = open_values(11, shown.metadata, entry.metadata_root, what="a record's metadata")
    needed = record_metadata.TITLE_FIELD
    sizes = {each.size for each in shown.metadata}
    complete = sizes == {record_metadata.FIELDS} and len(values) in (needed, needed + 1)
    CHECK.require(11, complete, f"expected the metadata that rules read, came {len(values)} fields: {ASK_AGAIN}")
    in_place = [each.index for each in shown.metadata] == list(range(len(values)))
    CHECK.require(11, in_place, f"expected the metadata that rules read: {ASK_AGAIN}")
    try:
        title = record_metadata.title_of(CommittedFields(b"", tuple(values))) if len(values) > needed else ""
        return Opened(record_metadata.record_of(entry.record, tuple(values[:needed])), title)
    except EncodingInvalid as error:
        raise CHECK.fail(11, f"metadata is of no known form: {error}: use a newer release") from error


# 12. The rules, again


def _policy(rows: Rows, organisation: OrganisationId) -> Policy:
    row = rows[membership.POLICIES.key(organisation)]
    return membership.NO_POLICY if row is None else decode_row(membership.POLICIES, row)


def _why_not(view: PatientView, ground: Ground, *, network: int, custodian: int) -> str:
    """Return why the rules cannot be run again; empty when they can."""
    if ground.terms is None:
        return "the ledger was out of reach: nothing says for which purpose was asked"
    if ground.terms.ticket and not view.rules.ticket:
        return "the request used a ticket, whose rules are not part of the receipt"
    applied = (view.choices.network_policy_version, view.choices.custodian_policy_version)
    if applied != (network, custodian):
        return "a policy was changed since, and only the newest can be shown"
    return ""


def _lack(view: PatientView, ground: Ground) -> Iterator[str]:
    if view.rules.missing and ground.terms is not None and not decision.may_lack_rules(ground.terms):
        yield f"{ground.custodian} released without the rules of your choices, which it may for its own care alone."


def _asked(terms: Permit, view: PatientView) -> Request:
    asked = access.open_request(terms, time_s=terms.from_s)
    return msgspec.structs.replace(asked, day=view.conduct.day, person=view.who.certificate)


def _faults(
    view: PatientView,
    records: Mapping[bytes, Opened],
    decided: Mapping[bytes, RecordDecision],
    explanation: "Explanation",
    scope: Scope,
) -> Iterator[str]:
    for released in view.released:
        said = decided.get(released.entry)
        if said is not None and not said.may_go:
            rule = explanation.rule(said.source, said.rule, said.path)
            yield f"{_what(records[released.entry])} was released, although a rule keeps it: {rule}"
        if said is not None and not is_asked_for(scope, records[released.entry].record):
            yield f"{_what(records[released.entry])} was released, although nobody asked for it."
    for withheld in view.withheld:
        said = decided.get(withheld.entry)
        if said is None:
            continue
        if said.may_go:
            yield f"{_what(records[withheld.entry])} was withheld, although no rule keeps it."
        elif (said.source, said.rule, said.path) != (withheld.source, withheld.rule, withheld.path):
            rule = explanation.rule(said.source, said.rule, said.path)
            yield f"{_what(records[withheld.entry])} was withheld by another rule than the one stated: {rule}"


def _rerun(why_not: str, faults: Sequence[str], missing: int) -> Rerun:
    if why_not:
        return Rerun.NOT_RUN
    if faults:
        return Rerun.OTHER
    return Rerun.IN_PART if missing else Rerun.SAME


def _missing_words(missing: int) -> str:
    if not missing:
        return ""
    which = "one record was" if missing == 1 else f"{missing} records were"
    return f"{which} not opened: what was erased since can be opened no longer"


def _released(named: ReleasedField, opened: Opened | None) -> ReleasedRecord:
    if opened is None:
        return ReleasedRecord(title="", classes=(), size_bytes=named.size_bytes, is_opened=False)
    return ReleasedRecord(opened.title, opened.record.classes, named.size_bytes, is_opened=True)


def _withheld(named: WithheldField, opened: Opened | None, explanation: "Explanation") -> WithheldRecord:
    rule = explanation.rule(named.source, named.rule, named.path)
    if opened is None:
        return WithheldRecord(title="", classes=(), rule=rule, is_opened=False)
    return WithheldRecord(opened.title, opened.record.classes, rule, is_opened=True)


def _what(opened: Opened) -> str:
    return record_words(opened.title, opened.record.classes)


def record_words(title: str, classes: Sequence[str]) -> str:
    """Return what a record is called: its title where it is shown, and what kind it is: its first class is its type."""
    kind = classes_in_words(classes[:1]) or "a record"
    return f"“{title}” ({kind})" if title else kind


@dataclass(frozen=True)
class Explanation:
    """Puts rules into words: those of choices always, those of policies while they are the ones that applied."""

    rules: Rules
    choices: Sequence[Choice]
    policies_are_known: bool

    def rule(self, source: int, rule: bytes, path: str) -> str:
        """Return the words of the rule that a receipt or a decision names."""
        match source:
            case Source.CHOICE:
                return self._choice(rule, path)
            case Source.NETWORK_POLICY:
                return f"the network’s policy{self._sentence(self.rules.network, rule, path)}"
            case Source.CUSTODIAN_POLICY:
                return f"the custodian’s policy{self._sentence(self.rules.custodian, rule, path)}"
            case _:
                return "no rule permits it"

    def _choice(self, commitment: bytes, path: str) -> str:
        for choice in self.choices:
            if choice.rules.commitment == commitment:
                words = _words_at(choice.rules.tree, path)
                return f"your sharing choice of {uk_time(choice.filed_at_s)}, rule {path}{words}"
        return "a sharing choice that was not in force"

    def _sentence(self, trees: Sequence[Provision], number: bytes, path: str) -> str:
        if not self.policies_are_known or len(number) != 1 or number[0] >= len(trees):
            return ""
        return f", rule {path}{_words_at(trees[number[0]], path)}"


def _words_at(tree: Provision, path: str) -> str:
    return next((f": “{each.words}”" for each in sentences(tree, {}) if each.path == path), "")
