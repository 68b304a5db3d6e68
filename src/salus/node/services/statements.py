"""Statements of erasure: the custodian asks every holder for its own, and answers when it is a holder itself (P5).

A holder is a member that had a permit from this custodian under the pseudonym. Who never answers is asked less and less
often, and stays in the list. A statement counts only for the tombstone that it names, signed by the holder asked.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Row, func, select, update

from salus.contracts import CONTRACTS, patients, records
from salus.contracts.membership import KeyUse
from salus.contracts.records import RelationshipErased
from salus.crypto.signing import SignatureInvalid
from salus.ledger import erasure_statements
from salus.ledger.encoding import decoder, encode
from salus.ledger.erasure_statements import FORMAT, Conclusion, ErasureStatement, SignedStatement
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.machine import history_positions, outcome_decoder, read_leaf
from salus.ledger.outcomes import DONE, Leaf, decode_leaf
from salus.ledger.state import Reader
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import ErasureAnswer, ErasureAsk, Peers
from salus.node.services.erase import destroy_erased, is_held
from salus.node.services.judge import wait_for_height

PAUSE_S: Final = 60
PAUSE_S_MAX: Final = 86_400
SKEW_S: Final = 60
ASKS_MAX: Final = 100
"""How many holders are asked in one turn."""

_SIGNED = decoder(SignedStatement)
_OUTCOME = outcome_decoder(CONTRACTS)


@dataclass(frozen=True)
class HolderState:
    """Where one holder stands.

    Args:
        since_s: when it became known here that the holder owes a statement.
        asked: how often it was asked in vain.
        statement: what it has stated last; None while it has not.
    """

    holder: OrganisationId
    since_s: int
    asked: int
    statement: ErasureStatement | None


def holder_states(node: Node, pseudonym: Pseudonym) -> list[HolderState]:
    """Return where the other holders of an erased relationship stand, in the order of their codes."""
    columns = schema.erasures.c
    of_others = (columns.pseudonym == pseudonym) & (columns.holder != node.organisation)
    with node.vault.database.reading() as connection:
        rows = connection.execute(select(schema.erasures).where(of_others).order_by(columns.holder)).all()
    return [HolderState(OrganisationId(row.holder), row.since_s, row.tries, _stated(row)) for row in rows]


def collect(node: Node, peers: Peers) -> int:
    """Ask the holders whose time has come; return how many have stated something.

    A holder that does not answer is not asked of another erasure in the same turn.
    """
    columns, now_s = schema.erasures.c, node.clock()
    due = (columns.next_s <= now_s) & (columns.holder != node.organisation)
    with node.vault.database.reading() as connection:
        rows = connection.execute(
            select(schema.erasures).where(due).order_by(columns.next_s, columns.pseudonym).limit(ASKS_MAX)
        ).all()
    silent: set[str] = set()
    count = 0
    for row in rows:
        if row.holder in silent:
            continue
        try:
            signed = _ask(node, peers, Pseudonym(row.pseudonym), OrganisationId(row.holder))
        except NotNow:
            silent.add(row.holder)
            _put_off(node, row)
        except Refused:
            _put_off(node, row)
        else:
            count += 1
            _keep(node, row, signed)
    return count


def answer_erasure(node: Node, sender: OrganisationId, ask: ErasureAsk) -> ErasureAnswer:
    """State what became of what this node held.

    1. The ledger here has the tombstone, and the custodian asks.
    2. Close what is open under the pseudonym, and erase what is still held.
    3. An end that the ledger would not close keeps its permit noted: that is held still, and said so.

    Raises:
        Refused: NOT_THE_CUSTODIAN, NOT_ERASED.
        NotNow: this node's ledger is behind, or takes no anchor now.
    """
    wait_for_height(node, ask.height)
    with node.engine.snapshot() as reader:
        relationship = patients.relationship_of(reader, ask.pseudonym)
        if relationship is None or relationship.custodian != sender:
            raise Refused(Refusal.NOT_THE_CUSTODIAN, "expected the custodian to ask for a statement of its own erasure")
        height = tombstone(reader, ask.pseudonym).height  # 1
    if is_held(node, ask.pseudonym):
        destroy_erased(node, [ask.pseudonym])  # 2
    until_s = _held_until_s(node, ask.pseudonym)  # 3
    conclusion = Conclusion.ERASED if _has_erased(node, ask.pseudonym) else Conclusion.NOTHING_HELD
    statement = ErasureStatement(
        format=FORMAT,
        chain=node.chain,
        pseudonym=ask.pseudonym,
        height=height,
        holder=node.organisation,
        at_s=node.clock(),
        conclusion=Conclusion.STILL_HELD if until_s else conclusion,
        until_s=until_s,
    )
    return ErasureAnswer(erasure_statements.sign(statement, node.signing(KeyUse.RECEIPT)))


def tombstone(reader: Reader, pseudonym: Pseudonym) -> Leaf:
    """Return the leaf of a relationship's tombstone. Raises Refused (NOT_ERASED)."""
    if records.is_erased(reader, pseudonym):
        for index in reversed(list(history_positions(reader, pseudonym))):
            encoded = read_leaf(reader, index)
            assert encoded is not None, "leaves are kept as long as the ledger"
            leaf = decode_leaf(encoded)
            if leaf.code == DONE and isinstance(_OUTCOME.decode(leaf.data), RelationshipErased):
                return leaf
    raise Refused(Refusal.NOT_ERASED, "expected a relationship that was erased: there is no tombstone")


