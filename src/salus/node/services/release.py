"""Release: the custodian's end. Every path out of a node comes through here (R1, R4).

A part is offered sealed; the receiver checks it and signs; the receipt is logged durably; only then the slot leaves,
without which nobody can open a byte. Permit, person and rules are checked again each time (R3).
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from salus.contracts import provisions, residuals
from salus.contracts.access import End
from salus.contracts.membership import KeyUse
from salus.crypto.hpke import seal_to
from salus.crypto.sealing import key_commitment, new_key, sealed_size
from salus.crypto.signing import SignatureInvalid
from salus.ledger import receipts
from salus.ledger.encoding import decoder, encode
from salus.ledger.entries import PlacedEntry, entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.receipts import (
    ChoicesField,
    ConductField,
    Delivery,
    Field,
    Receipt,
    ReleasedField,
    ReleaseKeyField,
    RequestField,
    RulesField,
    ScopeField,
    Standing,
    Statement,
    StoreKind,
    View,
    WhoField,
    WithheldField,
)
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Document, Kind
from salus.node.errors import Refusal, Refused
from salus.node.exchange import (
    INLINE_BYTES_MAX,
    PART_BYTES_MAX,
    OfferedRecord,
    PartAccept,
    PartAsk,
    PartOffer,
    Slots,
    StreamAsk,
)
from salus.node.journal import PartKey, State
from salus.node.projections import permits
from salus.node.services import delegations
from salus.node.services.deposit import METADATA
from salus.node.services.judge import Hearing, Judged, Judgement, hear, hear_again, judge, now_s, wait_for_height
from salus.vault.errors import RecordExists
from salus.vault.rows import RecordKey

RELEASE_KEY_TAG = b"salus/release-key/1"
SLOT_TAG = "salus/slot/1"
PART_RECORDS_MAX = 10_000
RECHECK_BYTES = PART_BYTES_MAX
RECHECK_S = 5


class PartDocument(msgspec.Struct, frozen=True, array_like=True):
    """What this node keeps of an offered part, sealed: the receipt's fields, the release key, what it is for."""

    statement: Statement
    fields: CommittedFields
    release_key: bytes
    reader_key: bytes
    part_count: int
    records: tuple[PlacedEntry, ...]


@dataclass(frozen=True)
class How:
    """How a release is done: judged on which day, at which second, resting on what, leaving in which way."""

    day: int
    at_s: int
    standing: Standing = Standing.LEDGER
    delivery: Delivery = Delivery.SEALED


_DOCUMENT = decoder(PartDocument)


def offer_part(node: Node, sender: OrganisationId, ask: PartAsk) -> PartOffer:
    """Offer a part, sealed.

    1. The ledger is fresh, and has the permit's height (R3).
    2. Hear the request: permit, requester, residual, person, reader key, rules.
    3. The first time: judge every record in scope, cut what may go into parts, keep all parts and the request, sealed.
    4. Note the intent, and offer; a part that was offered before is offered again, unchanged.
    """
    if node.require_fresh().height < ask.height:  # 1
        wait_for_height(node, ask.height)
    with node.engine.snapshot() as reader, node.vault.database.reading():
        hearing = hear(node, reader, sender, ask)  # 2
        kept = part_document(node, ask.permit, ask.part)
        judged = judge(node, reader, hearing) if kept is None and ask.part == 1 else None  # 3
        how = How(provisions.day_of(now_s(node, reader)), node.clock())
    if judged is not None:
        kept = _write_parts(node, hearing, judged, reader_key=ask.reader_key, how=how)[0]
    if kept is None:
        raise Refused(Refusal.PART_UNKNOWN, "expected a part that the release has, the first one first")
    key = PartKey(ask.permit, ask.part)
    if node.custodian_journal.line(key) is None:
        node.custodian_journal.intent(key, pseudonym=hearing.terms.pseudonym, at_s=node.clock())  # 4
    return _offer(node, kept)


