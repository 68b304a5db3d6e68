"""Consult: what the rules would say to a request that nobody makes, by the same functions as a release is decided.

For a patient who wants to know what a choice does, and for the custodian's own systems that give out what Salus does
not hold. Nothing is released by it, and no permit is given: the answer is of this moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeVar

from msgspec.structs import replace

from salus.clinical.nhs_number import NhsNumberInvalid, parse
from salus.contracts import access, consent, decision, patients
from salus.contracts.access import Basis, DenialReason, Permit
from salus.contracts.decision import RecordDecision, Rules, Source
from salus.contracts.provisions import Provision, Purpose, Record, RoleClass, Verb, gate
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, PublicKey
from salus.ledger.state import STATE, Reader
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.members import read_time_s
from salus.node.services import choices, consents, enrol
from salus.node.services.derived import is_patient, may_see
from salus.node.services.respond import Login, Responder
from salus.node.shapes.systems import RESOURCE_TYPES

E = TypeVar("E", bound=IntEnum)
NO_KEY = PublicKey(b"")
NOT_FILED = Digest(bytes(32))
"""The commitment of a choice that is not filed yet."""
ANYTHING = Record(ids=(), classes=())
"""A record of which nothing is known but that there is one."""


@dataclass(frozen=True)
class Question:
    """A request that somebody might make.

    Args:
        person: id of the certificate of whoever asks; empty for nobody in particular.
        record: what is known of the record; empty lists mean that it has none.
    """

    requester: OrganisationId
    role_class: RoleClass
    purpose: Purpose
    verb: Verb = Verb.READ
    person: bytes = b""
    record: Record = field(default=ANYTHING, repr=False)


@dataclass(frozen=True)
class Written:
    """A question in the words of interfaces: names of enumerations, `system|code`."""

    requester: str
    role: str
    purpose: str
    action: str = "read"
    labels: tuple[str, ...] = field(default=(), repr=False)
    classes: tuple[str, ...] = ()
    codes: tuple[str, ...] = field(default=(), repr=False)


def read_question(written: Written) -> Question:
    """Return a question that was written. Raises Refused (MESSAGE_UNFIT) for a word that no rule could compare."""
    record = Record(ids=(), classes=written.classes, labels=written.labels, codes=written.codes)
    return Question(
        requester=OrganisationId(written.requester.upper()),
        role_class=_one_of(RoleClass, "role", written.role),
        purpose=_one_of(Purpose, "purposeOfUse", written.purpose),
        verb=_one_of(Verb, "action", written.action),
        record=record,
    )


def _one_of(kind: type[E], what: str, word: str) -> E:
    try:
        return kind[word.upper().replace("-", "_")]
    except KeyError as error:
        known = ", ".join(each.name.lower() for each in kind)
        raise Refused(Refusal.MESSAGE_UNFIT, f"expected {what} among {known}, came another: name one") from error


class Verdict(StrEnum):
    """In one word: the rules permit it, something denies it, or nothing was said of it."""

    PERMIT = "permit"
    DENY = "deny"
    NO_CONSENT = "no-consent"


@dataclass(frozen=True)
class Advice:
    """What the rules would say.

    Args:
        basis: on which the ledger would give a permit; None where it would not, and `reason` says why.
        decision: of the whole rules on the record; None where the ledger would say no before.
        withheld: labels, classes and codes for which a record would be withheld although others go; `system|code`.
        is_whole: whether all rules that apply are held here; a custodian without them releases nothing to others.
    """

    basis: Basis | None
    reason: DenialReason | None
    decision: RecordDecision | None
    withheld: tuple[str, ...] = field(repr=False, default=())
    is_whole: bool = True

    @property
    def why(self) -> str:
        """Return what decided, as a code: the ledger's reason, or whose rule and on which basis."""
        if self.decision is None:
            assert self.reason is not None, "without a decision there is a reason"
            return self.reason.name.lower().replace("_", "-")
        if not self.is_whole:
            return "rules-missing"
        return self.decision.source.name.lower().replace("_", "-")

    @property
    def verdict(self) -> Verdict:
        """Return it in one word."""
        if self.decision is not None and self.decision.may_go and self.is_whole:
            return Verdict.PERMIT
        by_default = self.decision is not None and self.decision.source is Source.DEFAULT
        return Verdict.NO_CONSENT if by_default or self.reason is DenialReason.NOTHING_PERMITS else Verdict.DENY


def require_consulting(login: Login) -> None:
    """Raise Refused (PERSON_UNFIT) unless a patient asks, or a system of the custodian's own; whoever it is about.

    That a label is denied says that there is something to hide: staff are told what they may see, by asking for it.
    """
    if not login.is_feeding and not is_patient(login):
        words = "expected the patient, or a system of the custodian's own: staff ask for the records themselves"
        raise Refused(Refusal.PERSON_UNFIT, words)


