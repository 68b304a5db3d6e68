"""From a filter to a condition on the index (FHIR R4 3.1.1.4); each is about one row of `node_resources`.

Chains are conditions over resources that were found and allowed before: what may not be seen decides nothing.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, and_, false, func, literal, not_, or_, select, true

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.definitions.expansion import Expander
from salus.clinical.fhir.search.parameters import parameters_of
from salus.clinical.fhir.search.queries import Criterion
from salus.clinical.fhir.search.sought import (
    SoughtComposite,
    SoughtDate,
    SoughtNumber,
    SoughtPart,
    SoughtQuantity,
    SoughtReference,
    SoughtString,
    SoughtToken,
    SoughtUri,
)
from salus.node import schema
from salus.node.projections.search_rows import PARTS, Keyed, parameter_number

Condition = ColumnElement[bool]
_LAST: Final = "\U0010ffff"
"""Sorts after every text that goes on."""
APPROXIMATE: Final = 0.1
DAY_MS: Final = 86_400_000
ROSTER: Final = ("Group", "member")
"""The parameter by which a roster refers to who is on it: they are not in the index, but in a table of their own."""

resources = schema.resources


class Statements:
    """Makes conditions with one node's hashes, at one moment.

    Args:
        now_ms: for what is searched approximately.
    """

    def __init__(self, keyed: Keyed, *, now_ms: int) -> None:
        self._keyed = keyed
        self._now_ms = now_ms

    def condition(self, criterion: Criterion) -> Condition:
        """Return what a row meets when its resource has one of the values. Raises FhirRejected: BAD_PARAMETER."""
        if criterion.parameter == "_lastUpdated":
            return or_(*(_updated(each) for each in criterion.values if isinstance(each, SoughtDate)))
        if criterion.missing is not None:
            has_any = self._has_any(criterion)
            return not_(has_any) if criterion.missing else has_any
        if criterion.modifier in ("in", "not-in"):
            found = self._in_value_sets(criterion)
        else:
            found = or_(*(self._one(criterion, each) for each in criterion.values))
        return not_(found) if criterion.modifier in ("not", "not-in") else found

    def refers_to(self, type_name: str, parameter: str, references: Sequence[bytes]) -> Condition:
        """Return what a row meets when it refers by a parameter to one of some resources."""
        refers = self._token(parameter_number(type_name, parameter), references)
        return refers | self.lists(references) if (type_name, parameter) == ROSTER else refers

    def lists(self, references: Sequence[bytes]) -> Condition:
        """Return what a row meets when it is a roster on which one of some Patients is."""
        columns = schema.roster_members.c
        return resources.c.reference.in_(select(columns.list).where(columns.member.in_(references)))

    def referred_by(self, source_type: str, parameter: str, rows: Sequence[int]) -> Condition:
        """Return what a row meets when one of some rows refers to it by a parameter."""
        columns = schema.tokens.c
        number = parameter_number(source_type, parameter)
        refer = (columns.parameter == number) & (columns.value == resources.c.reference) & columns.row.in_(rows)
        referred = select(literal(1)).where(refer).exists()
        return referred | _listed_by(rows) if (source_type, parameter) == ROSTER else referred

    def dated(self, type_name: str, parameters: Sequence[str], from_ms: int, to_ms: int) -> Condition:
        """Return what a row meets that has a date of some parameters within a time, or no date at all."""
        at = schema.ranges.alias()
        numbers = [parameter_number(type_name, each) for each in parameters]
        of_these = (at.c.row == resources.c.row) & at.c.parameter.in_(numbers)
        within = of_these & (at.c.low < to_ms) & (at.c.high > from_ms)
        return select(literal(1)).where(within).exists() | not_(select(literal(1)).where(of_these).exists())

    # One value

    def _one(self, criterion: Criterion, sought: SoughtPart | SoughtComposite) -> Condition:
        number = parameter_number(criterion.type, criterion.parameter)
        match sought:
            case SoughtString():
                return self._string(number, criterion.modifier, sought)
            case SoughtToken() if criterion.modifier == "text":
                return self._text(number, sought.text or "")
            case SoughtUri() if criterion.modifier == "below":
                return self._text(number, sought.uri)
            case SoughtUri() if criterion.modifier == "above":
                return self._token(number, [self._keyed.address(each) for each in _beginnings(sought.uri)])
            case SoughtComposite():
                return self._composite(criterion, number, sought)
            case SoughtDate() | SoughtNumber() | SoughtQuantity():
                at = schema.ranges.alias()
                met = (at.c.parameter == number) & self._range(at, sought)
                return select(literal(1)).where((at.c.row == resources.c.row) & met).exists()
        return self._token(number, self._hashes(criterion.type, criterion.parameter, sought))

    def _token(self, number: int, hashes: Sequence[bytes]) -> Condition:
        at = schema.tokens.alias()
        met = (at.c.parameter == number) & at.c.value.in_(hashes)
        return select(literal(1)).where((at.c.row == resources.c.row) & met).exists()

    def _text(self, number: int, beginning: str) -> Condition:
        at = schema.texts.alias()
        met = (at.c.parameter == number) & (at.c.text >= beginning) & (at.c.text < beginning + _LAST)
        return select(literal(1)).where((at.c.row == resources.c.row) & met).exists()

    def _string(self, number: int, modifier: str, sought: SoughtString) -> Condition:
        if modifier == "exact":
            return self._token(number, [self._keyed.exact(sought.text)])
        if modifier == "contains":
            at = schema.texts.alias()
            met = (at.c.parameter == number) & at.c.text.contains(sought.folded, autoescape=True)
            return select(literal(1)).where((at.c.row == resources.c.row) & met).exists()
        return self._text(number, sought.folded)

    def _hashes(self, type_name: str, parameter: str, sought: SoughtPart) -> list[bytes]:
        keyed = self._keyed
        match sought:
            case SoughtToken(type_code=str(type_code), value=str(value)):
                return [keyed.of_type(sought.type_system or "", type_code, value)]
            case SoughtToken(system=None, value=str(value)):
                return [keyed.code(value)]
            case SoughtToken(system=str(system), value=str(value)):
                return [keyed.token(system, value)]
            case SoughtToken(system=str(system)):
                return [keyed.system(system)]
            case SoughtReference(identifier=SoughtToken() as identifier):
                return [keyed.referred(identifier.system or "", identifier.value or "")]
            case SoughtReference(id=str(logical_id)):
                types = (sought.type,) if sought.type else parameters_of(type_name)[parameter].targets
                return [keyed.reference(each, logical_id) for each in types or r4().resource_types]
            case SoughtReference(url=str(url)):
                return [keyed.address(f"{url}|{sought.version}" if sought.version else url)]
            case SoughtUri():
                return [keyed.address(sought.uri)]
        raise _unfit(f"a value that {parameter} can be searched by")

    def _in_value_sets(self, criterion: Criterion) -> Condition:
        expander = Expander(r4().value_set, r4().code_system)
        hashes = []
        for each in criterion.values:
            assert isinstance(each, SoughtToken), "a value set is named where a token's system would be"
            found = expander.codes(each.system or "")
            if not found.is_closed:
                raise _unfit("a value set of FHIR R4 all of whose codes are known here")
            hashes += [self._keyed.token(system, code) for system, code in sorted(found.known)]
        return self._token(parameter_number(criterion.type, criterion.parameter), hashes)

    def _has_any(self, criterion: Criterion) -> Condition:
        number = parameter_number(criterion.type, criterion.parameter)
        tables = [table.alias() for table in (schema.tokens, schema.texts, schema.ranges)]
        return or_(
            *(
                select(literal(1)).where((at.c.row == resources.c.row) & (at.c.parameter == number)).exists()
                for at in tables
            )
        )

    # Ranges

    def _range(self, at: FromClause, sought: SoughtDate | SoughtNumber | SoughtQuantity) -> Condition:
        if isinstance(sought, SoughtDate):
            return (at.c.unit == b"") & self._date(at, sought)
        if isinstance(sought, SoughtNumber):
            return (at.c.unit == b"") & _number(at, sought.prefix, sought.value, sought.low, sought.high)
        unit, value, low, high = self._amount(sought)
        return (at.c.unit == unit) & _number(at, sought.prefix, value, low, high)

    def _amount(self, sought: SoughtQuantity) -> tuple[bytes, float, float, float]:
        if sought.base_unit is not None:
            assert sought.base_value is not None
            assert sought.base_low is not None
            assert sought.base_high is not None
            return self._keyed.base_unit(sought.base_unit), sought.base_value, sought.base_low, sought.base_high
        unit = self._keyed.unit(sought.system or "", sought.unit) if sought.unit is not None else b""
        return unit, sought.value, sought.low, sought.high

    def _date(self, at: FromClause, sought: SoughtDate) -> Condition:
        low, high = at.c.low, at.c.high
        within = (low >= sought.from_ms) & (high <= sought.to_ms)
        match sought.prefix:
            case "eq":
                return within
            case "ne":
                return not_(within)
            case "gt":
                return high > sought.to_ms
            case "ge":
                return (high > sought.to_ms) | within
            case "lt":
                return low < sought.from_ms
            case "le":
                return (low < sought.from_ms) | within
            case "sa":
                return low >= sought.to_ms
            case "eb":
                return high <= sought.from_ms
        around_ms = max(DAY_MS, APPROXIMATE * abs(self._now_ms - sought.from_ms))
        return (low < sought.to_ms + around_ms) & (high > sought.from_ms - around_ms)

    def _composite(self, criterion: Criterion, number: int, sought: SoughtComposite) -> Condition:
        parts = [self._part(criterion, number, place, each) for place, each in enumerate(sought.parts)]
        (first, met), *others = parts
        conditions = [first.c.row == resources.c.row, met]
        for place, (at, also) in enumerate(others, start=1):
            conditions += [at.c.row == first.c.row, at.c.part == first.c.part + place, also]
        return select(literal(1)).where(and_(*conditions)).exists()

    def _part(self, criterion: Criterion, number: int, place: int, sought: SoughtPart) -> tuple[FromClause, Condition]:
        """A component: its rows have the component's number in `part`, whatever the group."""
        if isinstance(sought, SoughtDate | SoughtNumber | SoughtQuantity):
            at = schema.ranges.alias()
            met = self._range(at, sought)
        elif isinstance(sought, SoughtString):
            at = schema.tokens.alias()
            met = at.c.value == self._keyed.exact(sought.text)
        else:
            at = schema.tokens.alias()
            met = at.c.value.in_(self._hashes(criterion.type, criterion.parameter, sought))
        return at, (at.c.parameter == number) & (at.c.part % PARTS == place) & met


