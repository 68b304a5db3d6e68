"""Own proofs: what a member without a ledger process gets of the ledger, and nothing else (DESIGN §5).

Promises: an outcome is told only to a member that signed its transaction or that a message or the outcome names; of
all others, and of what never was, the answer is the same. Knows nothing of HTTP; who asks was proved before.
"""

from typing import Final

import msgspec

from salus.contracts import membership, payer
from salus.contracts.membership import LedgerAccess
from salus.engines.base import Unavailable
from salus.engines.headers import newest_header, read_header, read_transaction
from salus.engines.proving import prove_signed
from salus.ledger.bundles import FORMAT, OutcomeBundle, encode_bundle
from salus.ledger.comet.commit import encode_signed_header
from salus.ledger.identifiers import Digest, OrganisationId
from salus.ledger.machine import read_meta, stored_result
from salus.ledger.outcomes import TransactionResult, decode_leaf
from salus.ledger.proofs import LightBlock, prove_outcome
from salus.ledger.state import Reader
from salus.ledger.transactions import NotATransaction, Transaction
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused

NOT_YOURS: Final = "expected the hash of a transaction that you signed or that names you: nothing of that name is yours"
"""One answer for what is another's and for what never was: neither says that it is there."""


def require_validator(node: Node) -> None:
    """Raise Refused (NOT_A_VALIDATOR) unless this node's member validates: others have nothing to give out."""
    with node.engine.snapshot() as reader:
        row = membership.ORGANISATIONS.get(reader, node.organisation)
    if row is None or row.access is not LedgerAccess.VALIDATOR:
        raise Refused(Refusal.NOT_A_VALIDATOR, f"{node.organisation} is no validator: ask one that is")


def submit(node: Node, member: OrganisationId, raw: bytes) -> TransactionResult:
    """Submit a member's transaction, and return its outcome once it is durable.

    Raises:
        Refused: NOT_YOURS for what is no transaction, or not paid for by this member: its key must be among the
            signers, and a message must name it.
        NotNow, Busy: the ledger is away, or has too much to do: send the same bytes again.
    """
    transaction = _decoded(node, raw)
    with node.engine.snapshot() as reader:
        is_theirs = transaction is not None and payer(reader, transaction) == member
    if not is_theirs:
        raise Refused(Refusal.NOT_YOURS, "expected one transaction that a message of yours pays for: sign it as yours")
    return node.ask_ledger(raw)


def outcome(node: Node, member: OrganisationId, name: Digest) -> TransactionResult:
    """Return the stored outcome of a transaction by its hash. Raises Refused (NOT_YOURS) or NotNow."""
    try:
        with node.engine.snapshot() as reader:
            return _own_result(node, reader, member, name)
    except Unavailable as error:
        raise NotNow(f"the ledger does not answer ({error}): try later") from error


def proofs(node: Node, member: OrganisationId, name: Digest) -> tuple[OutcomeBundle, ...]:
    """Return each outcome of a transaction with its proof, all under one signed header.

    1. It is the member's. 2. A signed header carries a state that has it. 3. Its leaves are proved under that.

    Raises:
        Refused: NOT_YOURS.
        NotNow: no header came in time.
    """
    result = outcome(node, member, name)  # 1
    return _proved(node, range(result.first_leaf, result.first_leaf + len(result.leaves)))  # 2, 3


def proof_of_leaf(node: Node, index: int) -> bytes:
    """Return a file with one outcome and its proof, by its place in the log; asks nobody whose it is. Raises NotNow."""
    (bundle,) = _proved(node, range(index, index + 1))
    return encode_bundle(bundle)


def _proved(node: Node, indexes: range) -> tuple[OutcomeBundle, ...]:
    try:
        signed = prove_signed(node.engine, ()).signed
        with node.engine.snapshot() as reader:
            return tuple(OutcomeBundle(FORMAT, signed, prove_outcome(reader, each, signed.state)) for each in indexes)
    except Unavailable as error:
        raise NotNow(f"the ledger gives no proof now ({error}): try later") from error


def header(node: Node, height: int) -> LightBlock:
    """Return a signed header with its validators; the newest for height 0. Raises Refused (NOT_YOURS) or NotNow."""
    try:
        with node.engine.snapshot() as reader:
            meta = read_meta(reader)
            assert meta is not None, "a ledger that answers has begun"
            sealed = read_header(reader, height) if height else newest_header(reader, meta.height)
    except Unavailable as error:
        raise NotNow(f"the ledger does not answer ({error}): try later") from error
    if sealed is None:
        raise Refused(Refusal.NOT_YOURS, f"expected a height whose header is here, came {height}: ask for the newest")
    return LightBlock(encode_signed_header(sealed.signed), sealed.validators)


def _own_result(node: Node, reader: Reader, member: OrganisationId, name: Digest) -> TransactionResult:
    result = stored_result(reader, name)
    if result is None or not result.leaves or not _is_theirs(node, reader, member, result):
        raise Refused(Refusal.NOT_YOURS, NOT_YOURS)
    return result


def _is_theirs(node: Node, reader: Reader, member: OrganisationId, result: TransactionResult) -> bool:
    leaves = [decode_leaf(each) for each in result.leaves]
    if any(_names(leaf.data, member) for leaf in leaves):
        return True
    # Without the block's body, which is kept for 90 days, only what the outcomes themselves name is left.
    transaction = _decoded(node, read_transaction(reader, leaves[0].height, leaves[0].transaction))
    if transaction is None:
        return False
    named = any(_names(bytes(each), member) for each in transaction.body.messages)
    return named or payer(reader, transaction) == member


def _names(encoded: bytes, member: OrganisationId) -> bool:
    """Tell whether a member's id stands anywhere in canonical MessagePack."""
    left = [msgspec.msgpack.decode(encoded)]
    while left:
        value = left.pop()
        if value == member:
            return True
        if isinstance(value, list):
            left.extend(value)
    return False


def _decoded(node: Node, raw: bytes) -> Transaction | None:
    try:
        return node.decode(raw)
    except NotATransaction:
        return None
