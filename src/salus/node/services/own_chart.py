"""Own chart: what there is of one patient, for the patient themself, in lists by type, the newest first.

What this node has, and what other custodians answered (`own_elsewhere`). Promises: each of this node's records is let
through by the one decision point (R4); what may not be shown is as if it were not here: it is in no count and leaves no
gap. Of a long list only as much is judged as is shown.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec

from salus.clinical.fhir.circumstances import attachments_of
from salus.clinical.fhir.dates import last_s
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.plain import Content, codes_of, date_of
from salus.clinical.fhir.search import parse_query
from salus.contracts.provisions import Verb
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.projections import resources
from salus.node.projections.resources import Found
from salus.node.services.quiet import NOTHING, Hidden
from salus.node.services.respond import Login, Responder
from salus.node.services.search import Reach, Search
from salus.node.services.show import newest, show

COUNTED_MAX: Final = 50
"""So many of one list are counted exactly; of more it is said that there are more. Each is judged."""
COPY_BYTES_MAX: Final = 64_000_000
"""Of a copy of everything, which is put together in memory."""
NAME_DIGITS: Final = 12
LETTER: Final = ("DocumentReference", "date")
RESULT: Final = ("Observation", "date")
_NEVER_S: Final = -(2**62)
_READER: Final = msgspec.json.Decoder(dict[str, object], float_hook=Decimal)

Types = Sequence[tuple[str, str]]
"""FHIR types, each with the search parameter of when it was."""


@dataclass(frozen=True)
class Held:
    """A record of the patient's, and the organisation that holds it, in words.

    Args:
        body: the record as it was written.
        custodian: the organisation's code; empty for this one.
    """

    content: Content = field(repr=False)
    body: bytes = field(repr=False)
    organisation: str
    custodian: str = ""

    @property
    def type(self) -> str:
        """The FHIR type."""
        return text(self.content, "resourceType") or ""

    @property
    def logical_id(self) -> str:
        """The id within the type; empty for none."""
        return text(self.content, "id") or ""


@dataclass(frozen=True)
class Listed:
    """The newest of a list, and how many it has; `is_more` where they were not all counted."""

    newest: list[Held]
    number: int
    is_more: bool


class OwnChart:
    """One patient's chart, for one request. Each method raises Refused and NotNow as `show`.

    Args:
        others: what other custodians answered; hidden: what is as if it were not here.
    """

    def __init__(
        self,
        node: Node,
        responder: Responder,
        login: Login,
        pseudonym: bytes,
        others: Sequence[Held] = (),
        hidden: Hidden = NOTHING,
    ) -> None:
        self._node = node
        self._responder = responder
        self._login = login
        self._pseudonym = Pseudonym(pseudonym)
        self._hidden = hidden
        self._others = [each for each in others if not self._is_hidden(each.custodian, each.type, each.logical_id)]
        reach = Reach(pseudonym, lambda _type: True, lambda _type: ())
        self._search = Search(node, responder, login, reach)

    @property
    def custodians(self) -> frozenset[str]:
        """The codes of the other custodians of whom something is shown."""
        return frozenset(each.custodian for each in self._others)

    def overview(self, lists: Mapping[str, Types], newest_count: int) -> dict[str, Listed]:
        """Return of each list the newest few, which leave one receipt, and how many it has."""
        here = {*self._search.types_of(self._pseudonym, ())}
        found = {
            name: [self._candidates(*each, first=COUNTED_MAX + 1) for each in types if each[0] in here]
            for name, types in lists.items()
        }
        allowed = self._allowed([each for rows in found.values() for one in rows for each in one])
        shown = {name: [[each for each in one if each.key in allowed] for one in rows] for name, rows in found.items()}
        first = {name: [each for one in rows for each in one[:newest_count]] for name, rows in shown.items()}
        opened = self._opened([each for rows in first.values() for each in rows])
        listed = {}
        for name, rows in shown.items():
            others = self._of_types(lists[name])
            number = sum(map(len, rows)) + len(others)
            held = in_order([*(opened[each] for each in first[name] if each in opened), *others])
            is_more = number > COUNTED_MAX or any(len(one) > COUNTED_MAX for one in found[name])
            listed[name] = Listed(held[:newest_count], min(number, COUNTED_MAX), is_more)
        return listed

    def newest_of(self, types: Types, count: int) -> list[Held]:
        """Return the newest of a list; this node's leave one receipt."""
        wanted = [each for one in types for each in self._first_allowed(count, *one)]
        return in_order([*self._opened(wanted).values(), *self._of_types(types)])[:count]

    def with_code(self, code: str, count: int) -> list[Held]:
        """Return the newest observations that have a code."""
        wanted = self._first_allowed(count, *RESULT, ("code", code))
        others = [each for each in self._of_types([RESULT]) if code in {has for _, has in codes_of(each.content)}]
        return in_order([*self._opened(wanted).values(), *others])[:count]

    def name_of(self, held: Held) -> str:
        """Return how addresses of this patient name a record: digits that mean nothing to anybody else."""
        return self._name(held.custodian, held.type, held.logical_id)

    def letter(self, name: str) -> Held | None:
        """Return a letter by the name that addresses have for it; None where there is no such."""
        kind = LETTER[0]
        found = [each for each in self._candidates(*LETTER) if self._name("", kind, each.logical_id) == name]
        others = [each for each in self._of_types([LETTER]) if self.name_of(each) == name]
        return next(iter([*self._opened(found).values(), *others]), None)

    def binary(self, letter: Held, reference: str) -> Content | None:
        """Return what a letter's `Binary/id` names; None unless it is this patient's, and its custodian shows it."""
        type_name, _, logical_id = reference.partition("/")
        if letter.custodian:
            theirs = [each for each in self._others if each.custodian == letter.custodian and each.type == "Binary"]
            return next((each.content for each in theirs if text(each.content, "id") == logical_id), None)
        found = resources.find(self._node, "Binary", logical_id) if type_name == "Binary" else None
        if found is None or found.pseudonym != self._pseudonym or found.is_deleted:
            return None
        held = self._opened([found]).get(found)
        return None if held is None else held.content

    def everything(self) -> list[Held]:
        """Return all that may be shown, of every type; what is this node's as an export that leaves one receipt.

        Raises:
            Refused: TOO_MANY above COPY_BYTES_MAX; or as `show`. NotNow: as `show`.
        """
        every = [each for each in self._search.chart(self._pseudonym, (), ()) if self._is_shown(each)]
        allowed = self._allowed(every, Verb.EXPORT)  # what is withheld is not asked for, and on no receipt of theirs
        found = [each for each in every if each.key in allowed]
        sizes = [each.size_bytes for each in self._node.vault.record_many([each.key for each in found])]
        if sum(sizes) > COPY_BYTES_MAX:
            words = f"expected at most {COPY_BYTES_MAX // 1_000_000} MB: ask the organisation for a copy"
            raise Refused(Refusal.TOO_MANY, words)
        shown = show(self._node, self._responder, self._login, [newest(each) for each in found], Verb.EXPORT)
        bodies = [shown[each.key].body for each in found if each.key in shown]
        held = [*(Held(_READER.decode(each), each, self._node.title()) for each in bodies), *self._others]
        return _without_loose_files(held) if self._hidden.has_records else held

    def _name(self, custodian: str, type_name: str, logical_id: str) -> str:
        return record_name(self._node, self._pseudonym, custodian, type_name, logical_id)

    def _is_shown(self, found: Found) -> bool:
        return found.pseudonym == self._pseudonym and not self._is_hidden("", found.type, found.logical_id)

    def _is_hidden(self, custodian: str, type_name: str, logical_id: str) -> bool:
        if not self._hidden.has_records:
            return False
        return self._hidden.hides(type_name, self._name(custodian, type_name, logical_id))

    def _of_types(self, types: Types) -> list[Held]:
        """What others answered of some types."""
        wanted = {name for name, _ in types}
        return [each for each in self._others if each.type in wanted]

    def _candidates(
        self, type_name: str, parameter: str, *more: tuple[str, str], first: int | None = None
    ) -> list[Found]:
        """The newest of a type that are this patient's, or all of them; nothing is decided about them yet."""
        if first is not None and self._hidden.has_records:
            return self._candidates(type_name, parameter, *more)[:first]
        query = parse_query(type_name, [*more, ("_sort", f"-{parameter}")], is_strict=True)
        found = self._search.candidates(query, first=first)
        own = [each for each in found if self._is_shown(each)]
        has_all = first is None or len(found) < first or len(own) == first
        return own if has_all else self._candidates(type_name, parameter, *more)[:first]

    def _first_allowed(self, count: int, type_name: str, parameter: str, *more: tuple[str, str]) -> list[Found]:
        """The newest that may be shown: as many are judged as are wanted, and more only where some are withheld."""
        few = self._candidates(type_name, parameter, *more, first=count)
        first = self._may_go(few)
        if len(first) == len(few):
            return first
        rest = self._candidates(type_name, parameter, *more)[len(few) :]
        for start in range(0, len(rest), COUNTED_MAX):
            first += self._may_go(rest[start : start + COUNTED_MAX])
            if len(first) >= count:
                break
        return first[:count]

    def _may_go(self, listed: Sequence[Found]) -> list[Found]:
        allowed = self._allowed(listed)
        return [each for each in listed if each.key in allowed]

    def _allowed(self, listed: Sequence[Found], verb: Verb = Verb.READ) -> frozenset[tuple[bytes, int]]:
        if not listed:
            return frozenset()
        keys = [each.key for each in listed]
        return frozenset(self._responder.allowed(self._login, self._pseudonym, verb, keys))

    def _opened(self, listed: Sequence[Found]) -> dict[Found, Held]:
        organisation = self._node.title()
        shown = show(self._node, self._responder, self._login, [newest(each) for each in listed])
        bodies = {each: shown[each.key].body for each in listed if each.key in shown}
        return {each: Held(_READER.decode(body), body, organisation) for each, body in bodies.items()}


