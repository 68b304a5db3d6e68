"""ICS-23 as its specification says, for tests: proofs decoded from bytes, applied, and held against `SmtSpec`."""

import hashlib
from dataclasses import dataclass

from salus.ledger.comet.wire import LENGTH, VARINT, Fields

SHA256 = 1
NO_PREFIX = 0
SIZE_MAX_BYTES = 1 << 20
EMPTY_CHILD = bytes(32)
DEPTH_MAX = 256


class Ics23Invalid(Exception):
    """The proof breaks a rule of the specification."""


@dataclass(frozen=True)
class LeafOp:
    hash: int
    prehash_key: int
    prehash_value: int
    length: int
    prefix: bytes


@dataclass(frozen=True)
class InnerOp:
    hash: int
    prefix: bytes
    suffix: bytes


@dataclass(frozen=True)
class Existence:
    key: bytes
    value: bytes
    leaf: LeafOp
    path: tuple[InnerOp, ...]


SMT_LEAF = LeafOp(SHA256, SHA256, SHA256, NO_PREFIX, b"\x00")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def apply_leaf(operation: LeafOp, key: bytes, value: bytes) -> bytes:
    """LeafOp.Apply for the operations that SmtSpec allows."""
    if (operation.hash, operation.length) != (SHA256, NO_PREFIX):
        raise NotImplementedError
    if not key or not value:
        raise Ics23Invalid("leaf operation needs key and value")
    hashed_key = sha256(key) if operation.prehash_key == SHA256 else key
    hashed_value = sha256(value) if operation.prehash_value == SHA256 else value
    return sha256(operation.prefix + hashed_key + hashed_value)


def calculate(proof: Existence) -> bytes:
    """ExistenceProof.Calculate: the root that the proof leads to."""
    result = apply_leaf(proof.leaf, proof.key, proof.value)
    for step in proof.path:
        if step.hash != SHA256:
            raise NotImplementedError
        result = sha256(step.prefix + result + step.suffix)
    return result


def check_smt_spec(proof: Existence) -> None:
    """ExistenceProof.CheckAgainstSpec with SmtSpec."""
    if proof.leaf != SMT_LEAF:
        raise Ics23Invalid("leaf operation")
    if len(proof.path) > DEPTH_MAX:
        raise Ics23Invalid("depth")
    for step in proof.path:
        sizes = (len(step.prefix), len(step.suffix))
        if step.hash != SHA256 or step.prefix[:1] == b"\x00" or sizes not in ((1, 32), (33, 0)):
            raise Ics23Invalid("inner operation")


def verify_membership(proof: Existence, root: bytes, key: bytes, value: bytes) -> None:
    check_smt_spec(proof)
    if (proof.key, proof.value, calculate(proof)) != (key, value, root):
        raise Ics23Invalid("another key, value or root")


def verify_non_membership(neighbours: tuple[Existence | None, Existence | None], root: bytes, key: bytes) -> None:
    """NonExistenceProof.Verify for proofs with one neighbour: the outermost leaf on that side."""
    left, right = neighbours
    for side in (left, right):
        if side is not None:
            verify_membership(side, root, side.key, side.value)
    if left is None and right is not None:
        outermost = all(is_left(step) or step.prefix[1:] == EMPTY_CHILD for step in right.path)
        beyond = sha256(key) < sha256(right.key)
    elif right is None and left is not None:
        outermost = all(not is_left(step) or step.suffix == EMPTY_CHILD for step in left.path)
        beyond = sha256(key) > sha256(left.key)
    else:
        raise NotImplementedError
    if not outermost or not beyond:
        raise Ics23Invalid("not the outermost leaf, or the key is not beyond it")


def is_left(step: InnerOp) -> bool:
    return len(step.suffix) == 32


def read_existence(data: bytes) -> Existence:
    fields = Fields(data, dict.fromkeys((1, 2, 3, 4), LENGTH))
    path = fields.blobs(4, size_max_bytes=SIZE_MAX_BYTES, count_max=DEPTH_MAX)
    return Existence(
        key=fields.blob(1, size_max_bytes=SIZE_MAX_BYTES),
        value=fields.blob(2, size_max_bytes=SIZE_MAX_BYTES),
        leaf=_read_leaf(fields.blob(3, size_max_bytes=SIZE_MAX_BYTES)),
        path=tuple(_read_inner(step) for step in path),
    )


def read_commitment(data: bytes) -> Existence | tuple[Existence | None, Existence | None]:
    """A CommitmentProof: an existence proof, or the two neighbours of a non-existence proof."""
    fields = Fields(data, {1: LENGTH, 2: LENGTH})
    existence = fields.blob(1, size_max_bytes=SIZE_MAX_BYTES)
    if existence:
        return read_existence(existence)
    absence = Fields(fields.blob(2, size_max_bytes=SIZE_MAX_BYTES), dict.fromkeys((1, 2, 3), LENGTH))
    left, right = (absence.blob(number, size_max_bytes=SIZE_MAX_BYTES) for number in (2, 3))
    return read_existence(left) if left else None, read_existence(right) if right else None


def _read_leaf(data: bytes) -> LeafOp:
    fields = Fields(data, {1: VARINT, 2: VARINT, 3: VARINT, 4: VARINT, 5: LENGTH})
    prefix = fields.blob(5, size_max_bytes=SIZE_MAX_BYTES)
    return LeafOp(*(fields.integer(number) for number in (1, 2, 3, 4)), prefix=prefix)


def _read_inner(data: bytes) -> InnerOp:
    fields = Fields(data, {1: VARINT, 2: LENGTH, 3: LENGTH})
    return InnerOp(
        hash=fields.integer(1),
        prefix=fields.blob(2, size_max_bytes=SIZE_MAX_BYTES),
        suffix=fields.blob(3, size_max_bytes=SIZE_MAX_BYTES),
    )
