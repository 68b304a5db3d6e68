"""Sealed rows: what a node keeps in SQL about its own interfaces and people's ways into them.

Promises: a row's name is a keyed hash and its value is sealed, both under one secret that lies in the vault under a
relationship of no patient; a value opens only in the table and under the name that it was sealed for (P3, P4). So a
copy of the database, or a data backup, names nobody and opens nothing.
"""

import hmac
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from typing import Final, TypeVar

import msgspec

from salus.crypto.hashing import tag_prefix
from salus.crypto.sealing import decrypt, encrypt, new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.node import documents
from salus.node.documents import Kind
from salus.vault.errors import RecordExists
from salus.vault.vault import Vault

_NAME: Final = tag_prefix("salus/interfaces/name/1")
_VALUE: Final = tag_prefix("salus/interfaces/value/1")
_KEY: Final = tag_prefix("salus/interfaces/key/1")
_BRANCH: Final = tag_prefix("salus/interfaces/branch/1")

V = TypeVar("V", bound=msgspec.Struct)


@cache
def row_decoder(kind: type[V]) -> msgspec.msgpack.Decoder[V]:
    """Return what decodes rows of a type.

    It asks for no more than the type: nobody but this node can have sealed a row, and what people typed and clients
    sent stands in it as it came, which need not be Unicode's NFC as on the ledger.
    """
    return msgspec.msgpack.Decoder(kind)


class SealedRows:
    """The secret of a node's interfaces, and what is done with it; used by any number of threads."""

    def __init__(self, vault: Vault, chain: str, *, branch: str = "") -> None:
        self._vault = vault
        self._chain = chain
        self._branch = branch

    def branch(self, name: str) -> "SealedRows":
        """Return rows under a key of their own, for what must not open together with the rest."""
        return SealedRows(self._vault, self._chain, branch=name)

    def lookup(self, table: str, *parts: bytes | str) -> bytes:
        """Return the keyed hash under which a table has something."""
        return hmac.digest(self._secret, _NAME + encode((table, *parts)), "sha256")

    def signing_key(self, number: int) -> SigningKey:
        """Return the signing key of a number, the same in every worker of this node."""
        return SigningKey.from_seed(hmac.digest(self._secret, _KEY + encode(number), "sha256"))

    def seal(self, table: str, name: bytes, value: msgspec.Struct) -> bytes:
        """Seal a row's value for one table and one name."""
        return encrypt(self._secret, encode(value), _VALUE + encode((table, name)))

    def open(self, table: str, name: bytes, sealed: bytes, decode: Callable[[bytes], V]) -> V:
        """Return a row's value. Raises SealBroken for one that was changed or moved."""
        return decode(decrypt(self._secret, sealed, _VALUE + encode((table, name))))

    @cached_property
    def _secret(self) -> bytes:
        """Return the secret of this branch."""
        return hmac.digest(self._root(), _BRANCH + encode(self._branch), "sha256") if self._branch else self._root()

    def _root(self) -> bytes:
        """Return the secret, made durably where there is none yet; two workers get the same one."""
        of_nobody = documents.interfaces_relationship(self._chain)
        kept = documents.find(self._vault, Kind.INTERFACE_SECRET, of_nobody)
        if kept is None:
            with suppress(RecordExists):  # another worker was faster
                documents.keep(self._vault, self._chain, of_nobody, Kind.INTERFACE_SECRET, of_nobody, new_key())
            kept = documents.find(self._vault, Kind.INTERFACE_SECRET, of_nobody)
        assert kept is not None, "what was kept is there"
        return kept
