"""Gates (docs/spec/provisions.md, Gate): what they permit and deny, whether they are canonical, and those of a tree.

A condition is [organisations, role classes, purposes, verbs, first day, last day], a gate [permits, sure denials].
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from salus.testing.auditor.canonical import encode

Condition = list[Any]
Gate = Any
Request = tuple[str, int, int, int, int]
"""Organisation, role class, purpose, verb, day."""

LAST_DAY: Final = 2_932_896
ENTRIES_MAX: Final = 16
ORGANISATIONS_MAX: Final = 16
GATE_BYTES_MAX: Final = 4096
SETS: Final = range(4)
LEVELS_MAX: Final = 8
PROVISIONS_MAX: Final = 64
SET_MAX: Final = 64
TOKEN_MAX: Final = 256
TREE_BYTES_MAX: Final = 16_384
YEAR_1_S: Final = -62_135_596_800
YEAR_9999_S: Final = 253_402_300_799
_CODE = re.compile(r"^[A-Z0-9]{2,12}\Z")
_TYPE = re.compile(r"^[A-Z][A-Za-z]{0,63}\Z")
_TOKEN = re.compile(r"^[^ ]+\|[^ |]+( [^ |]+)*\Z")


def holds(condition: Condition, request: Request) -> bool:
    """Tell whether a request meets a condition; an empty set means any."""
    in_sets = all(not condition[place] or request[place] in condition[place] for place in SETS)
    return in_sets and condition[4] <= request[4] <= condition[5]


def may_permit(gate: Gate, request: Request) -> bool:
    """Tell whether the tree behind a gate may permit a request."""
    return any(holds(condition, request) for condition in gate[0])


def surely_denies(gate: Gate, request: Request) -> bool:
    """Tell whether the tree behind a gate denies a request whatever the record."""
    return any(
        holds(condition, request) and not any(holds(each, request) for each in exceptions)
        for condition, exceptions in gate[1]
    )


def conditions_of(gate: Gate) -> int:
    """How many conditions a gate has."""
    return len(gate[0]) + sum(1 + len(exceptions) for _, exceptions in gate[1])


def is_fit_condition(condition: Condition) -> bool:
    """Tell whether a condition is within its bounds and canonical."""
    sets_fit = all(condition[place] == sorted(set(condition[place])) for place in SETS)
    codes_fit = all(_CODE.match(code) for code in condition[0])
    return (
        sets_fit and codes_fit and len(condition[0]) <= ORGANISATIONS_MAX and 0 <= condition[4] <= condition[5]
        and condition[5] <= LAST_DAY
    )  # fmt: skip


def is_fit_gate(gate: Gate) -> bool:
    """Tell whether a gate from outside is within its bounds and canonical (`check_gate`)."""
    conditions = [*gate[0], *(denial[0] for denial in gate[1]), *(each for denial in gate[1] for each in denial[1])]
    lists = [gate[0], gate[1], *(denial[1] for denial in gate[1])]
    return (
        all(map(is_fit_condition, conditions))
        and all(len(each) <= ENTRIES_MAX and each == _sorted(each) for each in lists)
        and len(encode(gate)) <= GATE_BYTES_MAX
    )


def _sorted(entries: list[Any]) -> list[Any]:
    """Sorted, each once."""
    return [entry for place, entry in enumerate(sorted(entries)) if place == 0 or entry != sorted(entries)[place - 1]]


# Of a tree


def is_fit_tree(tree: list[Any]) -> bool:
    """Tell whether a provision tree is within its bounds, canonical, and can meet a record (page: Provision)."""
    levels = [[tree]]
    while levels[-1]:
        levels.append([exception for provision in levels[-1] for exception in provision[14]])
    provisions = [provision for level in levels for provision in level]
    return (
        len(levels) <= LEVELS_MAX + 1 and len(provisions) <= PROVISIONS_MAX
        and all(map(_is_fit_provision, provisions)) and len(encode(tree)) <= TREE_BYTES_MAX
    )  # fmt: skip


def _is_fit_provision(provision: list[Any]) -> bool:
    sets = [provision[place] for place in (1, 2, 3, 4, 9, 10, 11, 12, 13)]
    data_first, data_last = provision[7:9]
    return (
        all(len(each) <= SET_MAX and each == _sorted(each) for each in sets)
        and all(_CODE.match(code) for code in provision[1])
        and 0 <= provision[5] <= provision[6] <= LAST_DAY
        and YEAR_1_S <= data_first <= data_last <= YEAR_9999_S
        and all(_is_token(each) for each in (*provision[9], *provision[11]))
        and all(_TYPE.match(each) for each in provision[10])
        and all(len(person) == 32 for person in provision[12])
        and all(meaning == 1 and len(record) == 16 for meaning, record in provision[13])
    )


def _is_token(text: str) -> bool:
    is_text = len(text) <= TOKEN_MAX and text.isprintable() and unicodedata.normalize("NFC", text) == text
    return is_text and bool(_TOKEN.match(text)) and not text.startswith("http://unitsofmeasure.org|")


def gate_of(tree: list[Any]) -> Gate:
    """Return the gate of a provision tree."""
    permits: list[Condition] = []
    denials: list[list[Any]] = []
    _walk(tree, [[], [], [], [], 0, LAST_DAY], is_open=True, permits=permits, denials=denials)
    gate: Gate = [_condensed(permits), _denials(denials)]
    while len(encode(gate)) > GATE_BYTES_MAX and gate[1]:
        gate[1] = gate[1][:-1]
    return gate


def _walk(
    provision: list[Any], path: Condition, *, is_open: bool, permits: list[Condition], denials: list[list[Any]]
) -> None:
    """Gather the conditions of a provision and its exceptions, its own first."""
    own = provision[1:7]
    here = _meet(path, own)
    if here is None:
        return
    is_open = is_open and provision[7:14] == [-62_135_596_800, 253_402_300_799, [], [], [], [], []]
    below: list[Condition] = []
    for exception in provision[14]:
        _walk(exception, here, is_open=is_open, permits=below, denials=denials)
    if provision[0] == 1:
        permits.append(here)
    elif is_open:
        denials.append([here, below])
    permits.extend(below)


def _meet(left: Condition, right: Condition) -> Condition | None:
    """Both conditions together; None when no request can meet both."""
    met: Condition = []
    for place in SETS:
        both = _intersect(left[place], right[place])
        if both is None:
            return None
        met.append(both)
    first, last = max(left[4], right[4]), min(left[5], right[5])
    return [*met, first, last] if first <= last else None


def _intersect(left: list[Any], right: list[Any]) -> list[Any] | None:
    if not left or not right:
        return left or right
    return sorted(set(left) & set(right)) or None


def covers(wide: Condition, narrow: Condition) -> bool:
    """Tell whether every request that meets one condition meets the other."""
    in_sets = all(not wide[place] or (narrow[place] and set(narrow[place]) <= set(wide[place])) for place in SETS)
    return in_sets and wide[4] <= narrow[4] and narrow[5] <= wide[5]


def _condensed(conditions: Sequence[Condition]) -> list[Condition]:
    """Without organisations where there are too many; without what another covers; sorted; within the bound."""
    shown = _sorted([_bounded(each) for each in conditions])
    kept = [each for each in shown if not any(covers(other, each) for other in shown if other != each)]
    if len(kept) <= ENTRIES_MAX:
        return kept
    first, rest = kept[: ENTRIES_MAX - 1], kept[ENTRIES_MAX - 1 :]
    joined = rest[0]
    for each in rest[1:]:
        joined = _join(joined, each)
    return _condensed([*first, joined])


def _bounded(condition: Condition) -> Condition:
    return [[] if len(condition[0]) > ORGANISATIONS_MAX else condition[0], *condition[1:]]


def _join(left: Condition, right: Condition) -> Condition:
    """The narrowest condition that covers both."""
    sets = [sorted({*left[place], *right[place]}) if left[place] and right[place] else [] for place in SETS]
    return [*sets, min(left[4], right[4]), max(left[5], right[5])]


def _denials(found: Sequence[list[Any]]) -> list[list[Any]]:
    denials = [[condition, _condensed(below)] for condition, below in found if len(condition[0]) <= ORGANISATIONS_MAX]
    kept = _sorted([each for each in denials if not any(covers(exception, each[0]) for exception in each[1])])
    return kept[:ENTRIES_MAX]
