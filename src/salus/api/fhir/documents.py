"""`DocumentReference/$docref`: a patient's documents by type and time of care (US Core, International Patient Access).

It is a search with other names, and shows what that search would show: nothing is made on demand.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from salus.api.fhir import searching
from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.failures import Failure, Issue
from salus.api.fhir.operations import simple_parameters
from salus.clinical.fhir.elements import objects, text
from salus.clinical.fhir.strict_json import read_object

KIND: Final = "DocumentReference"
_NAMED: Final = {
    "patient": "patient={}",
    "start": "period=ge{}",
    "end": "period=le{}",
    "type": "type={}",
    "_count": "_count={}",
}
_PASSED_OVER: Final = ("on-demand", "profile", "_format", "_pretty")
"""Nothing is made on demand, so there is nothing to ask for or against."""


def docref(server: Server, call: Call) -> Reply:
    """Answer with a patient's documents. Raises Failure: 400 without a patient; FhirRejected."""
    asked = simple_parameters(call)
    coded = list(objects(read_object(call.body), "parameter.valueCodeableConcept.coding")) if call.body else []
    if coded:
        asked["type"] = _token(coded[0])
    has_words_only = bool(call.body) and "type" in asked and not coded
    if has_words_only or not asked.get("patient") or asked.keys() - _NAMED.keys() - set(_PASSED_OVER):
        words = f"expected patient, and start, end, type or _count, came others: see {KIND}/$docref"
        raise Failure(400, Issue("required", "MSG_PARAM_INVALID", words))
    pairs = [tuple(written.format(asked[name]).split("=", 1)) for name, written in _NAMED.items() if asked.get(name)]
    query = tuple((name, value) for name, value in pairs)
    return searching.search_type(server, replace(call, at={"kind": KIND}, query=query))


def _token(coding: Mapping[str, object]) -> str:
    system, code = text(coding, "system"), text(coding, "code") or ""
    return f"{system}|{code}" if system else code
