"""Search: find resources by the index, and let every one that a search rests on through the decision point (R4).

A hit is shown, or it is as if it were not there. What a chain or a reverse chain goes through decides only when it may
be seen itself; so do includes. A total counts what may be shown, on all pages, or is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import select

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.search.index import index
from salus.clinical.fhir.search.matching import meets
from salus.clinical.fhir.search.parameters import parameters_of
from salus.clinical.fhir.search.queries import Chain, Criterion, Filter, Has, Include, Query
from salus.clinical.fhir.search.sought import SoughtReference
from salus.clinical.fhir.search.values import ReferenceValue
from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY, Found, found, in_parts
from salus.node.projections.search_rows import Keyed
from salus.node.projections.search_statements import ROSTER, Condition, Statements, all_of, any_of, order_of
from salus.node.services import companions
from salus.node.services.paging import Pager
from salus.node.services.respond import Login, Responder
from salus.node.services.show import Shown, newest

CANDIDATES_MAX = 10_000
"""How many resources a search may come upon; a wider one has to be narrowed."""
LINKED_MAX = 1_000
"""How many resources a chain may go through."""
INCLUDED_MAX = 1_000
ITSELF = "{def}"
"""Stands in FHIR's compartments for the resource whose compartment it is."""
NO_CARE = ("_lastUpdated", "birthdate", "death-date")
"""Dates that say nothing of when care was given."""
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
        self._login = login
        self._pager = Pager(node, responder, login, within=self.meets)
        self._reach = reach
        self._narrowing: set[str] = set()
        self._statements = Statements(Keyed(node.keys.lookup), now_ms=node.clock() * 1000)

    def candidates(self, query: Query, focus: Found | None = None, *, first: int | None = None) -> list[Found]:
        """Return what a query comes upon, in order, before anything is decided about it.

        Args:
            focus: the resource in whose compartment it has to be; None for anywhere.
            first: how many are wanted; None for all.

        Raises:
            FhirRejected: BAD_PARAMETER, or SEARCH_TOO_LARGE above 10,000.
        """
        order = [
            order_of(query.type, each.parameter, each.kind, is_descending=each.is_descending) for each in query.sort
        ]
        if not self._reach.may(query.type):
            return []
        conditions = self._conditions(query.filters)
        if focus is not None:
            conditions.append(self._in_compartment(focus, query.type))
        rows = self._rows(query.type, conditions, order, first or CANDIDATES_MAX + 1)
        if len(rows) > CANDIDATES_MAX:
            raise too_large(f"a search that comes upon at most {CANDIDATES_MAX:,} resources")
        return rows

    def among(self, query: Query, rows: Sequence[int]) -> list[Found]:
        """Return which of some rows a query finds, before anything is decided about them. Raises as `candidates`."""
        if not self._reach.may(query.type):
            return []
        these = schema.resources.c.row.in_(rows)
        return self._rows(query.type, [these, *self._conditions(query.filters)], [schema.resources.c.row], len(rows))

    def chart(
        self, pseudonym: bytes, types: Sequence[str], filters: Sequence[Filter], care: tuple[int, int] | None = None
    ) -> list[Found]:
        """Return a relationship's resources, the Patient first, before anything is decided about them.

        Args:
            types: those that are wanted; none for all.
            filters: of parameters that all types have.
            care: leave out what has dates of which none is within; Unix milliseconds, the last not included.
        """
        theirs = [schema.resources.c.pseudonym == pseudonym, *self._conditions(filters)]
        rows = [
            row
            for each in self.types_of(pseudonym, types)
            for row in self._rows(each, [*theirs, *self._within_care(each, care)], [], CANDIDATES_MAX + 1)
        ]
        if len(rows) > CANDIDATES_MAX:
            raise too_large(f"a chart of at most {CANDIDATES_MAX:,} resources")
        return rows

    def types_of(self, pseudonym: bytes, types: Sequence[str]) -> list[str]:
        """Return which of these types a relationship has and may be found, Patient first; none stands for all."""
        columns = schema.resources.c
        with self._node.vault.database.reading() as connection:
            here = connection.scalars(select(columns.type).where(columns.pseudonym == pseudonym).distinct()).all()
        wanted = [each for each in here if (not types or each in types) and self._reach.may(each)]
        return sorted(wanted, key=lambda each: (each != "Patient", each))

    def some_of(
        self,
        pseudonym: bytes,
        type_name: str,
        filters: Sequence[Filter],
        *,
        after: int,
        limit: int,
        is_deleted: bool = False,
    ) -> list[Found]:
        """Return a relationship's resources of one type in the order in which they came, before anything is decided.

        Args:
            after: the row after which to go on; 0 for the first.
            is_deleted: those of which the newest version says that they are gone, instead of the others.
        """
        if not self._reach.may(type_name):
            return []
        columns = schema.resources.c
        theirs = [columns.pseudonym == pseudonym, columns.row > after, *self._conditions(filters)]
        return self._rows(type_name, theirs, [columns.row], limit, is_deleted=is_deleted)

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
            is_first: whether a total is counted, unless the query wants none.
        """
        with_total = is_first and query.total != "none"
        cut = self._pager.cut([newest(each) for each in candidates], count=count, with_total=with_total)
        rest = tuple(each.found.row for each in cut.rest)
        return Page(cut.hits, self.included(query.includes, cut.hits), rest, cut.total)

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

    def may(self, type_name: str) -> bool:
        """Tell whether resources of a type may be found at all."""
        return self._reach.may(type_name)

    def narrowed(self, type_name: str) -> Sequence[Sequence[Filter]]:
        """Return the searches of which a resource of a type has to meet one; none lets all through."""
        return self._reach.narrowed(type_name)

    def within_reach(self, type_name: str) -> list[Condition]:
        """Return what a row of `node_resources` has to meet, of a type that may be found.

        A narrowing that leads back to its own type, as Patients by whose list they are on, is not asked again there.
        """
        within: list[Condition] = []
        if self._reach.patient is not None:
            within.append(schema.resources.c.pseudonym.in_((self._reach.patient, DIRECTORY)))
        narrowed = self._reach.narrowed(type_name) if type_name not in self._narrowing else ()
        if narrowed:
            self._narrowing.add(type_name)
            try:
                within.append(any_of([all_of(self._conditions(each)) for each in narrowed]))
            finally:
                self._narrowing.remove(type_name)
        return within

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
                raise too_large(f"hits with which at most {INCLUDED_MAX:,} resources are sent")
            if not fresh:
                break
        return [*sent, *self._provenances(includes, hits)]

    # What rests on what

    def _conditions(self, filters: Sequence[Filter]) -> list[Condition]:
        return [self._condition(each) for each in filters]

    def _condition(self, wanted: Filter) -> Condition:
        if isinstance(wanted, Criterion):
            found_by = self._statements.condition(wanted)
            return found_by | self._lists(wanted) if (wanted.type, wanted.parameter) == ROSTER else found_by
        if isinstance(wanted, Chain):
            linked = [each for option in wanted.alternatives for each in self._allowed(option.type, option.filter)]
            keyed = Keyed(self._node.keys.lookup)
            references = [keyed.reference(each.type, each.logical_id) for each in linked]
            return self._statements.refers_to(wanted.type, wanted.parameter, references)
        assert isinstance(wanted, Has)
        rows = [each.row for each in self._allowed(wanted.source_type, wanted.filter)]
        return self._statements.referred_by(wanted.source_type, wanted.parameter, rows)

    def _lists(self, wanted: Criterion) -> Condition:
        """That a roster lists one of the Patients that are searched for, of those that may be seen."""
        names = [
            ("Patient", each.id)
            for each in wanted.values
            if isinstance(each, SoughtReference) and each.id and each.type in (None, "Patient")
        ]
        people = [each for each in resources.find_all(self._node, names) if not each.is_deleted and self.meets(each)]
        keyed = Keyed(self._node.keys.lookup)
        return self._statements.lists([keyed.reference(each.type, each.logical_id) for each in self._shown(people)])

    def _in_compartment(self, focus: Found, type_name: str) -> Condition:
        """That something is in the compartment of a resource (FHIR R4 2.36); a patient's is the chart."""
        if focus.type == "Patient":
            return schema.resources.c.pseudonym == focus.pseudonym
        codes = r4().compartments[focus.type].parameters.get(type_name, ())
        reference = Keyed(self._node.keys.lookup).reference(focus.type, focus.logical_id)
        refers = [self._statements.refers_to(type_name, each, [reference]) for each in codes if each != ITSELF]
        return any_of([*refers, *([schema.resources.c.row == focus.row] if ITSELF in codes else [])])

    def _within_care(self, type_name: str, care: tuple[int, int] | None) -> list[Condition]:
        if care is None:
            return []
        dates = [each.code for each in parameters_of(type_name).values() if each.kind == "date"]
        return [self._statements.dated(type_name, [each for each in dates if each not in NO_CARE], *care)]

    def _allowed(self, type_name: str, wanted: Filter) -> list[Found]:
        """The resources that a chain goes through, of those that may be seen."""
        linked = self._select(type_name, [wanted], [], LINKED_MAX + 1)
        if len(linked) > LINKED_MAX:
            raise too_large(f"a chain through at most {LINKED_MAX:,} resources")
        shown = {(each.type, each.logical_id) for each in self._shown(linked)}
        return [each for each in linked if (each.type, each.logical_id) in shown]

    def _select(self, type_name: str, filters: Sequence[Filter], order: Sequence[object], limit: int) -> list[Found]:
        if not self._reach.may(type_name):
            return []
        return self._rows(type_name, self._conditions(filters), order, limit)

    def _rows(
        self,
        type_name: str,
        conditions: Sequence[Condition],
        order: Sequence[object],
        limit: int,
        *,
        is_deleted: bool = False,
    ) -> list[Found]:
        columns = schema.resources.c
        within = [columns.type == type_name, columns.deleted == int(is_deleted), *conditions]
        statement = select(schema.resources).where(all_of([*within, *self.within_reach(type_name)]))
        statement = statement.order_by(*order, columns.updated_s.desc(), columns.row.desc()).limit(limit)  # type: ignore[arg-type]
        with self._node.vault.database.reading() as connection:
            return [found(row) for row in connection.execute(statement)]

    def _shown(self, wanted: Sequence[Found]) -> list[Shown]:
        return self._pager.shown([newest(each) for each in wanted])

    # Includes

    def _provenances(self, includes: Sequence[Include], of: Sequence[Shown]) -> list[Shown]:
        """The Provenance of hits, as far as it is asked for and within reach: it goes where they go."""
        asked = [each for each in includes if each.is_reverse and each.source_type == companions.PROVENANCE]
        kinds = {each.target_type for each in asked if each.parameter in ("*", "target")}
        targets = [each for each in of if {None, each.type} & kinds]
        if not targets or not self._reach.may(companions.PROVENANCE):
            return []
        made = companions.provenances(self._node, self._login, targets)
        narrowed = self._reach.narrowed(companions.PROVENANCE)
        values = [index(each.type, msgspec.json.decode(each.body)) for each in made]
        return [
            each
            for each, said in zip(made, values, strict=True)
            if not narrowed or any(meets(said, filters) for filters in narrowed)
        ]

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
        source = include.source_type
        every = [each.code for each in parameters_of(source).values() if each.kind == "reference"]
        codes = every if include.parameter == "*" else [include.parameter]
        refers = any_of([self._statements.refers_to(source, each, references) for each in codes])
        return self._rows(source, [refers], [], INCLUDED_MAX + 1)


def too_large(expected: str) -> FhirRejected:
    hint = "name a patient, or more that has to hold"
    return FhirRejected(Fault.SEARCH_TOO_LARGE, expected=expected, came="a wider one", hint=hint)