def may_consult(node: Node, responder: Responder, login: Login, patient: bytes) -> bool:
    """Tell whether somebody may know what the rules of this patient say. Raises Refused, NotNow: as `may_see`."""
    return login.is_feeding or may_see(node, responder, login, patient, consents.KIND)


def patient_numbered(node: Node, digits: str) -> bytes | None:
    """Return the relationship of the person with this NHS number; None for a number that nobody has here."""
    try:
        return enrol.find(node, parse(digits))
    except NhsNumberInvalid:
        return None


def consult(node: Node, patient: bytes, question: Question) -> Advice:
    """Return what ledger and rules would say, in the order of a decision (DESIGN §5).

    1. What the ledger would say to the request, by the gates.
    2. What the whole rules say of the record, and for which labels, classes and codes they would withhold another.

    Raises:
        Refused: PATIENT_UNKNOWN; LEDGER_REJECTED for an organisation that is no member.
        NotNow: this node's state is older than 10 s.
    """
    node.require_fresh()
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        relationship = patients.relationship_of(reader, Pseudonym(patient))
        if relationship is None or relationship.custodian != node.organisation:
            raise Refused(Refusal.PATIENT_UNKNOWN, "expected a patient of this custodian")
        terms = imagined_terms(node, Pseudonym(patient), question, time_s)
        said = access.decide_request(  # 1
            reader, terms, relationship, None, session_key=NO_KEY, time_s=time_s, step=lambda _count: None
        )
        held = choices.rules_for(node, reader, Pseudonym(patient), ticket=Digest(b""))
    if isinstance(said, DenialReason):
        return Advice(None, said, None)
    terms = replace(terms, basis=said)  # 2
    request = replace(access.open_request(terms, time_s=time_s), person=question.person)

    def decided(record: Record) -> RecordDecision:
        return decision.decide(terms, held.rules, request, record)

    found = decided(question.record)
    withheld = [
        name for name, record in _variants(held.rules, question.record) if found.may_go and not decided(record).may_go
    ]
    is_whole = not held.missing or decision.may_lack_rules(terms)
    return Advice(said, None, found, tuple(dict.fromkeys(withheld)), is_whole)


class _Planned:
    """Rows as of one block, but that a pseudonym's choices are those that it plans."""

    def __init__(self, reader: Reader, pseudonym: Pseudonym, planned: consent.Choices) -> None:
        self._reader = reader
        self._key = consent.CHOICES.key(pseudonym)
        self._row = encode(planned)

    def get(self, space: str, key: bytes, /) -> bytes | None:
        """Return the row, or None when there is none."""
        return self._row if (space, key) == (STATE, self._key) else self._reader.get(space, key)


def planned_basis(
    reader: Reader, terms: Permit, *, planned: Provision | None, instead_of: bytes, time_s: int
) -> Basis | DenialReason:
    """Return what the ledger would say to a request if a choice were filed that is not yet, by the same function.

    Args:
        planned: the rules of that choice; None for none. instead_of: the commitment of the one in whose place it is
            put; empty for none.
    """
    current = consent.choices(reader, terms.pseudonym)
    kept = tuple(each for each in current.choices if planned is None or each.commitment != instead_of)
    fresh = () if planned is None else (consent.Choice(bytes(16), gate(planned), NOT_FILED, patients.Actor.PATIENT, 0),)
    wanted = replace(current, choices=(*kept, *fresh))
    return access.decide_request(
        _Planned(reader, terms.pseudonym, wanted),
        terms,
        patients.require_relationship(reader, terms.pseudonym),
        None,
        session_key=NO_KEY,
        time_s=time_s,
        step=lambda _count: None,
    )


def imagined_terms(node: Node, pseudonym: Pseudonym, question: Question, time_s: int) -> Permit:
    """Return the permit that a request would get; nobody can use it, and its basis is found out afterwards."""
    return Permit(
        pseudonym=pseudonym,
        custodian=node.organisation,
        requester=question.requester,
        role_class=question.role_class,
        purpose=question.purpose,
        verb=question.verb,
        from_s=time_s,
        until_s=time_s,
        session_key=NO_KEY,
        reader_key=Digest(b""),
        basis=Basis.POLICY,
        ticket=Digest(b""),
        choices_version=0,
        network_policy_version=0,
        custodian_policy_version=0,
        residual=Digest(b""),
        closed=0,
    )


def _variants(rules: Rules, record: Record) -> Iterator[tuple[str, Record]]:
    """The same record with one label, class or code more, for each that a rule names."""
    for tree in _all_trees(rules):
        for label in tree.labels:
            yield label, replace(record, labels=(*record.labels, label))
        for each in tree.classes:
            yield f"{RESOURCE_TYPES}|{each}", replace(record, classes=(*record.classes, each))
        for code in tree.codes:
            yield code, replace(record, codes=(*record.codes, code))


def _all_trees(rules: Rules) -> Iterator[Provision]:
    waiting = [*rules.network, *rules.custodian, *(each.tree for each in rules.choices)]
    while waiting:
        tree = waiting.pop(0)
        yield tree
        waiting += tree.provisions
