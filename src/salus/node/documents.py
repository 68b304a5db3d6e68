"""What a node keeps about a relationship beside its records: residuals, receipts' fields, secrets; sealed in the vault.

Each is a sealed object under the relationship's key, so that erasing the relationship erases them too (P2, P5), under
an id computed from its kind and name: nobody has to remember where it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import msgspec

from salus.crypto.hashing import tagged
from salus.ledger.encoding import decoder, encode
from salus.vault.deposits import Deposit
from salus.vault.vault import Record, Vault

DOCUMENT_TAG: Final = "salus/document/1"
DIRECTORY_TAG: Final = "salus/directory/1"
INTERFACES_TAG: Final = "salus/interfaces/1"


class Kind(IntEnum):
    """What a sealed object is. 1 is a patient's record, 12 a resource about no patient; others are the node's own."""

    RECORD = 1
    CHOICE = 2
    REQUEST = 3
    PART = 4
    SECRET = 5
    PSEUDONYM_KEY = 6
    RECEIVED = 7
    MATCH = 8
    REASON = 9
    TICKET = 10
    LINE_KEY = 11
    DIRECTORY = 12
    INTERFACE_SECRET = 13
    VOUCHER = 14
    DELEGATE = 15


def directory_relationship(chain: str) -> bytes:
    """Return what stands where a relationship would for resources about no patient; the ledger knows nothing of it."""
    return tagged(DIRECTORY_TAG, chain.encode())[:16]


def interfaces_relationship(chain: str) -> bytes:
    """Return what stands where a relationship would for what a node keeps about its own interfaces."""
    return tagged(INTERFACES_TAG, chain.encode())[:16]


class Associated(msgspec.Struct, frozen=True, array_like=True):
    """What a sealed object is bound to (DESIGN §6): chain, kind, record, version."""

    chain: str
    kind: Kind
    record: bytes
    version: int


_ASSOCIATED = decoder(Associated)


def associated(chain: str, kind: Kind, record: bytes, version: int) -> bytes:
    """Return the associated data of a sealed object."""
    return encode(Associated(chain, kind, record, version))


def kind_of(record: Record) -> Kind:
    """Return what a stored object is."""
    found: Associated = _ASSOCIATED.decode(record.associated)
    return found.kind


def document_id(kind: Kind, name: bytes) -> bytes:
    """Return the id under which a document is kept."""
    return tagged(DOCUMENT_TAG, bytes([kind]), name)[:16]


@dataclass(frozen=True)
class Document:
    """A document to be kept: what it is, its name among those of its kind, its content."""

    kind: Kind
    name: bytes
    content: bytes = field(repr=False)


def keep(vault: Vault, chain: str, relationship: bytes, kind: Kind, name: bytes, content: bytes) -> None:
    """Seal one document; see `keep_many`."""
    keep_many(vault, chain, relationship, [Document(kind, name, content)])


def keep_many(vault: Vault, chain: str, relationship: bytes, kept: Sequence[Document]) -> list[Document]:
    """Seal documents durably, all or none; the same content again changes nothing.

    Raises:
        RecordExists: another content is kept under one of the names.

    Returns:
        Those that were not kept before.
    """
    deposits = [_deposit(chain, relationship, each) for each in kept]
    return [each for each, stored in zip(kept, vault.deposit_many(deposits), strict=True) if stored.is_new]


def let_go(vault: Vault, kept: Sequence[Document]) -> None:
    """Keep documents no longer that came to nothing."""
    vault.discard([(document_id(each.kind, each.name), 1) for each in kept])


def _deposit(chain: str, relationship: bytes, document: Document) -> Deposit:
    record = document_id(document.kind, document.name)
    return Deposit(
        relationship=relationship,
        record_id=record,
        version=1,
        associated=associated(chain, document.kind, record, 1),
        metadata=document.name,
        content=document.content,
        is_registered=True,
    )


def find(vault: Vault, kind: Kind, name: bytes) -> bytes | None:
    """Return a document's content; None when it is not kept here."""
    return find_many(vault, [(kind, name)])[0]


def find_many(vault: Vault, wanted: Sequence[tuple[Kind, bytes]]) -> list[bytes | None]:
    """Return the contents of documents by kind and name, in one look; None for each that is not kept here."""
    keys = [(document_id(kind, name), 1) for kind, name in wanted]
    found = vault.open_small(keys)
    return [found.get(key) for key in keys]
