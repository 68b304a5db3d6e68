"""Deliveries: what a patient signed elsewhere and brings here, checked before anything of it is kept or submitted.

A device needs no account to deliver what it signed; so nobody else's may fill the vault, and nothing stays there to
which the ledger says no.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from salus.contracts import patients, residuals
from salus.contracts.gathering import read_trail
from salus.contracts.patients import Relationship
from salus.contracts.provisions import Provision, ProvisionInvalid
from salus.contracts.residuals import ResidualInvalid
from salus.ledger import transactions
from salus.ledger.encoding import EncodingInvalid, encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.state import Reader
from salus.ledger.transactions import NotATransaction
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Document, Kind
from salus.node.errors import Busy, Refusal, Refused
from salus.node.members import read_time_s
from salus.vault.errors import RecordExists

SECRET_BYTES: Final = 32
"""Of what opens a commitment: whoever delivers it keeps no more with a custodian than its values."""


def signers_of(node: Node, raw: bytes) -> tuple[PublicKey, ...]:
    """Return the keys that signed a transaction, after checking each signature. Raises Refused (CHOICE_UNFIT)."""
    try:
        transaction = node.decode(raw)
        transactions.verify(transaction)
    except NotATransaction as error:
        raise Refused(Refusal.CHOICE_UNFIT, str(error)) from error
    return transaction.body.signers


def require_acting(node: Node, raw: bytes, pseudonym: Pseudonym) -> None:
    """Raise Refused (CHOICE_UNFIT) unless a key that acts for a patient here signed a transaction."""
    signers = signers_of(node, raw)
    with node.engine.snapshot() as reader:
        relationship = relationship_here(node, reader, pseudonym)
        keys = patients.acting_keys(relationship, time_s=read_time_s(reader, node.clock))
    if not any(key in signers for key in keys):
        raise Refused(Refusal.CHOICE_UNFIT, "expected the signature of a key that acts for the patient")


def relationship_here(node: Node, reader: Reader, pseudonym: Pseudonym) -> Relationship:
    """Return the relationship of a pseudonym whose records are kept here. Raises Refused (CHOICE_UNFIT)."""
    relationship = patients.relationship_of(reader, pseudonym)
    if relationship is None or relationship.custodian != node.organisation:
        raise Refused(Refusal.CHOICE_UNFIT, "expected a delivery about records that are kept here")
    return relationship


def rules_behind(commitment: Digest, residual: CommittedFields) -> Provision:
    """Return the rules that a residual holds, which open a commitment. Raises Refused (CHOICE_UNFIT)."""
    require_opens(commitment, residual)
    try:
        return residuals.choice_tree(residual)
    except (EncodingInvalid, ProvisionInvalid, ResidualInvalid) as error:
        raise Refused(Refusal.CHOICE_UNFIT, f"the rules are not well formed: {error}") from error


def require_reason_behind(commitment: Digest, residual: CommittedFields) -> None:
    """Raise Refused (CHOICE_UNFIT) unless a residual holds a reason in words, which opens a commitment."""
    require_opens(commitment, residual)
    try:
        residuals.reason_words(residual)
    except (EncodingInvalid, ResidualInvalid) as error:
        raise Refused(Refusal.CHOICE_UNFIT, f"the reason is not well formed: {error}") from error


def keep(node: Node, pseudonym: Pseudonym, kind: Kind, commitment: Digest, residual: CommittedFields) -> None:
    """Keep what opens a commitment, durably; the same once more changes nothing.

    Raises:
        Refused: CHOICE_UNFIT: another relationship has this commitment, so its secret is not one of its own.
    """
    try:
        documents.keep(node.vault, node.chain, pseudonym, kind, commitment, encode(residual))
    except RecordExists as error:
        raise _used_before() from error


@contextmanager
def kept_before(
    node: Node, pseudonym: Pseudonym, kind: Kind, commitment: Digest, residual: CommittedFields, *more: Document
) -> Iterator[None]:
    """Keep what opens a commitment, and more of its name, durably before the block asks the ledger for it.

    What the ledger refuses, or is too busy to look at, is not kept: else who may act could fill the vault with it. What
    was kept before stays, what the history has, as after a restore, and what nobody knows of whether it will.

    Raises:
        Refused: as `keep`, and what the block raises.
    """
    kept = (Document(kind, commitment, encode(residual)), *more)
    try:
        new = documents.keep_many(node.vault, node.chain, pseudonym, kept)
    except RecordExists as error:
        raise _used_before() from error
    try:
        yield
    except (Refused, Busy):
        _let_go(node, pseudonym, commitment, new)
        raise
    if len(new) < len(kept):  # whoever brought the same at this moment may have been refused, and have let go of it
        documents.keep_many(node.vault, node.chain, pseudonym, kept)


def require_opens(commitment: Digest, residual: CommittedFields) -> None:
    """Raise Refused (CHOICE_UNFIT) unless a residual opens a commitment, with a secret of the size that one has."""
    if len(residual.secret) != SECRET_BYTES or residual.root() != commitment:
        raise Refused(Refusal.CHOICE_UNFIT, "expected what opens the commitment: send the rules or reason you signed")


def _used_before() -> Refused:
    return Refused(Refusal.CHOICE_UNFIT, "expected a secret of its own: sign anew with another one")


def _let_go(node: Node, pseudonym: Pseudonym, commitment: Digest, new: Sequence[Document]) -> None:
    """Keep documents no longer, unless the ledger has what they open: from others, it may be, at this very moment."""
    if new and not _is_committed(node, pseudonym, commitment):
        documents.let_go(node.vault, new)
        if _is_committed(node, pseudonym, commitment):
            documents.keep_many(node.vault, node.chain, pseudonym, new)


def _is_committed(node: Node, pseudonym: Pseudonym, commitment: Digest) -> bool:
    """Whether the history of a relationship has a commitment."""
    with node.engine.snapshot() as reader:
        return any(getattr(each.outcome, "commitment", b"") == commitment for each in read_trail(reader, pseudonym))
