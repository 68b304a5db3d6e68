"""Companions: what is told of a record version beside the record itself, its pointer and its Provenance (R4).

A companion is made when it is asked for, and is decided on as the version that it tells of: by the same permit and the
same rules, with the same receipt, which names that version. So whoever may not see a record sees no sign of it here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from salus.contracts.provisions import Verb
from salus.contracts.record_metadata import Facts, facts_of
from salus.ledger.entries import PlacedEntry, entry_hash
from salus.ledger.identifiers import Pseudonym
from salus.node import derived_names
from salus.node.assemble import Node
from salus.node.derived_names import LOCAL_BYTES
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY, Found
from salus.node.services.deposit import METADATA, placed_entries, placed_versions
from salus.node.services.derived import Derived, is_patient, number_of
from salus.node.services.respond import Login, Responder
from salus.node.services.show import Shown, Wanted, Within, show
from salus.node.shapes.companions import VersionFacts, pointer, provenance
from salus.vault.rows import RecordKey

POINTER: Final = "DocumentReference"
PROVENANCE: Final = "Provenance"
KINDS: Final = (POINTER, PROVENANCE)
DECIDED_TOGETHER: Final = 1_000
"""A decision has the sealed bytes of small records at hand."""


@dataclass(frozen=True)
class _Version:
    """A record version of which something is told; `replaced_s` is when the next one came, 0 for the newest."""

    found: Found
    placed: PlacedEntry
    facts: Facts = field(repr=False)
    at_s: int
    replaced_s: int

    @property
    def wanted(self) -> Wanted:
        """The version, as somebody wants to see it."""
        return Wanted(self.found, self.placed.entry.version)

    @property
    def local(self) -> bytes:
        """What is this version's under its pseudonym."""
        return entry_hash(self.placed.entry)[:LOCAL_BYTES]


def companions_of(
    node: Node,
    responder: Responder,
    login: Login,
    kind: str,
    pseudonym: Pseudonym,
    verb: Verb,
    *,
    within: Within,
    only: bytes = b"",
) -> list[Derived]:
    """Return the companions of one kind of a relationship's versions that may be shown, the newest first.

    None is shown by this: `released` lets them go.

    Args:
        within: which records whoever asks may reach, before anything is decided about them.
        only: what is one version's under its pseudonym, for the companions of its record alone.

    Raises:
        Refused, NotNow: as `Responder.allowed`.
    """
    versions = [each for each in _versions(node, pseudonym, only) if within(each.found)]
    keys = [each.wanted.key for each in versions]
    parts = (keys[start : start + DECIDED_TOGETHER] for start in range(0, len(keys), DECIDED_TOGETHER))
    allowed = frozenset(each for part in parts for each in responder.allowed(login, pseudonym, verb, part))
    made = [_made(node, login, kind, each, allowed) for each in versions if each.wanted.key in allowed]
    return sorted(made, key=lambda each: (-each.shown.updated_s, each.number))


def released(
    node: Node, responder: Responder, login: Login, companions: Sequence[Derived], verb: Verb, *, within: Within
) -> list[Derived]:
    """Return those of some companions whose version may be shown at this moment; each leaves its place in a receipt.

    Raises:
        Refused, NotNow: as `show`.
    """
    wanted = [each.of for each in companions if each.of is not None]
    assert len(wanted) == len(companions), "a companion tells of a version"
    shown = show(node, responder, login, wanted, verb, within=within)
    return [each for each, of in zip(companions, wanted, strict=True) if of.key in shown]


def provenances(node: Node, login: Login, shown: Sequence[Shown]) -> list[Shown]:
    """Return the Provenance of each of some versions that are shown in this response, of those that have one."""
    found = resources.find_all(node, [(each.type, each.logical_id) for each in shown])
    of_version = {(each.type, each.logical_id): each for each in found if each.pseudonym != DIRECTORY}
    keys: dict[Pseudonym, list[RecordKey]] = {}
    for each in shown:
        of = of_version.get((each.type, each.logical_id))
        if of is not None:
            keys.setdefault(of.pseudonym, []).append((of.record, each.version))
    told = [
        _made(node, login, PROVENANCE, version, frozenset())
        for pseudonym, theirs in keys.items()
        for version in _told(node, placed_versions(node, pseudonym, theirs))
    ]
    return [each.shown for each in told]


def _versions(node: Node, pseudonym: Pseudonym, only: bytes) -> Iterator[_Version]:
    placed = placed_entries(node, pseudonym)
    if only:
        records = {each.entry.record for each in placed if entry_hash(each.entry)[:LOCAL_BYTES] == only}
        placed = [each for each in placed if each.entry.record in records]
    return _told(node, placed)


def _told(node: Node, placed: Sequence[PlacedEntry]) -> Iterator[_Version]:
    """The versions that can be told of: of resources that are found here and are not gone, but for the Patient."""
    found = resources.find_records(node, sorted({each.entry.record for each in placed}))
    known = [each for each in placed if _is_told(found.get(each.entry.record))]
    keys = [(each.entry.record, each.entry.version) for each in known]
    stored = {(each.record_id, each.version): each for each in node.vault.record_many(keys)} if keys else {}
    for each, (record, version) in zip(known, keys, strict=True):
        here, after = stored[record, version], stored.get((record, version + 1))
        yield _Version(
            found=found[record],
            placed=each,
            facts=facts_of(METADATA.decode(here.metadata)),
            at_s=here.staged_at_s,
            replaced_s=after.staged_at_s if after is not None else 0,
        )


def _is_told(found: Found | None) -> bool:
    return found is not None and not found.is_deleted and found.type != "Patient"


def _made(node: Node, login: Login, kind: str, version: _Version, allowed: frozenset[RecordKey]) -> Derived:
    pseudonym, entry = version.found.pseudonym, version.placed.entry
    name = derived_names.name_of(node, kind, pseudonym, version.local)
    facts = _facts(node, version)
    if kind == POINTER:
        before = entry.supersedes[:LOCAL_BYTES] if (entry.record, entry.version - 1) in allowed else b""
        replaces = derived_names.name_of(node, kind, pseudonym, before) if before else ""
        body = pointer(facts, name, replaces=replaces)
    else:
        body = provenance(facts, name, batch=version.placed.batch_root if is_patient(login) else b"")
    is_replaced = kind == POINTER and not facts.is_current
    shown = Shown(kind, name, 2 if is_replaced else 1, version.replaced_s if is_replaced else version.at_s, body)
    return Derived(number_of(name), shown, of=version.wanted)


def _facts(node: Node, version: _Version) -> VersionFacts:
    entry, facts = version.placed.entry, version.facts
    return VersionFacts(
        type=version.found.type,
        name=f"{version.found.type}/{version.found.logical_id}/_history/{entry.version}",
        patient=resources.patient_id(node, version.found.pseudonym),
        custodian=node.organisation,
        at_s=version.at_s,
        from_s=facts.period_from_s,
        to_s=facts.period_to_s,
        labels=facts.labels,
        is_first=entry.version == 1,
        is_current=not version.replaced_s,
    )
