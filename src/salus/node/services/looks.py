"""Looks: who asked for a patient's records here and what came of it, in the order of time, for the patient.

Promises: the list is whole, refused requests and officers' looks among them, and is read from the ledger; what was
released under one request is read from its receipts when that request is opened. A long list costs no more than what
of it is shown.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from salus.contracts import records, residuals
from salus.contracts.access import AccessDenied, AccessPermitted, Basis
from salus.contracts.evidence import Event, permit_of
from salus.contracts.gathering import read_trail
from salus.ledger.encoding import decoder
from salus.ledger.entries import entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, PermitId, Pseudonym, PublicKey
from salus.ledger.receipts import ReleasedField, WithheldField
from salus.ledger.state import Reader
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.projections import resources
from salus.node.services import challenges, delegations, derived, ledger_reads, officers
from salus.node.services.delegates import lives
from salus.node.services.deposit import placed_entries
from salus.node.services.own_history import ReceiptName
from salus.node.services.release import part_fields
from salus.node.services.respond import Login, Responder

OPENED_MAX: Final = 500
_RESIDUAL: Final = decoder(CommittedFields)


@dataclass(frozen=True)
class Look:
    """One request, or one officer's look at this list.

    Args:
        number: its place in the history, by which it is opened.
        is_patient: whether the patient themself asked, and nobody who helps them.
        role_class, purpose, verb, reason: in lower case, as `clinical`, `treat`, `read`, `nothing_permits`.
        reason: why it was refused; empty for one that was not.
    """

    number: int
    at_s: int
    organisation: str
    role_class: str
    purpose: str
    verb: str
    is_patient: bool
    is_emergency: bool
    is_officer: bool
    reason: str
    permit: bytes = field(repr=False)


@dataclass(frozen=True)
class Person:
    """Who asked, as their organisation certified them, and why in their words; empty where that is not held here.

    Args:
        is_helper: whether it is somebody who helps the patient, by the name that the patient gave them.
    """

    name: str = field(default="", repr=False)
    role: str = ""
    justification: str = field(default="", repr=False)
    is_helper: bool = False


@dataclass(frozen=True)
class Opened:
    """A look with what was given: how many records of each FHIR type, and how many were kept back."""

    look: Look
    person: Person
    released: tuple[tuple[str, int], ...]
    withheld_count: int
    receipts: tuple[ReceiptName, ...]


class Looks:
    """The looks at one patient's records, for one request."""

    def __init__(self, node: Node, pseudonym: bytes) -> None:
        self._node = node
        self._pseudonym = Pseudonym(pseudonym)
        self._names = {each.organisation: each.name for each in ledger_reads.members(node)}
        with node.engine.snapshot() as reader:
            is_erased = records.is_erased(reader, self._pseudonym)
            self._trail = [] if is_erased else read_trail(reader, self._pseudonym)
            self._helpers = self._asked_by_helpers(reader)

    def all(self) -> list[Look]:
        """Return every look, the newest first."""
        asked = [each for each in map(self._look, self._trail) if each is not None]
        seen = [self._officer(event) for event, _ in officers.looks(self._node, self._trail)]
        return sorted([*asked, *seen], key=lambda each: (-each.at_s, -each.number))

    def by_person(self, groups: Sequence[Sequence[Look]]) -> list[tuple[Person, list[Look]]]:
        """Return groups of looks once more divided, by who it was, with who that is.

        Of very many on one page the oldest are left with whoever was first in their group: each costs a document.
        """
        every = [each for group in groups for each in group][:OPENED_MAX]
        known = self._persons(every)
        divided: list[tuple[Person, list[Look]]] = []
        for group in groups:
            first = known.get(group[0].number, Person())
            people: dict[tuple[str, str], tuple[Person, list[Look]]] = {}
            for each in group:
                person = Person() if each.is_patient else known.get(each.number, first)
                people.setdefault((person.name, person.role), (person, []))[1].append(each)
            divided += people.values()
        return divided

    def _persons(self, wanted: Sequence[Look]) -> dict[int, Person]:
        helped = {each.number: self._helpers[each.permit] for each in wanted if each.permit in self._helpers}
        asked = [each for each in wanted if each.permit and not each.is_patient and each.number not in helped]
        kept = documents.find_many(self._node.vault, [(Kind.REQUEST, Digest(each.permit)) for each in asked])
        return helped | {
            look.number: _person(document) for look, document in zip(asked, kept, strict=True) if document is not None
        }

    def _asked_by_helpers(self, reader: Reader) -> dict[bytes, Person]:
        """Return who it was that asked for the patient, by permit; costs nothing where nobody ever helped."""
        if not lives(self._trail):
            return {}
        permits = [permit_of(each.leaf) for each in self._trail if isinstance(each.outcome, AccessPermitted)]
        kept = documents.find_many(self._node.vault, [(Kind.DELEGATE, each) for each in permits])
        keys = {bytes(permit): PublicKey(key) for permit, key in zip(permits, kept, strict=True) if key is not None}
        named = {
            key: Person(delegations.name_of(self._node, reader, self._pseudonym, key), is_helper=True)
            for key in set(keys.values())
        }
        return {permit: named[key] for permit, key in keys.items()}

    def open(self, number: int) -> Opened | None:
        """Return a look with what was given; None where there is no such."""
        look = next((each for each in self.all() if each.number == number), None)
        if look is None:
            return None
        self._node.custodian_journal.refresh()
        parts = list(part_fields(self._node, PermitId(look.permit))) if look.permit else []
        fields = [each for _, part in parts for each in part]
        types = self._types()
        given = Counter(types[each.entry] for each in fields if isinstance(each, ReleasedField) and each.entry in types)
        withheld = sum(isinstance(each, WithheldField) for each in fields)
        names = tuple(ReceiptName(look.permit.hex(), part) for part, _ in parts)
        person = self._persons([look]).get(look.number, Person())
        return Opened(look, person, tuple(sorted(given.items())), withheld, names)

    def _types(self) -> dict[bytes, str]:
        placed = placed_entries(self._node, self._pseudonym)
        named = resources.names_of(self._node, {each.entry.record for each in placed})
        return {
            bytes(entry_hash(each.entry)): named[each.entry.record].partition("/")[0]
            for each in placed
            if each.entry.record in named
        }

    def _look(self, event: Event) -> Look | None:
        asked = event.outcome
        if not isinstance(asked, AccessPermitted | AccessDenied):
            return None
        purpose, permit = asked.purpose.name.lower(), bytes(permit_of(event.leaf))
        return Look(
            number=event.index,
            at_s=event.leaf.time_s,
            organisation=self._names.get(asked.requester, asked.requester),
            role_class=asked.role_class.name.lower(),
            purpose=purpose,
            verb=asked.verb.name.lower(),
            is_patient=(asked.role_class.name, purpose) == ("PATIENT_SIDE", "patrqt") and permit not in self._helpers,
            is_emergency=purpose == "btg" or (isinstance(asked, AccessPermitted) and asked.basis is Basis.EMERGENCY),
            is_officer=False,
            reason="" if isinstance(asked, AccessPermitted) else asked.reason.name.lower(),
            permit=permit,
        )

    def _officer(self, event: Event) -> Look:
        here = self._names.get(self._node.organisation, self._node.organisation)
        return Look(
            number=event.index,
            at_s=event.leaf.time_s,
            organisation=here,
            role_class="officer",
            purpose="",
            verb="read",
            is_patient=False,
            is_emergency=False,
            is_officer=True,
            reason="",
            permit=b"",
        )


