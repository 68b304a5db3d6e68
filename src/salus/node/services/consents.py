"""Consents: a patient's sharing choices as FHIR shows them, and a Consent that is sent as the choice that it asks for.

A Consent is never stored: it is made from the ledger and the sealed rules whenever somebody may see it, so that
resource, gate and rules are one thing (DESIGN §5.1, §8). Who sends one files a choice, or withdraws it: by what the
patient signed, or by the key that the custodian holds, visibly so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from salus.contracts import records
from salus.contracts.consent import ConsentFiled, ConsentWithdrawn
from salus.contracts.consent import choices as choices_in_force
from salus.contracts.evidence import Event
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Provision, ProvisionInvalid, RoleClass
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.identifiers import Pseudonym
from salus.node import derived_names
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.projections import resources
from salus.node.projections.resources import Found
from salus.node.services import choices, officers
from salus.node.services.derived import Derived, is_patient
from salus.node.services.respond import Login
from salus.node.services.show import Shown
from salus.node.shapes.consents import AskedConsent, ConsentFacts, Content, consent, day_of_date, read_consent

KIND: Final = "Consent"
DESK: Final = (RoleClass.CLINICAL, RoleClass.PHARMACY, RoleClass.ADMINISTRATIVE)
"""Own staff who file what a patient told them, on dated evidence."""


@dataclass(frozen=True)
class _Life:
    """What became of one choice: all its events, and the last that filed it."""

    choice: bytes
    events: list[Event]
    filed: ConsentFiled
    filed_at_s: int

    @property
    def is_in_force(self) -> bool:
        """Whether its last event filed it."""
        return isinstance(self.events[-1].outcome, ConsentFiled)


def consents_of(node: Node, pseudonym: bytes) -> list[Derived]:
    """Return every sharing choice that a relationship has or had, as Consents, the newest first.

    Asks nobody who they are. A choice whose rules are not held here is left out: nothing can be said of it.
    """
    patient = resources.patient_of(node, pseudonym)
    if patient is None:
        return []
    lives = _lives(node, patient.pseudonym)
    trees = choices.choice_trees(node, [each.filed.commitment for each in lives])
    references = resources.names_of(node, {each for tree in trees.values() for each in _records(tree)})
    made = [
        _derived(node, patient, life, _shape(node, patient, life, trees[life.filed.commitment], references))
        for life in lives
        if life.filed.commitment in trees
    ]
    return sorted(made, key=lambda each: -each.number)


def file(node: Node, login: Login, patient: bytes, content: Content, *, choice: bytes = b"") -> Derived:
    """File the choice that a Consent asks for, or withdraw one, with the key that the custodian holds, visibly so.

    A patient's own word is evidence of today; staff says on which day they had the patient's.

    Args:
        choice: the one that is replaced or withdrawn; empty for a new one.

    Raises:
        Refused: CHOICE_UNFIT for what no tree can say, for a patient who holds the key, and without evidence;
            PERSON_UNFIT for who does not work at the desk; or what the ledger says.
        NotNow: the ledger is away.
    """
    pseudonym = Pseudonym(patient)
    try:
        asked = read_consent(content, lambda reference: _record_of(node, pseudonym, reference))
        day = _evidence(login, asked)
    except ProvisionInvalid as error:
        raise Refused(Refusal.CHOICE_UNFIT, str(error)) from error
    if asked.tree is not None:
        choice = choices.file_by_custodian(node, pseudonym, asked.tree, choice=choice, evidence_on_day=day)
    elif choice:
        choices.withdraw_by_custodian(node, pseudonym, choice, evidence_on_day=day)
    else:
        raise Refused(Refusal.CHOICE_UNFIT, "expected an active Consent: only one that was filed can be withdrawn")
    return require(node, pseudonym, choice)


def withdraw(node: Node, login: Login, of: Derived) -> Derived:
    """Withdraw a choice with the key that the custodian holds; again is the same.

    Raises:
        Refused: PERSON_UNFIT for an officer, who sees choices and changes none; or what the ledger says.
        NotNow: the ledger is away.
    """
    if officers.is_officer(login):
        raise Refused(Refusal.PERSON_UNFIT, "expected the patient, or staff who care for them: let one withdraw it")
    pseudonym, choice = _named(node, of)
    if of.is_active:
        choices.withdraw_by_custodian(node, pseudonym, choice)
    return require(node, pseudonym, choice)


def withdraw_all(node: Node, login: Login, patient: bytes) -> None:
    """Withdraw every choice of a patient who asks for it themself, with the key that the custodian holds.

    Nothing of them is shown: so it is there for a patient, too, whose choice keeps their records from themself.

    Raises:
        Refused: PERSON_UNFIT for anybody else, or for a patient who holds the key; or what the ledger says.
        NotNow: the ledger is away: those that are withdrawn stay so, the same again withdraws the others.
    """
    if not is_patient(login) or login.ticket is not None:  # what a ticket allows, a permit alone finds out
        words = "expected the patient: whoever else withdraws a choice names the one that they may see"
        raise Refused(Refusal.PERSON_UNFIT, words)
    pseudonym = Pseudonym(patient)
    with node.engine.snapshot() as reader:
        in_force = choices_in_force(reader, pseudonym).choices
    for each in in_force:
        choices.withdraw_by_custodian(node, pseudonym, each.choice)


def replace(node: Node, login: Login, of: Derived, content: Content) -> Derived:
    """Put the choice that a Consent asks for in the place of one that is here, or withdraw it. Raises as `file`."""
    pseudonym, choice = _named(node, of)
    return file(node, login, pseudonym, content, choice=choice)


def take(node: Node, raw: bytes, residual: bytes, *, only: bytes) -> Derived:
    """File or withdraw by what the patient's device signed.

    Args:
        raw: the signed transaction; residual: the rules, or the reason of a withdrawal, as the SDK encodes them.
        only: the relationship that it has to be about.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
        NotNow: the ledger is away.
    """
    try:
        opened = choices.RESIDUAL.decode(residual)
    except EncodingInvalid as error:
        raise Refused(Refusal.CHOICE_UNFIT, "expected the rules or the reason as the SDK encodes them") from error
    message = choices.take_signed(node, raw, opened, only=Pseudonym(only)).message
    return require(node, message.pseudonym, message.choice)


def require(node: Node, pseudonym: Pseudonym, choice: bytes) -> Derived:
    """Return one choice as a Consent. Raises Refused (RULES_MISSING) when its rules are not held here."""
    name = derived_names.name_of(node, KIND, pseudonym, choice)
    for each in consents_of(node, pseudonym):
        if each.shown.logical_id == name:
            return each
    raise Refused(Refusal.RULES_MISSING, "the rules of this choice are not held here: deliver them again")


def _named(node: Node, of: Derived) -> tuple[Pseudonym, bytes]:
    found = derived_names.find(node, KIND, of.shown.logical_id)
    assert found is not None, "what is shown has a name that was made here"
    return found


def _evidence(login: Login, asked: AskedConsent) -> int:
    """Return the day of the patient's evidence, 0 for today."""
    if is_patient(login):
        return 0
    if login.role_class not in DESK:
        raise Refused(Refusal.PERSON_UNFIT, "expected the patient, or staff who care for them: let one of them file it")
    if not asked.evidence:
        words = "expected verification.verificationDate: say on which day the patient told you so"
        raise Refused(Refusal.CHOICE_UNFIT, words)
    return day_of_date(asked.evidence)


