"""Consent (docs/spec/contracts.md, 4): choices as the ledger sees them.

Choices are [version, [[choice, gate, commitment, actor, filed at], …]].
"""

from salus.testing.auditor import patients
from salus.testing.auditor.gates import conditions_of, is_fit_gate
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.view import No, Row, View

GATE_UNFIT, CHOICE_UNKNOWN, CHOICE_OF_PATIENT, EVIDENCE_UNFIT, CHOICES_FULL = 401, 402, 403, 404, 405
CHOICES_MAX = 8
TABLE = "consent.choices"


def file_consent(view: View, message: Message) -> Row:
    """401."""
    actor = _act(view, message)
    gate, choice = message["gate"], message["choice"]
    view.condition_count += conditions_of(gate)
    if not is_fit_gate(gate):
        raise No(GATE_UNFIT)
    version, choices = choices_of(view, message["pseudonym"])
    replaced = [each for each in choices if each[0] == choice]
    _expect_own(actor, replaced)
    could_widen = bool(gate[0] or replaced)
    _expect_evidence(view, actor, message["evidence_on_day"], is_needed=could_widen)
    others = [each for each in choices if each[0] != choice]
    if len(others) >= CHOICES_MAX:
        raise No(CHOICES_FULL)
    filed = [choice, gate, message["commitment"], actor, view.time_s]
    view.put(TABLE, message["pseudonym"], [version + 1, [*others, filed]])
    told = [message["commitment"], actor, message["evidence_on_day"]]
    return [401, message["pseudonym"], choice, version + 1, gate, *told]


def withdraw_consent(view: View, message: Message) -> Row:
    """402."""
    actor = _act(view, message)
    version, choices = choices_of(view, message["pseudonym"])
    withdrawn = [each for each in choices if each[0] == message["choice"]]
    if not withdrawn:
        raise No(CHOICE_UNKNOWN)
    _expect_own(actor, withdrawn)
    _expect_evidence(view, actor, message["evidence_on_day"], is_needed=True)
    left = [each for each in choices if each[0] != message["choice"]]
    view.put(TABLE, message["pseudonym"], [version + 1, left])
    told = [message["commitment"], actor, message["evidence_on_day"]]
    return [402, message["pseudonym"], message["choice"], version + 1, *told]


def choices_of(view: View, pseudonym: bytes) -> Row:
    """Return [version, choices], of version 0 where there is no row."""
    return view.get(TABLE, pseudonym) or [0, []]


def _act(view: View, message: Message) -> int:
    relationship = patients.require_open(view, message["pseudonym"])
    return patients.actor_of(relationship, view.need(*patients.acting_keys(relationship, view.time_s)))


def _expect_own(actor: int, choices: list[Row]) -> None:
    if actor == patients.CUSTODIAN and any(choice[3] != patients.CUSTODIAN for choice in choices):
        raise No(CHOICE_OF_PATIENT)


def _expect_evidence(view: View, actor: int, on_day: int, *, is_needed: bool) -> None:
    is_missing = is_needed and on_day == 0
    if actor == patients.CUSTODIAN and (is_missing or on_day > view.day):
        raise No(EVIDENCE_UNFIT)
    if actor != patients.CUSTODIAN and on_day != 0:
        raise No(EVIDENCE_UNFIT)
