"""Permits between `salus request` and `salus release`: what only the requester holds, for as long as the permit runs.

The reader key is in it, so the file is its owner's alone, and permits that have ended are removed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from salus.cli.failures import BAD_INPUT, Failure
from salus.contracts.access import Permit
from salus.crypto.hpke import HpkeKey
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import PermitIdField
from salus.node.services.request import Granted

FORMAT = 1
FOLDER = "permits"
SUFFIX = ".permit"
NAME_DIGITS = 16


class PermitFile(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A permit with its residual and its reader key."""

    format: int
    permit: PermitIdField
    terms: Permit
    height: int
    residual: CommittedFields
    reader_key: bytes


_FILE = decoder(PermitFile)


def keep_permit(node: Path, granted: Granted) -> Path:
    """Keep a permit in a node's folder; return where."""
    place = node / FOLDER
    place.mkdir(exist_ok=True, mode=0o700)
    path = place / f"{granted.permit.hex()[:NAME_DIGITS]}{SUFFIX}"
    kept = PermitFile(
        FORMAT, granted.permit, granted.terms, granted.height, granted.residual, granted.reader_key.private
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(encode(kept))
    return path


def remove_ended(node: Path, *, now_s: int) -> int:
    """Remove the permits that have ended; return how many."""
    ended = [path for path, kept in _all(node) if kept.terms.until_s <= now_s]
    for path in ended:
        path.unlink()
    return len(ended)


def find_permit(node: Path, beginning: str) -> Granted:
    """Return the kept permit whose id begins so. Raises Failure unless there is exactly one."""
    found = [kept for path, kept in _all(node) if kept.permit.hex().startswith(beginning.lower())]
    if len(found) != 1:
        hint = "salus request asks for one; a permit runs 15 minutes"
        raise Failure(BAD_INPUT, f"expected one permit that begins so, {len(found)} are kept here", hint)
    kept = found[0]
    return Granted(kept.permit, kept.terms, kept.height, kept.residual, HpkeKey.from_private(kept.reader_key))


def _all(node: Path) -> Iterator[tuple[Path, PermitFile]]:
    for path in sorted((node / FOLDER).glob(f"*{SUFFIX}")):
        try:
            yield path, _FILE.decode(path.read_bytes())
        except EncodingInvalid:
            path.unlink()  # of another release, or cut short: it can be used no more
