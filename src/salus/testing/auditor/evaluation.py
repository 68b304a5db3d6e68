"""A tree applied to a request and a record (docs/spec/provisions.md, Evaluation), and the decision on one record.

A record is [ids, classes, labels, codes, period from, period to, authors, refers to, referred by]; a request is
(organisation, role class, purpose, verb, day, person). What is not known *perhaps* holds.
"""

from collections.abc import Sequence
from typing import Any, Final

from salus.testing.auditor.gates import holds

DENY, NONE, PERMIT = -1, 0, 1
FAILS, PERHAPS, HOLDS = 0, 1, 2
EARLIEST_S: Final = -62_135_596_800
LATEST_S: Final = 253_402_300_799

Request = tuple[str, int, int, int, int, bytes]
Record = list[Any]
Tree = list[Any]


def outcome(provision: Tree, request: Request, record: Record) -> int:
    """Return what a provision says: DENY, NONE or PERMIT."""
    fit = _fit(provision, request, record)
    if fit == FAILS:
        return NONE
    below = [outcome(exception, request, record) for exception in provision[14]]
    if DENY in below:
        said = DENY
    elif PERMIT in below:
        said = PERMIT
    else:
        said = PERMIT if provision[0] == 1 else DENY
    return min(said, NONE) if fit == PERHAPS else said


def _fit(provision: Tree, request: Request, record: Record) -> int:
    if not holds(provision[1:7], request[:5]):
        return FAILS
    return min(
        _period_fit(provision[7], provision[8], record[4], record[5]),
        _any_of(provision[9], record[2]),
        _any_of(provision[10], record[1]),
        _any_of(provision[11], record[3]),
        _person_fit(provision[12], request[5]),
        _data_fit(provision[13], record),
    )


def _any_of(wanted: Sequence[Any], has: Sequence[Any]) -> int:
    return HOLDS if not wanted or set(wanted) & set(has) else FAILS


def _period_fit(first: int, last: int, begins: int, ends: int) -> int:
    if (first, last) == (EARLIEST_S, LATEST_S):
        return HOLDS
    if (begins, ends) == (EARLIEST_S, LATEST_S) or begins > ends:
        return PERHAPS
    if ends < first or begins > last:
        return FAILS
    return HOLDS if first <= begins and ends <= last else PERHAPS


def _person_fit(wanted: Sequence[bytes], person: bytes) -> int:
    if not wanted:
        return HOLDS
    if not person:
        return PERHAPS
    return HOLDS if person in wanted else FAILS


def _data_fit(wanted: Sequence[list[Any]], record: Record) -> int:
    """Of several references any will do: instance, related, dependents, authored by."""
    if not wanted:
        return HOLDS
    ids, authors, refers_to, referred_by = record[0], record[6], record[7], record[8]
    named = {1: [*ids], 2: [*ids, *referred_by], 3: [*ids, *refers_to], 4: [*authors]}
    if any(identifier in named[meaning] for meaning, identifier in wanted):
        return HOLDS
    return PERHAPS if not authors and any(meaning == 4 for meaning, _ in wanted) else FAILS


def may_go(
    *,
    network: Sequence[Tree],
    custodian: Sequence[Tree],
    choices: Sequence[Tree],
    ticket: Sequence[Tree],
    is_emergency: bool,
    is_own: bool,
    request: Request,
    record: Record,
) -> bool:
    """Decide on one record under a live permit (docs/spec/contracts.md, The decision on one record).

    Args:
        is_emergency: the permit's basis is EMERGENCY.
        is_own: the requester is the custodian, and the request is direct care; or it is the patient's own.
    """
    policies = [outcome(tree, request, record) for tree in (*network, *custodian)]
    chosen = [outcome(tree, request, record) for tree in choices]
    if DENY in policies:
        return False
    if is_emergency:
        return True
    if DENY in chosen:
        return False
    if PERMIT in chosen or (ticket and all(outcome(tree, request, record) == PERMIT for tree in ticket)):
        return True
    return is_own or PERMIT in policies
