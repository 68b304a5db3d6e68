"""Search: find resources by the index, and let every one that a search rests on through the decision point (R4).

A hit is shown, or it is as if it were not there. What a chain or a reverse chain goes through decides only when it may
be seen itself; so do includes. A total counts what may be shown, on all pages, or is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import select

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.search.index import index
from salus.clinical.fhir.search.queries import Chain, Criterion, Filter, Has, Include, Query
from salus.clinical.fhir.search.values import ReferenceValue
from salus.contracts.provisions import Verb
from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY, Found, found, in_parts
from salus.node.projections.search_rows import Keyed
from salus.node.projections.search_statements import Condition, Statements, all_of, any_of, order_of
from salus.node.services.respond import Login, Responder
from salus.node.services.show import Shown, newest, show
from salus.vault.rows import RecordKey

CANDIDATES_MAX = 10_000
"""How many resources a search may come upon; a wider one has to be narrowed."""
LINKED_MAX = 1_000
"""How many resources a chain may go through."""
INCLUDED_MAX = 1_000
LOOKED_AHEAD_MAX = 100
"""How many relationships are asked for to find out whether there is another page; beyond, it may turn out empty."""
ROUNDS_MAX = 4
"""How often includes are followed from what was included."""


@dataclass(frozen=True)
class Reach:
    """How far a search may go.

    Args:
        patient: the one relationship whose records may be found; None for all.
        may: whether resources of a type may be found at all.
        narrowed: of each type the searches of which a resource has to meet one; none lets all through.
    """

    patient: bytes | None
    may: Callable[[str], bool]
    narrowed: Callable[[str], Sequence[Sequence[Filter]]]


@dataclass(frozen=True)
class Page:
    """Some hits, what is sent with them, and the candidates that come after."""

    hits: list[Shown]
    included: list[Shown] = field(default_factory=list)
    rest: tuple[int, ...] = ()
    total: int | None = None


class Search:
    """Searches of one request."""

    def __init__(self, node: Node, responder: Responder, login: Login, reach: Reach) -> None:
        self._node = node
        self._responder = responder
        self._login = login
        self._reach = reach
        self._statements = Statements(Keyed(node.keys.lookup), now_ms=node.clock() * 1000)

    def candidates(self, query: Query) -> list[Found]:
        """Return what a query comes upon, in order, before anything is decided about it.

        Raises:
            FhirRejected: BAD_PARAMETER, or SEARCH_TOO_LARGE above 10,000.
        """
        order = [
            order_of(query.type, each.parameter, each.kind, is_descending=each.is_descending) for each in query.sort
        ]
        rows = self._select(query.type, query.filters, order, CANDIDATES_MAX + 1)
        if len(rows) > CANDIDATES_MAX:
            raise _too_large(f"a search that comes upon at most {CANDIDATES_MAX:,} resources")
        return rows

    def chart(self, pseudonym: bytes, types: Sequence[str], filters: Sequence[Filter]) -> list[Found]:
        """Return a relationship's resources, the Patient first, before anything is decided about them.

        Args:
            types: those that are wanted; none for all.
            filters: of parameters that all types have.
        """
        columns = schema.resources.c
        with self._node.vault.database.reading() as connection:
            here = connection.scalars(select(columns.type).where(columns.pseudonym == pseudonym).distinct()).all()
        wanted = sorted(
            (each for each in here if not types or each in types), key=lambda each: (each != "Patient", each)
        )
        theirs = [columns.pseudonym == pseudonym, *self._conditions(filters)]
        rows = [
            row for each in wanted if self._reach.may(each) for row in self._rows(each, theirs, [], CANDIDATES_MAX + 1)
        ]
        if len(rows) > CANDIDATES_MAX:
            raise _too_large(f"a chart of at most {CANDIDATES_MAX:,} resources")
        return rows

    def directory_of(self, hits: Sequence[Shown]) -> list[Shown]:
        """Return what hits refer to in the directory."""
        includes = [
            Include(each, "*", None, is_reverse=False, is_iterated=False) for each in sorted({hit.type for hit in hits})
        ]
        named = self._named(includes, hits, {(each.type, each.logical_id) for each in hits})
        return self._shown([each for each in named if each.pseudonym == DIRECTORY])

    def page(self, query: Query, candidates: Sequence[Found], *, count: int, is_first: bool) -> Page:
        """Return the next hits out of candidates, with what the query includes.

        Args:
            is_first: whether a total is counted; it is only where all candidates are of one relationship, since each
                other one would have to be asked for at the ledger.
        """
        hits: list[Shown] = []
        place = 0
        while len(hits) < count and place < len(candidates):
            part = candidates[place : place + max(count - len(hits), 1)]
            hits += self._shown(part)
            place += len(part)
        allowed: dict[Pseudonym, frozenset[RecordKey]] = {}
        rest = self._from_first_allowed(candidates[place:], allowed)
        total = self._total(query, hits, rest, allowed) if is_first else None
        return Page(hits, self.included(query.includes, hits), tuple(each.row for each in rest), total)

    def found_rows(self, rows: Sequence[int]) -> list[Found]:
        """Return the resources of some rows, in this order, as far as they are still what they were."""
        columns = schema.resources.c
        known: dict[int, Found] = {}
        with self._node.vault.database.reading() as connection:
            for part in in_parts(rows):
                for row in connection.execute(select(schema.resources).where(columns.row.in_(part))):
                    known[row.row] = found(row)
        return [known[row] for row in rows if row in known]

    def meets(self, of: Found) -> bool:
        """Tell whether a resource is within reach, for an interaction that names it."""
        if self._reach.patient is not None and of.pseudonym not in (self._reach.patient, DIRECTORY):
            return False
        if not self._reach.may(of.type):
            return False
        narrowed = self._reach.narrowed(of.type)
        return not narrowed or bool(self._rows(of.type, [schema.resources.c.row == of.row], [], 1))

    def included(self, includes: Sequence[Include], hits: Sequence[Shown]) -> list[Shown]:
        """Return what is sent with hits: what they refer to and what refers to them, as far as it may be shown."""
        known = {(each.type, each.logical_id) for each in hits}
        sent: list[Shown] = []
        fresh = list(hits)
        for number in range(ROUNDS_MAX):
            wanted = [each for each in includes if number == 0 or each.is_iterated]
            named = self._named(wanted, fresh, known)
            fresh = self._shown(named)
            known |= {(each.type, each.logical_id) for each in named}
            sent += fresh
            if len(sent) > INCLUDED_MAX:
                raise _too_large(f"hits with which at most {INCLUDED_MAX:,} resources are sent")
            if not fresh:
                break
        return sent

    # What rests on what

    def _conditions(self, filters: Sequence[Filter]) -> list[Condition]:
        return [self._condition(each) for each in filters]

    def _condition(self, wanted: Filter) -> Condition:
        if isinstance(wanted, Criterion):
            return self._statements.condition(wanted)
        if isinstance(wanted, Chain):
            linked = [each for option in wanted.alternatives for each in self._allowed(option.type, option.filter)]
            keyed = Keyed(self._node.keys.lookup)
            references = [keyed.reference(each.type, each.logical_id) for each in linked]
            return self._statements.refers_to(wanted.type, wanted.parameter, references)
        assert isinstance(wanted, Has)
        rows = [each.row for each in self._allowed(wanted.source_type, wanted.filter)]
        return self._statements.referred_by(wanted.source_type, wanted.parameter, rows)

    def _allowed(self, type_name: str, wanted: Filter) -> list[Found]:
        """The resources that a chain goes through, of those that may be seen."""
        linked = self._select(type_name, [wanted], [], LINKED_MAX + 1)
        if len(linked) > LINKED_MAX:
            raise _too_large(f"a chain through at most {LINKED_MAX:,} resources")
        shown = {(each.type, each.logical_id) for each in self._shown(linked)}
        return [each for each in linked if (each.type, each.logical_id) in shown]

    def _select(self, type_name: str, filters: Sequence[Filter], order: Sequence[object], limit: int) -> list[Found]:
        if not self._reach.may(type_name):
            return []
        return self._rows(type_name, self._conditions(filters), order, limit)

    def _rows(
        self, type_name: str, conditions: Sequence[Condition], order: Sequence[object], limit: int
    ) -> list[Found]:
        columns = schema.resources.c
        within = [columns.type == type_name, columns.deleted == 0, *conditions]
        if self._reach.patient is not None:
            within.append(columns.pseudonym.in_((self._reach.patient, DIRECTORY)))
        narrowed = self._reach.narrowed(type_name)
        if narrowed:
            within.append(any_of([all_of(self._conditions(each)) for each in narrowed]))
        statement = select(schema.resources).where(all_of(within))
        statement = statement.order_by(*order, columns.updated_s.desc(), columns.row.desc()).limit(limit)  # type: ignore[arg-type]
        with self._node.vault.database.reading() as connection:
            return [found(row) for row in connection.execute(statement)]

    def _shown(self, wanted: Sequence[Found]) -> list[Shown]:
        versions = [newest(each) for each in wanted]
        shown = show(self._node, self._responder, self._login, versions, Verb.SEARCH)
        return [shown[each.key] for each in versions if each.key in shown and not shown[each.key].is_deleted]

    def _from_first_allowed(
        self, rest: Sequence[Found], allowed: dict[Pseudonym, frozenset[RecordKey]]
    ) -> Sequence[Found]:
        """Drop what may not be shown before the next hit: that there is another page says that it has one.

        Args:
            allowed: of the relationships that were asked about, what may be shown of the rest.
        """
        for place, each in enumerate(rest):
            if each.pseudonym not in allowed:
                if len(allowed) == LOOKED_AHEAD_MAX:
                    return rest[place:]
                allowed[each.pseudonym] = self._allowed_of(each.pseudonym, rest)
            if each.key in allowed[each.pseudonym]:
                return rest[place:]
        return ()

    def _total(
        self,
        query: Query,
        hits: Sequence[Shown],
        rest: Sequence[Found],
        allowed: dict[Pseudonym, frozenset[RecordKey]],
    ) -> int | None:
        relationships = {each.pseudonym for each in rest}
        if query.total == "none" or len(relationships - {DIRECTORY}) > 1:
            return None if rest else len(hits)
        for each in relationships - allowed.keys():
            allowed[each] = self._allowed_of(each, rest)
        return len(hits) + sum(each.key in allowed[each.pseudonym] for each in rest)

    def _allowed_of(self, pseudonym: Pseudonym, rest: Sequence[Found]) -> frozenset[RecordKey]:
        keys = [each.key for each in rest if each.pseudonym == pseudonym]
        if pseudonym == DIRECTORY:
            return frozenset(keys)
        return self._responder.allowed(self._login, pseudonym, Verb.SEARCH, keys)

    # Includes

    def _named(self, includes: Sequence[Include], of: Sequence[Shown], known: set[tuple[str, str]]) -> list[Found]:
        names: dict[tuple[str, str], None] = {}
        referring: dict[tuple[str, str], Found] = {}
        for include in includes:
            if include.is_reverse:
                referring |= {(each.type, each.logical_id): each for each in self._referring(include, of)}
            else:
                names |= dict.fromkeys(self._referred(include, of))
        wanted = [each for each in names if each not in known and self._reach.may(each[0])]
        found_there = [each for each in resources.find_all(self._node, wanted) if not each.is_deleted]
        others = [each for name, each in referring.items() if name not in known and name not in names]
        return [each for each in (*found_there, *others) if self.meets(each)]

    def _referred(self, include: Include, of: Sequence[Shown]) -> list[tuple[str, str]]:
        names = []
        for shown in of:
            if shown.type == include.source_type:
                for value in index(shown.type, msgspec.json.decode(shown.body)):
                    is_it = isinstance(value, ReferenceValue) and include.parameter in ("*", value.code)
                    if is_it and isinstance(value, ReferenceValue) and value.type and value.id:
                        names.append((value.type, value.id))
        return [each for each in names if include.target_type in (None, each[0])]

    def _referring(self, include: Include, of: Sequence[Shown]) -> list[Found]:
        targets = [each for each in of if include.target_type in (None, each.type)]
        keyed = Keyed(self._node.keys.lookup)
        references = [keyed.reference(each.type, each.logical_id) for each in targets]
        if not references or not self._reach.may(include.source_type):
            return []
        refers = self._statements.refers_to(include.source_type, include.parameter, references)
        return self._rows(include.source_type, [refers], [], INCLUDED_MAX + 1)


def _too_large(expected: str) -> FhirRejected:
    hint = "name a patient, or more that has to hold"
    return FhirRejected(Fault.SEARCH_TOO_LARGE, expected=expected, came="a wider one", hint=hint)
