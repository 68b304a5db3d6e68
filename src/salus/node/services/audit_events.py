"""Audit events: what was asked about a patient, what the ledger said, what was released or kept back, and who looked.

Made from the history and the receipts when the patient or an officer asks; nobody writes one. `salus audit` gives the
same with the proof that nothing is missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from salus.contracts import records, residuals
from salus.contracts.access import AccessDenied, AccessPermitted
from salus.contracts.consent import ConsentFiled, ConsentWithdrawn
from salus.contracts.decision import Source
from salus.contracts.evidence import Event, permit_of
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import RoleClass, Verb
from salus.ledger.encoding import decoder
from salus.ledger.entries import entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import PermitId
from salus.ledger.machine import read_leaf
from salus.ledger.outcomes import decode_leaf
from salus.ledger.receipts import ConductField, Field, ReleasedField, WithheldField
from salus.node import derived_names, documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.projections import resources
from salus.node.projections.resources import Found
from salus.node.services import consents, officers, own_history, own_proofs
from salus.node.services.deposit import placed_entries
from salus.node.services.derived import Derived, number_of
from salus.node.services.officers import Look
from salus.node.services.own_history import ReceiptName
from salus.node.services.release import part_fields
from salus.node.services.respond import Login
from salus.node.services.show import Shown
from salus.node.shapes.audit_events import Asker, AuditFacts, decision_event, look_event, release_event

KIND: Final = "AuditEvent"
_RESIDUAL = decoder(CommittedFields)
_Asked = AccessPermitted | AccessDenied


@dataclass(frozen=True)
class _Chart:
    """Whose events they are, and what their records are called: `Type/id/_history/version` by entry."""

    node: Node
    patient: Found
    names: dict[bytes, str]


def audit_events_of(node: Node, pseudonym: bytes) -> list[Derived]:
    """Return every request about a patient here, every record released or withheld, and every officer's look at this.

    The newest is the first.

    Asks nobody who they are. A release of continuity has no request on the ledger and is not among them.
    """
    patient = resources.patient_of(node, pseudonym)
    if patient is None:
        return []
    node.custodian_journal.refresh()
    with node.engine.snapshot() as reader:
        trail = [] if records.is_erased(reader, patient.pseudonym) else read_trail(reader, patient.pseudonym)
    chart = _Chart(node, patient, _names(node, patient))
    events = [each for event, asked, choices in _requests(trail) for each in _events(chart, event, asked, choices)]
    events += [_look(chart, event, look) for event, look in officers.looks(node, trail)]
    events.reverse()
    return sorted(events, key=lambda each: -each.shown.updated_s)


def proof_of(node: Node, login: Login, event: Derived) -> bytes:
    """Return the file that proves an event: of a decision the outcome, of a release or its refusal the receipt.

    Raises:
        Refused: SESSION_UNFIT for anybody but the patient and an officer; NOT_YOURS for a receipt that is not anchored
            yet.
        NotNow: the ledger signs no header now.
    """
    found = derived_names.find(node, KIND, event.shown.logical_id)
    assert found is not None, "what is shown has a name that was made here"
    pseudonym, local = found
    index, part = int.from_bytes(local[:8], "big"), int.from_bytes(local[8:12], "big")
    if not part:
        return own_proofs.proof_of_leaf(node, index)
    with node.engine.snapshot() as reader:
        leaf = read_leaf(reader, index)
    assert leaf is not None, "what is shown was read from there"
    wanted = ReceiptName(permit_of(decode_leaf(leaf)).hex(), part)
    return own_history.receipt_file(node, login, pseudonym, wanted)


def _names(node: Node, patient: Found) -> dict[bytes, str]:
    placed = placed_entries(node, patient.pseudonym)
    named = resources.names_of(node, {each.entry.record for each in placed})
    return {
        bytes(entry_hash(each.entry)): f"{named[each.entry.record]}/_history/{each.entry.version}"
        for each in placed
        if each.entry.record in named
    }


def _requests(trail: list[Event]) -> Iterator[tuple[Event, _Asked, tuple[bytes, ...]]]:
    """Each request with the choices that were in force when it was decided."""
    in_force: dict[bytes, None] = {}
    for event in trail:
        match event.outcome:
            case ConsentFiled(choice=choice):
                in_force[choice] = None
            case ConsentWithdrawn(choice=choice):
                in_force.pop(choice, None)
            case AccessPermitted() | AccessDenied() as asked:
                yield event, asked, tuple(in_force)


def _events(chart: _Chart, event: Event, asked: _Asked, choices: tuple[bytes, ...]) -> Iterator[Derived]:
    """The decision on a request, and what was released and withheld under its permit."""
    permit = permit_of(event.leaf) if isinstance(asked, AccessPermitted) else PermitId(b"")
    facts = AuditFacts(
        logical_id="",
        patient=chart.patient.logical_id,
        custodian=chart.node.organisation,
        chain=chart.node.chain,
        at_s=event.leaf.time_s,
        asker=_asker(chart.node, asked, permit),
    )
    in_force = tuple(_name(chart, consents.KIND, each) for each in choices)
    decided = asked.basis if isinstance(asked, AccessPermitted) else asked.reason
    of_decision = _facts(chart, facts, event.index)
    yield _derived(of_decision, decision_event(of_decision, decided, in_force))
    for part, fields in part_fields(chart.node, permit) if permit else ():
        yield from _releases(chart, event.index, part, fields, facts)


def _releases(chart: _Chart, index: int, part: int, fields: Sequence[Field], facts: AuditFacts) -> Iterator[Derived]:
    """What one receipt says of each record; nothing of one that was erased."""
    at_s = next((each.at_s for each in fields if isinstance(each, ConductField)), facts.at_s)
    for place, each in enumerate(fields, start=1):
        if not isinstance(each, ReleasedField | WithheldField) or each.entry not in chart.names:
            continue
        of_record = replace(_facts(chart, facts, index, part, place), at_s=at_s)
        by = Source(each.source).name.lower().replace("_", "-") if isinstance(each, WithheldField) else ""
        yield _derived(of_record, release_event(of_record, chart.names[each.entry], withheld_by=by))


def _look(chart: _Chart, event: Event, look: Look) -> Derived:
    """That an officer looked at the history."""
    node = chart.node
    asker = Asker(node.organisation, RoleClass.OFFICER, officers.PURPOSE, Verb.READ, person=look.certificate)
    facts = AuditFacts("", chart.patient.logical_id, node.organisation, node.chain, event.leaf.time_s, asker)
    of_look = _facts(chart, facts, event.index)
    return _derived(of_look, look_event(of_look))


def _facts(chart: _Chart, facts: AuditFacts, index: int, part: int = 0, place: int = 0) -> AuditFacts:
    """The same facts of another event: by its request's place in the log, the receipt's part, the place in it."""
    local = index.to_bytes(8, "big") + part.to_bytes(4, "big") + place.to_bytes(4, "big")
    return replace(facts, logical_id=_name(chart, KIND, local))


def _name(chart: _Chart, kind: str, local: bytes) -> str:
    return derived_names.name_of(chart.node, kind, chart.patient.pseudonym, local)


def _derived(facts: AuditFacts, body: bytes) -> Derived:
    return Derived(number_of(facts.logical_id), Shown(KIND, facts.logical_id, 1, facts.at_s, body))


def _asker(node: Node, asked: _Asked, permit: PermitId) -> Asker:
    """Who asked: the open part from the ledger, the person from the request's residual where it is held."""
    asker = Asker(asked.requester, asked.role_class, asked.purpose, asked.verb)
    kept = documents.find(node.vault, Kind.REQUEST, permit) if permit else None
    if kept is None or asker.is_patient:
        return asker
    certificate = residuals.request_residual(_RESIDUAL.decode(kept)).certificate
    person = residuals.person_certificate(certificate)
    return replace(asker, person=certificate.root(), name=person.name, role=person.role)