def accept_part(node: Node, sender: OrganisationId, ask: PartAccept) -> Slots:
    """Take the receiver's signature, and only then let the slot go.

    1. Permit and person are as they must be, at this moment (R3); before that nothing is said of the part.
    2. The signature is the requester's, under the statement that was offered (R5).
    3. Log the receipt, durably; only then see that nobody here is closing the permit, whose last anchor might not have
       this receipt.
    4. Seal the release key to the reader key, and wrap each record's key under it (R6).
    """
    node.require_fresh()
    with node.engine.snapshot() as reader, node.vault.database.reading():
        terms = hear_again(node, reader, ask.permit, sender)  # 1
        receipt_key = node.key_of(reader, sender, KeyUse.RECEIPT)
        kept = _require_kept(node, ask.permit, ask.part)
    own = receipts.sign_as_custodian(kept.statement, node.signing(KeyUse.RECEIPT))
    receipt = Receipt(kept.statement, own, ask.signature)
    try:
        receipts.verify_requester(receipt, receipt_key)  # 2
    except SignatureInvalid as error:
        raise Refused(Refusal.RECEIPT_UNFIT, "expected the requester's signature under the offered receipt") from error
    key = PartKey(ask.permit, ask.part)
    node.custodian_journal.log(key, encode(receipt), pseudonym=terms.pseudonym, at_s=node.clock())  # 3
    with node.vault.database.reading():
        permits.require_not_closing(node, ask.permit, End.CUSTODIAN)
        slots = _slots(node, kept)  # 4
    node.custodian_journal.note(key, State.SENT, at_s=node.clock())
    return slots