def _listed_by(rows: Sequence[int]) -> Condition:
    """That somebody is on a roster, which is one of some rows."""
    columns, rosters = schema.roster_members.c, resources.alias()
    names = select(rosters.c.reference).where(rosters.c.row.in_(rows))
    return resources.c.reference.in_(select(columns.member).where(columns.list.in_(names) & (columns.place > 0)))


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Return the conjunction; true of none."""
    return reduce(and_, conditions, true())


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Return the disjunction; false of none."""
    return reduce(or_, conditions, false())


def order_of(type_name: str, parameter: str, kind: str, *, is_descending: bool) -> Any:
    """Return by what rows are ordered. Raises FhirRejected: BAD_PARAMETER for what has no order here."""
    number = parameter_number(type_name, parameter)
    if parameter == "_lastUpdated":
        key: Any = resources.c.updated_s
    elif parameter == "_id":
        key = resources.c.logical_id
    elif kind in ("date", "number", "quantity"):
        at = schema.ranges.alias()
        value = func.max(at.c.high) if is_descending else func.min(at.c.low)
        key = select(value).where((at.c.row == resources.c.row) & (at.c.parameter == number)).scalar_subquery()
    elif kind in ("string", "uri", "token"):
        text = schema.texts.alias()
        value = func.max(text.c.text) if is_descending else func.min(text.c.text)
        key = select(value).where((text.c.row == resources.c.row) & (text.c.parameter == number)).scalar_subquery()
    else:
        raise _unfit("a date, number, quantity, string, uri or token to sort by")
    return key.desc().nulls_last() if is_descending else key.asc().nulls_last()


