"""Consent: a patient's sharing choices, as the ledger sees them: a gate and a commitment.

The rules themselves (classes, labels, codes, named persons) are in the residual, which custodian and patient keep; the
gate says only what they may permit and what they surely deny (DESIGN §5.1, P1, P7). A withdrawal is never delayed (R3).
"""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import membership, patients, provisions
from salus.contracts.provisions import Gate, ProvisionInvalid, Request
from salus.ledger.contract import Context, Contract, Rejected
from salus.ledger.identifiers import DigestField, Pseudonym
from salus.ledger.outcomes import PatientOutcome
from salus.ledger.state import Reader
from salus.ledger.transactions import PatientMessage

# State

CONTRACT = Contract("consent", 4, below=(membership.CONTRACT, patients.CONTRACT))
CHOICES_MAX = 8

ChoiceIdField = Annotated[bytes, Meta(min_length=16, max_length=16)]


class Author(IntEnum):
    """Who made a choice: the patient's own key, or the custodian with a key it holds for the patient."""

    PATIENT = 1
    CUSTODIAN = 2


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """One sharing choice in force."""

    choice: ChoiceIdField
    gate: Gate
    commitment: DigestField
    author: Author
    filed_at_s: int


class Choices(msgspec.Struct, frozen=True, array_like=True):
    """All choices of a pseudonym; every change makes a new version, and permits of older versions are dead (R3)."""

    version: int
    choices: tuple[Choice, ...]


CHOICES = CONTRACT.table("choices", Choices)
NO_CHOICES = Choices(version=0, choices=())

# Messages


class FileConsent(PatientMessage, frozen=True, array_like=True, tag=401):
    """Make a choice, or put another in its place. Signed by a key that acts for the pseudonym.

    `commitment` is to the residual; `evidence_on_day` dates the patient's evidence when the custodian acts, else 0.
    """

    choice: ChoiceIdField
    gate: Gate
    commitment: DigestField
    evidence_on_day: Annotated[int, Meta(ge=0, le=provisions.LAST_DAY)]


class WithdrawConsent(PatientMessage, frozen=True, array_like=True, tag=402):
    """Take a choice back. Signed by a key that acts for the pseudonym."""

    choice: ChoiceIdField


class ConsentFiled(PatientOutcome, frozen=True, array_like=True, tag=401):
    """The choice is in force, as this version."""

    choice: ChoiceIdField
    version: int
    gate: Gate
    commitment: DigestField
    author: Author
    evidence_on_day: int


class ConsentWithdrawn(PatientOutcome, frozen=True, array_like=True, tag=402):
    """The choice is no longer in force, as of this version."""

    choice: ChoiceIdField
    version: int
    author: Author


# Rejections, in order of precedence


class Rejection(IntEnum):
    """Why consent says no; that the relationship is unknown or closed, patients says."""

    GATE_UNFIT = 401
    CHOICE_UNKNOWN = 402
    CHOICE_OF_PATIENT = 403
    EVIDENCE_MISSING = 404
    CHOICES_FULL = 405


# Handlers


@CONTRACT.handles(FileConsent, ConsentFiled)
def file_consent(context: Context, message: FileConsent) -> ConsentFiled:
    """Put a choice in force, in the place of the one with the same id."""
    author = _author(context, message.pseudonym)
    _check_gate(context, message.gate)
    before = choices(context, message.pseudonym)
    _check_author(before, message.choice, author)
    widens = message.gate.may_permit or _find(before, message.choice) is not None
    if author is Author.CUSTODIAN and widens and not _is_evidence(message.evidence_on_day, context.time_s):
        raise Rejected(Rejection.EVIDENCE_MISSING, "the custodian acts here: expected the day of evidence")
    others = tuple(row for row in before.choices if row.choice != message.choice)
    if len(others) >= CHOICES_MAX:
        raise Rejected(Rejection.CHOICES_FULL, f"expected at most {CHOICES_MAX} choices: withdraw or replace one")
    row = Choice(message.choice, message.gate, message.commitment, author, context.time_s)
    version = before.version + 1
    CHOICES.put(context, message.pseudonym, Choices(version, (*others, row)))
    return ConsentFiled(
        message.pseudonym, message.choice, version, message.gate, message.commitment, author, message.evidence_on_day
    )


@CONTRACT.handles(WithdrawConsent, ConsentWithdrawn)
def withdraw_consent(context: Context, message: WithdrawConsent) -> ConsentWithdrawn:
    """End a choice; from this block on every permit under an older version is dead."""
    author = _author(context, message.pseudonym)
    before = choices(context, message.pseudonym)
    if _find(before, message.choice) is None:
        raise Rejected(Rejection.CHOICE_UNKNOWN, "expected a choice in force: it was withdrawn or never made")
    _check_author(before, message.choice, author)
    others = tuple(row for row in before.choices if row.choice != message.choice)
    CHOICES.put(context, message.pseudonym, Choices(before.version + 1, others))
    return ConsentWithdrawn(message.pseudonym, message.choice, before.version + 1, author)


def _author(context: Context, pseudonym: Pseudonym) -> Author:
    relationship = patients.require_open(context, pseudonym)
    keys = patients.acting_keys(relationship, time_s=context.time_s)
    signer = context.signed_by(keys, who="a key that acts for the pseudonym")
    return Author.CUSTODIAN if patients.acts_by_custodian(relationship, signer) else Author.PATIENT


def _check_gate(context: Context, gate: Gate) -> None:
    context.step(provisions.steps(gate))
    try:
        provisions.check_gate(gate)
    except ProvisionInvalid as error:
        raise Rejected(Rejection.GATE_UNFIT, str(error)) from error


def _check_author(before: Choices, choice: bytes, author: Author) -> None:
    row = _find(before, choice)
    if row is not None and row.author is Author.PATIENT and author is Author.CUSTODIAN:
        raise Rejected(Rejection.CHOICE_OF_PATIENT, "the patient signed this choice: only the patient can lift it")


def _is_evidence(day: int, time_s: int) -> bool:
    return 0 < day <= provisions.day_of(time_s)


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