def _ask(node: Node, peers: Peers, pseudonym: Pseudonym, holder: OrganisationId) -> SignedStatement:
    with node.engine.snapshot() as reader:
        erased = tombstone(reader, pseudonym)
    ask = ErasureAsk(pseudonym, erased.height)
    came = peers.ask(holder, ask)
    if not isinstance(came, ErasureAnswer):
        raise Refused(Refusal.MESSAGE_UNFIT, "expected a statement of erasure")
    with node.engine.snapshot() as reader:
        _check(node, reader, ask, holder, came.signed, erased_at_s=erased.time_s)
    return came.signed


def _check(
    node: Node, reader: Reader, ask: ErasureAsk, holder: OrganisationId, signed: SignedStatement, *, erased_at_s: int
) -> None:
    """Raise Refused (STATEMENT_UNFIT) unless the holder states this, of this tombstone, after it."""
    said = signed.statement
    if (said.format, said.chain, said.pseudonym, said.height) != (FORMAT, node.chain, ask.pseudonym, ask.height):
        raise Refused(Refusal.STATEMENT_UNFIT, "expected a statement of the erasure asked about, came one of another")
    if said.holder != holder:
        raise Refused(Refusal.STATEMENT_UNFIT, f"expected a statement of {holder}, came one of {said.holder}")
    if not erased_at_s - SKEW_S <= said.at_s <= node.clock() + SKEW_S:
        raise Refused(Refusal.STATEMENT_UNFIT, "expected a statement made after the tombstone and before now")
    if (said.conclusion is Conclusion.STILL_HELD) != (said.until_s > 0):
        raise Refused(Refusal.STATEMENT_UNFIT, "expected a time until which something is held, where it is, only there")
    try:
        erasure_statements.verify(signed, node.key_of(reader, holder, KeyUse.RECEIPT))
    except SignatureInvalid as error:
        raise Refused(Refusal.STATEMENT_UNFIT, f"expected the signature of {holder}: it does not hold") from error


def _has_erased(node: Node, pseudonym: Pseudonym) -> bool:
    columns = schema.erasures.c
    own = (columns.pseudonym == pseudonym) & (columns.holder == node.organisation)
    with node.vault.database.reading() as connection:
        return connection.scalar(select(columns.holder).where(own)) is not None


def _held_until_s(node: Node, pseudonym: Pseudonym) -> int:
    """When to ask again about a permit that could not be closed; 0 when there is none."""
    columns = schema.permits.c
    still_open = (columns.pseudonym == pseudonym) & (columns.closed != schema.CLOSED)
    with node.vault.database.reading() as connection:
        until_s = connection.scalar(select(func.max(columns.until_s)).where(still_open))
    return 0 if until_s is None else max(until_s, node.clock()) + PAUSE_S


def _stated(row: Row) -> ErasureStatement | None:  # type: ignore[type-arg]
    if not row.statement:
        return None
    signed: SignedStatement = _SIGNED.decode(row.statement)
    return signed.statement


def _put_off(node: Node, row: Row) -> None:  # type: ignore[type-arg]
    pause_s = min(PAUSE_S << min(row.tries, 16), PAUSE_S_MAX)
    _update(node, row, tries=row.tries + 1, next_s=node.clock() + pause_s)


def _keep(node: Node, row: Row, signed: SignedStatement) -> None:  # type: ignore[type-arg]
    _update(node, row, tries=0, next_s=signed.statement.until_s or schema.NEVER_S, statement=encode(signed))


def _update(node: Node, row: Row, **values: object) -> None:  # type: ignore[type-arg]
    this = (schema.erasures.c.pseudonym == row.pseudonym) & (schema.erasures.c.holder == row.holder)
    with node.vault.database.writing() as connection:
        connection.execute(update(schema.erasures).where(this).values(values))
