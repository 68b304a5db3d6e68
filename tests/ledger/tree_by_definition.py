"""The sparse tree word for word as `docs/spec/tree.md` defines it, to compare the fast one with."""

import hashlib
from collections.abc import Mapping

EMPTY = bytes(32)


class MemoryRows(dict[bytes, bytes]):
    """A sub-table in memory: `take` stores what an update returned."""

    def take(self, changes: Mapping[bytes, bytes | None]) -> None:
        for key, row in changes.items():
            if row is None:
                self.pop(key, None)
            else:
                self[key] = row


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root_by_definition(table: Mapping[bytes, bytes]) -> bytes:
    """Return the root over key → value."""
    return _subtree(sorted((bits_of(sha256(key)), sha256(key) + sha256(value)) for key, value in table.items()), 0)


def bits_of(path: bytes) -> str:
    return f"{int.from_bytes(path, 'big'):0256b}"


def _subtree(leaves: list[tuple[str, bytes]], depth: int) -> bytes:
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0][1])
    left = [leaf for leaf in leaves if leaf[0][depth] == "0"]
    right = [leaf for leaf in leaves if leaf[0][depth] == "1"]
    return sha256(b"\x01" + _subtree(left, depth + 1) + _subtree(right, depth + 1))
