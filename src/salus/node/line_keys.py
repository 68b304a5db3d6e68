"""Keys of journal lines: one for each relationship, sealed in the vault, so that an erasure ends its lines too (P5).

A line says in clear which key it is under and nothing else; that name is random, and leads to a pseudonym only as long
as the relationship is held. The key is kept twice: by its pseudonym, for who writes, and by its name, for who reads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from salus.crypto.hashing import tag_prefix, tagged
from salus.crypto.sealing import decrypt, encrypt, new_key
from salus.node import documents
from salus.node.documents import Document, Kind
from salus.vault.errors import Damaged, RecordExists, Unavailable
from salus.vault.vault import Vault

NAME_SIZE_BYTES: Final = 16
_NAME_TAG: Final = "salus/journal/line-key/1"
_LINE: Final = tag_prefix("salus/journal/line/1")


@dataclass(frozen=True)
class LineKey:
    """The key of one relationship's lines at one node."""

    secret: bytes = field(repr=False)

    @cached_property
    def name(self) -> bytes:
        """What its lines call it, 16 bytes."""
        return tagged(_NAME_TAG, self.secret)[:NAME_SIZE_BYTES]

    def seal(self, line: bytes) -> bytes:
        """Seal an encoded line."""
        return encrypt(self.secret, line, _LINE + self.name)

    def open(self, sealed: bytes) -> bytes:
        """Open a line. Raises SealBroken."""
        return decrypt(self.secret, sealed, _LINE + self.name)


class LineKeys:
    """The line keys in a vault; every method may raise the vault's `Unavailable`."""

    def __init__(self, vault: Vault, chain: str) -> None:
        self._vault = vault
        self._chain = chain

    def of(self, pseudonyms: Iterable[bytes]) -> dict[bytes, LineKey]:
        """Return the keys of these relationships, in one look; none for one that has none yet, or was erased."""
        return self._kept(sorted(set(pseudonyms)))

    def named(self, names: Iterable[bytes]) -> dict[bytes, LineKey]:
        """Return the keys with these names, in one look; none for one that was destroyed."""
        return self._kept(sorted(set(names)))

    def make(self, pseudonym: bytes) -> LineKey:
        """Return a relationship's key, made durably where there is none yet; two workers get the same one."""
        fresh = LineKey(new_key())
        kept = [Document(Kind.LINE_KEY, name, fresh.secret) for name in (pseudonym, fresh.name)]
        try:
            documents.keep_many(self._vault, self._chain, pseudonym, kept)
        except (RecordExists, Unavailable):  # another worker's is there, since a moment or for long; else it is not now
            made = self._kept([pseudonym]).get(pseudonym)
            if made is None:
                raise
            return made
        return fresh

    def _kept(self, names: Sequence[bytes]) -> dict[bytes, LineKey]:
        if not names:
            return {}
        try:
            found = documents.find_many(self._vault, [(Kind.LINE_KEY, name) for name in names])
        except Damaged:
            if len(names) == 1:
                return {}  # said by fsck; it costs no other relationship its lines
            return {name: key for each in names for name, key in self._kept([each]).items()}
        return {name: LineKey(secret) for name, secret in zip(names, found, strict=True) if secret is not None}
