"""What messages are drafted from: the auditor's rows, keys and chances.

A draft is the message as its array and the keys that it needs, in their order; a place among the signers is filled in
once they are known.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from salus.crypto.signing import SigningKey
from salus.testing.auditor import Auditor
from salus.testing.auditor.canonical import decode, encode
from salus.testing.auditor.patients import acting_keys
from salus.testing.auditor.view import Row
from salus.testing.simulator.cast import CODES, STRANGER, KeyRing

STRANGE: Final = 0.04
"""How often something is named that is not there."""
SESSIONS_MAX: Final = 12


@dataclass(frozen=True)
class Draft:
    """One message.

    Args:
        session: whose place among the signers the message names.
        session_at: at which place of the array; 0 for a message that names none.
    """

    message: list[Any]
    signers: list[SigningKey]
    session: SigningKey | None = None
    session_at: int = 0


@dataclass
class Drafter:
    """Builds drafts for a block of a time.

    Args:
        time_s: of the next block, as far as is known.
        patients_max: how many relationships there are at most.
    """

    auditor: Auditor
    keys: KeyRing
    chance: Random
    time_s: int
    patients_max: int
    sessions: list[SigningKey] = field(default_factory=list)

    # What there is

    def rows(self, table: str) -> list[tuple[Any, Row]]:
        """Keys, decoded, and rows of a table."""
        return [(decode(key), row) for key, row in self.auditor.table(table).items()]

    def pick(self, table: str) -> tuple[Any, Row] | None:
        """Some row; None from an empty table, and now and then."""
        found = self.auditor.table(table)
        if not found or self.chance.random() < STRANGE:
            return None
        key = self.chance.choice(list(found))
        return decode(key), found[key]

    def code(self) -> str:
        """Some member, seldom a stranger."""
        return STRANGER if self.chance.random() < STRANGE / 2 else self.chance.choice(CODES)

    def organisation_key(self, code: str) -> SigningKey:
        """The key with which a member signs now."""
        found = self.auditor.view(time_s=self.time_s).get("membership.keys", [code, 1])
        return self.keys.of(found[0]) if found else self.keys.any(self.chance)

    def patient(self) -> tuple[bytes, Row]:
        """Some relationship, mostly an open one; now and then a pseudonym that has none."""
        found = self.pick("patients.relationships")
        erased = self.auditor.table("records.erasures")
        if found is not None and (found[1][5] or encode(found[0]) in erased):
            found = self.pick("patients.relationships") or found  # a second try: live ones are of more use
        if found is not None:
            return found
        return self.bytes(16), [self.code(), self.keys.any(self.chance).public, 1, b"", [], 0]

    def live_count(self) -> int:
        """How many relationships are neither closed nor erased."""
        erased = self.auditor.table("records.erasures")
        found = self.auditor.table("patients.relationships")
        return sum(1 for key, row in found.items() if not row[5] and key not in erased)

    def acting_key(self, relationship: Row) -> SigningKey:
        """A key that acts for a pseudonym, mostly its own."""
        keys = acting_keys(relationship, self.time_s)
        return self.keys.of(keys[0] if self.chance.random() < 0.6 else self.chance.choice(keys))

    def session(self) -> SigningKey:
        """A session key, often one that was used before."""
        if self.sessions and self.chance.random() < 0.7:
            return self.chance.choice(self.sessions)
        key = self.keys.any(self.chance) if self.chance.random() < STRANGE else self.keys.new()
        self.sessions = [*self.sessions[-SESSIONS_MAX:], key]
        return key

    def bytes(self, size: int) -> bytes:
        """Random bytes."""
        return self.chance.randbytes(size)

    def new_key(self) -> SigningKey:
        """A new key, now and then a known one."""
        return self.keys.any(self.chance) if self.chance.random() < STRANGE else self.keys.new()

    def later_s(self, at_most_s: int) -> int:
        """A time after the block's, mostly fit."""
        return self.time_s + self.chance.choice((1, 60, at_most_s // 2, at_most_s, at_most_s, at_most_s + 1))

    def day(self) -> int:
        """The block's day, or one near it."""
        return self.time_s // 86_400 - self.chance.choice((0, 0, 0, 1, 400, -1))
