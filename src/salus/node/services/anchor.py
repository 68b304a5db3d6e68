"""Anchor: each end commits the receipts of its permits, within seconds, and closes every permit in the end (R5).

One transaction carries many permits; the root of each is over all of its receipts so far, with what became of each.
"""

from sqlalchemy import Row, and_, select, update

from salus.contracts.access import CommitReleases, End, Rejection
from salus.crypto import merkle
from salus.ledger.identifiers import Digest, PermitId, Pseudonym
from salus.ledger.receipts import Anchored, Conclusion, anchored_leaf, decode_receipt
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refused
from salus.node.journal import Journal, State
from salus.node.projections import permits

ANCHOR_EVERY_S = 5
UNSIGNED_S = 30
"""An intent that nobody signed for in this time closes as *not released* (DESIGN §6)."""
OVER = frozenset({Rejection.PERMIT_UNKNOWN, Rejection.END_CLOSED})
"""The permit's row is gone, or this end has closed it: nothing more can be anchored, ever."""

CONCLUSIONS = {
    State.SENT: Conclusion.SLOT_SENT,
    State.POSSIBLY_RELEASED: Conclusion.POSSIBLY_RELEASED,
    State.OPENED: Conclusion.OPENED,
    State.SLOT_MISSING: Conclusion.SLOT_MISSING,
}


def anchor(node: Node, *, close: frozenset[PermitId] = frozenset()) -> int:
    """Anchor what is new and close what has ended; return how many permits were anchored.

    Args:
        close: permits to be closed now, before their end: nothing more will be released or accepted under them.

    Raises:
        Refused: the ledger says no to one, for now; it stays open, and all others were tried.
        NotNow: the ledger is away.
    """
    now_s = node.clock()
    permits.follow(node)
    for journal in (node.custodian_journal, node.requester_journal):
        journal.refresh()
        journal.close_stale_intents(before_s=now_s - UNSIGNED_S, at_s=now_s)
    done, first_refused = 0, None
    for row in _open_permits(node):
        try:
            done += _anchor_permit(node, row, is_closed=row.permit in close or row.until_s + UNSIGNED_S <= now_s)
        except Refused as refused:
            first_refused = first_refused or refused
    if first_refused is not None:
        raise first_refused
    return done


def anchored(node: Node, permit: PermitId, end: End) -> list[Anchored]:
    """Return the leaves of an end's anchor of a permit: its receipts that have a conclusion, in the parts' order."""
    lines = _journal(node, end).permit_lines(permit)
    return [
        Anchored(decode_receipt(line.receipt), CONCLUSIONS[line.state])
        for line in lines
        if line.receipt and line.state in CONCLUSIONS
    ]


def anchor_root(leaves: list[Anchored]) -> Digest:
    """Return the RFC 9162 root over a permit's anchored receipts; that of no leaves when nothing was released."""
    return Digest(merkle.root([anchored_leaf(leaf) for leaf in leaves]))


def _anchor_permit(node: Node, row: Row, *, is_closed: bool) -> int:  # type: ignore[type-arg]
    end = End(row.end)
    if is_closed:
        _journal(node, end).conclude(row.permit, at_s=node.clock())
    root = anchor_root(anchored(node, PermitId(row.permit), end))
    if root == row.anchored_root and (not is_closed or not row.anchored_as):
        return 0
    message = CommitReleases(
        pseudonym=Pseudonym(row.pseudonym),
        permit=PermitId(row.anchored_as),
        end=end,
        root=root,
        is_closed=is_closed,
    )
    try:
        node.submit(message)
    except Refused as refused:
        if refused.number not in OVER:
            raise
        is_closed = True
    _note(node, row, root=root, is_closed=is_closed)
    return 1


def _open_permits(node: Node) -> list[Row]:  # type: ignore[type-arg]
    with node.vault.database.reading() as connection:
        return list(connection.execute(select(schema.permits).where(schema.permits.c.closed == 0)).all())


def _note(node: Node, row: Row, *, root: Digest, is_closed: bool) -> None:  # type: ignore[type-arg]
    columns = schema.permits.c
    this = and_(columns.permit == row.permit, columns.end == row.end)
    with node.vault.database.writing() as connection:
        connection.execute(update(schema.permits).where(this).values(anchored_root=root, closed=int(is_closed)))


def _journal(node: Node, end: End) -> Journal:
    return node.custodian_journal if end is End.CUSTODIAN else node.requester_journal
