"""What must hold however and whenever the processes were killed; each check returns what is wrong, by name."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from salus.contracts import records
from salus.contracts.access import End, ReleasesCommitted
from salus.crypto.hashing import EMPTY_ROOT, sha256
from salus.engines import fsck as ledger_fsck
from salus.engines.base import Founding, Snapshot
from salus.ledger.bundles import anchor_root
from salus.ledger.encoding import decoder
from salus.ledger.identifiers import PermitId
from salus.ledger.machine import read_meta, stored_result
from salus.ledger.outcomes import DENIED, DONE, Leaf, decode_leaf
from salus.ledger.receipts import anchored_leaf
from salus.ledger.state import LEAVES
from salus.node import schema
from salus.node.assemble import Node
from salus.node.fsck import check_node
from salus.node.journal import RELEASED_STATES, Journal, Line, PartKey, State
from salus.node.services.anchor import anchored
from salus.testing.world import HOSPITAL, PRACTICE
from salus.vault import fsck as vault_fsck
from salus.vault.errors import NoSuchRecord
from tests.kill.acknowledged import Committed, Deposited, Facts, Failed, Offered, Opened, SlotsSent

_ANCHOR = decoder(ReleasesCommitted)


def of_ledger(snapshot: Snapshot, founding: Founding, facts: Facts) -> Iterator[str]:
    """Yield what is wrong with the ledger as the kill left it (L2, L4)."""
    if read_meta(snapshot) is not None:  # else it was killed before genesis, and has acknowledged nothing
        yield from (str(finding) for finding in ledger_fsck.check(snapshot, founding))
    for fact in facts.of(Committed):
        stored = stored_result(snapshot, fact.transaction)
        if stored is None:
            yield f"an acknowledged transaction is lost: {fact.transaction.hex()}"
        elif (stored.code, sha256(b"".join(stored.leaves))) != (fact.code, fact.leaves):
            yield f"an acknowledged transaction has another outcome: {fact.transaction.hex()}"
    leaves = Counter((leaf.transaction, leaf.index) for leaf in all_leaves(snapshot))
    yield from (f"applied {count} times: {place[0].hex()}" for place, count in leaves.items() if count > 1)


def of_failures(facts: Facts) -> Iterator[str]:
    """Yield what the killed processes could not explain by a kill."""
    yield from (fact.words for fact in facts.of(Failed))


def of_vault(node: Node) -> Iterator[str]:
    """Yield what is wrong with a vault as the kill left it, before anything is finished: no torn state."""
    yield from (f"{node.organisation} {finding}" for finding in vault_fsck.fsck(node.vault))


def of_node(node: Node, folder: Path) -> Iterator[str]:
    """Yield what is wrong with a node once it has finished what the kill cut off."""
    yield from (f"{node.organisation} {finding}" for finding in check_node(node, folder))


def of_deposits(hospital: Node, facts: Facts) -> Iterator[str]:
    """Yield acknowledged deposits that cannot be read, or that others cannot have (L2)."""
    with hospital.engine.snapshot() as reader, hospital.vault.database.reading() as connection:
        roots = {
            (row.record_id, row.version): row.batch_root for row in connection.execute(select(schema.entries)).all()
        }
        for fact in facts.of(Deposited):
            name = f"record {fact.record.hex()} version {fact.version}"
            try:
                content = b"".join(hospital.vault.open(fact.record, fact.version))
            except NoSuchRecord:
                yield f"an acknowledged deposit is lost: {name}"
                continue
            if sha256(content) != fact.content:
                yield f"an acknowledged deposit has other bytes: {name}"
            root = roots.get((fact.record, fact.version), b"")
            if not hospital.vault.record(fact.record, fact.version).registered or not root:
                yield f"an acknowledged deposit is not registered: {name}"
            elif records.batch(reader, fact.pseudonym, root) is None:  # type: ignore[arg-type]
                yield f"an acknowledged deposit is in no batch of the ledger: {name}"


def of_releases(hospital: Node, practice: Node, facts: Facts) -> Iterator[str]:
    """Yield releases that either end cannot account for (R5)."""
    for offered in facts.of(Offered):
        if hospital.custodian_journal.line(PartKey(offered.permit, offered.part)) is None:
            yield f"sealed bytes left without an intent: permit {offered.permit.hex()} part {offered.part}"
    for sent in facts.of(SlotsSent):
        line = hospital.custodian_journal.line(PartKey(sent.permit, sent.part))
        if line is None or not line.receipt or line.state not in (State.SENT, State.POSSIBLY_RELEASED):
            yield f"slots left without a receipt: permit {sent.permit.hex()} part {sent.part}"
    for line in _lines(practice.requester_journal, practice):
        yield from _ends_differ(line, hospital.custodian_journal)
    for line in _lines(hospital.custodian_journal, hospital):
        other = practice.requester_journal.line(PartKey(line.permit, line.part))
        if line.receipt and (other is None or other.receipt != line.receipt):
            yield f"only the custodian has the receipt: permit {line.permit.hex()} part {line.part}"


def _ends_differ(line: Line, custodian: Journal) -> Iterator[str]:
    name = f"permit {line.permit.hex()} part {line.part}"
    other = custodian.line(PartKey(line.permit, line.part))
    if line.state is State.OPENED and (other is None or other.state not in RELEASED_STATES):
        yield f"opened by the requester, and the custodian has no receipt: {name}"
    if other is not None and other.receipt and other.receipt != line.receipt:
        yield f"two receipts of one part: {name}"


def of_settling(hospital: Node, practice: Node) -> Iterator[str]:
    """Yield parts that nobody has concluded, though their workers are gone."""
    for journal, node in ((hospital.custodian_journal, hospital), (practice.requester_journal, practice)):
        for line in _lines(journal, node):
            if line.state in (State.INTENT, State.LOGGED):
                yield f"{node.organisation} left open: permit {line.permit.hex()} part {line.part} {line.state.name}"


def of_opened(hospital: Node, facts: Facts) -> Iterator[str]:
    """Yield records that the requester read other than they were deposited."""
    for fact in facts.of(Opened):
        if sha256(b"".join(hospital.vault.open(fact.record, fact.version))) != fact.content:
            yield f"read other bytes than were deposited: record {fact.record.hex()} version {fact.version}"


def of_anchors(snapshot: Snapshot, node: Node, end: End) -> Iterator[str]:
    """Yield permits whose receipts at one end are not what that end anchored last."""
    last: dict[bytes, bytes] = {}
    for leaf in all_leaves(snapshot):
        if _tag(leaf) == ReleasesCommitted.__struct_config__.tag and leaf.code in (DONE, DENIED):
            committed = _ANCHOR.decode(leaf.data)
            if committed.end is end and committed.permit:
                last[committed.permit] = committed.root
    for permit in permits_of(node, end):
        root = anchor_root([anchored_leaf(each) for each in anchored(node, PermitId(permit), end)])
        if last.get(permit, EMPTY_ROOT) != root:
            yield f"{node.organisation} anchored other receipts than it has: permit {permit.hex()}"


def permits_of(node: Node, end: End) -> list[bytes]:
    """Return the permits that a node remembers at one end."""
    columns = schema.permits.c
    with node.vault.database.reading() as connection:
        return list(connection.scalars(select(columns.permit).where(columns.end == end)).all())


def all_leaves(snapshot: Snapshot) -> Iterator[Leaf]:
    """Yield every leaf of the ledger."""
    return (decode_leaf(row) for _, row in snapshot.items(LEAVES))


def _tag(leaf: Leaf) -> int:
    """The outcome's tag: the first element of the array, an integer in two more bytes."""
    return int.from_bytes(leaf.data[2:4], "big") if leaf.code in (DONE, DENIED) else 0


def _lines(journal: Journal, node: Node) -> Iterator[Line]:
    end = End.CUSTODIAN if node.organisation == HOSPITAL else End.REQUESTER
    assert node.organisation in (HOSPITAL, PRACTICE)
    for permit in permits_of(node, end):
        yield from journal.permit_lines(permit)