def _person(kept: bytes) -> Person:
    residual = residuals.request_residual(_RESIDUAL.decode(kept))
    person = residuals.person_certificate(residual.certificate)
    return Person(person.name, person.role, residual.justification)


def looks(node: Node, responder: Responder, login: Login, pseudonym: bytes) -> Looks | None:
    """Return the looks at a patient's records; None where the patient hid all of it from themself.

    Raises:
        Refused, NotNow: as `derived.may_see`.
    """
    if not derived.may_see(node, responder, login, pseudonym, "AuditEvent"):
        return None
    return Looks(node, pseudonym)


def question(node: Node, login: Login, pseudonym: bytes, permit: bytes, said: str) -> None:
    """Send what a patient says of a request to the officer, signed with the key that this organisation holds.

    Raises:
        Refused: PERSON_UNFIT for anybody but the patient; or as `challenges.send_by_custodian`.
        NotNow: the ledger is away.
    """
    if not derived.is_patient(login) or login.ticket is not None:
        raise Refused(Refusal.PERSON_UNFIT, "expected the patient: to question a look is theirs")
    challenges.send_by_custodian(node, Pseudonym(pseudonym), PermitId(permit), said)


def grouped(listed: Sequence[Look], *, hours: int) -> list[list[Look]]:
    """Return looks in groups that one line says: the same organisation, role, purpose and answer within some hours."""
    groups: dict[tuple[object, ...], list[Look]] = {}
    for each in listed:
        who = (each.organisation, each.role_class, each.purpose, each.reason, each.is_officer)
        groups.setdefault((each.at_s // (hours * 3600), *who), []).append(each)
    return list(groups.values())
