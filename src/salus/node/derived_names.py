"""Ids of what is derived from the ledger: stable, the same in every worker, and opaque to everybody else.

Such an id stands for a pseudonym and something under it, sealed (`crypto.names`): an address that this node makes shows
neither (P4), and an id that it did not make leads nowhere. Nothing is kept of them.
"""

import hmac
from typing import Final

from salus.crypto.names import NameKey
from salus.crypto.seal_format import SealBroken
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node

PSEUDONYM_BYTES: Final = 16
LOCAL_BYTES: Final = 16
_USE: Final = "salus/derived-name/1"


def name_of(node: Node, kind: str, pseudonym: Pseudonym, local: bytes) -> str:
    """Return the id of something under a pseudonym, of 64 characters.

    Args:
        kind: the FHIR type.
        local: 16 bytes that are one thing's of this kind under this pseudonym.
    """
    assert len(pseudonym) == PSEUDONYM_BYTES
    assert len(local) == LOCAL_BYTES
    return _key(node).seal_name(pseudonym + local, kind=kind)


def find(node: Node, kind: str, name: str) -> tuple[Pseudonym, bytes] | None:
    """Return what an id stands for; None for one that was not made here for this kind."""
    try:
        content = _key(node).open_name(name, kind=kind)
    except SealBroken:
        return None
    return Pseudonym(content[:PSEUDONYM_BYTES]), content[PSEUDONYM_BYTES:]


def _key(node: Node) -> NameKey:
    return NameKey(hmac.digest(node.keys.lookup, _USE.encode(), "sha256"), _USE)
