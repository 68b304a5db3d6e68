"""Consent: a patient's sharing choices, as the ledger sees them: a gate and a commitment.

The rules themselves (classes, labels, codes, named persons) are in the residual, which custodian and patient keep; the
gate says only what they may permit and what they surely deny (DESIGN §5.1, P1, P7). A withdrawal is never delayed (R3).
"""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import membership, patients, provisions
from salus.contracts.patients import Actor
from salus.contracts.provisions import Gate, ProvisionInvalid, Request
from salus.ledger.contract import Context, Contract, Rejected
from salus.ledger.identifiers import CountField, DigestField, Pseudonym
from salus.ledger.outcomes import PatientOutcome
from salus.ledger.state import Reader
from salus.ledger.transactions import PatientMessage

# State

CONTRACT = Contract("consent", 4, below=(membership.CONTRACT, patients.CONTRACT))
CHOICES_MAX = 8

ChoiceIdField = Annotated[bytes, Meta(min_length=16, max_length=16)]


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """One sharing choice in force."""

    choice: ChoiceIdField
    gate: Gate
    commitment: DigestField
    actor: Actor
    filed_at_s: int


class Choices(msgspec.Struct, frozen=True, array_like=True):
    """All choices of a pseudonym; every change makes a new version, and permits of older versions are dead (R3)."""

    version: CountField
    choices: tuple[Choice, ...]


CHOICES = CONTRACT.table("choices", Choices)
NO_CHOICES = Choices(version=0, choices=())

# Messages


EvidenceField = Annotated[int, Meta(ge=0, le=provisions.LAST_DAY)]
"""Whole day UTC of the patient's evidence, which the custodian has who acts with a key it holds; 0 for none."""


class FileConsent(PatientMessage, frozen=True, array_like=True, tag=401):
    """Make a choice, or put another in its place. Signed by a key that acts for the pseudonym.

    `gate` is that of the rules, `commitment` is to the rules: their custodian checks that the two agree.
    """

    choice: ChoiceIdField
    gate: Gate
    commitment: DigestField
    evidence_on_day: EvidenceField


class WithdrawConsent(PatientMessage, frozen=True, array_like=True, tag=402):
    """Take a choice back. Signed by a key that acts for the pseudonym."""

    choice: ChoiceIdField
    commitment: DigestField
    evidence_on_day: EvidenceField


class ConsentFiled(PatientOutcome, frozen=True, array_like=True, tag=401):
    """The choice is in force, as this version."""

    choice: ChoiceIdField
    version: CountField
    gate: Gate
    commitment: DigestField
    actor: Actor
    evidence_on_day: EvidenceField


class ConsentWithdrawn(PatientOutcome, frozen=True, array_like=True, tag=402):
    """The choice is no longer in force, as of this version."""

    choice: ChoiceIdField
    version: CountField
    commitment: DigestField
    actor: Actor
    evidence_on_day: EvidenceField


# Rejections, in order of precedence


class Rejection(IntEnum):
    """Why consent says no; that the relationship is unknown or closed, patients says."""

    GATE_UNFIT = 401
    CHOICE_UNKNOWN = 402
    CHOICE_OF_PATIENT = 403
    EVIDENCE_UNFIT = 404
    CHOICES_FULL = 405


# Handlers


@CONTRACT.handles(FileConsent, ConsentFiled)
def file_consent(context: Context, message: FileConsent) -> ConsentFiled:
    """Put a choice in force, in the place of the one with the same id.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by a key that acts for the pseudonym: its own, or a device's or delegate's that has not expired.
    3. `gate` is within its bounds and canonical (provisions, `check_gate`), else GateUnfit.
    4. The custodian does not replace a choice that the patient or a delegate made, else ChoiceOfPatient.
    5. `evidence_on_day` fits, else EvidenceUnfit. If the patient or a delegate acts, it is 0. If the custodian acts, it
       is not after the block's day, and not 0 if the choice could widen sharing: its gate may permit something, or it
       replaces a choice.
    6. Fewer than 8 choices with other ids, else ChoicesFull.
    7. Write `consent.choices`: the version goes up by one, from 0 where there is no row; the choice is the last.
    """
    actor = _act(context, message.pseudonym)  # 1, 2
    _check_gate(context, message.gate)  # 3
    before = choices(context, message.pseudonym)
    _check_not_of_patient(before, message.choice, actor)  # 4
    widens = bool(message.gate.may_permit) or _find(before, message.choice) is not None
    _check_evidence(context, message.evidence_on_day, actor, is_needed=widens)  # 5
    others = tuple(row for row in before.choices if row.choice != message.choice)
    if len(others) >= CHOICES_MAX:  # 6
        raise Rejected(Rejection.CHOICES_FULL, f"expected at most {CHOICES_MAX} choices: withdraw or replace one")
    row = Choice(message.choice, message.gate, message.commitment, actor, context.time_s)
    version = before.version + 1
    CHOICES.put(context, message.pseudonym, Choices(version, (*others, row)))  # 7
    return ConsentFiled(
        message.pseudonym, message.choice, version, message.gate, message.commitment, actor, message.evidence_on_day
    )


