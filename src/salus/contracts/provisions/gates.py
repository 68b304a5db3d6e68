"""The gate of a tree: all that the ledger holds of a choice besides its commitment (DESIGN §5.1, P7).

Two flat, bounded lists of open criteria. *May permit* errs towards permitting, *surely denies* towards not denying,
both only where a bound is reached or a criterion is not open; the custodian's evaluation of the whole tree then decides
there. Sets and lists are sorted and condensed, so that a gate shows as little as it can of the tree that it came from.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from salus.contracts.provisions.evaluation import Request, holds_openly, is_open
from salus.contracts.provisions.tree import (
    FIRST_DAY,
    LAST_DAY,
    SET_SIZE_MAX,
    Provision,
    ProvisionType,
    Purpose,
    RoleClass,
    Verb,
    as_set,
    check_bytes,
    check_interval,
    check_set,
)
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId

ENTRIES_MAX = 16
"""Conditions that may permit; sure denials; exceptions of one sure denial."""
ORGANISATIONS_MAX = 16
GATE_BYTES_MAX = 4_096
"""Holds any list of permits within the other bounds (3,925 bytes), so that only sure denials give way to it."""
STEPS_MAX = ENTRIES_MAX + ENTRIES_MAX * (1 + ENTRIES_MAX)

_SETS = ("organisations", "role_classes", "purposes", "verbs")


class Condition(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, order=True):
    """A conjunction of open criteria; an empty set means any.

    Args:
        valid_from_day: first day UTC since 1970-01-01; with valid_to_day, inclusive.
    """

    organisations: tuple[OrganisationId, ...] = ()
    role_classes: tuple[RoleClass, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    verbs: tuple[Verb, ...] = ()
    valid_from_day: int = FIRST_DAY
    valid_to_day: int = LAST_DAY


class SureDenial(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, order=True):
    """Every request that meets the condition and none of the exceptions is denied, whatever the record."""

    condition: Condition
    exceptions: tuple[Condition, ...] = ()


class Gate(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What may permit and what surely denies. The empty gate does neither."""

    may_permit: tuple[Condition, ...] = ()
    surely_denies: tuple[SureDenial, ...] = ()


def gate(tree: Provision) -> Gate:
    """Return the canonical gate of a checked tree.

    Over a bound, permits and exceptions are widened and sure denials dropped: each only ever leaves more to the
    custodian's evaluation.
    """
    denials: list[SureDenial] = []
    permits = _collect(tree, Condition(), on_open_path=True, denials=denials)
    return _within_bytes(_widened(permits), as_set(denials)[:ENTRIES_MAX])


def may_permit(of: Gate, request: Request) -> bool:
    """Tell whether the tree of this gate could permit the request for some record."""
    return any(holds_openly(condition, request) for condition in of.may_permit)


def surely_denies(of: Gate, request: Request) -> bool:
    """Tell whether the tree of this gate denies the request for every record."""
    return any(
        holds_openly(denial.condition, request)
        and not any(holds_openly(exception, request) for exception in denial.exceptions)
        for denial in of.surely_denies
    )


def steps(of: Gate) -> int:
    """Return how many conditions both questions together may compare, at most STEPS_MAX in a checked gate (L6)."""
    return len(of.may_permit) + sum(1 + len(denial.exceptions) for denial in of.surely_denies)


def check_gate(of: Gate) -> None:
    """Check the bounds and the canonical form of a gate that came from outside. Whose tree it is, nobody can see here.

    Raises:
        ProvisionInvalid: names the list and the entry.
    """
    _check_conditions("may permit", of.may_permit)
    _check_list("surely denies", of.surely_denies)
    for place, denial in enumerate(of.surely_denies):
        _check_condition(f"surely denies {place}", denial.condition)
        _check_conditions(f"exceptions of surely denies {place}", denial.exceptions)
    check_bytes("a gate", len(encode(of)), GATE_BYTES_MAX)


