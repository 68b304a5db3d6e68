"""Operations that look at one resource or at FHIR's own definitions (FHIR R4 operationslist.html).

None of them shows a record that a read would not show; what they say of definitions is the same for everybody.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any
from uuid import uuid4

import msgspec

from salus.api.fhir import beside
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue, not_found, outcome
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.definitions.expansion import Expander
from salus.clinical.fhir.definitions.terminology import Concept
from salus.clinical.fhir.renaming import instant
from salus.clinical.fhir.strict_json import JsonObject, read_object

CODES_MAX = 10_000


def validate(server: Server, call: Call) -> Reply:
    """Say everything that is wrong with a resource; nothing is stored (`$validate`)."""
    content = read_object(call.body)
    profiles = [value for name, value in call.query if name == "profile"]
    if content.get("resourceType") == "Parameters":
        parameters = named_parameters(content)
        profiles += [str(each["valueUri"]) for each in parameters.get("profile", ()) if "valueUri" in each]
        asked = [each.get("resource") for each in parameters.get("resource", ())]
        if len(asked) != 1 or not isinstance(asked[0], dict):
            words = "expected one parameter 'resource' in Parameters: put the resource there, or send it by itself"
            raise Failure(400, Issue("required", "MSG_PARAM_INVALID", words))
        content = asked[0]
    if content.get("resourceType") != call.at["kind"]:
        words = f"expected a {call.at['kind']}, came another type: send it to the address of its type"
        raise Failure(400, Issue("invalid", "MSG_RESOURCE_TYPE_MISMATCH", words))
    found = [
        Issue(each.code, "MSG_ERROR_PARSING", each.message, each.severity, each.expression)
        for each in server.settings.conformance.issues(content, profiles)
    ]
    fine = Issue("informational", "MSG_UPDATED", "nothing is wrong with it", severity="information")
    return Reply(200, outcome(*(found or [fine])))


def meta(server: Server, call: Call) -> Reply:
    """Answer with the `meta` of a resource that may be read (`$meta`). Raises Failure: 404, 410."""
    shown = msgspec.json.decode(beside.read(server, replace(call, headers={})).content, type=dict[str, msgspec.Raw])
    return _parameters(("return", {"valueMeta": shown["meta"]}))


def expand(server: Server, call: Call) -> Reply:
    """Answer with the codes of a value set that FHIR R4 defines (`ValueSet/$expand`). Raises Failure: 404, 422."""
    asked = simple_parameters(call)
    url = asked.get("url", "")
    value_set = r4().value_set(url)
    if value_set is None:
        raise not_found()
    found = _expander().codes(url)
    if not found.is_closed or len(found.known) > CODES_MAX:
        words = "expected a value set all of whose codes are known here; this one rests on a system that is not"
        raise Failure(422, Issue("too-costly", "MSG_PARAM_INVALID", words))
    wanted = asked.get("filter", "").casefold()
    contains = [
        {"system": system, "code": code, **({"display": display} if display else {})}
        for system, code in sorted(found.known)
        if wanted in (display := _display(system, code)).casefold() or wanted in code.casefold()
    ]
    said = {
        "resourceType": "ValueSet",
        "url": url,
        "status": "active",
        "expansion": {
            "identifier": f"urn:uuid:{uuid4()}",
            "timestamp": instant(server.node.clock()),
            "total": len(contains),
            "contains": contains,
        },
    }
    return Reply(200, msgspec.json.encode(said))


def validate_code(_server: Server, call: Call) -> Reply:
    """Tell whether a code is in a value set or a code system (`$validate-code`). Raises Failure: 404, 422."""
    asked = simple_parameters(call)
    system, code = asked.get("system", ""), asked.get("code", "")
    if call.at["kind"] == "ValueSet":
        if r4().value_set(asked.get("url", "")) is None:
            raise not_found()
        found = _expander().codes(asked["url"])
        if not found.is_closed and (system, code) not in found.known:
            words = "expected a value set all of whose codes are known here; this one rests on a system that is not"
            raise Failure(422, Issue("not-supported", "MSG_PARAM_INVALID", words))
        is_in = (system, code) in found.known
    else:
        system = asked.get("url", "") or system
        is_in = _concept(system, code) is not None
    display = _display(system, code)
    shown = {"display": {"valueString": display}} if is_in and display else {}
    return _parameters(("result", {"valueBoolean": is_in}), *shown.items())


def lookup(_server: Server, call: Call) -> Reply:
    """Answer with what a code of a system that FHIR defines means (`CodeSystem/$lookup`). Raises Failure: 404."""
    asked = simple_parameters(call)
    system = r4().code_system(asked.get("system", ""))
    concept = _concept(asked.get("system", ""), asked.get("code", ""))
    if system is None or concept is None:
        raise not_found()
    return _parameters(
        ("name", {"valueString": system.name}), ("display", {"valueString": concept.display or concept.code})
    )


def simple_parameters(call: Call) -> dict[str, str]:
    """Return the parameters of an operation, from the address or from Parameters; those with a simple value."""
    asked = dict(call.query)
    if call.body:
        for name, values in named_parameters(read_object(call.body)).items():
            simple = [str(value) for each in values for key, value in each.items() if key.startswith("value")]
            asked |= {name: simple[0]} if simple else {}
    return asked


def named_parameters(content: JsonObject) -> dict[str, list[Mapping[str, Any]]]:
    """Return what stands in a Parameters resource, by name."""
    named: dict[str, list[Mapping[str, Any]]] = {}
    listed = content.get("parameter")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            named.setdefault(each["name"], []).append(each)
    return named


def _parameters(*said: tuple[str, Mapping[str, object]]) -> Reply:
    parameters = [{"name": name, **value} for name, value in said]
    return Reply(200, msgspec.json.encode({"resourceType": "Parameters", "parameter": parameters}))


@lru_cache(maxsize=1)
def _expander() -> Expander:
    return Expander(r4().value_set, r4().code_system)


def _display(system: str, code: str) -> str:
    concept = _concept(system, code)
    return concept.display if concept is not None else ""


def _concept(system: str, code: str) -> Concept | None:
    found = r4().code_system(system)
    return None if found is None else _concepts(system).get(code)


@lru_cache(maxsize=64)
def _concepts(system: str) -> Mapping[str, Concept]:
    found = r4().code_system(system)
    return {} if found is None else {each.code: each for each in found.concepts}
