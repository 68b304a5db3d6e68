"""Sharing: a patient's choices as parts of sentences, new ones out of a few answers, and what somebody would see now.

The patient asks, about themself. What they decided is shown under a live permit, as Consents are (R4); a preview runs
the decision by which records are let go, on the records that the patient may see, and lets nothing out.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import msgspec

from salus.clinical import labels
from salus.clinical.fhir.kinds import chosen, whole
from salus.contracts import consent, decision, patients
from salus.contracts.access import Basis, Permit
from salus.contracts.consent import Choice
from salus.contracts.decision import ChoiceRules, Rules
from salus.contracts.provisions import (
    LAST_DAY,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    Request,
    RoleClass,
    Verb,
    as_set,
    check,
    day_of,
)
from salus.contracts.record_metadata import record_of
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, RecordId
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.members import read_time_s
from salus.node.projections import resources
from salus.node.services import choices, delegations, derived, ledger_reads
from salus.node.services.consult import NOT_FILED, Question, imagined_terms, planned_basis
from salus.node.services.deposit import METADATA, placed_entries
from salus.node.services.respond import Login, Responder
from salus.vault.vault import Record

EPOCH: Final = datetime.date(1970, 1, 1)
CARERS: Final = (RoleClass.CLINICAL, RoleClass.PHARMACY)
DIRECT_CARE: Final = (Purpose.TREAT, Purpose.ETREAT)
EVERYBODY_ELSE: Final = (
    RoleClass.CLINICAL,
    RoleClass.PHARMACY,
    RoleClass.ADMINISTRATIVE,
    RoleClass.INSURER,
    RoleClass.RESEARCH,
)
"""Whom "nobody" is: the patient, and who acts for them, still see their record."""
SENSITIVE: Final = tuple(labels.SENSITIVITY_DISPLAYS)
_NOBODY: Final[Mapping[bytes, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Rule:
    """A rule as parts of a sentence; exceptions are rules that turn it around.

    Args:
        organisations: their names; role_classes, purposes: in lower case, as `clinical`, `treat`; none stands for any.
        labels: codes such as `PSY`; classes: FHIR types; other_count: what is named in a way that has no word here.
        until: its last day; None for no end.
    """

    is_permit: bool
    organisations: tuple[str, ...]
    role_classes: tuple[str, ...]
    purposes: tuple[str, ...]
    labels: tuple[str, ...] = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    other_count: int
    until: datetime.date | None
    exceptions: tuple["Rule", ...] = field(repr=False)


@dataclass(frozen=True)
class InForce:
    """A choice in force; `rule` is None where its rules are not held here. `actor` is who made it, in lower case.

    `helper` is what the patient calls the delegate who signed it; empty where none did, or none is known here.
    `commitment` is by which the ledger knows its rules, the `tree`.
    """

    choice: bytes
    rule: Rule | None = field(repr=False)
    actor: str
    filed_at_s: int
    helper: str = field(default="", repr=False)
    commitment: bytes = b""
    tree: Provision | None = field(default=None, repr=False)

    @property
    def wanted(self) -> "Wanted | None":
        """What a patient would have answered to get these rules; None where no answer says them."""
        return None if self.tree is None else wanted_of(self.tree)


@dataclass(frozen=True)
class Wanted:
    """What a patient answered.

    Args:
        is_permit: whether somebody may see something, or nobody may.
        organisation: a member's code; empty for everybody.
        labels, classes: what is left out of everything, or with `is_only` all that it is about; a class stands for
            all that people call by the same words (`kinds.whole`).
        until: the last day; None until it is withdrawn.
    """

    is_permit: bool
    organisation: str = ""
    labels: tuple[str, ...] = field(default=(), repr=False)
    classes: tuple[str, ...] = field(default=(), repr=False)
    is_only: bool = False
    until: datetime.date | None = None


@dataclass(frozen=True)
class Seen:
    """A record that the patient has, by `Type/id`, and whether somebody would see it."""

    name: str = field(repr=False)
    is_seen: bool


def in_force(node: Node, responder: Responder, login: Login, pseudonym: bytes) -> list[InForce] | None:
    """Return the choices in force, the newest first; None where one of them hides all of it from the patient themself.

    Raises:
        Refused, NotNow: as `derived.may_see`.
    """
    if not derived.may_see(node, responder, login, pseudonym, "Consent"):
        return None
    with node.engine.snapshot() as reader:
        patient = Pseudonym(pseudonym)
        current = consent.choices(reader, patient).choices
        helpers = {each.choice: delegations.signer_name(node, reader, patient, each.commitment) for each in current}
    return shown(node, current, choices.choice_trees(node, [each.commitment for each in current]), helpers)


def shown(
    node: Node, current: Sequence[Choice], trees: Mapping[Digest, Provision], helpers: Mapping[bytes, str] = _NOBODY
) -> list[InForce]:
    """Return choices as parts of sentences, the newest first.

    Args:
        trees: the rules by their commitments, as far as they are known; helpers: who made a choice, by its id.
    """
    names = {each.organisation: each.name for each in ledger_reads.members(node)}
    return [
        InForce(
            each.choice,
            _rule(trees[each.commitment], names) if each.commitment in trees else None,
            each.actor.name.lower(),
            each.filed_at_s,
            helpers.get(each.choice, ""),
            each.commitment,
            trees.get(each.commitment),
        )
        for each in sorted(current, key=lambda each: -each.filed_at_s)
    ]


def is_in_force(node: Node, pseudonym: bytes, choice: bytes, commitment: bytes = b"") -> bool:
    """Tell whether a relationship has a choice at this moment, wherever its records are; with these rules, if given."""
    with node.engine.snapshot() as reader:
        current = consent.choices(reader, Pseudonym(pseudonym)).choices
    return any(each.choice == choice and commitment in (b"", each.commitment) for each in current)


def hides(tree: Provision | None) -> bool:
    """Tell whether rules hide something that could be seen without them; not of rules that are not known here."""
    return tree is not None and tree.type is ProvisionType.DENY


def said(node: Node, wanted: Wanted) -> Rule:
    """Return an answer as parts of a sentence, before it is filed. Raises as `tree_of`."""
    return _rule(tree_of(wanted), {each.organisation: each.name for each in ledger_reads.members(node)})


def holds_key(node: Node, pseudonym: bytes) -> bool:
    """Tell whether the patient's own device holds the key that signs choices, and this organisation does not."""
    return documents.find(node.vault, Kind.PSEUDONYM_KEY, pseudonym) is None


