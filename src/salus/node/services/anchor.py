"""Anchor: each end commits the receipts of its permits, within seconds, and closes every permit in the end (R5).

One transaction carries many permits; the root of each is over all of its receipts so far, with what became of each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from msgspec.structs import replace
from sqlalchemy import Row, and_, select, update

from salus.contracts.access import CommitReleases, End, Rejection
from salus.contracts.residuals import CertifiedSession
from salus.crypto.sealing import new_key
from salus.ledger.bundles import anchor_root
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields, commit_fields
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, Pseudonym
from salus.ledger.receipts import Anchored, Conclusion, anchored_leaf, decode_receipt
from salus.node import documents, schema
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refused
from salus.node.journal import Journal, State
from salus.node.projections import permits

PERMITS_MAX = 64
"""How many permits one transaction anchors."""
UNSIGNED_S = 30
"""An intent that nobody signed for in this time closes as *not released* (DESIGN §6)."""
UNANSWERED_S = 1
"""A logged receipt of which nothing came for longer is concluded as it stands, so that it is anchored within 5 s (R5).

Clocks are in whole seconds: it is concluded when it is 1 to 2 s old, at most 3 s before upkeep looks again.
"""
LEAVES_KNOWN = 1 << 17
"""Of how many receipts the leaf is remembered: under an open permit each is needed at every look, and never changes."""
OVER = frozenset({Rejection.PERMIT_UNKNOWN, Rejection.END_CLOSED})
"""The permit's row is gone, or this end has closed it: nothing more can be anchored, ever."""

CONCLUSIONS = {
    State.SENT: Conclusion.SLOT_SENT,
    State.POSSIBLY_RELEASED: Conclusion.POSSIBLY_RELEASED,
    State.OPENED: Conclusion.OPENED,
    State.SLOT_MISSING: Conclusion.SLOT_MISSING,
}


@dataclass(frozen=True)
class _Due:
    """What one end has to anchor of one permit; `custodian` is empty at the custodian's own end."""

    permit: PermitId
    custodian: str
    message: CommitReleases


def anchor_note(
    node: Node, pseudonym: Pseudonym, who: OrganisationId, session: CertifiedSession, certificate: CommittedFields
) -> None:
    """Keep a note of who asked for a person, and anchor it in their history, before an answer is given.

    Args:
        who: the organisation that asked; this one itself when its officer reads the history.

    Raises:
        Refused: what the ledger says.
        NotNow: the ledger is away: no answer is given.
    """
    said = [who, certificate.root(), session.session.session_key, node.clock()]
    note = commit_fields(said, secret=new_key())
    documents.keep(node.vault, node.chain, pseudonym, Kind.MATCH, note.root(), encode(note))
    node.submit(
        CommitReleases(
            pseudonym=pseudonym,
            permit=PermitId(b""),
            end=End.CUSTODIAN,
            root=note.root(),
            is_closed=True,
        )
    )


def anchor(node: Node, *, close: frozenset[PermitId] = frozenset()) -> int:
    """Anchor what is new and close what has ended; return how many permits were anchored.

    1. Find the permits that are open, and those among them that end now.
    2. Mark the latter; from here on no slot is used under them.
    3. Read the journals, and conclude what nobody signed for, and what was never answered.
    4. Commit one anchor for each permit that has something new.

    Args:
        close: permits to be closed now, before their end: nothing more will be released or accepted under them.

    Raises:
        Refused: the ledger says no to one, for now; it stays open, and all others were tried.
        NotNow: the ledger is away.
    """
    now_s = node.clock()
    permits.follow(node)
    rows = _open_permits(node)  # 1
    closing = {
        (PermitId(row.permit), End(row.end))
        for row in rows
        if row.closed == schema.CLOSING or row.permit in close or row.until_s + UNSIGNED_S <= now_s
    }
    permits.mark_closing(node, sorted(closing))  # 2
    for journal in (node.custodian_journal, node.requester_journal):  # 3
        journal.refresh()
        journal.close_stale_intents(before_s=now_s - UNSIGNED_S, at_s=now_s)
        journal.conclude_unanswered(before_s=now_s - UNANSWERED_S, at_s=now_s)
    found = [_due(node, row, is_closed=(row.permit, row.end) in closing) for row in rows]  # 4
    over = [row for row, each in zip(rows, found, strict=True) if each is None and _is_here(row, closing)]
    if over:
        _close_here(node, over)
    due = [each for each in found if each is not None]
    refused = [each for group in _groups(due) for each in _commit(node, group)]
    if refused:
        raise refused[0]
    return len(due)


