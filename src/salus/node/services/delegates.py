"""Delegates: whom a patient lets act for them, as RelatedPersons made from the history of their keys (DESIGN §5.2)."""

from dataclasses import dataclass
from typing import Final

from salus.contracts import records
from salus.contracts.evidence import Event
from salus.contracts.gathering import read_trail
from salus.contracts.patients import KeyAdded, KeyKind, KeyRemoved
from salus.crypto.hashing import sha256
from salus.ledger.identifiers import Pseudonym
from salus.node import derived_names
from salus.node.assemble import Node
from salus.node.derived_names import LOCAL_BYTES
from salus.node.members import read_time_s
from salus.node.projections import resources
from salus.node.services.derived import Derived
from salus.node.services.show import Shown
from salus.node.shapes.delegates import DelegateFacts, delegate

KIND: Final = "RelatedPerson"


@dataclass(frozen=True)
class Life:
    """A delegate's key from its addition to its removal; `removed_s` is 0 while it is there."""

    added: Event
    outcome: KeyAdded
    removed_s: int = 0

    @property
    def until_s(self) -> int:
        """When the delegate's time ends, or ended; 0 for no end."""
        ends = [each for each in (self.outcome.expires_at_s, self.removed_s) if each]
        return min(ends, default=0)


def delegates_of(node: Node, pseudonym: bytes) -> list[Derived]:
    """Return everybody whom a patient lets act, or let act, the newest first. Asks nobody who they are."""
    patient = resources.patient_of(node, pseudonym)
    if patient is None:
        return []
    with node.engine.snapshot() as reader:
        trail = [] if records.is_erased(reader, patient.pseudonym) else read_trail(reader, patient.pseudonym)
        now_s = read_time_s(reader, node.clock)
    made = [_derived(node, patient.pseudonym, patient.logical_id, each, now_s) for each in lives(trail)]
    return sorted(made, key=lambda each: -each.number)


def lives(trail: list[Event]) -> list[Life]:
    """Return every delegate's key that a trail has, in the order in which they were added."""
    found: dict[bytes, Life] = {}
    for event in trail:
        match event.outcome:
            case KeyAdded(kind=KeyKind.DELEGATE) as added:
                found[added.key] = Life(event, added)
            case KeyRemoved(key=key) if key in found:
                found[key] = Life(found[key].added, found[key].outcome, event.leaf.time_s)
    return list(found.values())


def _derived(node: Node, pseudonym: Pseudonym, patient: str, life: Life, now_s: int) -> Derived:
    ended = 0 < life.until_s <= now_s
    from_s = life.added.leaf.time_s
    name = derived_names.name_of(node, KIND, pseudonym, sha256(life.outcome.key)[:LOCAL_BYTES])
    body = delegate(DelegateFacts(name, patient, from_s, life.until_s, is_active=not ended))
    shown = Shown(KIND, name, 2 if ended else 1, life.until_s if ended else from_s, body)
    return Derived(life.added.index, shown, is_active=not ended)