def file(node: Node, login: Login, pseudonym: bytes, wanted: Wanted, *, choice: bytes = b"") -> None:
    """File a choice with the key that this organisation holds, visibly so.

    Args:
        choice: the one in whose place it is put; empty for a new one.

    Raises:
        Refused: PERSON_UNFIT for anybody but the patient, CHOICE_UNFIT; or what the ledger says.
        NotNow: the ledger is away.
    """
    _require_patient(node, login, pseudonym)
    choices.file_by_custodian(node, Pseudonym(pseudonym), tree_of(wanted), choice=choice)


def withdraw(node: Node, login: Login, pseudonym: bytes, choice: bytes) -> None:
    """Withdraw a choice with the key that this organisation holds; it holds no more from then on. Raises as `file`."""
    _require_patient(node, login, pseudonym)
    choices.withdraw_by_custodian(node, Pseudonym(pseudonym), choice)


def tree_of(wanted: Wanted) -> Provision:
    """Return an answer as rules. Raises Refused (CHOICE_UNFIT): an answer that says nothing, or that no rule says."""
    codes, classes = as_set(map(labels.label, wanted.labels)), as_set(whole(wanted.classes))
    if not set(wanted.labels) <= set(SENSITIVE) or (wanted.is_only and not (codes or classes)):
        raise Refused(Refusal.CHOICE_UNFIT, "expected kinds of records that the list has: choose some")
    until = LAST_DAY if wanted.until is None else (wanted.until - EPOCH).days
    here = (OrganisationId(wanted.organisation),) if wanted.organisation else ()
    if not wanted.is_permit:
        root = Provision(
            type=ProvisionType.DENY,
            organisations=here,
            role_classes=as_set(EVERYBODY_ELSE),
            valid_to_day=until,
            labels=codes,
            classes=classes,
        )
    else:
        exceptions = () if wanted.is_only else left_out(codes, classes)
        root = Provision(
            type=ProvisionType.PERMIT,
            organisations=here,
            role_classes=as_set(CARERS),
            purposes=as_set(DIRECT_CARE),
            valid_to_day=until,
            labels=codes if wanted.is_only else (),
            classes=classes if wanted.is_only else (),
            provisions=exceptions,
        )
    check(root)
    return root


def wanted_of(tree: Provision) -> Wanted | None:
    """Return the answer that says these rules, and nothing else; None where none does."""
    is_permit, left_out_of = tree.type is ProvisionType.PERMIT, tree.provisions
    kinds = left_out_of or (tree,)
    wanted = Wanted(
        is_permit=is_permit,
        organisation=tree.organisations[0] if tree.organisations else "",
        labels=tuple(each.rpartition("|")[2] for one in kinds for each in one.labels),
        classes=chosen(each for one in kinds for each in one.classes),
        is_only=not left_out_of and bool(tree.labels or tree.classes),
        until=None if tree.valid_to_day == LAST_DAY else EPOCH + datetime.timedelta(days=tree.valid_to_day),
    )
    if not set(wanted.labels) <= set(SENSITIVE):
        return None
    try:
        return wanted if tree_of(wanted) == tree else None
    except ProvisionInvalid:
        return None