def anchored(node: Node, permit: PermitId, end: End) -> list[Anchored]:
    """Return the leaves of an end's anchor of a permit: its receipts that have a conclusion, in the parts' order."""
    return [Anchored(decode_receipt(receipt), conclusion) for receipt, conclusion in _concluded(node, permit, end)]


def _concluded(node: Node, permit: PermitId, end: End) -> list[tuple[bytes, Conclusion]]:
    lines = _journal(node, end).permit_lines(permit)
    return [(line.receipt, CONCLUSIONS[line.state]) for line in lines if line.receipt and line.state in CONCLUSIONS]


@lru_cache(LEAVES_KNOWN)
def _leaf(receipt: bytes, conclusion: Conclusion) -> Digest:
    return anchored_leaf(Anchored(decode_receipt(receipt), conclusion))


def _due(node: Node, row: Row, *, is_closed: bool) -> _Due | None:  # type: ignore[type-arg]
    end = End(row.end)
    if is_closed:
        _journal(node, end).conclude(row.permit, at_s=node.clock())
    leaves = [_leaf(*each) for each in _concluded(node, PermitId(row.permit), end)]
    root = anchor_root(leaves) if leaves else Digest(row.anchored_root)  # erased: what was anchored stands
    if root == row.anchored_root and (not is_closed or not row.anchored_as):
        return None
    message = CommitReleases(
        pseudonym=Pseudonym(row.pseudonym),
        permit=PermitId(row.anchored_as),
        end=end,
        root=root,
        is_closed=is_closed,
    )
    return _Due(PermitId(row.permit), row.counterpart if end is End.REQUESTER else "", message)


def _is_here(row: Row, closing: set[tuple[PermitId, End]]) -> bool:  # type: ignore[type-arg]
    return not row.anchored_as and (row.permit, row.end) in closing


def _close_here(node: Node, rows: list[Row]) -> None:  # type: ignore[type-arg]
    """Note that releases in continuity are over: all is anchored, and the ledger has no permit of theirs to close."""
    columns = schema.permits.c
    with node.vault.database.writing() as connection:
        for row in rows:
            this = and_(columns.permit == row.permit, columns.end == row.end)
            connection.execute(update(schema.permits).where(this).values(closed=schema.CLOSED))


def _groups(due: list[_Due]) -> Iterator[list[_Due]]:
    """Cut into transactions; none has two custodians' pseudonyms, which could be one person's (DESIGN §5.2)."""
    apart: dict[tuple[End, str], list[_Due]] = {}
    for each in due:
        apart.setdefault((each.message.end, each.custodian), []).append(each)
    for together in apart.values():
        for start in range(0, len(together), PERMITS_MAX):
            yield together[start : start + PERMITS_MAX]


def _commit(node: Node, group: list[_Due]) -> list[Refused]:
    """Anchor permits in one transaction; where the ledger says no, one by one, so that none waits for another."""
    try:
        node.submit(*(each.message for each in group))
    except Refused as refused:
        if len(group) > 1:
            return [said for each in group for said in _commit(node, [each])]
        if refused.number not in OVER:
            return [refused]
        group = [_Due(each.permit, each.custodian, replace(each.message, is_closed=True)) for each in group]
    _note(node, group)
    return []


def _open_permits(node: Node) -> list[Row]:  # type: ignore[type-arg]
    with node.vault.database.reading() as connection:
        return list(connection.execute(select(schema.permits).where(schema.permits.c.closed != schema.CLOSED)).all())


def _note(node: Node, group: list[_Due]) -> None:
    columns = schema.permits.c
    with node.vault.database.writing() as connection:
        for each in group:
            this = and_(columns.permit == each.permit, columns.end == each.message.end)
            closed = {"closed": schema.CLOSED} if each.message.is_closed else {}
            values = {"anchored_root": each.message.root, **closed}
            connection.execute(update(schema.permits).where(this).values(values))


def _journal(node: Node, end: End) -> Journal:
    return node.custodian_journal if end is End.CUSTODIAN else node.requester_journal
