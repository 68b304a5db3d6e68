"""What a node says of itself, checked against the vault, the ledger and its journals, each against the others.

1. The vault: every key, every sealed byte, nothing that belongs to nothing.
2. The index: each registered record has an entry, each entry a record with these roots, a path to its batch, and the
   batch is on the ledger.
3. Choices: the rules of every choice in force are held here and open its commitment.
4. Journals: every line is what was written, or its relationship was erased; every receipt is signed by this node, and
   its fields are held.
5. People: each relationship with a person's secret is in the identity map, and nothing else is.
6. Tombstones: nothing is held under an erased pseudonym.

Changes nothing, and says no more of a person than our own identifiers (P4).
"""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from salus.contracts import consent, patients, records
from salus.contracts.membership import KeyUse
from salus.crypto.merkle import ProofInvalid
from salus.crypto.signing import SignatureInvalid
from salus.ledger import receipts
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.entries import PlacedEntry
from salus.ledger.identifiers import PermitId, Pseudonym
from salus.ledger.receipts import decode_receipt
from salus.ledger.state import Reader
from salus.node import documents, schema
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.journal import JournalDamaged, Line, read_lines
from salus.node.line_keys import LineKeys
from salus.node.opening import RECEIVED, RELEASED
from salus.node.services import choices
from salus.node.services.deposit import METADATA, PLACED
from salus.node.services.release import part_document
from salus.vault import fsck as vault_fsck
from salus.vault.errors import Damaged
from salus.vault.fsck import Finding
from salus.vault.vault import Record


