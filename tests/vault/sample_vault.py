"""A vault to try things on: fake clock, seeded content, and the questions that tests ask of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from salus.vault.database import Database
from salus.vault.deposits import Deposit, Streamed
from salus.vault.drivers.folder import Folder
from salus.vault.drivers.object_driver import ObjectDriver
from salus.vault.errors import Rejected
from salus.vault.root_files import RootFiles
from salus.vault.vault import Vault

START_S = 1_790_000_000
SMALL, MEDIUM, LARGE = 2_000, 200_000, 3_500_000
SIZES = {"small": SMALL, "medium": MEDIUM, "large": LARGE}


class FakeClock:
    """Unix seconds that move when told."""

    def __init__(self, now_s: int = START_S) -> None:
        self.now_s = now_s

    def __call__(self) -> int:
        return self.now_s


class SampleVault:
    """A vault with its parts at hand."""

    def __init__(self, database: Database, folder: Path, objects: ObjectDriver | None = None, **settings: Any) -> None:
        self.database = database
        self.folder = folder
        self.clock = FakeClock()
        self.objects = objects or Folder(folder / "objects")
        self.settings = settings
        self.vault = self.reopen()

    @property
    def roots(self) -> RootFiles:
        """The key files; a new object, as another worker would have."""
        return RootFiles(self.folder / "keys-one" / "root", self.folder / "keys-two" / "root")

    def reopen(self) -> Vault:
        """The vault as a newly started worker opens it."""
        self.vault = Vault(self.database, self.objects, self.roots, clock=self.clock, **self.settings)
        return self.vault

    def fill(self, *, relationships: int = 3, sizes: tuple[int, ...] = (SMALL, MEDIUM, LARGE)) -> list[Deposit]:
        """Deposit one record of each size for each relationship; returns the deposits."""
        deposits = [deposit(f"r{who}", f"r{who} record {size}", size) for who in range(relationships) for size in sizes]
        self.vault.deposit_many(deposits)
        return deposits


def deposit(relationship: str, record: str, size_bytes: int = SMALL, *, version: int = 1, seed: str = "") -> Deposit:
    """A deposit whose every byte follows from its names."""
    return Deposit(
        relationship=identifier(relationship),
        record_id=identifier(record),
        version=version,
        associated=b"chain/" + identifier(record) + b"/%d" % version,
        metadata=b"metadata of " + record.encode(),
        content=content(record + seed, size_bytes),
    )


def streamed(made: Deposit, chunk_size_bytes: int, *, announced: int | None = None) -> Deposit:
    """The same deposit with its content coming in chunks."""
    whole = made.content
    assert isinstance(whole, bytes)
    chunks = (whole[start : start + chunk_size_bytes] for start in range(0, len(whole), chunk_size_bytes))
    stream = Streamed(chunks, len(whole) if announced is None else announced)
    return Deposit(
        relationship=made.relationship,
        record_id=made.record_id,
        version=made.version,
        associated=made.associated,
        metadata=made.metadata,
        content=stream,
    )


def identifier(name: str) -> bytes:
    """16 bytes that stand for a name."""
    return hashlib.sha256(name.encode()).digest()[:16]


def content(seed: str, size_bytes: int) -> bytes:
    """Bytes that follow from a seed."""
    return hashlib.shake_256(seed.encode()).digest(size_bytes)


def opened(vault: Vault, made: Deposit) -> bytes:
    """The whole plaintext of a deposited record."""
    return b"".join(vault.open(made.record_id, made.version))


def outcome(vault: Vault, made: Deposit) -> str:
    """What opening says: "opens", or the name of the refusal."""
    try:
        found = opened(vault, made)
    except Rejected as refusal:
        return type(refusal).__name__
    assert found == made.content
    return "opens"
