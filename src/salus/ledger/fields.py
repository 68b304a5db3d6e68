"""Committed lists of fields: one secret gives every field its own salt, so that each opens alone (P2).

A metadata list, a residual and a receipt are all such lists. The secret stays with those who may open everything, and
is destroyed on erasure; an opened field carries its own salt and nothing that helps with another.
"""

from collections.abc import Sequence

import msgspec

from salus.crypto.commitments import FieldOpening, FieldTree
from salus.crypto.derive import expand, extract
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest

SALT_INFO = b"salus/field-salt/1"
FIELDS_MAX = 65_536


class OpenedField(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One field of a committed list: the value's bytes, its salt, its place and the path to the root."""

    value: bytes
    salt: bytes
    index: int
    size: int
    path: tuple[bytes, ...]

    def __repr__(self) -> str:
        """Hide value and salt (P4)."""
        return f"OpenedField({self.index} of {self.size})"

    def verify(self, root: bytes) -> None:
        """Check that this value is at its place under the root. Raises ProofInvalid."""
        FieldOpening(self.salt, self.value, self.index, self.size, self.path).verify(root)


class CommittedFields(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A whole list, as those keep it who may open all of it.

    Args:
        secret: 32 random bytes, of this list alone.
        values: the fields' canonical bytes, in an order that the list's format fixes.
    """

    secret: bytes
    values: tuple[bytes, ...]

    def __repr__(self) -> str:
        """Hide the secret and every value (P4)."""
        return f"CommittedFields({len(self.values)} fields)"

    def root(self) -> Digest:
        """Return the commitment that may stand on the ledger."""
        return Digest(self._tree().root())

    def open(self, index: int) -> OpenedField:
        """Show one field and nothing of the others."""
        return self.open_many((index,))[0]

    def open_many(self, indexes: Sequence[int]) -> tuple[OpenedField, ...]:
        """Show several fields, hashing the list once."""
        return tuple(
            OpenedField(each.field, each.salt, each.index, each.size, tuple(each.path))
            for each in self._tree().open_many(indexes)
        )

    def _tree(self) -> FieldTree:
        return FieldTree(field_salts(self.secret, len(self.values)), self.values)


def commit_fields(values: Sequence[object], *, secret: bytes) -> CommittedFields:
    """Return a committed list of values that are encoded one by one."""
    return CommittedFields(secret=secret, values=tuple(encode(value) for value in values))


def field_salts(secret: bytes, count: int) -> tuple[bytes, ...]:
    """Return the 32-byte salts of a list's fields: HKDF-SHA-256 of the secret, with the field's index in `info`."""
    extracted = extract(secret, salt=b"")
    return tuple(expand(extracted, info=SALT_INFO + index.to_bytes(4, "big"), length=32) for index in range(count))
