"""Show: resources and their versions to somebody who is logged in, each patient's through the one decision point (R4).

Resources about nobody, the directory, are opened as they are. What is withheld looks like what was never there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from salus.contracts.provisions import Verb
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.projections.resources import DIRECTORY, Found
from salus.node.services.respond import Login, Responder
from salus.vault.rows import RecordKey


@dataclass(frozen=True)
class Shown:
    """A version of a resource that may be shown; `body` is empty where it says that the resource is gone."""

    type: str
    logical_id: str
    version: int
    updated_s: int
    body: bytes = field(repr=False)

    @property
    def is_deleted(self) -> bool:
        """Whether this version says that the resource is gone."""
        return not self.body


@dataclass(frozen=True)
class Wanted:
    """One version of a resource that somebody wants to see."""

    found: Found
    version: int

    @property
    def key(self) -> RecordKey:
        """(record id, version) in the vault."""
        return self.found.record, self.version


def show(
    node: Node, responder: Responder, login: Login, wanted: Sequence[Wanted], verb: Verb = Verb.READ
) -> dict[RecordKey, Shown]:
    """Return what may be shown of these versions; each relationship's leaves one receipt.

    Raises:
        Refused: the person, the session or the rules do not fit.
        NotNow: the ledger is out of reach, and this is not direct care of own patients.
    """
    of: dict[Pseudonym, list[Wanted]] = {}
    for each in wanted:
        of.setdefault(each.found.pseudonym, []).append(each)
    bodies: dict[RecordKey, bytes] = {}
    for pseudonym, theirs in of.items():
        keys = [each.key for each in theirs]
        if pseudonym == DIRECTORY:
            bodies |= node.vault.open_small(keys)
        else:
            bodies |= responder.respond(login, pseudonym, verb, keys).released
    updated_s = _updated_s(node, [each for each in wanted if each.key in bodies])
    return {each.key: _shown(each, updated_s[each.key], bodies[each.key]) for each in wanted if each.key in bodies}


def newest(found: Found) -> Wanted:
    """Return the newest version of a resource."""
    return Wanted(found, found.version)


def _updated_s(node: Node, wanted: Sequence[Wanted]) -> dict[RecordKey, int]:
    """When each version was stored; the index knows it of the newest."""
    known = {each.key: each.found.updated_s for each in wanted if each.version == each.found.version}
    older = [each.key for each in wanted if each.key not in known]
    if older:
        known |= {(each.record_id, each.version): each.staged_at_s for each in node.vault.record_many(older)}
    return known


def _shown(wanted: Wanted, updated_s: int, body: bytes) -> Shown:
    return Shown(wanted.found.type, wanted.found.logical_id, wanted.version, updated_s, body)