def stream_record(node: Node, sender: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
    """Yield the sealed segments of one offered record.

    Permit and person are checked before the first, and again every 64 MB or 5 s, so that a withdrawal stops it (R3).
    """
    _require_entitled(node, sender, ask.permit)
    kept = _require_kept(node, ask.permit, ask.part)
    if ask.place >= len(kept.records):
        raise Refused(Refusal.PART_UNKNOWN, f"the part has {len(kept.records)} records")
    entry = kept.records[ask.place].entry
    since_bytes, since_s = 0, node.clock()
    for segment in node.vault.sealed_segments(entry.record, entry.version):
        passed_s = abs(node.clock() - since_s)  # a clock that is set back ends the wait, too
        if since_bytes >= RECHECK_BYTES or passed_s >= RECHECK_S:
            _require_entitled(node, sender, ask.permit)
            since_bytes, since_s = 0, node.clock()
        yield segment
        since_bytes += len(segment)


def _require_entitled(node: Node, sender: OrganisationId, permit: PermitId) -> None:
    node.require_fresh()
    with node.engine.snapshot() as reader:
        hear_again(node, reader, permit, sender)


def slot_associated(placed: PlacedEntry) -> bytes:
    """Return what a slot is bound to: record, version and sealed root (DESIGN §6)."""
    entry = placed.entry
    return encode((SLOT_TAG, entry.record, entry.version, entry.sealed_root))


def release_key_info(chain: str, permit: bytes, reader_key: bytes) -> bytes:
    """Return the HPKE `info` of a sealed release key: tag, chain, permit, reader with its suite (DESIGN §6)."""
    return RELEASE_KEY_TAG + encode((chain, permit, reader_key))


# Writing


@dataclass(frozen=True)
class Draft:
    """A part as it will be kept, and the records that it lets go."""

    document: PartDocument
    released: tuple[Judged, ...]


def draft_parts(
    node: Node,
    hearing: Hearing,
    judgement: Judgement,
    *,
    reader_key: bytes,
    how: How,
    reserve: Callable[[int], int] = lambda _count: 1,
) -> list[Draft]:
    """Write every part's receipt; nothing is kept yet.

    Args:
        reserve: given how many parts there are, returns the first one's number: 1, unless the permit has parts already.
        reader_key: to which the release keys will be sealed; empty where nothing is sealed.
    """
    parts = _cut([each for each in judgement.records if each.decision.may_go])
    withheld = [each for each in judgement.records if not each.decision.may_go]
    drafts = []
    first = reserve(len(parts))
    part_count = first + len(parts) - 1
    for number, released in enumerate(parts, start=first):
        release_key = new_key()
        fields = _fields(hearing, released, withheld if number == first else [], release_key, part_count, how)
        room = judgement.registered_count if number == first else len(released)
        committed = receipts.commit_receipt(fields, room=room, secret=secrets.token_bytes(32))
        document = PartDocument(
            statement=Statement(receipts.FORMAT, node.chain, hearing.permit, number, committed.root()),
            fields=committed,
            release_key=release_key,
            reader_key=reader_key,
            part_count=part_count,
            records=tuple(each.placed for each in released),
        )
        drafts.append(Draft(document, tuple(released)))
    return drafts


def _write_parts(
    node: Node, hearing: Hearing, judgement: Judgement, *, reader_key: bytes, how: How
) -> list[PartDocument]:
    """Keep every part, with the request, in one durable step; return the parts that are kept."""
    drafts = draft_parts(node, hearing, judgement, reader_key=reader_key, how=how)
    written = [each.document for each in drafts]
    kept = [
        _request_document(hearing.permit, hearing.committed),
        *(Document(Kind.PART, _part_name(hearing.permit, each.statement.part), encode(each)) for each in written),
    ]
    try:
        documents.keep_many(node.vault, node.chain, hearing.terms.pseudonym, kept)
    except RecordExists:  # another worker was first: its parts are the ones that are offered
        return [_require_kept(node, hearing.permit, each.statement.part) for each in written]
    return written


def keep_request(node: Node, permit: PermitId, pseudonym: Pseudonym, committed: CommittedFields) -> None:
    """Keep what was asked for under a permit, and by which delegate, durably, before anything leaves under it."""
    documents.keep_many(node.vault, node.chain, pseudonym, [_request_document(permit, committed)])
    delegations.keep_asker(node, pseudonym, permit, residuals.request_residual(committed))


def _request_document(permit: PermitId, committed: CommittedFields) -> Document:
    return Document(Kind.REQUEST, permit, encode(committed))


def _cut(released: list[Judged]) -> list[list[Judged]]:
    """Cut into parts of at most 64 MB of content; a larger record has a part of its own. At least one part."""
    parts: list[list[Judged]] = [[]]
    size_bytes = 0
    for each in released:
        is_full = size_bytes + each.record.size_bytes > PART_BYTES_MAX or len(parts[-1]) >= PART_RECORDS_MAX
        if parts[-1] and is_full:
            parts.append([])
            size_bytes = 0
        parts[-1].append(each)
        size_bytes += each.record.size_bytes
    return parts


def _fields(
    hearing: Hearing,
    released: list[Judged],
    withheld: list[Judged],
    release_key: bytes,
    part_count: int,
    how: How,
) -> list[Field]:
    version, commitments = hearing.choice_versions
    terms = hearing.terms
    return [
        RequestField(hearing.residual.request, part_count),
        WhoField(hearing.who.authentication, bytes(hearing.who.certificate)),
        ChoicesField(version, commitments, terms.network_policy_version, terms.custodian_policy_version),
        ScopeField(terms.from_s, len(released) + len(withheld), len(released), len(withheld)),
        ConductField(
            standing=how.standing,
            delivery=how.delivery,
            store=StoreKind.SALUS,
            at_s=how.at_s,
            day=how.day,
        ),
        ReleaseKeyField(key_commitment(release_key)),
        *_rules_field(hearing),
        *(_released_field(each) for each in released),
        *(_withheld_field(each) for each in withheld),
    ]


def _rules_field(hearing: Hearing) -> list[RulesField]:
    missing, ticket = (tuple(map(bytes, each)) for each in (hearing.held.missing, hearing.held.ticket))
    return [RulesField(missing, ticket)] if missing or ticket else []


def _released_field(each: Judged) -> ReleasedField:
    placed = each.placed
    return ReleasedField(
        entry=entry_hash(placed.entry),
        batch_root=placed.batch_root,
        sealed_root=placed.entry.sealed_root,
        size_bytes=each.record.size_bytes,
    )


def _withheld_field(each: Judged) -> WithheldField:
    said = each.decision
    return WithheldField(entry=entry_hash(each.placed.entry), source=said.source, rule=bytes(said.rule), path=said.path)


# Offering


def _offer(node: Node, kept: PartDocument) -> PartOffer:
    fields = [receipts.decode_field(value) for value in kept.fields.values]
    sizes_bytes = [each.size_bytes for each in fields if isinstance(each, ReleasedField)]
    goes_along = _goes_along(sizes_bytes)
    sealed = iter(node.vault.sealed_many([key for key, goes in zip(_keys(kept), goes_along, strict=True) if goes]))
    offered = [
        OfferedRecord(placed, size_bytes, next(sealed) if goes else b"")
        for placed, size_bytes, goes in zip(kept.records, sizes_bytes, goes_along, strict=True)
    ]
    return PartOffer(
        statement=kept.statement,
        signature=receipts.sign_as_custodian(kept.statement, node.signing(KeyUse.RECEIPT)),
        fields=receipts.open_view(kept.fields, View.REQUESTER),
        records=tuple(offered),
        part_count=kept.part_count,
    )


def _goes_along(sizes_bytes: list[int]) -> list[bool]:
    """Which records go along in the offer itself: those that there is room for, the first ones first."""
    room_bytes = INLINE_BYTES_MAX
    goes = []
    for size_bytes in sizes_bytes:
        goes.append(size_bytes <= room_bytes)
        room_bytes -= sealed_size(size_bytes) if goes[-1] else 0
    return goes


def _slots(node: Node, kept: PartDocument) -> Slots:
    info = release_key_info(node.chain, kept.statement.permit, kept.reader_key)
    bound = [slot_associated(placed) for placed in kept.records]
    released = node.vault.release_slots(_keys(kept), release_key=kept.release_key, associated=bound)
    return Slots(
        release_key=seal_to(kept.reader_key, kept.release_key, info=info),
        slots=tuple(each.slot for each in released),
        metadata=tuple(METADATA.decode(each.metadata) for each in released),
    )


def _keys(kept: PartDocument) -> list[RecordKey]:
    return [(placed.entry.record, placed.entry.version) for placed in kept.records]


def part_document(node: Node, permit: PermitId, part: int) -> PartDocument | None:
    """Return what is kept of a part; None when it was never written, or was erased."""
    content = node.custodian_journal.kept(PartKey(permit, part)) or documents.find(
        node.vault, Kind.PART, _part_name(permit, part)
    )
    if not content:
        return None
    document: PartDocument = _DOCUMENT.decode(content)
    return document


def part_fields(node: Node, permit: PermitId) -> Iterator[tuple[int, list[Field]]]:
    """Return what the receipts under a permit say, part by part; nothing of a part that was erased."""
    for line in node.custodian_journal.permit_lines(permit):
        if line.receipt:
            part = receipts.decode_receipt(line.receipt).statement.part
            document = part_document(node, permit, part)
            if document is not None:
                yield part, [receipts.decode_field(value) for value in document.fields.values]


def _require_kept(node: Node, permit: PermitId, part: int) -> PartDocument:
    kept = part_document(node, permit, part)
    if kept is None:
        raise Refused(Refusal.PART_UNKNOWN, "expected a part that was offered: ask for it first")
    return kept


def _part_name(permit: PermitId, part: int) -> bytes:
    return permit + part.to_bytes(4, "big")
