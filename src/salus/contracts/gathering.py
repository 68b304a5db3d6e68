"""Gathering: puts together what a receipt rests on, from the ledger's rows and from what a node keeps sealed.

The node reads the trail, lets the engine prove the rows of `keys_of` under one header (`engines.proving`), and opens
the receipt under that. Pure, and in this ring because it must know the contracts, while no contract knows of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from salus.contracts import patients, residuals
from salus.contracts.access import AccessPermitted, End, ReleasesCommitted
from salus.contracts.consent import ConsentFiled, ConsentWithdrawn
from salus.contracts.evidence import (
    CONCLUSIONS,
    Event,
    decode_outcome,
    in_force,
    permit_of,
    row_keys,
    ticket_events,
    ticket_made,
)
from salus.contracts.records import BatchRegistered
from salus.ledger import receipts
from salus.ledger.bundles import Anchor, OpenedReceipt, OpenedRecord, anchor_root, find_anchored, show_anchor
from salus.ledger.entries import PlacedEntry, entry_hash
from salus.ledger.fields import CommittedFields, OpenedField
from salus.ledger.identifiers import Digest, PermitId, Pseudonym
from salus.ledger.machine import history_positions, read_leaf
from salus.ledger.outcomes import PatientOutcome, decode_leaf
from salus.ledger.proofs import AppState, OutcomeProof, StateProof, prove_outcome
from salus.ledger.receipts import (
    Anchored,
    ChoicesField,
    Field,
    Receipt,
    ReleasedField,
    RulesField,
    View,
    WhoField,
    WithheldField,
    anchored_leaf,
)
from salus.ledger.state import Reader

F = TypeVar("F", bound=msgspec.Struct)


@dataclass(frozen=True)
class RecordMaterial:
    """What a custodian keeps of a record that a receipt names, released or withheld."""

    placed: PlacedEntry
    metadata: CommittedFields = field(repr=False)


@dataclass(frozen=True)
class ReceiptMaterial:
    """What a node keeps of one part of a release; a builder needs no more of it than this.

    Args:
        fields: all fields of the receipt.
        request: the residual of the request.
        choices: residuals of the patient's choices and tickets, any of them and in any order.
        records: of the records that the receipt names; those that were erased since are left out.
        receipts: all receipts of the permit that this node has, in the parts' order.
        anchored: what this node's own end has under its newest root, as it built it; the other end's is found.
        transaction: the bytes of the request (`engines.headers.read_transaction`); empty when they were pruned.
    """

    receipt: Receipt
    fields: CommittedFields = field(repr=False)
    request: CommittedFields = field(repr=False)
    choices: Sequence[CommittedFields] = field(repr=False)
    records: Sequence[RecordMaterial]
    receipts: Sequence[Receipt]
    anchored: Mapping[End, Sequence[Anchored]] = field(default_factory=dict)
    transaction: bytes = b""


class MaterialMissing(Exception):
    """The node no longer holds what a receipt rests on; the message says what is missing and what to do."""


def read_trail(reader: Reader, pseudonym: Pseudonym) -> list[Event]:
    """Return all events of a pseudonym, oldest first."""
    return list(_events(reader, pseudonym))


def find_permit(trail: Sequence[Event], permit: PermitId) -> Event | None:
    """Return the event that gave a permit; None when the ledger gave none: then it is one of continuity."""
    for event in trail:
        if isinstance(event.outcome, AccessPermitted) and permit_of(event.leaf) == permit:
            return event
    return None


def is_on_ledger(trail: Sequence[Event], material: ReceiptMaterial) -> bool:
    """Tell whether a receipt can be shown: its permit is in the trail or, in continuity, it was anchored by then."""
    is_permitted = find_permit(trail, material.receipt.statement.permit) is not None
    return is_permitted or any(True for _ in _anchored_at(trail, material, End.CUSTODIAN))


def keys_of(reader: Reader, trail: Sequence[Event], material: ReceiptMaterial) -> tuple[bytes, ...]:
    """Return the keys of the rows that must be proved for a receipt."""
    pseudonym = _pseudonym(trail)
    event = find_permit(trail, material.receipt.statement.permit)
    custodian = requester = patients.require_relationship(reader, pseudonym).custodian
    if event is not None and isinstance(event.outcome, AccessPermitted):
        requester = event.outcome.requester
    who = _only(WhoField, _decoded(material))
    return row_keys(pseudonym, custodian=custodian, requester=requester, certificate=who.certificate)


def open_receipt(
    reader: Reader, state: AppState, rows: Sequence[StateProof], trail: Sequence[Event], material: ReceiptMaterial
) -> OpenedReceipt:
    """Put together all that shows what a receipt says.

    Args:
        reader: the block of `state`, or a later one.
        rows: at least those of `keys_of`, proved under `state`; whatever else was proved with them is left out.
        trail: read before the rows were proved.

    Raises:
        MaterialMissing: the rules of a choice that applied are not among the material.
    """
    proved = {row.key: row for row in rows}
    fields = _decoded(material)
    permitted = find_permit(trail, material.receipt.statement.permit)
    changes = choice_changes(trail, up_to=_only(ChoicesField, fields).choices_version)
    of_ticket = ticket_events(trail, permitted) if permitted and _has_ticket(fields) else []
    records = _open_records(fields, material.records)
    roots = dict.fromkeys(record.placed.batch_root for record in records)

    def prove(events: Sequence[Event]) -> tuple[OutcomeProof, ...]:
        return tuple(prove_outcome(reader, event.index, state) for event in events)

    return OpenedReceipt(
        receipt=material.receipt,
        fields=receipts.open_view(material.fields, View.PATIENT),
        permitted=prove([permitted] if permitted else []),
        transaction=material.transaction,
        request=_open_request(material.request, is_on_ledger=permitted is not None),
        anchors=tuple(_anchors(reader, state, trail, material)),
        choices=prove([*changes, *of_ticket]),
        rules=_open_rules([*in_force(changes), *of_ticket], material.choices, missing=_missing(fields)),
        rows=tuple(proved[key] for key in keys_of(reader, trail, material)),
        batches=prove([_registration(trail, root) for root in roots]),
        records=records,
    )


def choice_changes(trail: Sequence[Event], *, up_to: int) -> list[Event]:
    """Return the changes of a pseudonym's choices up to a version: one for each version, so none can be missing."""
    return [
        event
        for event in trail
        if isinstance(event.outcome, ConsentFiled | ConsentWithdrawn) and event.outcome.version <= up_to
    ]


