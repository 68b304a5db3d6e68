"""Quiet: what a patient's pages do not show, for people who are not safe from whoever uses their devices with them.

Promises: nothing that is asked for here tells whether anything is hidden: a wrong word costs the same work and changes
nothing, another word may hide something more beside what is hidden, and each word shows only its own again.
"""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.node.assemble import Node
from salus.node.sealed_rows import SealedRows
from salus.node.services.accounts import SCRYPT_N, SCRYPT_P, SCRYPT_R, Password, stretched
from salus.node.services.wishes import HiddenSet, Wishes, change, wishes_of
from salus.node.tallies import Counted, Tally, count

EVERYTHING: Final = "*"
"""Stands for all types."""
WORD_LENGTH_MIN: Final = 8
WORD_BYTES_MAX: Final = 256
SETS_MAX: Final = 10
"""So many words of one patient; one more is taken as any other, and does nothing."""
RECORDS_MAX: Final = 500
TRIES_MAX: Final = 10
TRIES_S: Final = 900


@dataclass(frozen=True)
class Hidden:
    """What is hidden at this moment."""

    areas: frozenset[str] = frozenset()
    types: frozenset[str] = field(default=frozenset(), repr=False)
    records: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def has_records(self) -> bool:
        """Whether any record is hidden, or could be."""
        return bool(self.types or self.records)

    def hides(self, type_name: str, name: str) -> bool:
        """Tell whether a record is hidden.

        Args:
            type_name: of FHIR; name: as `own_chart.record_name`.
        """
        return EVERYTHING in self.types or type_name in self.types or name in self.records

    def hides_page(self, path: str) -> bool:
        """Tell whether a page is hidden, by its address."""
        return any(path == each or path.startswith(f"{each}/") for each in self.areas)


NOTHING: Final = Hidden()


def hidden_of(node: Node, rows: SealedRows, pseudonym: bytes) -> Hidden:
    """Return what a patient hides, by all their words together."""
    sets = wishes_of(node, rows, pseudonym).hidden
    if not sets:
        return NOTHING
    return Hidden(
        areas=frozenset(area for each in sets for area in each.areas),
        types=frozenset(name for each in sets for name in each.types),
        records=frozenset(name for each in sets for name in each.records),
    )


def hide(
    node: Node,
    rows: SealedRows,
    pseudonym: bytes,
    word: str,
    *,
    areas: Iterable[str],
    types: Iterable[str],
    records: Iterable[str],
) -> None:
    """Hide something until the word is entered.

    Args:
        word: at least WORD_LENGTH_MIN characters, which the page asks for.
    """
    fresh = HiddenSet(_stretched(rows, pseudonym, word), tuple(areas), tuple(types), tuple(records)[:RECORDS_MAX])

    def added(was: Wishes) -> Wishes:
        return msgspec.structs.replace(was, hidden=(*was.hidden, fresh)[:SETS_MAX], waiting=())

    change(node, rows, pseudonym, added)


def enter(node: Node, rows: SealedRows, pseudonym: bytes, word: str) -> None:
    """Show again what was hidden with a word. A wrong one, or one too many, does nothing, and says nothing of that.

    Raises:
        NotNow: another worker counts a try of the same patient at this moment.
    """
    tries = {"now_s": node.clock(), "within_s": TRIES_S, "most": TRIES_MAX}
    counted = count(node, Tally.QUIET_WORD, who=pseudonym, what=secrets.token_bytes(16), **tries)
    given = _stretched(rows, pseudonym, word)

    def kept(was: Wishes) -> Wishes:
        others = tuple(each for each in was.hidden if not hmac.compare_digest(each.word, given))
        return msgspec.structs.replace(was, hidden=others if counted is Counted.NEW else was.hidden)

    change(node, rows, pseudonym, kept)


def _stretched(rows: SealedRows, pseudonym: bytes, word: str) -> bytes:
    """A word as scrypt leaves it: once for all words of a patient, so that their number takes no time."""
    salt = rows.lookup("quiet-word", pseudonym)
    return stretched(word[:WORD_BYTES_MAX], Password(SCRYPT_N, SCRYPT_R, SCRYPT_P, salt, b""))
