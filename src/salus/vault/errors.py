"""What the vault answers when it does not do what was asked: a rule says no, or the world failed.

Each refusal has a permanent number (listed in docs/spec/vault.md). Messages carry our own identifiers in hexadecimal
and never content or metadata (P4).
"""

from typing import ClassVar


class Rejected(Exception):
    """A rule of the vault says no; asking again changes nothing."""

    number: ClassVar[int]


class NoSuchRecord(Rejected):
    """No version of this record is stored here; it may have been erased."""

    number = 1


class NoSuchRelationship(Rejected):
    """No key of this relationship is in the key table; it may have been erased."""

    number = 2


class RecordExists(Rejected):
    """This record version is stored with other bytes or for another relationship: deposit it as a new version."""

    number = 3


class TooLarge(Rejected):
    """More bytes than this place takes."""

    number = 4


class SizeWrong(Rejected):
    """The content is not as long as announced; nothing of it was stored."""

    number = 5


class Damaged(Rejected):
    """Stored bytes are not what was stored: `part` of `record_id` and `version`, where it belongs to one."""

    number = 6

    def __init__(self, part: str, words: str, *, record_id: bytes = b"", version: int = 0) -> None:
        where = f"record {record_id.hex()} version {version}: " if record_id else ""
        super().__init__(f"{where}{part}: {words}")
        self.part, self.words, self.record_id, self.version = part, words, record_id, version

    def of_record(self, record_id: bytes, version: int) -> "Damaged":
        """The same damage, named as that record's."""
        return Damaged(self.part, self.words, record_id=record_id, version=version)


class KeyFilesDisagree(Rejected):
    """One of the two key files does not hold the root that the other holds."""

    number = 7


class RootGone(Rejected):
    """The key table was wrapped under a root that the key files do not hold; what it wraps stays closed."""

    number = 8


class KeyFileExposed(Rejected):
    """Others than the owner may read a key file."""

    number = 9


class SchemaNewer(Rejected):
    """The database was written by a newer version of Salus."""

    number = 10


class BackupBroken(Rejected):
    """A backup file is cut short or changed, or is no backup of ours."""

    number = 11


class NotEmpty(Rejected):
    """A restore starts from an empty vault, and a first start from empty places for the keys."""

    number = 12


class Missing(Exception):
    """A driver has no object of this name; the vault turns it into what it means for the record."""


class Unavailable(Exception):
    """The world failed (database, disk, object store): nothing was half done, try later."""