def _events(reader: Reader, pseudonym: Pseudonym) -> Iterator[Event]:
    for index in history_positions(reader, pseudonym):
        encoded = read_leaf(reader, index)
        assert encoded is not None, "the leaves of a relationship are kept as long as it is"
        leaf = decode_leaf(encoded)
        outcome = decode_outcome(leaf)
        assert outcome is not None, "a rejection is in nobody's history"
        yield Event(index, leaf, outcome)


def _pseudonym(trail: Sequence[Event]) -> Pseudonym:
    first = trail[0].outcome
    assert isinstance(first, PatientOutcome), "a trail is one pseudonym's"
    return first.pseudonym


def _decoded(material: ReceiptMaterial) -> list[Field]:
    return [receipts.decode_field(value) for value in material.fields.values]


def _only(kind: type[F], fields: Sequence[Field]) -> F:
    found = [each for each in fields if isinstance(each, kind)]
    assert len(found) == 1, f"a receipt has one {kind.__name__}"
    return found[0]


def _open_request(request: CommittedFields, *, is_on_ledger: bool) -> tuple[OpenedField, ...]:
    if is_on_ledger:
        return request.open_many(range(len(request.values)))
    # Nothing on the ledger commits to the request: only the certificate has a root that the receipt names.
    return residuals.request_residual(request).certificate.open_many((0,))


def _anchors(reader: Reader, state: AppState, trail: Sequence[Event], material: ReceiptMaterial) -> Iterator[Anchor]:
    for end in End:
        found: tuple[Event, Sequence[Anchored], int] | None = None
        for event, anchored, place in _anchored_at(trail, material, end):
            if found is not None and found[1][found[2]].conclusion is not anchored[place].conclusion:
                break
            found = (event, anchored, place)  # the newest conclusion, and the first time that it was anchored
        if found is not None:
            event, anchored, place = found
            yield show_anchor(prove_outcome(reader, event.index, state), anchored, place)


def _anchored_at(
    trail: Sequence[Event], material: ReceiptMaterial, end: End
) -> Iterator[tuple[Event, Sequence[Anchored], int]]:
    # Newest first: the events under whose root the receipt is, and where.
    permit = material.receipt.statement.permit
    on_ledger = permit if find_permit(trail, permit) is not None else PermitId(b"")
    for event in reversed(trail):
        outcome = event.outcome
        if isinstance(outcome, ReleasesCommitted) and (outcome.permit, outcome.end) == (on_ledger, end):
            anchored = _under(outcome.root, end, material)
            place = next((at for at, each in enumerate(anchored) if each.receipt == material.receipt), None)
            if place is not None:
                yield event, anchored, place


def _under(root: Digest, end: End, material: ReceiptMaterial) -> Sequence[Anchored]:
    own = material.anchored.get(end, ())
    if anchor_root([anchored_leaf(each) for each in own]) == root:
        return own
    return find_anchored(root, material.receipts, CONCLUSIONS[end])


def _has_ticket(fields: Sequence[Field]) -> bool:
    return any(isinstance(field, RulesField) and field.ticket for field in fields)


def _missing(fields: Sequence[Field]) -> frozenset[bytes]:
    return frozenset(each for field in fields if isinstance(field, RulesField) for each in field.missing)


def _open_rules(
    filed: Sequence[Event], held: Sequence[CommittedFields], *, missing: frozenset[bytes]
) -> tuple[OpenedField, ...]:
    by_root = {residual.root(): residual for residual in held}
    applied = [commitment for commitment in map(_commitment, filed) if commitment not in missing]
    if any(commitment not in by_root for commitment in applied):
        raise MaterialMissing("the rules of a choice or ticket that applied are not held here: deliver them again")
    return tuple(by_root[commitment].open(0) for commitment in applied)


def _commitment(event: Event) -> Digest:
    made = ticket_made(event.outcome)
    if made is not None:
        return made[1]
    assert isinstance(event.outcome, ConsentFiled)
    return event.outcome.commitment


def _registration(trail: Sequence[Event], root: Digest) -> Event:
    return next(event for event in trail if isinstance(event.outcome, BatchRegistered) and event.outcome.root == root)


def _open_records(fields: Sequence[Field], held: Sequence[RecordMaterial]) -> tuple[OpenedRecord, ...]:
    by_entry = {bytes(entry_hash(each.placed.entry)): each for each in held}
    named = [each.entry for each in fields if isinstance(each, ReleasedField | WithheldField)]
    shown = [by_entry[entry] for entry in named if entry in by_entry]
    return tuple(OpenedRecord(each.placed, each.metadata.open_many(range(len(each.metadata.values)))) for each in shown)
