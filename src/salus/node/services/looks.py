"""Looks: who asked for a patient's records and what came of it, in the order of time, for the patient.

Promises: the list is whole, refused requests and officers' looks among them: it is folded from the ledger, up to this
moment. What was released under one request is read from its receipts when that request is opened. A long list costs a
few statements and what of it is shown.
"""

import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.contracts import residuals
from salus.contracts.access import DenialReason
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.contracts.residuals import RequestResidual
from salus.ledger.encoding import decoder, encode
from salus.ledger.entries import entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym, PublicKey
from salus.ledger.receipts import ReleasedField, WithheldField
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.members import read_time_s
from salus.node.people import HeldSession
from salus.node.projections import looks as projection
from salus.node.projections import resources
from salus.node.projections.looks import Group, LookKind, LookRow, Wanted
from salus.node.services import challenges, delegations, derived, ledger_reads, officers
from salus.node.services.deposit import placed_entries
from salus.node.services.identify import check_patient_session
from salus.node.services.own_chart import record_name
from salus.node.services.own_history import ReceiptName
from salus.node.services.quiet import NOTHING, Hidden
from salus.node.services.release import part_fields
from salus.node.services.respond import Login, Responder
from salus.node.services.reviews import Reviewed, verdict_on

OPENED_MAX: Final = 200
"""Of so many, the newest, it is found out when a page is opened who they were: each costs a document."""
LEARNT_MAX: Final = 2_000
"""Of so many of all patients by one round of upkeep."""
BESIDE_MAX: Final = 25
"""So many before and after one look are listed with it, of those on the same line."""
PERSONS_MAX: Final = 40
"""So many people are named in a filter, those who looked last."""
LEARNT_S: Final = 60
"""As long as this after a permit upkeep looks for its request, which is kept when somebody asks under it."""
GIVEN_UP_S: Final = 86_400
"""After so long, a request that is not here will not come."""
PERSON_BYTES: Final = 16
_RESIDUAL: Final = decoder(CommittedFields)
_KINDS: Final = (RoleClass, Purpose, Verb, DenialReason)
_NAMES: Final = {kind: {0: ""} | {each.value: each.name.lower() for each in kind} for kind in _KINDS}


