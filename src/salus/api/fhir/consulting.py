"""The consent decision: what the rules would say to a request, by FHIR operation and by CDS Hooks.

`Consent/$consult` takes and gives Parameters; `patient-consent-consult` is the hook of HL7's consent services (LEAP),
with a card. Both ask the evaluator that decides a release, and give out nothing of a record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import json

from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.derived import NOBODY, patient_named
from salus.api.fhir.failures import Failure, Issue, not_found
from salus.api.fhir.operations import named_parameters
from salus.api.fhir.writing import require_scope
from salus.clinical.fhir.elements import objects, text, texts, values
from salus.clinical.fhir.strict_json import read_object
from salus.clinical.nhs_number import SYSTEM as NHS_NUMBER
from salus.node.services import consult
from salus.node.services.consult import Advice, Verdict, Written
from salus.node.shapes.consents import PRIVACY
from salus.node.shapes.systems import ACT_CODE, ODS, ROLE_CLASS

JSON: Final = {"content-type": "application/json"}
HOOK: Final = "patient-consent-consult"
REDACT: Final = {"system": ACT_CODE, "code": "REDACT"}
"""HL7 v3 ActCode: what carries one of these is left out before anything is given (LEAP's obligation)."""
_INPUTS: Final = ("patient", "actor", "role", "purposeOfUse", "action", "class", "securityLabel", "code")
_CARDS: Final = {
    Verdict.PERMIT: ("CONSENT_PERMIT", "info", "The rules let such a request through."),
    Verdict.DENY: ("CONSENT_DENY", "critical", "A rule denies such a request."),
    Verdict.NO_CONSENT: ("NO_CONSENT", "warning", "No rule permits such a request."),
}


@dataclass(frozen=True)
class _Asked:
    """Whom it is about, and the question."""

    patient: bytes
    question: Written


def decide(server: Server, call: Call) -> Reply:
    """Answer with the decision on a request that nobody makes (`Consent/$consult`). Raises Failure, Refused, NotNow."""
    _require_asking(call)
    named = named_parameters(read_object(call.body))
    if not named.keys() <= set(_INPUTS):
        words = f"expected {', '.join(_INPUTS)}, came others: leave them out"
        raise Failure(400, Issue("not-supported", "MSG_PARAM_UNKNOWN", words))
    first = {name: each[0] for name, each in named.items()}
    patient = patient_named(server, call.access, text(first.get("patient", {}), "valueReference.reference") or "")
    question = Written(
        requester=text(first.get("actor", {}), "valueIdentifier.value") or server.node.organisation,
        role=_word(first.get("role", {})) or "clinical",
        purpose=_word(first.get("purposeOfUse", {})) or "TREAT",
        action=_word(first.get("action", {})) or "read",
        labels=_tokens(named.get("securityLabel", ())),
        classes=tuple(filter(None, (_word(each) for each in named.get("class", ())))),
        codes=_tokens(named.get("code", ())),
    )
    advice = _advice(server, call, _Asked(patient, question))
    said: list[dict[str, object]] = [
        {"name": "decision", "valueCode": advice.verdict.value},
        {"name": "reason", "valueCode": advice.why},
    ]
    said += [{"name": "basis", "valueCode": advice.basis.name.lower().replace("_", "-")}] if advice.basis else []
    said += [{"name": "obligation", "part": _obligation(advice.withheld)}] if advice.withheld else []
    return Reply(200, json.encode({"resourceType": "Parameters", "parameter": said}))


def services(_server: Server, _call: Call) -> Reply:
    """Answer which CDS services there are (CDS Hooks, discovery)."""
    service = {
        "hook": HOOK,
        "id": HOOK,
        "title": "Sharing choices",
        "description": "What the ledger's policies and the patient's sharing choices would say to a request",
    }
    return Reply(200, json.encode({"services": [service]}), JSON)


def hook(server: Server, call: Call) -> Reply:
    """Answer a hook with one card (CDS Hooks, `patient-consent-consult`). Raises Failure, Refused, NotNow."""
    _require_asking(call)
    body = read_object(call.body)
    context = next(objects(body, "context"), None)
    if body.get("hook") != HOOK or context is None:
        words = f"expected the hook {HOOK} with a context: see /cds-services"
        raise Failure(400, Issue("invalid", "MSG_PARAM_INVALID", words))
    if any(each != PRIVACY for each in texts(context, "scope")):
        return _card("NO_CONSENT", "warning", "Sharing choices are of the scope patient-privacy.", {})
    advice = _advice(server, call, _Asked(_identified(server, call, context), _in_context(server, context)))
    summary, indicator, detail = _CARDS[advice.verdict]
    extension: dict[str, object] = {"decision": summary, "reason": advice.why}
    extension |= {"basis": advice.basis.name.lower().replace("_", "-")} if advice.basis else {}
    extension |= {"obligations": [_redaction(advice.withheld)]} if advice.withheld else {}
    return _card(summary, indicator, detail, extension)


def _require_asking(call: Call) -> None:
    """Raise Failure or Refused unless whoever asks may consult at all, before anybody is looked up."""
    require_scope(call.access, "r", "Consent")
    consult.require_consulting(call.access.login)


def _advice(server: Server, call: Call, asked: _Asked) -> Advice:
    """Return what the rules would say. Raises Failure: 404 for a patient who is not here or whom this is not about."""
    login = call.access.login
    if asked.patient == NOBODY or not consult.may_consult(server.node, server.responder, login, asked.patient):
        raise not_found()
    return consult.consult(server.node, asked.patient, consult.read_question(asked.question))


def _identified(server: Server, call: Call, context: Mapping[str, object]) -> bytes:
    """Whom a context is about: by NHS number, or by the id of their Patient here."""
    for each in (*objects(context, "patientId"), *({"value": value} for value in texts(context, "patientId"))):
        system, value = each.get("system"), each.get("value")
        if isinstance(value, str) and system == NHS_NUMBER:
            found = consult.patient_numbered(server.node, value)
            return found if found and call.access.patient in (None, found) else NOBODY
        if isinstance(value, str):
            return patient_named(server, call.access, value)
    return NOBODY


def _in_context(server: Server, context: Mapping[str, object]) -> Written:
    actors = list(objects(context, "actor"))
    organisation = next((text(each, "value") for each in actors if each.get("system") == ODS), None)
    role = next((text(each, "value") for each in actors if each.get("system") == ROLE_CLASS), None)
    return Written(
        requester=organisation or server.node.organisation,
        role=role or "clinical",
        purpose=next(texts(context, "purposeOfUse"), "TREAT"),
        labels=_codings(values(context, "securityLabel")),
        classes=tuple(texts(context, "class.code")),
        codes=_codings(values(context, "code")),
    )


def _word(parameter: Mapping[str, Any]) -> str:
    """The code of a parameter, whichever way it is written."""
    found = text(parameter, "valueCode") or text(parameter, "valueCoding.code") or text(parameter, "valueString")
    return found or ""


def _tokens(parameters: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return _codings([each.get("valueCoding") for each in parameters])


def _codings(codings: Sequence[object]) -> tuple[str, ...]:
    return tuple(f"{each.get('system', '')}|{each.get('code', '')}" for each in codings if isinstance(each, dict))


def _obligation(withheld: Sequence[str]) -> list[dict[str, object]]:
    """An obligation as parts: what to do, and what it is about."""
    codings = [("id", REDACT), *(("code", _coding(each)) for each in withheld)]
    return [{"name": name, "valueCoding": coding} for name, coding in codings]


def _redaction(withheld: Sequence[str]) -> dict[str, object]:
    return {"id": REDACT, "parameters": {"codes": [_coding(each) for each in withheld]}}


def _coding(token: str) -> dict[str, str]:
    system, _, code = token.rpartition("|")
    return {"system": system, "code": code}


def _card(summary: str, indicator: str, detail: str, extension: Mapping[str, object]) -> Reply:
    card: dict[str, object] = {
        "summary": summary,
        "indicator": indicator,
        "detail": detail,
        "source": {"label": "Salus"},
    }
    return Reply(200, json.encode({"cards": [card | ({"extension": extension} if extension else {})]}), JSON)