@CONTRACT.handles(WithdrawConsent, ConsentWithdrawn)
def withdraw_consent(context: Context, message: WithdrawConsent) -> ConsentWithdrawn:
    """End a choice; from this block on every permit under an older version is dead.

    1. The relationship exists and is open, else RelationshipUnknown, RelationshipClosed.
    2. Signed by a key that acts for the pseudonym: its own, or a device's or delegate's that has not expired.
    3. The choice is in force, else ChoiceUnknown.
    4. The custodian does not withdraw a choice that the patient or a delegate made, else ChoiceOfPatient.
    5. `evidence_on_day` fits, else EvidenceUnfit. If the patient or a delegate acts, it is 0. If the custodian acts, it
       is not 0 and not after the block's day: what is withdrawn may have been a denial.
    6. Write `consent.choices` without it: the version goes up by one. The row stays when no choice is left.
    """
    actor = _act(context, message.pseudonym)  # 1, 2
    before = choices(context, message.pseudonym)
    if _find(before, message.choice) is None:  # 3
        raise Rejected(Rejection.CHOICE_UNKNOWN, "expected a choice in force: it was withdrawn or never made")
    _check_not_of_patient(before, message.choice, actor)  # 4
    _check_evidence(context, message.evidence_on_day, actor, is_needed=True)  # 5
    others = tuple(row for row in before.choices if row.choice != message.choice)
    version = before.version + 1
    CHOICES.put(context, message.pseudonym, Choices(version, others))  # 6
    return ConsentWithdrawn(
        message.pseudonym, message.choice, version, message.commitment, actor, message.evidence_on_day
    )


def _act(context: Context, pseudonym: Pseudonym) -> Actor:
    return patients.sign_for(context, patients.require_open(context, pseudonym))


def _check_gate(context: Context, gate: Gate) -> None:
    context.step(provisions.steps(gate))
    try:
        provisions.check_gate(gate)
    except ProvisionInvalid as error:
        raise Rejected(Rejection.GATE_UNFIT, str(error)) from error


def _check_not_of_patient(before: Choices, choice: bytes, actor: Actor) -> None:
    row = _find(before, choice)
    if row is not None and row.actor is not Actor.CUSTODIAN and actor is Actor.CUSTODIAN:
        raise Rejected(Rejection.CHOICE_OF_PATIENT, "the patient signed this choice: only the patient can lift it")


def _check_evidence(context: Context, day: int, actor: Actor, *, is_needed: bool) -> None:
    if actor is not Actor.CUSTODIAN:
        if day:
            raise Rejected(Rejection.EVIDENCE_UNFIT, "the patient signs here: expected no day of evidence")
    elif not (1 if is_needed else 0) <= day <= provisions.day_of(context.time_s):
        raise Rejected(Rejection.EVIDENCE_UNFIT, "the custodian acts here: expected the day of the patient's evidence")


def _find(before: Choices, choice: bytes) -> Choice | None:
    return next((row for row in before.choices if row.choice == choice), None)


# Queries


def choices(reader: Reader, pseudonym: Pseudonym) -> Choices:
    """Return a pseudonym's choices in force; version 0 and none when there never was one."""
    return CHOICES.get(reader, pseudonym) or NO_CHOICES


def surely_denies(current: Choices, request: Request) -> bool:
    """Tell whether a choice denies the request for every record."""
    return any(provisions.surely_denies(row.gate, request) for row in current.choices)


def may_permit(current: Choices, request: Request) -> bool:
    """Tell whether a choice could permit the request for some record."""
    return any(provisions.may_permit(row.gate, request) for row in current.choices)


def steps(current: Choices) -> int:
    """Return how many conditions both questions together may compare (L6)."""
    return sum(provisions.steps(row.gate) for row in current.choices)