def _collect(
    provision: Provision, path: Condition, *, on_open_path: bool, denials: list[SureDenial]
) -> list[Condition]:
    """Add the sure denials at and below a provision; return the conditions under which it or one below may permit."""
    condition = _narrowed(path, provision)
    if condition is None:
        return []
    is_surely_met = on_open_path and is_open(provision)
    permits = [
        permit
        for child in provision.provisions
        for permit in _collect(child, condition, on_open_path=is_surely_met, denials=denials)
    ]
    if provision.type is ProvisionType.PERMIT:
        return [condition]  # it covers every permit below it
    if is_surely_met:
        denials.extend(_denial(condition, permits))
    return permits


def _denial(condition: Condition, permits: list[Condition]) -> list[SureDenial]:
    """The sure denial; none when it would be over a bound or its exceptions leave nothing of it."""
    exceptions = _widened(permits)
    if len(condition.organisations) > ORGANISATIONS_MAX or any(_covers(each, condition) for each in exceptions):
        return []
    return [SureDenial(condition, exceptions)]


def _narrowed(path: Condition, provision: Provision) -> Condition | None:
    """The path's condition and the provision's open criteria together; None when no request can meet both."""
    sets: dict[str, Any] = {}
    for name in _SETS:
        above, own = getattr(path, name), getattr(provision, name)
        sets[name] = tuple(value for value in own if value in above) if above and own else above or own
        if (above or own) and not sets[name]:
            return None
    from_day = max(path.valid_from_day, provision.valid_from_day)
    to_day = min(path.valid_to_day, provision.valid_to_day)
    return Condition(**sets, valid_from_day=from_day, valid_to_day=to_day) if from_day <= to_day else None


def _widened(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """The conditions within the bounds, widened where they would be over one."""
    entries = _condensed(_with_few_organisations(condition) for condition in conditions)
    if len(entries) <= ENTRIES_MAX:
        return entries
    return _condensed([*entries[: ENTRIES_MAX - 1], _hull(entries[ENTRIES_MAX - 1 :])])


def _with_few_organisations(condition: Condition) -> Condition:
    """The condition, or one for any organisation when it names more than the bound."""
    if len(condition.organisations) <= ORGANISATIONS_MAX:
        return condition
    return msgspec.structs.replace(condition, organisations=())


def _hull(conditions: Sequence[Condition]) -> Condition:
    """The narrowest single condition within the bounds that is met wherever one of these is."""
    sets: dict[str, Any] = {}
    for name in _SETS:
        listed = [getattr(condition, name) for condition in conditions]
        sets[name] = as_set(value for values in listed for value in values) if all(listed) else ()
    from_day = min(condition.valid_from_day for condition in conditions)
    to_day = max(condition.valid_to_day for condition in conditions)
    return _with_few_organisations(Condition(**sets, valid_from_day=from_day, valid_to_day=to_day))


def _condensed(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Sorted, each once, without those that another covers."""
    entries = as_set(conditions)
    return tuple(entry for entry in entries if not any(other != entry and _covers(other, entry) for other in entries))


def _covers(wide: Condition, narrow: Condition) -> bool:
    """Tell whether every request that meets `narrow` meets `wide`."""
    for name in _SETS:
        outer, inner = getattr(wide, name), getattr(narrow, name)
        if outer and not (inner and all(value in outer for value in inner)):
            return False
    return wide.valid_from_day <= narrow.valid_from_day and narrow.valid_to_day <= wide.valid_to_day


def _within_bytes(permits: tuple[Condition, ...], denials: tuple[SureDenial, ...]) -> Gate:
    bounded = Gate(permits, denials)
    while len(encode(bounded)) > GATE_BYTES_MAX:
        bounded = Gate(permits, bounded.surely_denies[:-1])
    return bounded


def _check_conditions(where: str, conditions: tuple[Condition, ...]) -> None:
    _check_list(where, conditions)
    for place, condition in enumerate(conditions):
        _check_condition(f"{where} {place}", condition)


def _check_list(where: str, entries: tuple[Condition, ...] | tuple[SureDenial, ...]) -> None:
    check_set(where, "entries", entries, ENTRIES_MAX)


def _check_condition(where: str, condition: Condition) -> None:
    for name in _SETS:
        size_max = ORGANISATIONS_MAX if name == "organisations" else SET_SIZE_MAX
        check_set(where, name, getattr(condition, name), size_max)
    check_interval(where, "validity in days", (condition.valid_from_day, condition.valid_to_day), (FIRST_DAY, LAST_DAY))
