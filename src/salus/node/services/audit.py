"""Audit: a patient's own history here, complete and proved, with every receipt opened in the patient's view (L5, R5).

The bundle needs nobody's word: `salus verify` checks it with the network off.
"""

from collections.abc import Iterator, Sequence

from salus.contracts.access import End, ReleasesCommitted
from salus.contracts.consent import ConsentFiled
from salus.contracts.evidence import Event, ticket_made
from salus.contracts.gathering import (
    MaterialMissing,
    ReceiptMaterial,
    RecordMaterial,
    find_permit,
    is_on_ledger,
    keys_of,
    open_receipt,
    read_trail,
)
from salus.engines.base import Unavailable
from salus.engines.headers import read_transaction
from salus.engines.proving import SignedRows, prove_signed
from salus.ledger.bundles import FORMAT as BUNDLE_FORMAT
from salus.ledger.bundles import HistoryBundle, encode_bundle
from salus.ledger.encoding import decoder
from salus.ledger.entries import entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import PermitId, Pseudonym
from salus.ledger.machine import HISTORY
from salus.ledger.proofs import prove_history
from salus.ledger.receipts import Receipt, ReleasedField, WithheldField, decode_field, decode_receipt
from salus.ledger.state import Reader
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import HistoryAnswer, HistoryAsk
from salus.node.members import read_time_s
from salus.node.people import OpenSession
from salus.node.services import delegations, officers
from salus.node.services.anchor import anchored
from salus.node.services.deposit import METADATA, placed_entries
from salus.node.services.identify import check_patient_session
from salus.node.services.release import part_document

_FIELDS = decoder(CommittedFields)


def answer_history(node: Node, ask: HistoryAsk) -> HistoryAnswer:
    """Answer a patient's device. Raises Refused: SESSION_UNFIT, DELEGATE_UNFIT; NotNow."""
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        key = check_patient_session(reader, ask.pseudonym, ask.session, custodian=node.organisation, time_s=time_s)
        if delegations.is_delegate(reader, ask.pseudonym, key):
            delegations.require_may_read(node, reader, ask.pseudonym, key, classes=(), time_s=time_s)
    return HistoryAnswer(encode_bundle(history(node, ask.pseudonym)))


def read_for_officer(node: Node, officer: OpenSession, pseudonym: Pseudonym) -> HistoryBundle:
    """Return a history to a privacy officer of this organisation, who leaves a mark in it.

    Raises:
        Refused: as `officers.look`, or what `history` says.
        NotNow: the ledger is away: nothing is shown.
    """
    officers.look(node, officer, pseudonym, covered_s=0)
    return history(node, pseudonym)


def history(node: Node, pseudonym: Pseudonym) -> HistoryBundle:
    """Return all events of a pseudonym with the proof that they are all, and every receipt opened.

    Asks nobody who they are: for a patient's device and for an officer there are the two above.

    1. Read the trail, and what is kept of each release.
    2. Prove the rows that all of it rests on, under one signed header.
    3. Open each receipt under that state.

    Raises:
        NotNow: the ledger does not answer, or signed no header in time.
        Refused: RULES_MISSING when this node no longer holds what a receipt rests on.
    """
    node.custodian_journal.refresh()
    with node.engine.snapshot() as reader:  # 1
        trail = read_trail(reader, pseudonym)
        material = [
            each
            for each in _material(node, reader, pseudonym, trail)
            if is_on_ledger(trail, each)  # one of continuity waits until it is anchored
        ]
        keys = {HISTORY.key(pseudonym): None}
        for each in material:
            keys |= dict.fromkeys(keys_of(reader, trail, each))
    try:
        proved = prove_signed(node.engine, list(keys))  # 2
    except Unavailable as error:
        raise NotNow(f"the ledger gives no proof now ({error}): try later") from error
    try:
        return _bundle(node, pseudonym, proved, trail, material)  # 3
    except MaterialMissing as error:
        raise Refused(Refusal.RULES_MISSING, str(error)) from error


def _bundle(
    node: Node, pseudonym: Pseudonym, proved: SignedRows, trail: Sequence[Event], material: Sequence[ReceiptMaterial]
) -> HistoryBundle:
    state = proved.signed.state
    with node.engine.snapshot() as reader:
        return HistoryBundle(
            format=BUNDLE_FORMAT,
            signed=proved.signed,
            history=prove_history(reader, pseudonym, proved.rows[0]),
            receipts=tuple(open_receipt(reader, state, proved.rows, trail, each) for each in material),
            matches=tuple(_matches(node, trail)),
        )


def _material(node: Node, reader: Reader, pseudonym: Pseudonym, trail: Sequence[Event]) -> Iterator[ReceiptMaterial]:
    choices = [
        *_kept_fields(node, Kind.CHOICE, _commitments(trail)),
        *_kept_fields(node, Kind.TICKET, (made[1] for each in trail if (made := ticket_made(each.outcome)))),
    ]
    entries = {bytes(entry_hash(placed.entry)): placed for placed in placed_entries(node, pseudonym)}
    for name in node.custodian_journal.permits_of(pseudonym):
        permit = PermitId(name)
        request = documents.find(node.vault, Kind.REQUEST, permit)
        received = [
            decode_receipt(line.receipt) for line in node.custodian_journal.permit_lines(permit) if line.receipt
        ]
        for receipt in received:
            document = part_document(node, permit, receipt.statement.part)
            if document is None or request is None:
                continue  # erased meanwhile: what is left of it opens nothing
            named = [decode_field(value) for value in document.fields.values]
            shown = [
                entries[each.entry]
                for each in named
                if isinstance(each, ReleasedField | WithheldField) and each.entry in entries
            ]
            stored = node.vault.record_many([(placed.entry.record, placed.entry.version) for placed in shown])
            yield ReceiptMaterial(
                receipt=receipt,
                fields=document.fields,
                request=_FIELDS.decode(request),
                choices=choices,
                records=[
                    RecordMaterial(placed, METADATA.decode(record.metadata))
                    for placed, record in zip(shown, stored, strict=True)
                ],
                receipts=received,
                anchored={End.CUSTODIAN: anchored(node, permit, End.CUSTODIAN)},
                transaction=_transaction(reader, trail, receipt),
            )


def _transaction(reader: Reader, trail: Sequence[Event], receipt: Receipt) -> bytes:
    event = find_permit(trail, receipt.statement.permit)
    return b"" if event is None else read_transaction(reader, event.leaf.height, event.leaf.transaction)


def _commitments(trail: Sequence[Event]) -> Iterator[bytes]:
    for event in trail:
        if isinstance(event.outcome, ConsentFiled):
            yield event.outcome.commitment


def _matches(node: Node, trail: Sequence[Event]) -> Iterator[CommittedFields]:
    roots = [
        event.outcome.root
        for event in trail
        if isinstance(event.outcome, ReleasesCommitted) and not event.outcome.permit
    ]
    return _kept_fields(node, Kind.MATCH, iter(roots))


def _kept_fields(node: Node, kind: Kind, names: Iterator[bytes]) -> Iterator[CommittedFields]:
    for name in names:
        kept = documents.find(node.vault, kind, name)
        if kept is not None:
            yield _FIELDS.decode(kept)