class Look(msgspec.Struct, frozen=True):
    """One request, or one officer's look at this list.

    Args:
        number: its place in the log, by which it is opened.
        is_patient: whether the patient themself asked, and nobody who helps them.
        role_class, purpose, verb, reason: in lower case, as `clinical`, `treat`, `read`, `nothing_permits`.
        reason: why it was refused; empty for one that was not.
        person: the same for all looks of one person; empty where it is not known who that is.
        custodian, held_by: the organisation whose records were asked for, its code and its name, if that is another.
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
    permit: bytes
    person: bytes = b""
    is_helper: bool = False
    custodian: str = ""
    held_by: str = ""

    def __repr__(self) -> str:
        """Hide who it was."""
        return f"Look({self.number})"


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
    """A look with what was given: how many records of each FHIR type, and how many were kept back.

    `review` is the verdict of an officer here; None for what waits for one, or is no emergency at this organisation.
    """

    look: Look
    person: Person
    released: tuple[tuple[str, int], ...]
    withheld_count: int
    receipts: tuple[ReceiptName, ...]
    review: Reviewed | None = None


@dataclass(frozen=True)
class Line:
    """Some looks that are said together: the newest of them, how many they are, and who it was."""

    look: Look
    count: int
    person: Person


class Looks:
    """The looks at one patient's records, for one request.

    Args:
        elsewhere: the patient's sessions with other organisations; of those that stand, the looks there as well.

    Raises:
        NotNow: the fold is far behind the ledger: try later.
    """

    def __init__(self, node: Node, pseudonym: bytes, elsewhere: Sequence[HeldSession] = ()) -> None:
        if not projection.follow(node):
            raise NotNow("the list of looks is being made from the ledger: try again in a minute")
        self._node = node
        self._pseudonym = Pseudonym(pseudonym)
        self._names = {each.organisation: each.name for each in ledger_reads.members(node)}
        self._elsewhere = {each.custodian: _rows_elsewhere(node, each) for each in elsewhere}
        self.elsewhere = [self._names.get(each, each) for each in self._elsewhere]
        projection.learn(node, _learnt(node, projection.unknown_of(node, pseudonym, most=OPENED_MAX)))

    @property
    def newest(self) -> int:
        """The place of the newest look in the log."""
        there = (row.number for rows in self._elsewhere.values() for row in rows)
        return max(projection.newest_number_of(self._node, self._pseudonym), *there, 0)

    def groups(self, wanted: Wanted, *, hours: int) -> list[Group]:
        """Return the looks that are wanted, in groups that one line says, the newest first."""
        here = projection.groups_of(self._node, self._pseudonym, wanted, hours=hours)
        there = [projection.groups_in(rows, wanted, hours=hours) for rows in self._elsewhere.values()]
        return sorted([*here, *(group for each in there for group in each)], key=lambda each: -each.number)

    def lines(self, groups: Sequence[Group]) -> list[Line]:
        """Return groups with their newest look each, and who it was; each person costs a document."""
        found = self._looks([each.number for each in groups])
        people = self._persons(found.values())
        shown = [(found[each.number], each.count) for each in groups if each.number in found]
        return [Line(look, count, people.get(look.person, Person())) for look, count in shown]

    def people(self) -> dict[bytes, Person]:
        """Return who looked here, those who looked last."""
        rows = projection.newest_of_each(self._node, self._pseudonym, most=PERSONS_MAX)
        return self._persons([self._look(each) for each in rows])

    def organisations(self) -> dict[str, str]:
        """Return whose people looked: names by codes."""
        there = {row.requester for rows in self._elsewhere.values() for row in rows}
        codes = {*projection.requesters_of(self._node, self._pseudonym), *there}
        return {each: self._names.get(each, each) for each in codes}

    def open(self, number: int, *, hidden: Hidden = NOTHING) -> Opened | None:
        """Return a look with what was given, but for what is hidden; None where there is no such."""
        look = self._looks([number]).get(number)
        if look is None:
            return None
        self._node.custodian_journal.refresh()
        parts = list(part_fields(self._node, PermitId(look.permit))) if look.permit else []
        fields = [each for _, part in parts for each in part]
        types = self._types(hidden)
        released = {each.entry for each in fields if isinstance(each, ReleasedField)}  # however often it was opened
        given = Counter(types[each] for each in released if each in types)
        withheld = len({each.entry for each in fields if isinstance(each, WithheldField)})
        names = tuple(ReceiptName(look.permit.hex(), part) for part, _ in parts)
        person = self._persons([look]).get(look.person, Person())
        review = verdict_on(self._node, self._pseudonym, PermitId(look.permit)) if look.is_emergency else None
        return Opened(look, person, tuple(sorted(given.items())), withheld, names, review)

    def beside(self, look: Look, *, hours: int) -> list[Look]:
        """Return the looks that are on one line with one, the newest first; of many, those nearest to it.

        Each of all can be reached from another, so that none is out of sight behind the newest.
        """
        rows = self._elsewhere.get(OrganisationId(look.custodian)) if look.custodian else None
        every = projection.rows_of(self._node, self._pseudonym, [look.number]) if rows is None else rows
        row = next((each for each in every if each.number == look.number), None)
        if row is None:
            return []
        if rows is None:
            numbers = projection.beside(self._node, row, hours=hours)
        else:
            numbers = projection.beside_in(rows, row, hours=hours)
        if look.number not in numbers:  # who it was has been found out since, or the patient was erased
            return []
        at = numbers.index(look.number)
        near = [*numbers[max(at - BESIDE_MAX, 0) : at], *numbers[at + 1 : at + 1 + BESIDE_MAX]]
        found = self._looks(near)
        return [found[each] for each in near if each in found]

    def _types(self, hidden: Hidden) -> dict[bytes, str]:
        placed = placed_entries(self._node, self._pseudonym)
        every = resources.names_of(self._node, {each.entry.record for each in placed})
        named = {record: name for record, name in every.items() if not self._is_hidden(hidden, name)}
        return {
            bytes(entry_hash(each.entry)): named[each.entry.record].partition("/")[0]
            for each in placed
            if each.entry.record in named
        }

    def _looks(self, numbers: Sequence[int]) -> dict[int, Look]:
        """Some looks by their places in the log."""
        here = projection.rows_of(self._node, self._pseudonym, numbers)
        found = {each.number: self._look(each) for each in here}
        for custodian, rows in self._elsewhere.items():
            found |= {each.number: self._look(each, custodian) for each in rows if each.number in numbers}
        return found

    def _persons(self, looks: Iterable[Look]) -> dict[bytes, Person]:
        """Who some looks were by, as far as that is known here."""
        one = {each.person: each for each in looks if each.person}
        of_staff = [each for each in one.values() if not each.is_helper]
        kept = documents.find_many(self._node.vault, [(Kind.REQUEST, each.permit) for each in of_staff])
        named = {each.person: _person(found) for each, found in zip(of_staff, kept, strict=True) if found is not None}
        return named | {name: self._helper(each) for name, each in one.items() if each.is_helper}

    def _is_hidden(self, hidden: Hidden, name: str) -> bool:
        """Tell whether a record is not counted: a file tells of the letter that it belongs to, whichever that is."""
        if not hidden.has_records:
            return False
        type_name, _, logical_id = name.partition("/")
        own = record_name(self._node, self._pseudonym, "", type_name, logical_id)
        return type_name == "Binary" or hidden.hides(type_name, own)

    def _look(self, row: LookRow, custodian: str = "") -> Look:
        is_officer = row.kind == LookKind.OFFICER
        return Look(
            number=row.number,
            at_s=row.at_s,
            organisation=self._names.get(row.requester, row.requester),
            role_class="officer" if is_officer else _NAMES[RoleClass][row.role_class],
            purpose=_NAMES[Purpose][row.purpose],
            verb=_NAMES[Verb][row.verb],
            is_patient=row.is_own,
            is_emergency=bool(row.broke_glass),
            is_officer=is_officer,
            reason=_NAMES[DenialReason][row.reason],
            permit=b"" if is_officer else row.name,
            person=row.person or b"",
            is_helper=bool(row.is_helper),
            custodian=custodian,
            held_by=self._names.get(custodian, custodian),
        )

    def _helper(self, look: Look) -> Person:
        """Who it was that helped, by the name that the patient gave them."""
        key = documents.find(self._node.vault, Kind.DELEGATE, look.permit)
        with self._node.engine.snapshot() as reader:
            name = "" if key is None else delegations.name_of(self._node, reader, self._pseudonym, PublicKey(key))
        return Person(name, is_helper=True)


def person_of(residual: RequestResidual) -> Person:
    """Return who a request was by. Raises EncodingInvalid, and IndexError where no certificate is in it."""
    person = residuals.person_certificate(residual.certificate)
    return Person(person.name, person.role, residual.justification)


def _person(kept: bytes) -> Person:
    return person_of(residuals.request_residual(_RESIDUAL.decode(kept)))


def keep_up(node: Node) -> None:
    """Fold what the ledger has that is new, and find out who it was, so that a list opens at once; for upkeep."""
    while not projection.follow(node):
        pass
    unknown = projection.unknown(node, since_s=node.clock() - LEARNT_S, most=LEARNT_MAX)
    projection.learn(node, _learnt(node, unknown))


def _rows_elsewhere(node: Node, session: HeldSession) -> list[LookRow]:
    """What the ledger has of a patient at another custodian, to whom only their own key there leads (P7)."""
    certified, custodian = session.opened.certified, OrganisationId(session.custodian)
    pseudonym = Pseudonym(session.pseudonym)
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        try:
            check_patient_session(reader, pseudonym, certified, custodian=custodian, time_s=time_s)
        except Refused:
            return []
        found = [projection.row_of(each) for each in read_trail(reader, pseudonym)]
    return [each for each in found if each is not None and each.kind == LookKind.ASKED]


def _learnt(node: Node, unknown: Sequence[LookRow]) -> list[LookRow]:
    """Return those rows of which it is known who it was, or that it never will be."""
    kinds = [Kind.MATCH if each.kind == LookKind.NOTED else Kind.REQUEST for each in unknown]
    kept = documents.find_many(node.vault, [(kind, each.name) for kind, each in zip(kinds, unknown, strict=True)])
    helped = [(Kind.DELEGATE, each.name) for each in unknown if each.is_patient_side]
    helpers = {name: key for (_, name), key in zip(helped, documents.find_many(node.vault, helped), strict=True)}
    found = []
    for row, document in zip(unknown, kept, strict=True):
        known = _known(node, row, document, helpers.get(row.name))
        if known.person is None and row.at_s < node.clock() - GIVEN_UP_S:
            known = msgspec.structs.replace(row, person=b"")
        found.append(known)
    return [each for each in found if each.person is not None]


def _known(node: Node, row: LookRow, document: bytes | None, helper: bytes | None) -> LookRow:
    if row.kind == LookKind.NOTED:
        if document is None or not officers.is_look(node, document):
            return msgspec.structs.replace(row, person=b"")
        return msgspec.structs.replace(row, kind=LookKind.OFFICER, requester=node.organisation, person=b"")
    if helper is not None:
        return msgspec.structs.replace(row, person=_name(node, row.pseudonym, helper), is_helper=1)
    if document is None or row.is_patient_side:
        return row
    person = _person(document)
    return msgspec.structs.replace(row, person=_name(node, row.requester, person.name, person.role))


def _name(node: Node, *parts: bytes | str) -> bytes:
    return hmac.digest(node.keys.lookup, encode(("looker", *parts)), "sha256")[:PERSON_BYTES]


def looks(
    node: Node, responder: Responder, login: Login, pseudonym: bytes, elsewhere: Sequence[HeldSession] = ()
) -> Looks | None:
    """Return the looks at a patient's records; None where the patient hid all of it from themself.

    Args:
        elsewhere: the patient's sessions with other organisations.

    Raises:
        Refused, NotNow: as `derived.may_see`.
    """
    if not derived.may_see(node, responder, login, pseudonym, "AuditEvent"):
        return None
    return Looks(node, pseudonym, elsewhere)


def question(node: Node, login: Login, pseudonym: bytes, permit: bytes, said: str) -> None:
    """Send what a patient says of a request to the officer, signed with the key that this organisation holds.

    Raises:
        Refused: PERSON_UNFIT for anybody but the patient; or as `challenges.send_by_custodian`.
        NotNow: the ledger is away.
    """
    if not derived.is_patient(login) or login.ticket is not None:
        raise Refused(Refusal.PERSON_UNFIT, "expected the patient: to question a look is theirs")
    challenges.send_by_custodian(node, Pseudonym(pseudonym), PermitId(permit), said)