def _beginnings(uri: str) -> list[str]:
    """A URI and those above it, cut at each slash."""
    parts = uri.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _number(at: FromClause, prefix: str, value: float, lowest: float, highest: float) -> Condition:
    low, high = at.c.low, at.c.high
    within = (low >= lowest) & ((high < highest) | ((low == high) & (high < highest)))
    match prefix:
        case "eq":
            return within
        case "ne":
            return not_(within)
        case "gt":
            return high > value
        case "ge":
            return high >= value
        case "lt":
            return low < value
        case "le":
            return low <= value
        case "sa":
            return low > value
        case "eb":
            return high < value
    return (low < highest) & (high >= lowest)


def _updated(sought: SoughtDate) -> Condition:
    """Of `_lastUpdated`, which is the server's own and in seconds."""
    at_s = resources.c.updated_s
    from_s, to_s = -(-sought.from_ms // 1000), -(-sought.to_ms // 1000)
    within = (at_s >= from_s) & (at_s < to_s)
    conditions: dict[str, Condition] = {
        "eq": within,
        "ne": not_(within),
        "gt": at_s >= to_s,
        "sa": at_s >= to_s,
        "ge": at_s >= from_s,
        "lt": at_s < from_s,
        "eb": at_s < from_s,
        "le": at_s < to_s,
        "ap": (at_s >= from_s - DAY_MS // 1000) & (at_s < to_s + DAY_MS // 1000),
    }
    return conditions[sought.prefix]


def _unfit(expected: str) -> FhirRejected:
    return FhirRejected(Fault.BAD_PARAMETER, expected=expected, came="another", hint="see the CapabilityStatement")