def check_node(node: Node, folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with a node; nothing when all is well.

    Args:
        folder: the node's own, where its journals are.

    Raises:
        Unavailable: database, object store or ledger cannot be read.
    """
    yield from vault_fsck.fsck(node.vault)  # 1
    for relationship in node.vault.relationships():
        pseudonym = Pseudonym(relationship)
        with node.engine.snapshot() as reader:
            if records.is_erased(reader, pseudonym):
                yield Finding("tombstone", f"something is held under {pseudonym.hex()}, which was erased")  # 6
                continue
            yield from _index_findings(node, reader, pseudonym)  # 2
            yield from _choice_findings(node, reader, pseudonym)  # 3
    for name in (RELEASED, RECEIVED):
        for path in sorted((folder / name).glob("*.journal")):
            yield from _journal_findings(node, path, is_custodian=name == RELEASED)  # 4
    yield from _identity_findings(node)  # 5


def erased_line_count(node: Node, folder: Path) -> int:
    """Return how many lines of a node's journals nobody can read any more, their relationship being erased.

    Raises:
        JournalDamaged: a line is not what was written.
    """
    keys = LineKeys(node.vault, node.chain)
    paths = [path for name in (RELEASED, RECEIVED) for path in (folder / name).glob("*.journal")]
    return sum(read_lines(path, keys).erased_count for path in paths)


def _index_findings(node: Node, reader: Reader, pseudonym: Pseudonym) -> Iterator[Finding]:
    columns = schema.entries.c
    with node.vault.database.reading() as connection:
        rows = connection.scalars(select(columns.placed).where(columns.pseudonym == pseudonym)).all()
    placed = {(each.entry.record, each.entry.version): each for each in map(PLACED.decode, rows)}
    held: set[tuple[bytes, int]] = set()
    for record in _records(node, pseudonym):
        key = (record.record_id, record.version)
        held.add(key)
        if documents.kind_of(record) is Kind.RECORD:
            entry = placed.get(key)
            yield from _record_findings(record, entry)
            if entry is not None:
                yield from _batch_findings(reader, pseudonym, entry)
    for key in sorted(set(placed) - held):
        yield Finding("index", "an entry without its record: restore the data, or mark it erased", *key)


def _records(node: Node, pseudonym: Pseudonym) -> list[Record]:
    try:
        return node.vault.records(pseudonym)
    except Damaged:
        return []  # said of the vault


def _record_findings(record: Record, placed: PlacedEntry | None) -> Iterator[Finding]:
    key = (record.record_id, record.version)
    if placed is None:
        if record.registered:
            yield Finding("index", "registered, and there is no entry for it", *key)
        return
    entry = placed.entry
    if (entry.content_root, entry.sealed_root) != (record.content_root, record.sealed_root):
        yield Finding("index", "the entry names other bytes than those that are stored", *key)
    try:
        if METADATA.decode(record.metadata).root() != entry.metadata_root:
            yield Finding("index", "the entry names other metadata than that which is stored", *key)
        placed.verify()
    except ProofInvalid:
        yield Finding("index", "the entry's path does not lead to its batch", *key)
    except EncodingInvalid:
        yield Finding("index", "the metadata cannot be read", *key)


def _batch_findings(reader: Reader, pseudonym: Pseudonym, placed: PlacedEntry) -> Iterator[Finding]:
    key = (placed.entry.record, placed.entry.version)
    relationship = patients.relationship_of(reader, pseudonym)
    if relationship is None:
        yield Finding("index", f"the ledger knows no pseudonym {pseudonym.hex()}", *key)
        return
    batch = records.batch(reader, pseudonym, placed.batch_root)
    if batch is not None and batch.size != placed.batch_size:
        yield Finding("index", f"the ledger has a batch of {batch.size}, the entry's has {placed.batch_size}", *key)


def _choice_findings(node: Node, reader: Reader, pseudonym: Pseudonym) -> Iterator[Finding]:
    relationship = patients.relationship_of(reader, pseudonym)
    if relationship is None or relationship.custodian != node.organisation:
        return
    for choice in consent.choices(reader, pseudonym).choices:
        try:
            kept = documents.find(node.vault, Kind.CHOICE, choice.commitment)
        except Damaged:
            continue  # said of the vault
        if kept is None or choices.RESIDUAL.decode(kept).root() != choice.commitment:
            words = f"the rules of choice {choice.choice.hex()} in force are not held: nothing is released to others"
            yield Finding("choice", words)


def _journal_findings(node: Node, path: Path, *, is_custodian: bool) -> Iterator[Finding]:
    try:
        found = read_lines(path, LineKeys(node.vault, node.chain))
    except JournalDamaged as error:
        yield Finding("journal", str(error))
        return
    lines = {(line.permit, line.part): line for line in found.lines}
    own = node.signing(KeyUse.RECEIPT).public
    for line in lines.values():
        if line.receipt:
            yield from _receipt_findings(node, line, own, is_custodian=is_custodian)


def _receipt_findings(node: Node, line: Line, own: bytes, *, is_custodian: bool) -> Iterator[Finding]:
    where = f"permit {line.permit.hex()} part {line.part}"
    try:
        receipt = decode_receipt(line.receipt)
        verify = receipts.verify_custodian if is_custodian else receipts.verify_requester
        verify(receipt, own)
    except (EncodingInvalid, SignatureInvalid):
        yield Finding("journal", f"{where}: the receipt is not one that this node signed with its present key")
        return
    if not is_custodian or line.pseudonym not in node.vault.relationships():
        return
    try:
        kept = part_document(node, PermitId(line.permit), line.part)
    except Damaged:
        return  # said of the vault
    if kept is None or kept.statement != receipt.statement or kept.fields.root() != receipt.statement.root:
        yield Finding("journal", f"{where}: the fields of the receipt are not held")


def _identity_findings(node: Node) -> Iterator[Finding]:
    with node.vault.database.reading() as connection:
        mapped = set(connection.scalars(select(schema.identities.c.pseudonym)).all())
    for relationship in node.vault.relationships():
        try:
            has_secret = documents.find(node.vault, Kind.SECRET, relationship) is not None
        except Damaged:
            has_secret = False  # said of the vault
        if has_secret and relationship not in mapped and _is_enrolled(node, Pseudonym(relationship)):
            yield Finding("identity map", f"{relationship.hex()} is missing: rebuild the map (salus restore does)")
        mapped.discard(relationship)
    for pseudonym in sorted(mapped):
        yield Finding("identity map", f"{pseudonym.hex()} stands for nobody who is held here")


def _is_enrolled(node: Node, pseudonym: Pseudonym) -> bool:
    """Tell whether an enrolment reached the ledger; one that was cut off before is nobody's yet."""
    with node.engine.snapshot() as reader:
        return patients.relationship_of(reader, pseudonym) is not None
