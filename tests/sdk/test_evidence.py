"""What node and patient compute alike: the choices in force, the keys that were current, what was asked for."""

import random

import pytest

from salus.contracts import consent
from salus.contracts.evidence import decode_outcome, in_force, is_asked_for, keys_between, row_keys
from salus.contracts.gathering import MaterialMissing, choice_changes, read_trail
from salus.contracts.membership import Keys, RetiredKey
from salus.contracts.provisions import Record
from salus.contracts.residuals import Scope
from salus.ledger.identifiers import Digest
from salus.ledger.outcomes import Leaf
from tests.sdk.receipt_network import ANN, HOSPITAL, PRACTICE, SHARE
from tests.sdk.receipt_world import Story, begin


@pytest.mark.promise("R1", "R2")
@pytest.mark.parametrize("seed", range(6))
def test_choices_in_force_are_those_of_the_contract_at_every_version(seed: int) -> None:
    chance, story = random.Random(seed), begin()
    story.enrol()
    held = []
    for _ in range(14):
        name = f"{chance.randrange(3)}"
        before = consent.choices(story.ledger.rows, ANN)
        if chance.random() < 0.4 and before.choices:
            withdraw(story, chance.choice(before.choices).choice)
        else:
            story.choose(SHARE, name=name)
        held.append(consent.choices(story.ledger.rows, ANN))
    trail = read_trail(story.ledger.rows, ANN)
    for version, want in enumerate(held, start=1):
        filed = in_force(choice_changes(trail, up_to=version))
        assert want.version == version, f"seed {seed}"
        assert [event.outcome.commitment for event in filed] == [each.commitment for each in want.choices]  # type: ignore[attr-defined]


def withdraw(story: Story, choice: bytes) -> None:
    for name in ("0", "1", "2"):
        if story.choice_id(name) == choice:
            story.withdraw(name=name)


A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))
KEYS = Keys(C, (RetiredKey(A, 100), RetiredKey(B, 200)))


@pytest.mark.promise("R5", "L5")
@pytest.mark.parametrize(
    ("from_s", "until_s", "want"),
    [
        (0, 99, [A]),
        (99, 99, [A]),
        (99, 100, [B, A]),
        (100, 100, [B]),
        (100, 199, [B]),
        (150, 250, [C, B]),
        (50, 250, [C, B, A]),
        (200, 300, [C]),
    ],
)
def test_keys_that_were_current(from_s: int, until_s: int, want: list[bytes]) -> None:
    assert list(keys_between(KEYS, from_s=from_s, until_s=until_s)) == want
    assert list(keys_between(Keys(A, ()), from_s=from_s, until_s=until_s)) == [A]


RECORD = Record(ids=(bytes(16), bytes([1]) * 16), classes=("Observation",), period_from_s=100, period_to_s=200)


@pytest.mark.promise("R1")
@pytest.mark.parametrize(
    ("scope", "want"),
    [
        (Scope(), True),
        (Scope(classes=("Observation", "Condition")), True),
        (Scope(classes=("Condition",)), False),
        (Scope(records=(bytes(16),)), True),
        (Scope(records=(bytes([1]) * 16,)), False),
        (Scope(data_from_s=200), True),
        (Scope(data_from_s=201), False),
        (Scope(data_to_s=100), True),
        (Scope(data_to_s=99), False),
    ],
)
def test_what_was_asked_for(scope: Scope, want: bool) -> None:
    assert is_asked_for(scope, RECORD) is want


def test_rows_of_one_end_stand_once() -> None:
    two = row_keys(ANN, custodian=HOSPITAL, requester=PRACTICE, certificate=bytes(32))
    one = row_keys(ANN, custodian=HOSPITAL, requester=HOSPITAL, certificate=bytes(32))
    assert (len(two), len(one)) == (8, 6)
    assert len(set(two)) == 8


def test_a_rejection_says_nothing_of_anybody() -> None:
    assert decode_outcome(Leaf(1, 1, Digest(bytes(32)), 0, 401, b"\xcd\x01\x91")) is None


def test_rules_that_are_not_held_are_named() -> None:
    story = begin()
    story.enrol()
    story.certify()
    story.choose(SHARE, name="practice")
    part = story.release()
    story.choices.clear()
    with pytest.raises(MaterialMissing, match="the rules of a choice or ticket that applied are not held here"):
        story.bundle(part)
