"""A proof of presence in the form of ICS-23, for verifiers that other people wrote (spec `SmtSpec`).

Absence stays in our own form: ICS-23's needs the neighbours' keys and values, which are nobody's business.
"""

from salus.crypto.hashing import LEAF_PREFIX, NODE_PREFIX, sha256
from salus.ledger.comet import wire
from salus.ledger.tree_proof import DEPTH_MAX, TreeProof, siblings_upwards

_SHA256 = 1  # HashOp.SHA256; the length operation NO_PREFIX is zero and left out


def existence_proof(proof: TreeProof, *, key: bytes, value: bytes) -> bytes:
    """Encode as ICS-23's `ExistenceProof` message: key, value, leaf operation, then inner operations upwards.

    Raises:
        ProofInvalid: the proof is not in its one form.
    """
    bits = int.from_bytes(sha256(key), "big")
    leaf = wire.integer(1, _SHA256) + wire.integer(2, _SHA256) + wire.integer(3, _SHA256) + wire.blob(5, LEAF_PREFIX)
    inner = b"".join(
        wire.message(4, _inner(sibling, right=bool(bits >> DEPTH_MAX - depth & 1)))
        for depth, sibling in siblings_upwards(proof)
    )
    return wire.blob(1, key) + wire.blob(2, value) + wire.message(3, leaf) + inner


def _inner(sibling: bytes, *, right: bool) -> bytes:
    # `right`: the node that is proved is the right child, so the sibling stands in front of it.
    if right:
        return wire.integer(1, _SHA256) + wire.blob(2, NODE_PREFIX + sibling)
    return wire.integer(1, _SHA256) + wire.blob(2, NODE_PREFIX) + wire.blob(3, sibling)
