"""Show: resources and their versions to somebody who is logged in, each patient's through the one decision point (R4).

Resources about nobody, the directory, are opened as they are; but a roster with those of its members only whose Patient
may be shown as well. What is withheld looks like what was never there.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

from salus.contracts.provisions import Verb
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.projections.resources import DIRECTORY, Found
from salus.node.services import rosters
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


Within = Callable[[Found], bool]
"""Whether a resource is within the reach of whoever asks."""


def nobody(_found: Found) -> bool:
    """Nobody: for paths on which no roster goes out."""
    return False


def show(
    node: Node,
    responder: Responder,
    login: Login,
    wanted: Sequence[Wanted],
    verb: Verb = Verb.READ,
    *,
    within: Within = nobody,
) -> dict[RecordKey, Shown]:
    """Return what may be shown of these versions; each relationship's leaves one receipt.

    Args:
        within: which Patients may be named as members of rosters, before anything is decided about them.

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
            bodies |= _with_members(node, responder, login, theirs, node.vault.open_small(keys), verb, within)
        else:
            bodies |= responder.respond(login, pseudonym, verb, keys).released
    updated_s = _updated_s(node, [each for each in wanted if each.key in bodies])
    return {each.key: _shown(each, updated_s[each.key], bodies[each.key]) for each in wanted if each.key in bodies}


def hidden_rosters(
    node: Node, responder: Responder, login: Login, wanted: Sequence[Wanted], verb: Verb, *, within: Within = nobody
) -> set[RecordKey]:
    """Return which of some versions `show` would not show because they are rosters, without showing any: for totals.

    Raises:
        Refused, NotNow: as `show`.
    """
    hidden = set()
    listed = rosters.members(node, [each.found for each in wanted])
    for each in wanted:
        if each.found.record in listed:
            people = _within(each, listed[each.found.record], within)
            allowed = (
                _allowed(partial(responder.allowed, login, pseudonym, verb), keys) for pseudonym, keys in people.items()
            )
            if not any(allowed):
                hidden.add(each.key)
    return hidden


def newest(found: Found) -> Wanted:
    """Return the newest version of a resource."""
    return Wanted(found, found.version)


def _with_members(
    node: Node,
    responder: Responder,
    login: Login,
    wanted: Sequence[Wanted],
    opened: dict[RecordKey, bytes],
    verb: Verb,
    within: Within,
) -> dict[RecordKey, bytes]:
    """Return what was opened of the directory, each roster with its members whose Patient may be shown.

    A roster of which nobody may be shown is left out; so is one that is gone, and what it said of itself before.
    """
    listed = rosters.members(node, [each.found for each in wanted])
    for each in wanted:
        if each.found.record in listed and each.key in opened:
            body, members = opened.pop(each.key), listed[each.found.record]
            seen: set[RecordKey] = set()
            for pseudonym, keys in _within(each, members, within).items():
                seen |= _allowed(partial(_released, responder, login, pseudonym, verb), keys)
            entries = [member.entry for member in members if member.patient.key in seen]
            if entries:
                opened[each.key] = rosters.uncovered(body, entries)
    return opened


def _released(
    responder: Responder, login: Login, pseudonym: Pseudonym, verb: Verb, keys: Sequence[RecordKey]
) -> Collection[RecordKey]:
    return responder.respond(login, pseudonym, verb, keys).released.keys()


def _within(roster: Wanted, members: Sequence[rosters.Member], within: Within) -> dict[Pseudonym, list[RecordKey]]:
    """The Patients of a roster's newest version that may be asked about, by whose they are."""
    keys: dict[Pseudonym, list[RecordKey]] = {}
    if roster.version == roster.found.version and not roster.found.is_deleted:
        for each in members:
            if within(each.patient):
                keys.setdefault(each.patient.pseudonym, []).append(each.patient.key)
    return keys


def _allowed(ask: Callable[[list[RecordKey]], Collection[RecordKey]], keys: list[RecordKey]) -> set[RecordKey]:
    """What may be shown of one member; nothing where the rules of a choice are not held here."""
    try:
        return set(ask(keys))
    except Refused as refused:
        if refused.refusal is not Refusal.RULES_MISSING:
            raise
        return set()


def _updated_s(node: Node, wanted: Sequence[Wanted]) -> dict[RecordKey, int]:
    """When each version was stored; the index knows it of the newest."""
    known = {each.key: each.found.updated_s for each in wanted if each.version == each.found.version}
    older = [each.key for each in wanted if each.key not in known]
    if older:
        known |= {(each.record_id, each.version): each.staged_at_s for each in node.vault.record_many(older)}
    return known


def _shown(wanted: Wanted, updated_s: int, body: bytes) -> Shown:
    return Shown(wanted.found.type, wanted.found.logical_id, wanted.version, updated_s, body)
