"""Messages of recovery, mostly legal, for relationships that have recovery keys."""

from collections.abc import Callable
from functools import partial

from salus.crypto.signing import SigningKey
from salus.testing.auditor.view import Row
from salus.testing.simulator.drafter import Draft, Drafter


def start_recovery(make: Drafter) -> list[Draft]:
    """Begin a recovery, checked by the custodian where the second key signs."""
    pseudonym, relationship, recovery = _recovery(make, lambda row: not row[2])
    key, master = make.new_key(), _master(make, relationship, recovery)
    checks = [make.organisation_key(relationship[0])] if master.public == recovery[0] else []
    return [Draft([207, pseudonym, key.public, make.bytes(32)], [master, *checks, key])]


def finish_recovery(make: Drafter) -> list[Draft]:
    """Finish a recovery that was started, ready or not."""
    is_any_ready = any(_is_ready(make, row) for _, row in make.rows("patients.recoveries"))
    wanted = partial(_is_ready, make) if is_any_ready else lambda row: bool(row[2])
    pseudonym, relationship, recovery = _recovery(make, wanted)
    signers = [make.keys.of(each[1]) for each in recovery[2]] or [_master(make, relationship, recovery)]
    return [Draft([208, pseudonym, make.bytes(32)], signers)]


def change_recovery_key(make: Drafter) -> list[Draft]:
    """Change recovery keys, perhaps one of them only."""
    pseudonym, relationship, recovery = _recovery(make)
    kept = make.chance.random() < 0.3 and relationship[3]
    first = kept or make.new_key().public
    second = make.chance.choice((recovery[0], recovery[0], b"", make.new_key().public))
    return [Draft([209, pseudonym, first, second, make.bytes(32)], [_master(make, relationship, recovery)])]


def undo_recovery_key(make: Drafter) -> list[Draft]:
    """Undo a change, whether or not one waits."""
    pseudonym, relationship, recovery = _recovery(make, lambda row: bool(row[3]))
    return [Draft([210, pseudonym, make.bytes(32)], [_master(make, relationship, recovery)])]


def cancel_recovery(make: Drafter) -> list[Draft]:
    """Stop a recovery with the pseudonym's key."""
    pseudonym, relationship, _ = _recovery(make, lambda row: bool(row[2]))
    return [Draft([211, pseudonym, make.bytes(32)], [make.keys.of(relationship[1])])]


def _recovery(make: Drafter, wanted: Callable[[Row], bool] = lambda _row: True) -> tuple[bytes, Row, Row]:
    """A relationship and what its recovery has come to: mostly one of those wanted, as long as there is one."""
    found = [key for key, row in make.rows("patients.recoveries") if wanted(row)]
    found = found or [key for key, row in make.rows("patients.relationships") if row[3] and not row[5]]
    pseudonym = make.chance.choice(found) if found and make.chance.random() < 0.8 else make.patient()[0]
    view = make.auditor.view(time_s=make.time_s)
    relationship = view.get("patients.relationships", pseudonym) or make.patient()[1]
    recovery = view.get("patients.recoveries", pseudonym) or [b"", False, [], []]
    return pseudonym, relationship, recovery


def _is_ready(make: Drafter, recovery: Row) -> bool:
    return any(ready_at_s <= make.time_s for _, _, _, ready_at_s in recovery[2])


def _master(make: Drafter, relationship: Row, recovery: Row) -> SigningKey:
    """A recovery key, now and then one that waits, or the pseudonym's where there is none."""
    waiting = [each[0] for each in recovery[3]] if make.chance.random() < 0.3 else []
    known = [key for key in (relationship[3], recovery[0], *waiting) if key]
    return make.keys.of(make.chance.choice(known or [relationship[1]]))
