"""Consent: to create, update or delete one is to file, replace or withdraw a sharing choice on the ledger.

`$fileConsent` and `$revokeConsent` (HL7 Scalable Consent Management) take what the patient's device signed; without
that, the custodian acts with the key that it holds, and the resource and the history say so. Nothing is stored here.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from msgspec import Raw, json

from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.derived import NOBODY, patient_named, require
from salus.api.fhir.failures import Failure, Issue, not_found, outcome
from salus.api.fhir.operations import named_parameters
from salus.api.fhir.reading import require_shown
from salus.api.fhir.rendering import http_date, place_of, rendered, version_tag
from salus.api.fhir.writing import expected_version, preferred, require_scope, require_valid
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.strict_json import JsonObject, read_object
from salus.node.projections import resources
from salus.node.services import consents
from salus.node.services.derived import Derived
from salus.node.services.show import newest

KIND = "Consent"
PARAMETERS = ("consent", "patient", "transaction", "residual")


def create(server: Server, call: Call) -> Reply:
    """File a sharing choice. Raises Failure, Refused, NotNow."""
    require_scope(call.access, "c", KIND)
    if "if-none-exist" in call.headers:
        words = "expected a Consent without If-None-Exist: each one is a choice of its own, search before"
        raise Failure(400, Issue("not-supported", "MSG_PARAM_INVALID", words))
    content = _consent(server, read_object(call.body))
    patient = _patient(server, call, text(content, "patient.reference") or "")
    return _stored(server, call, consents.file(server.node, call.access.login, patient, content), 201)


def update(server: Server, call: Call) -> Reply:
    """Put another choice in the place of one, or withdraw it where it is no longer active. Raises Failure, Refused."""
    require_scope(call.access, "u", KIND)
    before = _before(server, call)
    content = _consent(server, read_object(call.body))
    if content.get("id") != call.at["id"]:
        words = "expected the id of the address in the resource, came another or none: send both alike"
        raise Failure(400, Issue("invalid", "MSG_RESOURCE_ID_MISMATCH", words, expression=f"{KIND}.id"))
    if text(content, "patient.reference") != text(json.decode(before.shown.body), "patient.reference"):
        words = "expected the patient whose choice this is, came another: file a choice of theirs"
        raise Failure(422, Issue("business-rule", "MSG_PARAM_INVALID", words, expression=f"{KIND}.patient"))
    return _stored(server, call, consents.replace(server.node, call.access.login, before, content), 200)


def delete(server: Server, call: Call) -> Reply:
    """Withdraw a choice; it stays to be read, as inactive (R3: the very next release is stopped). Raises Failure."""
    require_scope(call.access, "d", KIND)
    after = consents.withdraw(server.node, call.access.login, _before(server, call))
    return Reply(204, headers={"etag": version_tag(after.shown.version)})


def file_consent(server: Server, call: Call) -> Reply:
    """File what the patient signed, or by custodian what a Consent asks for (`Consent/$fileConsent`).

    Parameters: `consent`, a Consent; or `transaction` and `residual`, base64, as SDK and CLI make them, and `patient`,
    a reference, unless the token is about one. Raises Failure, Refused, NotNow.
    """
    require_scope(call.access, "c", KIND)
    asked = _asked(call)
    if "transaction" in asked:
        return _filed(server, _taken(server, call, asked))
    content = asked.get("consent", {}).get("resource")
    if not isinstance(content, dict):
        words = "expected a Consent as the parameter consent, or transaction and residual as the SDK makes them"
        raise Failure(400, Issue("required", "MSG_PARAM_INVALID", words))
    _consent(server, content)
    patient = _patient(server, call, text(content, "patient.reference") or "")
    return _filed(server, consents.file(server.node, call.access.login, patient, content))


def revoke_consent(server: Server, call: Call) -> Reply:
    """Withdraw a choice by what the patient signed, or by custodian (`Consent/$revokeConsent`).

    Parameters: `consent`, a reference; or as for `file_consent`. With neither, a patient withdraws all of theirs, and
    is told nothing of them (decision 0031). Raises Failure, Refused, NotNow.
    """
    require_scope(call.access, "d", KIND)
    asked = _asked(call)
    if "transaction" in asked:
        return _filed(server, _taken(server, call, asked))
    if "consent" not in asked:
        return _all_withdrawn(server, call, asked)
    reference = text(asked.get("consent", {}), "valueReference.reference") or ""
    before = require(server, call.access, KIND, reference.removeprefix(f"{KIND}/"))
    return _filed(server, consents.withdraw(server.node, call.access.login, before))


def _all_withdrawn(server: Server, call: Call, asked: Mapping[str, Mapping[str, Any]]) -> Reply:
    if asked.keys() - {"patient"} or all(call.access.narrowings("d", KIND)):
        words = "expected consent, a reference: only a patient whose scope is not narrowed withdraws all of theirs"
        raise Failure(400, Issue("required", "MSG_PARAM_INVALID", words))
    patient = _patient(server, call, text(asked.get("patient", {}), "valueReference.reference") or "")
    consents.withdraw_all(server.node, call.access.login, patient)
    return Reply(200, _parameters())


def _asked(call: Call) -> dict[str, Mapping[str, Any]]:
    found = named_parameters(read_object(call.body))
    if not found.keys() <= set(PARAMETERS) or any(len(each) > 1 for each in found.values()):
        words = f"expected {', '.join(PARAMETERS)}, each once, came others: keep documents by themselves"
        raise Failure(400, Issue("not-supported", "MSG_PARAM_UNKNOWN", words))
    return {name: values[0] for name, values in found.items()}


def _taken(server: Server, call: Call, asked: Mapping[str, Mapping[str, Any]]) -> Derived:
    patient = _patient(server, call, text(asked.get("patient", {}), "valueReference.reference") or "")
    return consents.take(server.node, _bytes(asked, "transaction"), _bytes(asked, "residual"), only=patient)


def _bytes(asked: Mapping[str, Mapping[str, Any]], name: str) -> bytes:
    try:
        return b64decode(str(asked.get(name, {}).get("valueBase64Binary", "")), validate=True)
    except binascii.Error as error:
        words = f"expected {name} in base64, as SDK and CLI write it"
        raise Failure(400, Issue("value", "MSG_PARAM_INVALID", words)) from error


def _consent(server: Server, content: JsonObject) -> JsonObject:
    if content.get("resourceType") != KIND:
        words = "expected a Consent, came another type or none: send it to the address of its type"
        raise Failure(400, Issue("invalid", "MSG_RESOURCE_TYPE_MISMATCH", words, expression="resourceType"))
    require_valid(server, dict(content))
    return content


def _before(server: Server, call: Call) -> Derived:
    before = require(server, call.access, KIND, call.at["id"])
    expected = expected_version(call)
    if expected not in (None, before.shown.version):
        words = f"expected version {expected} as the newest of this {KIND}, it has {before.shown.version}: read it"
        raise Failure(412, Issue("conflict", "MSG_VERSION_AWARE_CONFLICT", words))
    return before


def _patient(server: Server, call: Call, reference: str) -> bytes:
    """Whose choice it is: the patient in context, or one whose Patient whoever asks may see. Raises Failure: 404."""
    if call.access.patient is not None and not reference:
        return call.access.patient
    patient = patient_named(server, call.access, reference)
    found = resources.patient_of(server.node, patient) if patient != NOBODY else None
    if found is None:
        raise not_found()
    if call.access.patient is None:
        require_shown(server, call.access, newest(found))
    return patient


def _stored(server: Server, call: Call, made: Derived, status: int) -> Reply:
    return Reply(status, preferred(call, made.shown), _headers(server, made))


def _filed(server: Server, made: Derived) -> Reply:
    content = _parameters({"name": "consent", "resource": Raw(rendered(made.shown))})
    return Reply(200, content, _headers(server, made))


def _parameters(*more: dict[str, object]) -> bytes:
    """Say that the ledger has it, and more."""
    said = Issue("informational", "MSG_UPDATED", "the ledger has it", severity="information")
    done = {"name": "return", "resource": Raw(outcome(said))}
    return json.encode({"resourceType": "Parameters", "parameter": [done, *more]})


def _headers(server: Server, made: Derived) -> dict[str, str]:
    return {
        "etag": version_tag(made.shown.version),
        "last-modified": http_date(made.shown.updated_s),
        "location": place_of(server.settings.base, made.shown),
    }
