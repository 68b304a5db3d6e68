"""Receive: the requester's end. Bytes are checked against the index before use, and signed for before the key comes.

A conforming receiver refuses data that no permit covers (R1), and keeps a receipt of its own (R5).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from salus.contracts import records
from salus.contracts.access import End
from salus.contracts.membership import KeyUse
from salus.crypto import sealing
from salus.crypto.hpke import open_with
from salus.crypto.merkle import ProofInvalid
from salus.crypto.sealing import SealBroken, SegmentRoot, key_commitment, open_stream, sealed_size, unwrap
from salus.crypto.signing import SignatureInvalid
from salus.ledger import receipts
from salus.ledger.encoding import EncodingInvalid, encode
from salus.ledger.entries import PlacedEntry, entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId
from salus.ledger.receipts import Field, Receipt, ReleasedField, ReleaseKeyField
from salus.ledger.state import Reader
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import PartAccept, PartAsk, PartOffer, Peers, Slots, StreamAsk
from salus.node.journal import PartKey, State
from salus.node.projections import permits
from salus.node.services.release import release_key_info, slot_associated
from salus.node.services.request import Granted
from salus.vault.deposits import Deposit


@dataclass(frozen=True)
class Received:
    """A record that was released to this node, opened and checked."""

    placed: PlacedEntry
    metadata: CommittedFields = field(repr=False)
    content: bytes = field(repr=False)


def receive(node: Node, peers: Peers, granted: Granted) -> Iterator[Received]:
    """Fetch everything that a permit allows, part by part; yields records as soon as their part is open.

    Raises:
        Refused: what the custodian says, or BYTES_UNFIT and RECEIPT_UNFIT when what came is not what the index has, or
            PERMIT_DEAD when this end is closing the permit.
        NotNow: the other node does not answer; the same permit can be asked again.
    """
    part, part_count = 1, 1
    while part <= part_count:
        offer = _ask_part(peers, granted, part)
        part_count = offer.part_count
        yield from _take_part(node, peers, granted, offer)
        part += 1


def _ask_part(peers: Peers, granted: Granted, part: int) -> PartOffer:
    ask = PartAsk(
        permit=granted.permit,
        height=granted.height,
        part=part,
        residual=granted.residual,
        reader_key=granted.reader_key.public,
    )
    offer = peers.ask(granted.terms.custodian, ask)
    if not isinstance(offer, PartOffer):
        raise Refused(Refusal.MESSAGE_UNFIT, "expected an offer")
    if (offer.statement.permit, offer.statement.part) != (granted.permit, part):
        raise Refused(Refusal.RECEIPT_UNFIT, "expected an offer of the part that was asked for")
    return offer


def _take_part(node: Node, peers: Peers, granted: Granted, offer: PartOffer) -> Iterator[Received]:
    """Take one part.

    1. The statement is the custodian's, and its opened fields are under its root.
    2. Every record is in a registered batch of this pseudonym, and is one that the receipt names.
    3. The sealed bytes are those that the index has (R6).
    4. Sign for them; keep the receipt; get the slots.
    5. The release key is the one that the receipt commits to; open.
    """
    with node.engine.snapshot() as reader:
        fields = _check_statement(node, reader, granted, offer)  # 1
        _check_entries(reader, granted, offer, fields)  # 2
    sealed = [
        _check_bytes(peers, granted.terms.custodian, offer, place)
        for place in range(len(offer.records))  # 3
    ]
    key = PartKey(granted.permit, offer.statement.part)
    signature = receipts.sign_as_requester(offer.statement, node.signing(KeyUse.RECEIPT))
    receipt = Receipt(offer.statement, offer.signature, signature)
    node.requester_journal.log(key, encode(receipt), pseudonym=granted.terms.pseudonym, at_s=node.clock())  # 4
    try:
        permits.require_not_closing(node, granted.permit, End.REQUESTER)
        slots = _ask_slots(peers, granted, PartAccept(granted.permit, offer.statement.part, signature))
        opened = list(_open(node, granted, offer, fields, slots, sealed))  # 5
    except (Refused, NotNow):  # the slot may still come, to who asks again; what stands until then is anchored
        node.requester_journal.note(key, State.SLOT_MISSING, at_s=node.clock())
        raise
    node.requester_journal.note(key, State.OPENED, at_s=node.clock())  # before the first record is used, not after
    permits.require_not_closing(node, granted.permit, End.REQUESTER)
    yield from opened


def _ask_slots(peers: Peers, granted: Granted, accept: PartAccept) -> Slots:
    slots = peers.ask(granted.terms.custodian, accept)
    if not isinstance(slots, Slots):
        raise Refused(Refusal.MESSAGE_UNFIT, "expected slots")
    return slots


def _check_statement(node: Node, reader: Reader, granted: Granted, offer: PartOffer) -> list[Field]:
    statement = offer.statement
    if (statement.format, statement.chain) != (receipts.FORMAT, node.chain):
        raise Refused(Refusal.RECEIPT_UNFIT, "expected a receipt of this chain and format")
    try:
        custodian = node.key_of(reader, granted.terms.custodian, KeyUse.RECEIPT)
        receipts.verify_custodian(Receipt(statement, offer.signature, b""), custodian)
        for opened in offer.fields:
            opened.verify(statement.root)
        return [receipts.decode_field(opened.value) for opened in offer.fields]
    except (SignatureInvalid, ProofInvalid, EncodingInvalid) as error:
        raise Refused(Refusal.RECEIPT_UNFIT, f"the custodian's receipt does not hold: {error}") from error


def _check_entries(reader: Reader, granted: Granted, offer: PartOffer, fields: list[Field]) -> None:
    named = [(each.entry, each.size_bytes) for each in fields if isinstance(each, ReleasedField)]
    came = [(bytes(entry_hash(each.placed.entry)), each.size_bytes) for each in offer.records]
    if named != came:
        raise Refused(Refusal.RECEIPT_UNFIT, f"the receipt names {len(named)} records, {len(came)} came: not the same")
    for each in offer.records:
        try:
            each.placed.verify()
        except ProofInvalid as error:
            raise Refused(Refusal.BYTES_UNFIT, "a record's path does not lead to its batch") from error
        batch = records.batch(reader, granted.terms.pseudonym, each.placed.batch_root)
        if batch is None or batch.size != each.placed.batch_size:
            raise Refused(Refusal.BYTES_UNFIT, "a record is in no batch that the ledger has")


def _check_bytes(peers: Peers, custodian: OrganisationId, offer: PartOffer, place: int) -> list[bytes]:
    offered = offer.records[place]
    if offered.inline:
        segments: Iterator[bytes] = (bytes(each) for each in sealing.segments(offered.inline))
    else:
        segments = peers.stream(custodian, StreamAsk(offer.statement.permit, offer.statement.part, place))
    root, kept, room_bytes = SegmentRoot(), [], sealed_size(offered.size_bytes)
    for segment in segments:
        room_bytes -= len(segment)
        if room_bytes < 0:
            raise Refused(Refusal.BYTES_UNFIT, f"record {place} of the part: more bytes came than were announced")
        root.add(segment)
        kept.append(segment)
    if root.root() != offered.placed.entry.sealed_root:
        raise Refused(Refusal.BYTES_UNFIT, f"record {place} of the part: these bytes are not those in the index")
    return kept


def _open(
    node: Node, granted: Granted, offer: PartOffer, fields: list[Field], slots: Slots, sealed: list[list[bytes]]
) -> Iterator[Received]:
    info = release_key_info(node.chain, granted.permit, granted.reader_key.public)
    commitment = next((each.commitment for each in fields if isinstance(each, ReleaseKeyField)), b"")
    if len(slots.slots) != len(offer.records) or len(slots.metadata) != len(offer.records):
        raise Refused(Refusal.RECEIPT_UNFIT, f"expected {len(offer.records)} slots, came {len(slots.slots)}")
    try:
        release_key = open_with(granted.reader_key, slots.release_key, info=info)
        if key_commitment(release_key) != commitment:
            raise Refused(Refusal.RECEIPT_UNFIT, "the release key is not the one that the receipt commits to")
        for offered, slot, metadata, segments in zip(offer.records, slots.slots, slots.metadata, sealed, strict=True):
            yield _open_record(
                node, offered.placed, unwrap(release_key, slot, slot_associated(offered.placed)), metadata, segments
            )
    except SealBroken as error:
        raise Refused(Refusal.BYTES_UNFIT, f"a slot or a record does not open: {error}") from error


def _open_record(
    node: Node, placed: PlacedEntry, data_key: bytes, metadata: CommittedFields, segments: list[bytes]
) -> Received:
    entry = placed.entry
    if metadata.root() != entry.metadata_root:
        raise Refused(Refusal.BYTES_UNFIT, "a record's metadata is not what the index commits to")
    bound = documents.associated(node.chain, Kind.RECORD, entry.record, entry.version)
    return Received(placed, metadata, b"".join(open_stream(data_key, segments, bound)))


def keep_copy(node: Node, granted: Granted, received: Received) -> None:
    """Keep a received record, sealed anew under a key of this node (DESIGN §5.2); again changes nothing."""
    entry = received.placed.entry
    record = documents.document_id(Kind.RECEIVED, entry.record)
    deposit = Deposit(
        relationship=granted.terms.pseudonym,
        record_id=record,
        version=entry.version,
        associated=documents.associated(node.chain, Kind.RECEIVED, record, entry.version),
        metadata=encode(received.metadata),
        content=received.content,
        is_registered=True,
    )
    node.vault.deposit(deposit)