def record_name(node: Node, pseudonym: bytes, custodian: str, type_name: str, logical_id: str) -> str:
    """Return how a patient's pages name a record: digits that mean nothing to anybody else.

    Args:
        custodian: the organisation's code; empty for this one.
    """
    said = encode(("own record", pseudonym, custodian, type_name, logical_id))
    number = int.from_bytes(hmac.digest(node.keys.lookup, said, "sha256")[:8])
    return str(number % 10**NAME_DIGITS).zfill(NAME_DIGITS)


def _without_loose_files(held: Sequence[Held]) -> list[Held]:
    """Leave out files of which no record that is left says that they are its own."""
    named = {(each.custodian, one.reference) for each in held for one in attachments_of(each.content)}

    def is_named(file: Held) -> bool:
        return (file.custodian, f"Binary/{file.logical_id}") in named

    return [each for each in held if each.type != "Binary" or is_named(each)]


def held_elsewhere(body: bytes, *, organisation: str, custodian: str) -> Held | None:
    """Return a record that another custodian released; None for what is no JSON object: another kind of document."""
    try:
        return Held(_READER.decode(body), body, organisation, custodian)
    except (msgspec.DecodeError, RecursionError):
        return None


def in_order(held: Iterable[Held]) -> list[Held]:
    """Return records of whatever custodians, the newest first; at the end those of which nobody said when they were."""
    return sorted(held, key=_when_s, reverse=True)


def _when_s(held: Held) -> int:
    found = last_s(date_of(held.content))
    return _NEVER_S if found is None else found
