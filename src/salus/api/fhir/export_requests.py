"""What a client asks of an export: from the parameters of a kick-off request to what the service lists by.

Source: FHIR Bulk Data Access 2.0.0 (export, query parameters); `organizeOutputBy`, `allowPartialManifests`, `_until`
and a group's `member-filter` as 3.0.0 has them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from salus.api.fhir.bulk import NDJSON
from salus.api.fhir.call import Access, Call, Server
from salus.api.fhir.failures import Failure, Issue
from salus.api.fhir.operations import named_parameters
from salus.api.fhir.reading import require_found, require_shown
from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.search import parse_query
from salus.clinical.fhir.search.queries import Criterion
from salus.clinical.fhir.strict_json import JsonObject, read_object
from salus.node.projections import resources
from salus.node.services import rosters
from salus.node.services.exports import Asked, query_of
from salus.node.services.show import newest

FORMATS: Final = (NDJSON, "application/ndjson", "ndjson")
FILTERS_MAX: Final = 32
PATIENTS_MAX: Final = 10_000
MEMBER_FILTER: Final = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/member-filter"
PARAMETERS: Final = (
    *("_outputFormat", "_since", "_until", "_type", "_typeFilter", "_elements", "patient"),
    *("organizeOutputBy", "allowPartialManifests"),
)
UNNAMED: Final = ("_typeFilter", "patient")
"""Parameters that may name people: they stand in no address that this server makes (P4)."""
_FILTERS: Final = re.compile(r",(?=[A-Z][A-Za-z]+\?)")
"""Between the searches in one `_typeFilter`, as version 1 wrote them."""
_ELEMENT: Final = re.compile(r"(?:[A-Z][A-Za-z]+\.)?[a-z][A-Za-z0-9]{0,63}", re.ASCII)

Pairs = Sequence[tuple[str, str]]


def of_system(server: Server, call: Call) -> Asked:
    """Return what an export of the whole server is to have. Raises Failure, FhirRejected."""
    return _asked(server, call, "$export", has_directory=True)


def of_patients(server: Server, call: Call) -> Asked:
    """Return what an export of all patients is to have, or of the one in context. Raises Failure, FhirRejected."""
    only = call.access.patient
    return _asked(server, call, "Patient/$export", only=None if only is None else [only])


def of_group(server: Server, call: Call) -> Asked:
    """Return what an export of a group is to have.

    A group is the searches that its members meet, those on it who may be shown, or the one patient whose record it is
    in.

    Raises:
        Failure: 404 for a group that may not be read, 422 for one that says none of these.
        FhirRejected: its searches cannot be read.
    """
    found = require_found(server, call)
    group = read_object(require_shown(server, call.access, newest(found)).body)
    filters = _member_filters(group)
    is_roster = not found.pseudonym and "member" in group
    if not filters and not found.pseudonym and not is_roster:
        words = "expected a Group with member-filter, or with patients of this server: say whose records are meant"
        raise Failure(422, Issue("not-supported", "MSG_PARAM_INVALID", words, expression="Group.modifierExtension"))
    only = [bytes(found.pseudonym)] if found.pseudonym else None
    if is_roster:
        only = sorted({bytes(each.pseudonym) for each in rosters.patients_of(server.node, group)})
    return _asked(server, call, f"Group/{found.logical_id}/$export", only=only, members=filters)


def _asked(
    server: Server,
    call: Call,
    path: str,
    *,
    has_directory: bool = False,
    only: Sequence[bytes] | None = None,
    members: Sequence[str] = (),
) -> Asked:
    if call.access.patient is not None and (only is None or list(only) != [call.access.patient]):
        words = "expected scopes for many patients, such as system/*.rs; these are for one: use Patient/$export"
        raise Failure(403, Issue("forbidden", "MSG_AUTH_REQUIRED", words))
    pairs, notes = _known(call)
    said = dict(pairs)
    if said.get("_outputFormat", NDJSON).replace(" ", "+") not in FORMATS:
        raise _bad("application/fhir+ndjson as _outputFormat")
    if said.get("organizeOutputBy", "Patient") != "Patient":
        raise _bad("Patient as organizeOutputBy")
    types = _types(call.access, said.get("_type", ""))
    if "patient" in said:
        only = _patients(server, [value for name, value in pairs if name == "patient"], only)
    address = [each for each in call.query if each[0] in said and each[0] not in UNNAMED]
    return Asked(
        has_directory=has_directory and "patient" not in said and "organizeOutputBy" not in said,
        is_for_all=only is None,
        only=tuple(sorted(only or ())),
        types=types,
        filters=_type_filters([value for name, value in pairs if name == "_typeFilter"], types),
        members=tuple(_require_plain(each) for each in members),
        times=tuple(_time(said, name, prefix) for name, prefix in (("_since", "ge"), ("_until", "le")) if name in said),
        tells_gone="_since" in said,
        elements=_elements(said.get("_elements", "")),
        is_organised="organizeOutputBy" in said,
        is_paged=said.get("allowPartialManifests") == "true",
        address=f"{server.settings.base}/{path}" + (f"?{urlencode(address)}" if address else ""),
        at_s=server.node.clock(),
        notes=notes,
    )


def _known(call: Call) -> tuple[Pairs, tuple[str, ...]]:
    """The parameters that are known, and what is to be said of others where handling is lenient. Raises Failure."""
    pairs = [*call.query, *(_pairs(read_object(call.body)) if call.body else ())]
    known = [each for each in pairs if each[0] in PARAMETERS]
    unknown = [each for each in pairs if each[0] not in (*PARAMETERS, "_format", "_pretty")]
    if not unknown:
        return known, ()
    if "handling=lenient" not in call.headers.get("prefer", ""):
        words = f"expected parameters of $export, {', '.join(PARAMETERS)}: leave others out, or send handling=lenient"
        raise Failure(400, Issue("not-supported", "MSG_PARAM_UNKNOWN", words))
    return known, (f"passed over {len(unknown)} parameters that this server does not know",)


def _pairs(content: JsonObject) -> Pairs:
    """The parameters of a Parameters resource; a reference is its text."""
    pairs: list[tuple[str, str]] = []
    for name, values in named_parameters(content).items():
        for each in values:
            pairs += [(name, _text(value)) for key, value in each.items() if key.startswith("value")]
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("reference", ""))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _types(access: Access, said: str) -> tuple[str, ...]:
    """The types that are named. Raises Failure: one that there is not, or that no scope lets be read."""
    types = tuple(dict.fromkeys(each.strip() for each in said.split(",") if each.strip()))
    known = r4().resource_types
    if not all(each in known for each in types):
        raise _bad("types of FHIR R4 as _type")
    if not all(access.may("r", each) for each in types) or not any(access.may("r", each) for each in known):
        words = "expected scopes to read all types that are asked for, such as system/*.rs: ask for them or for fewer"
        raise Failure(403, Issue("forbidden", "MSG_AUTH_REQUIRED", words))
    return types


def _type_filters(said: Sequence[str], types: Sequence[str]) -> tuple[bytes, ...]:
    """The searches of types, each of which can be read. Raises Failure, FhirRejected."""
    filters = tuple(_require_plain(each) for value in said for each in _FILTERS.split(value) if each)
    if len(filters) > FILTERS_MAX:
        raise _bad(f"at most {FILTERS_MAX} searches as _typeFilter")
    if types and not all(query_of(each).type in types for each in filters):
        raise _bad("_typeFilter for types that are in _type, too")
    return filters


def _require_plain(search: str) -> bytes:
    """A search of a type that looks at nothing but the resource itself. Raises Failure, FhirRejected."""
    wanted = search.encode()
    kind, mark, _ = search.partition("?")
    if kind not in r4().resource_types or not mark:
        raise _bad("a search such as Observation?category=laboratory")
    query = query_of(wanted)
    others = query.includes or query.sort or query.elements or query.count is not None or query.summary or query.total
    if others or not all(isinstance(each, Criterion) for each in query.filters):
        raise _bad("a search of the resource itself, without chains, includes, order or pages")
    return wanted


def _time(said: Mapping[str, str], name: str, prefix: str) -> bytes:
    try:
        parse_query("Patient", [("_lastUpdated", f"{prefix}{said[name]}")], is_strict=True)
    except FhirRejected as error:
        raise _bad(f"an instant such as 2026-01-31T00:00:00Z as {name}") from error
    return f"_lastUpdated={prefix}{said[name]}".encode()


def _elements(said: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(each.strip() for each in said.split(",") if each.strip()))
    if not all(_ELEMENT.fullmatch(each) for each in names):
        raise _bad("names of elements, with their type or without, as _elements")
    return names


def _patients(server: Server, references: Sequence[str], within: Sequence[bytes] | None) -> list[bytes]:
    """The relationships of these patients; one who is not here is as one whose records may not be exported."""
    if len(references) > PATIENTS_MAX:
        raise _bad(f"at most {PATIENTS_MAX:,} patients")
    names = [("Patient", each.removeprefix("Patient/")) for each in references]
    found = {bytes(each.pseudonym) for each in resources.find_all(server.node, names) if not each.is_deleted}
    return sorted(found if within is None else found & set(within))


def _member_filters(group: JsonObject) -> list[str]:
    """The searches that a group's members meet (Bulk Data Access 3.0.0, Bulk Cohort Group)."""
    extensions = group.get("modifierExtension")
    found = [each for each in extensions if isinstance(each, dict)] if isinstance(extensions, list) else []
    filters = [each.get("valueExpression") for each in found if each.get("url") == MEMBER_FILTER]
    if len(filters) != len(found):  # it means something by which this server would have to go
        words = "expected no modifierExtension but member-filter in a Group that is exported: take it out"
        raise Failure(422, Issue("not-supported", "MSG_PARAM_INVALID", words, expression="Group.modifierExtension"))
    return [str(each.get("expression", "")) for each in filters if isinstance(each, dict)]


def _bad(expected: str) -> Failure:
    return Failure(400, Issue("value", "MSG_PARAM_INVALID", f"expected {expected}, came something else: correct it"))