def preview(
    node: Node,
    responder: Responder,
    login: Login,
    pseudonym: bytes,
    *,
    organisation: str,
    role_class: RoleClass = RoleClass.CLINICAL,
    with_choice: Wanted | None = None,
    instead_of: bytes = b"",
) -> list[Seen]:
    """Return which of the patient's records somebody would be let see now, for direct care, not in an emergency.

    1. The records that the patient may see; of others nothing is said.
    2. The rules in force, and the choice that is not filed yet.
    3. What the ledger would say to the request, by the gates; where it says no, nothing is seen.
    4. Each record is put to the decision by which it would be released.

    Args:
        organisation: the member's code at which somebody works.
        instead_of: the commitment of the choice in whose place the one that is not filed yet is put; empty for none.

    Raises:
        Refused, NotNow: as `Responder.allowed`.
    """
    patient = Pseudonym(pseudonym)
    newest = {each.entry.record: each for each in placed_entries(node, patient)}
    keys = [(each.entry.record, each.entry.version) for each in newest.values()]
    allowed = responder.allowed(login, patient, Verb.READ, keys) if keys else frozenset()  # 1
    with node.engine.snapshot() as reader:
        now_s = read_time_s(reader, node.clock)
        rules = choices.rules_for(node, reader, patient, ticket=Digest(b"")).rules  # 2
        patients.require_custodian(reader, patient, node.organisation)
        planned = None if with_choice is None else tree_of(with_choice)
        asked = Request(OrganisationId(organisation), role_class, Purpose.TREAT, Verb.READ, day_of(now_s))
        question = Question(asked.organisation, asked.role_class, asked.purpose, asked.verb)
        terms = imagined_terms(node, patient, question, now_s)
        said = planned_basis(reader, terms, planned=planned, instead_of=instead_of, time_s=now_s)  # 3
    if planned is not None:
        others = tuple(each for each in rules.choices if each.commitment != instead_of)
        rules = msgspec.structs.replace(rules, choices=(*others, ChoiceRules(NOT_FILED, planned)))
    names = resources.names_of(node, {each.record for each in (one.entry for one in newest.values())})
    seen = []
    for each in node.vault.record_many([key for key in keys if key in allowed]):  # 4
        if each.record_id in names:
            may_go = isinstance(said, Basis) and _may_go(each, msgspec.structs.replace(terms, basis=said), rules, asked)
            seen.append(Seen(names[each.record_id], may_go))
    return seen


def _may_go(record: Record, terms: Permit, rules: Rules, asked: Request) -> bool:
    metadata: CommittedFields = METADATA.decode(record.metadata)
    return decision.decide(terms, rules, asked, record_of(RecordId(record.record_id), metadata.values)).may_go


def left_out(codes: tuple[str, ...], classes: tuple[str, ...]) -> tuple[Provision, ...]:
    """Return one exception for labels and one for classes: both in one would mean records that have both."""
    by_label = (Provision(type=ProvisionType.DENY, labels=codes),) if codes else ()
    by_class = (Provision(type=ProvisionType.DENY, classes=classes),) if classes else ()
    return (*by_label, *by_class)


def _rule(tree: Provision, names: dict[str, str]) -> Rule:
    return Rule(
        is_permit=tree.type is ProvisionType.PERMIT,
        organisations=tuple(names.get(each, each) for each in tree.organisations),
        role_classes=tuple(each.name.lower() for each in tree.role_classes),
        purposes=tuple(each.name.lower() for each in tree.purposes),
        labels=tuple(each.rpartition("|")[2] for each in tree.labels),
        classes=tree.classes,
        other_count=len(tree.codes) + len(tree.data) + len(tree.persons),
        until=None if tree.valid_to_day == LAST_DAY else EPOCH + datetime.timedelta(days=tree.valid_to_day),
        exceptions=tuple(_rule(each, names) for each in tree.provisions),
    )


def _require_patient(node: Node, login: Login, pseudonym: bytes) -> None:
    if not derived.is_patient(login) or login.ticket is not None:
        raise Refused(Refusal.PERSON_UNFIT, "expected the patient: a choice is theirs to make")
    delegations.require_own(node, Pseudonym(pseudonym), login.session)  # a delegate signs with a key of their own


def members(node: Node) -> Sequence[tuple[str, str]]:
    """Return code and name of every organisation that a choice can name, by name. Raises NotNow."""
    found = [(each.organisation, each.name) for each in ledger_reads.members(node) if not each.is_suspended]
    return sorted(found, key=lambda each: each[1].casefold())
