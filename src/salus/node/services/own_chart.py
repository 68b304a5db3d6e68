"""Own chart: what this node has of one patient, for the patient themself, in lists by type, the newest first.

Promises: each record is let through by the one decision point (R4); what may not be shown is as if it were not here: it
is in no count and leaves no gap. Of a long list only as much is judged as is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from salus.clinical.fhir.dates import last_s
from salus.clinical.fhir.exact_json import read_exact
from salus.clinical.fhir.plain import Content, date_of
from salus.clinical.fhir.search import parse_query
from salus.contracts.provisions import Verb
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.projections import resources
from salus.node.projections.resources import Found
from salus.node.services.respond import Login, Responder
from salus.node.services.search import Reach, Search
from salus.node.services.show import newest, show

COUNTED_MAX: Final = 100
"""So many of one list are counted exactly; of more it is said that there are more."""
COPY_BYTES_MAX: Final = 64_000_000
"""Of a copy of everything, which is put together in memory."""
LETTER: Final = ("DocumentReference", "date")
RESULT: Final = ("Observation", "date")
_NEVER_S: Final = -(2**62)

Types = Sequence[tuple[str, str]]
"""FHIR types, each with the search parameter of when it was."""


@dataclass(frozen=True)
class Held:
    """A record of the patient's, and the organisation that holds it, in words."""

    content: Content = field(repr=False)
    organisation: str


@dataclass(frozen=True)
class Listed:
    """The newest of a list, and how many it has; `is_more` where they were not all counted."""

    newest: list[Held]
    number: int
    is_more: bool


class OwnChart:
    """One patient's chart, for one request. Each method raises Refused and NotNow as `show`."""

    def __init__(self, node: Node, responder: Responder, login: Login, pseudonym: bytes) -> None:
        self._node = node
        self._responder = responder
        self._login = login
        self._pseudonym = Pseudonym(pseudonym)
        reach = Reach(pseudonym, lambda _type: True, lambda _type: ())
        self._search = Search(node, responder, login, reach)

    def overview(self, lists: Mapping[str, Types], newest_count: int) -> dict[str, Listed]:
        """Return of each list the newest few, which leave one receipt, and how many it has."""
        found = {name: self._listed(types) for name, types in lists.items()}
        counted = [each for rows in found.values() for one in rows for each in one[: COUNTED_MAX + 1]]
        allowed = self._allowed(counted)
        shown = {name: [[each for each in one if each.key in allowed] for one in rows] for name, rows in found.items()}
        first = {name: [each for one in rows for each in one[:newest_count]] for name, rows in shown.items()}
        opened = self._opened([each for rows in first.values() for each in rows])
        listed = {}
        for name, rows in shown.items():
            number = sum(map(len, rows))
            held = in_order(opened[each] for each in first[name] if each in opened)
            listed[name] = Listed(held[:newest_count], min(number, COUNTED_MAX), number > COUNTED_MAX)
        return listed

    def newest_of(self, types: Types, count: int) -> list[Held]:
        """Return the newest of a list, which leave one receipt."""
        wanted = [each for one in self._listed(types) for each in self._first_allowed(one, count)]
        return in_order(self._opened(wanted).values())[:count]

    def with_code(self, code: str, count: int) -> list[Held]:
        """Return the newest observations that have a code."""
        wanted = self._first_allowed(self._candidates(*RESULT, ("code", code)), count)
        return in_order(self._opened(wanted).values())

    def letters(self) -> dict[str, int]:
        """Return the numbers of all letters by their logical ids: 1 is the one that came first."""
        return {each.logical_id: number for number, each in enumerate(self._letters(), start=1)}

    def letter(self, number: int) -> Held | None:
        """Return a letter by its number; None where there is no such."""
        shown = self._letters()
        if not 1 <= number <= len(shown):
            return None
        return self._opened([shown[number - 1]]).get(shown[number - 1])

    def binary(self, reference: str) -> Content | None:
        """Return what a letter's `Binary/id` names; None unless it is this patient's and may be shown."""
        type_name, _, logical_id = reference.partition("/")
        found = resources.find(self._node, "Binary", logical_id) if type_name == "Binary" else None
        if found is None or found.pseudonym != self._pseudonym or found.is_deleted:
            return None
        held = self._opened([found]).get(found)
        return None if held is None else held.content

    def everything(self) -> list[Held]:
        """Return all that may be shown, of every type, as an export that leaves one receipt.

        Raises:
            Refused: TOO_MANY above COPY_BYTES_MAX; or as `show`. NotNow: as `show`.
        """
        found = [each for each in self._search.chart(self._pseudonym, (), ()) if each.pseudonym == self._pseudonym]
        sizes = [each.size_bytes for each in self._node.vault.record_many([each.key for each in found])]
        if sum(sizes) > COPY_BYTES_MAX:
            words = f"expected at most {COPY_BYTES_MAX // 1_000_000} MB: ask the organisation for a copy"
            raise Refused(Refusal.TOO_MANY, words)
        shown = show(self._node, self._responder, self._login, [newest(each) for each in found], Verb.EXPORT)
        bodies = [shown[each.key].body for each in found if each.key in shown]
        return [Held(read_exact(each), self._node.title()) for each in bodies]

    def _letters(self) -> list[Found]:
        listed = sorted(self._candidates(*LETTER), key=lambda each: each.row)
        allowed = self._allowed(listed)
        return [each for each in listed if each.key in allowed]

    def _listed(self, types: Types) -> list[list[Found]]:
        return [self._candidates(*each) for each in types]

    def _candidates(self, type_name: str, parameter: str, *more: tuple[str, str]) -> list[Found]:
        query = parse_query(type_name, [*more, ("_sort", f"-{parameter}")], is_strict=True)
        return [each for each in self._search.candidates(query) if each.pseudonym == self._pseudonym]

    def _first_allowed(self, listed: Sequence[Found], count: int) -> list[Found]:
        """The first of some that may be shown, asked for in parts so that not all of a long chart is judged."""
        first: list[Found] = []
        for start in range(0, len(listed), COUNTED_MAX):
            part = listed[start : start + COUNTED_MAX]
            allowed = self._allowed(part)
            first += [each for each in part if each.key in allowed]
            if len(first) >= count:
                break
        return first[:count]

    def _allowed(self, listed: Sequence[Found]) -> frozenset[tuple[bytes, int]]:
        if not listed:
            return frozenset()
        keys = [each.key for each in listed]
        return frozenset(self._responder.allowed(self._login, self._pseudonym, Verb.READ, keys))

    def _opened(self, listed: Sequence[Found]) -> dict[Found, Held]:
        organisation = self._node.title()
        shown = show(self._node, self._responder, self._login, [newest(each) for each in listed])
        return {each: Held(read_exact(shown[each.key].body), organisation) for each in listed if each.key in shown}


def in_order(held: Iterable[Held]) -> list[Held]:
    """Return records of whatever custodians, the newest first; at the end those of which nobody said when they were."""
    return sorted(held, key=_when_s, reverse=True)


def _when_s(held: Held) -> int:
    found = last_s(date_of(held.content))
    return _NEVER_S if found is None else found
