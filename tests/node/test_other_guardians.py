"""Guardians who take the place of others: how that stands, since when they count, and what was undone (U3)."""

import pytest

from salus.contracts import patients
from salus.contracts.patients import CHANGE_S, TIME_LOCK_S, ChangeRecoveryKey, TakeOverKey, UndoRecoveryKey
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import Digest, PublicKey
from salus.node.errors import Refusal, Refused
from salus.node.services import recoveries
from salus.node.services.enrol import custodian_held_key, enrol
from salus.node.services.recoveries import Standing
from salus.node.services.recovery_deliveries import WhyNot, why_not
from salus.testing.population.numbers import kept_nhs_number
from tests.node.test_recoveries import MASTER, NEW, SECOND, Home, home, refusal_of, take

__all__ = ["home"]
pytestmark = pytest.mark.promise("U3")
THIEF, OTHER = (SigningKey.from_seed(bytes([number]) * 32) for number in (7, 8))


def change(home: Home, key: SigningKey, second: SigningKey | None, *, by: SigningKey) -> None:
    """Let other guardians take the place of these."""
    new = Digest(second.public) if second else Digest(b"")
    take(home.node, home.signed(lambda of, why: ChangeRecoveryKey(of, PublicKey(key.public), new, why), by))


def undo(home: Home, key: SigningKey) -> None:
    take(home.node, home.signed(UndoRecoveryKey, key))


def changed_at_s(home: Home) -> int:
    return recoveries.changed_at_s(home.node, home.ann)


def test_a_change_waits_and_is_undone_by_those_of_now(home: Home) -> None:
    home.choose(has_second=True)
    before = home.standing()
    assert (before.may_change, before.changer, changed_at_s(home)) == (True, SECOND.public, 0)
    assert refusal_of(change, home, THIEF, OTHER, by=MASTER) == (Refusal.LEDGER_REJECTED, 11)  # SignatureMissing
    change(home, THIEF, OTHER, by=SECOND)
    now = home.standing()
    assert (now.first_key, now.second_key) == (MASTER.public, SECOND.public)
    assert now.changes_at_s - home.node.clock() in range(CHANGE_S - 2, CHANGE_S + 3)
    assert (now.may_change, now.undoer, changed_at_s(home)) == (False, SECOND.public, 0)
    assert refusal_of(undo, home, MASTER) == (Refusal.LEDGER_REJECTED, 11)
    home.clock.advance(CHANGE_S - 60)
    undo(home, SECOND)
    assert home.standing() == before
    home.clock.advance(60)
    assert (home.standing(), changed_at_s(home)) == (before, 0)


def test_a_change_by_fewer_people_is_undone_by_as_few(home: Home) -> None:
    home.choose()
    change(home, THIEF, None, by=MASTER)
    assert (home.standing().undoer, home.standing().changer) == (MASTER.public, MASTER.public)
    undo(home, MASTER)
    assert home.standing() == Standing(holds_key=True, first_key=MASTER.public)


def test_after_7_days_it_is_too_late_and_those_who_were_chosen_count(home: Home) -> None:
    home.choose()
    change(home, THIEF, None, by=MASTER)
    counts_at_s = home.standing().changes_at_s
    home.clock.advance(CHANGE_S + 2)
    with pytest.raises(Refused) as refused:
        undo(home, THIEF)
    assert why_not(refused.value) is WhyNot.OVER
    with pytest.raises(Refused) as refused:
        undo(home, MASTER)
    assert why_not(refused.value) is WhyNot.WORDS
    assert home.standing() == Standing(holds_key=True, first_key=THIEF.public)
    assert changed_at_s(home) == counts_at_s
    home.start(THIEF, NEW)
    assert changed_at_s(home) == counts_at_s


def test_a_change_ends_with_a_recovery_that_is_finished_before(home: Home) -> None:
    """Who was let back in by those of now keeps those of now."""
    home.choose()
    change(home, THIEF, None, by=MASTER)
    home.start()
    assert (home.standing().may_choose, home.standing().may_change) == (False, False)
    home.clock.advance(TIME_LOCK_S + 2)
    home.finish()
    assert home.standing() == Standing(holds_key=True, first_key=MASTER.public)
    home.clock.advance(CHANGE_S)
    assert (home.standing().first_key, changed_at_s(home)) == (MASTER.public, 0)


def test_guardians_who_came_with_the_take_over_are_replaced_like_any_other(home: Home) -> None:
    """As somebody's own program may set them: then the first change is none of the first guardians."""
    other, own, why = enrol(home.node, kept_nhs_number(2), "1980-01-01"), SigningKey.generate(), Digest(bytes(32))
    keys = (custodian_held_key(home.node, other), own)
    home.node.submit_signed((TakeOverKey(other, PublicKey(own.public), Digest(MASTER.public), why),), keys)
    assert recoveries.changed_at_s(home.node, other) == 0
    changed = ChangeRecoveryKey(other, PublicKey(THIEF.public), Digest(b""), why)
    home.node.submit_signed((changed,), (MASTER,))
    counts_at_s = recoveries.standing(home.node, other).changes_at_s
    home.clock.advance(CHANGE_S + 2)
    assert recoveries.changed_at_s(home.node, other) == counts_at_s > 0


def test_nobody_is_replaced_while_a_recovery_runs(home: Home) -> None:
    home.choose()
    home.start()
    with pytest.raises(Refused) as refused:
        change(home, THIEF, None, by=MASTER)
    assert why_not(refused.value) is WhyNot.RUNS


@pytest.mark.parametrize(
    ("refusal", "number", "reason"),
    [
        (Refusal.LEDGER_REJECTED, patients.Rejection.RECOVERY_SPENT, WhyNot.SPENT),
        (Refusal.LEDGER_REJECTED, patients.Rejection.RECOVERY_FINAL, WhyNot.FINAL),
        (Refusal.LEDGER_REJECTED, patients.Rejection.RECOVERY_EARLY, WhyNot.EARLY),
        (Refusal.LEDGER_REJECTED, patients.Rejection.KEY_KNOWN, WhyNot.OTHER),
        (Refusal.CHOICE_UNFIT, 11, None),
    ],
)
def test_why_the_ledger_says_no(refusal: Refusal, number: int, reason: WhyNot | None) -> None:
    assert why_not(Refused(refusal, "no", number=number)) is reason
