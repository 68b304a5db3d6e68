"""Receipts that hold together and are false: found by the check, or by running the rules again (R1, R2)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from salus.contracts.access import End
from salus.contracts.provisions import RoleClass
from salus.contracts.residuals import Scope, commit_certificate, person_certificate
from salus.ledger.entries import entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.receipts import (
    ChoicesField,
    ConductField,
    Delivery,
    Field,
    ReleasedField,
    RequestField,
    RulesField,
    ScopeField,
    Standing,
    WhoField,
    WithheldField,
)
from salus.ledger.verifier import VerificationFailed
from salus.sdk.receipt_words import receipt_lines
from salus.sdk.verified import Rerun
from tests.sdk.receipt_cases import BLOOD, CHOICE, LETTER, POLICY, TEST, check, released
from tests.sdk.receipt_network import CHART, HOSPITAL, PRACTICE, Changes, key
from tests.sdk.receipt_world import Story, chart

replace = msgspec.structs.replace


# Receipts that both ends signed and anchored, and that are false


def rewrites(kind: type[Field], **fields: object) -> Changes:
    """A custodian that writes another field."""
    return Changes(
        rewrite=lambda written: [replace(each, **fields) if isinstance(each, kind) else each for each in written]
    )


def with_session(**fields: Any) -> Callable[[Story], dict[str, Any]]:
    """A request whose session is certified otherwise."""

    def asked(story: Story) -> dict[str, Any]:
        certifier = fields.get("certifier", key("doctor"))
        others = {name: value for name, value in fields.items() if name not in ("certifier", "session")}
        session = story.session(fields.get("session", story.next_session_key()), certifier, **others)
        return {"residual_changes": {"session": session}}

    return asked


def with_certificate(**fields: Any) -> Callable[[Story], dict[str, Any]]:
    """A request that names another certificate."""

    def asked(story: Story) -> dict[str, Any]:
        certificate = replace(person_certificate(story.certificate), **fields)
        return {"residual_changes": {"certificate": commit_certificate(certificate, secret=bytes(32))}}

    return asked


def late_record(story: Story) -> dict[str, Any]:
    return {"changes": Changes(rewrite=lambda written: late(story, written))}


def late(story: Story, written: list[Field]) -> list[Field]:
    """Register a record after the permit was given, and write that it was released."""
    story.register(CHART[0])
    placed = story.records[-1].placed
    scope = next(each for each in written if isinstance(each, ScopeField))
    more = replace(scope, in_scope=scope.in_scope + 1, released=scope.released + 1)
    at = next(place for place, each in enumerate(written) if isinstance(each, WithheldField))
    named = ReleasedField(entry_hash(placed.entry), placed.batch_root, placed.entry.sealed_root, 9)
    return [more if each is scope else each for each in [*written[:at], named, *written[at:]]]


NO_CERTIFICATE = CommittedFields(bytes(32), (b"",))
FALSE: dict[str, tuple[Callable[[Story], dict[str, Any]], int]] = {
    "more in scope than shown": (lambda _: {"changes": rewrites(ScopeField, in_scope=5)}, 2),
    "a part beyond the last": (lambda _: {"changes": rewrites(RequestField, part_count=0)}, 2),
    "a record twice": (lambda _: {"changes": Changes(rewrite=twice)}, 2),
    "continuity, although there is a permit": (
        lambda _: {"changes": Changes(standing=Standing.CONTINUITY, delivery=Delivery.TLS)},
        3,
    ),
    "a scope of another moment": (lambda _: {"changes": rewrites(ScopeField, as_of_s=1)}, 3),
    "choices of another version": (lambda _: {"changes": rewrites(ChoicesField, choices_version=2)}, 3),
    "a policy of another version": (lambda _: {"changes": rewrites(ChoicesField, custodian_policy_version=0)}, 3),
    "written after the permit": (lambda story: {"changes": rewrites(ConductField, at_s=story.ledger.time_s + 961)}, 3),
    "written before the permit": (lambda story: {"changes": rewrites(ConductField, at_s=story.ledger.time_s - 61)}, 3),
    "rules of another day": (lambda _: {"changes": rewrites(ConductField, day=1)}, 3),
    "another request": (lambda _: {"changes": rewrites(RequestField, request=bytes(16))}, 4),
    "another person": (lambda _: {"changes": rewrites(WhoField, certificate=bytes(32))}, 5),
    "a certificate of another organisation": (with_certificate(organisation=HOSPITAL), 5),
    "a certificate for another role": (with_certificate(role_classes=(RoleClass.ADMINISTRATIVE,)), 5),
    "no certificate": (lambda _: {"residual_changes": {"certificate": CommittedFields(bytes(32), ())}}, 5),
    "a certificate that is none": (
        lambda _: {"residual_changes": {"certificate": CommittedFields(bytes(32), (b"",))}},
        5,
    ),
    "a session certified by somebody else": (with_session(certifier=key("nurse")), 5),
    "a session for another custodian": (with_session(custodian=PRACTICE), 5),
    "a session that is too long": (with_session(duration_s=13 * 3600), 5),
    "a session that had ended": (with_session(ahead_s=-4000), 5),
    "a session that had not begun": (with_session(ahead_s=4000), 5),
    "another session than the one that signed": (with_session(session=key("another session")), 6),
    "a choice that was not applied": (lambda _: {"changes": Changes(rewrite=fewer_choices)}, 10),
    "missing rules of a choice that was not in force": (
        lambda _: {"changes": Changes(rewrite=lambda written: [*written, RulesField((bytes(32),), ())])},
        10,
    ),
    "missing rules, stated twice": (
        lambda _: {"changes": Changes(rewrite=lambda written: [*written, *2 * [RulesField((), ())]])},
        2,
    ),
    "other bytes than the entry's": (lambda _: {"changes": rewrites(ReleasedField, sealed_root=bytes(32))}, 11),
    "another batch than the entry's": (lambda _: {"changes": rewrites(ReleasedField, batch_root=bytes(32))}, 11),
    "a record registered after the permit": (late_record, 11),
}


def twice(written: list[Field]) -> list[Field]:
    scope = next(each for each in written if isinstance(each, ScopeField))
    more = replace(scope, in_scope=scope.in_scope + 1, withheld=scope.withheld + 1)
    return [*(more if each is scope else each for each in written), written[-1]]


def fewer_choices(written: list[Field]) -> list[Field]:
    return [replace(each, choices=()) if isinstance(each, ChoicesField) else each for each in written]


@pytest.mark.promise("R1", "R2", "R5", "R6")
@pytest.mark.parametrize("name", FALSE)
def test_false_although_both_ends_signed_it(name: str) -> None:
    asked, step = FALSE[name]
    story = chart()
    part = story.release(**asked(story))
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    with pytest.raises(VerificationFailed) as failed:
        check(story.bundle(part), story)
    assert (failed.value.checklist, failed.value.step) == ("receipt", step)


# Who did wrong

FAULTS: dict[str, tuple[Changes, str, Rerun]] = {
    "nothing": (Changes(), "", Rerun.SAME),
    "what the patient keeps back was released": (
        Changes(let_go=(2,)),
        f"{LETTER} was released, although a rule keeps it: {CHOICE}",
        Rerun.OTHER,
    ),
    "what a policy keeps back was released": (
        Changes(let_go=(3,)),
        f"{TEST} was released, although a rule keeps it: {POLICY}",
        Rerun.OTHER,
    ),
    "what may go was withheld": (
        Changes(keep_back=(0,)),
        f"{BLOOD} was withheld, although no rule keeps it.",
        Rerun.OTHER,
    ),
    "another rule was given": (
        Changes(wrong_rule=True),
        f"{LETTER} was withheld by another rule than the one stated: {CHOICE}",
        Rerun.OTHER,
    ),
}


@pytest.mark.promise("R1", "R2")
@pytest.mark.parametrize("name", FAULTS)
def test_rules_are_run_again(name: str) -> None:
    changes, fault, rerun = FAULTS[name]
    receipt = released(chart(), changes=changes)
    assert receipt.faults == ((fault,) if fault else ())
    assert receipt.rerun is rerun
    assert [line for line in receipt_lines(receipt) if line.startswith("WRONG")] == (
        [f"WRONG: {fault}"] if fault else []
    )


@pytest.mark.promise("R1")
def test_what_nobody_asked_for_was_released() -> None:
    receipt = released(chart(), scope=Scope(classes=("AllergyIntolerance",)))
    assert receipt.faults == ("“Haemoglobin” (test results) was released, although nobody asked for it.",)


@pytest.mark.promise("R1", "R2")
def test_a_release_to_others_without_the_rules_is_a_fault() -> None:
    """A custodian that says that it lacked a choice, and released all the same."""
    receipt = released(chart(), changes=Changes(rewrite=without_rules))
    assert receipt.faults[0].startswith(f"{HOSPITAL} released without the rules of your choices")
    assert any(line.startswith(f"Note: {HOSPITAL} did not hold the rules") for line in receipt_lines(receipt))


def without_rules(written: list[Field]) -> list[Field]:
    choices = next(each for each in written if isinstance(each, ChoicesField))
    return [*written, RulesField(choices.choices, ())]