def _lives(node: Node, pseudonym: Pseudonym) -> list[_Life]:
    with node.engine.snapshot() as reader:
        trail = [] if records.is_erased(reader, pseudonym) else read_trail(reader, pseudonym)
    lives: dict[bytes, _Life] = {}
    for event in trail:
        match event.outcome:
            case ConsentFiled(choice=choice) as filed:
                before = lives[choice].events if choice in lives else []
                lives[choice] = _Life(choice, [*before, event], filed, event.leaf.time_s)
            case ConsentWithdrawn(choice=choice):
                lives[choice].events.append(event)
    return list(lives.values())


def _shape(node: Node, patient: Found, life: _Life, tree: Provision, references: dict[bytes, str]) -> bytes:
    facts = ConsentFacts(
        logical_id=derived_names.name_of(node, KIND, patient.pseudonym, life.choice),
        patient=patient.logical_id,
        custodian=node.organisation,
        actor=life.filed.actor,
        is_in_force=life.is_in_force,
        evidence_on_day=life.filed.evidence_on_day,
        filed_at_s=life.filed_at_s,
    )
    return consent(facts, tree, references)


def _derived(node: Node, patient: Found, life: _Life, body: bytes) -> Derived:
    name = derived_names.name_of(node, KIND, patient.pseudonym, life.choice)
    newest = life.events[-1]
    shown = Shown(KIND, name, len(life.events), newest.leaf.time_s, body)
    return Derived(newest.index, shown, is_active=life.is_in_force)


def _records(tree: Provision) -> Iterator[bytes]:
    yield from (each.id for each in tree.data)
    for each in tree.provisions:
        yield from _records(each)


def _record_of(node: Node, pseudonym: Pseudonym, reference: str) -> bytes | None:
    kind, _, logical_id = reference.partition("/")
    found = resources.find(node, kind, logical_id)
    return None if found is None or found.pseudonym != pseudonym else found.record
