"""The CapabilityStatement: exactly what is registered, and nothing else (FHIR R4 http.html 3.1.0.9)."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Final

import msgspec

from salus.api.fhir import derived
from salus.api.fhir.call import Call, Interaction, Level, Reply, Server
from salus.api.fhir.subscribing import socket_url
from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.messages import EVENT_SYSTEM, EVENTS
from salus.clinical.fhir.renaming import instant
from salus.clinical.fhir.search.parameters import Parameter, parameters_of
from salus.clinical.fhir.subscriptions import IG
from salus.node.services.received_messages import KEPT_S
from salus.node.shapes import APART, DERIVED

PUBLISHED_S: Final = 1_764_288_000
_WHOLE_SYSTEM: Final = ("transaction", "batch", "search-system", "history-system")
_NOT_LISTED: Final = ("capabilities", "bulk-job", "cds-services")
BULK_DATA: Final = "http://hl7.org/fhir/uv/bulkdata"
_OF_BULK_DATA: Final = ("$export",)
"""Operations that FHIR Bulk Data Access defines, not FHIR itself."""
WEBSOCKET: Final = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
_OWN: Final = {
    "$import": "urn:salus:operation:import",
    "$consult": "urn:salus:operation:consult",
    "$audit-proof": "urn:salus:operation:audit-proof",
    "$verify": "urn:salus:operation:verify",
}
"""Operations that no guide defines yet; docs/fhir.md says what they do."""
CONSENT_MANAGEMENT: Final = "http://hl7.org/fhir/us/consent-management"
_OF_CONSENT_MANAGEMENT: Final = {"$fileConsent": "file-consent", "$revokeConsent": "revoke-consent"}
"""Operations that HL7's Scalable Consent Management defines."""
_BINDING: Final = "$get-ws-binding-token"
_OF_SUBSCRIPTIONS: Final = {
    "$status": "backport-subscription-status",
    "$events": "backport-subscription-events",
    _BINDING: "backport-subscription-get-ws-binding-token",
}
"""Operations that HL7's Subscriptions R5 Backport defines."""


def metadata(server: Server, _call: Call) -> Reply:
    """Answer what this server does; nobody has to sign in for that."""
    return Reply(200, statement(server.settings.base, server.interactions))


@lru_cache(maxsize=4)
def statement(base: str, interactions: tuple[Interaction, ...]) -> bytes:
    """Return the CapabilityStatement of these interactions, in JSON."""
    of_all = [each for each in interactions if not each.kind]
    kinds = [{"code": each} for each in _codes(of_all) if each not in _WHOLE_SYSTEM]
    named = [each for each in interactions if each.code.startswith("$")]
    operations = {(each.kind, each.code): None for each in named if each.level is not Level.SYSTEM}
    of_system = dict.fromkeys(each.code for each in named if each.level is Level.SYSTEM)
    offered = [{"name": each[1:], "definition": _definition("", each)} for each in of_system]
    whole = [{"code": each} for each in _codes(interactions) if each in _WHOLE_SYSTEM]
    resources = [
        _apart(kind, interactions) if kind in APART else _resource(kind, kinds, list(operations))
        for kind in r4().resource_types
    ]
    rest = {"mode": "server", "resource": resources}
    if any(each.code == _BINDING for each in interactions):
        rest["extension"] = [{"url": WEBSOCKET, "valueUri": socket_url(base)}]
    said = {
        "resourceType": "CapabilityStatement",
        "url": f"{base}/metadata",
        "name": "SalusFhirServer",
        "title": "Salus FHIR server",
        "status": "active",
        "date": instant(PUBLISHED_S),
        "kind": "instance",
        "software": {"name": "Salus", "version": version("salus")},
        "implementation": {"description": "Records of one custodian, each released by a committed permit", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "xml", "application/fhir+json", "application/fhir+xml"],
        "instantiates": [f"{BULK_DATA}/CapabilityStatement/bulk-data"],
        "messaging": [_messaging(base)],
        "rest": [rest | ({"interaction": whole} if whole else {}) | ({"operation": offered} if offered else {})],
    }
    return msgspec.json.encode(said)


def _messaging(base: str) -> dict[str, object]:
    """What is said of messages, which no definition of ours describes: FHIR's codes of events do."""
    transport = {"system": "http://terminology.hl7.org/CodeSystem/message-transport", "code": "http"}
    return {
        "endpoint": [{"protocol": transport, "address": f"{base}/$process-message"}],
        "reliableCache": KEPT_S // 60,
        "documentation": f"Events {', '.join(EVENTS)} of {EVENT_SYSTEM}; what they carry is stored, all or none",
    }


def _codes(interactions: Sequence[Interaction]) -> list[str]:
    codes = dict.fromkeys(each.code for each in interactions if each.code not in _NOT_LISTED and each.code[0] != "$")
    return [*codes, *(["batch"] if "transaction" in codes else [])]  # one address, told apart by the bundle's type


def _resource(
    kind: str, interactions: list[dict[str, str]], operations: Sequence[tuple[str, str]]
) -> dict[str, object]:
    parameters = parameters_of(kind).values()
    offered = [{"name": name[1:], "definition": _definition(of, name)} for of, name in operations if of in ("", kind)]
    return {
        "type": kind,
        "operation": offered,
        "interaction": interactions,
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": _includes(kind, list(parameters)),
        "searchParam": [{"name": each.code, "definition": each.url, "type": each.kind} for each in parameters],
    }


def _apart(kind: str, interactions: Sequence[Interaction]) -> dict[str, object]:
    """What is offered of a type that is no record: rows of its own."""
    own = [each for each in interactions if each.kind == kind or each.code == "$validate"]
    operations = dict.fromkeys((each.kind, each.code) for each in own if each.code.startswith("$"))
    included = {"searchInclude": _includes(kind, derived.parameters(kind))} if kind in DERIVED else {}
    return {
        "type": kind,
        "operation": [{"name": name[1:], "definition": _definition(of, name)} for of, name in operations],
        "interaction": [{"code": each} for each in _codes(own)],
        "versioning": "versioned",
        "readHistory": False,
        "updateCreate": False,
        "referencePolicy": ["literal", "logical"],
        **included,
        "searchParam": [
            {"name": each.code, "definition": each.url, "type": each.kind} for each in derived.parameters(kind)
        ],
    }


def _includes(kind: str, parameters: Sequence[Parameter]) -> list[str]:
    return ["*", *(f"{kind}:{each.code}" for each in parameters if each.kind == "reference")]


def _definition(kind: str, name: str) -> str:
    """The address of the definition of an operation, FHIR's own where no guide defines it."""
    if name in _OF_SUBSCRIPTIONS:
        return f"{IG}/OperationDefinition/{_OF_SUBSCRIPTIONS[name]}"
    if name == "$docref":
        return "http://hl7.org/fhir/us/core/OperationDefinition/docref"
    if name in _OF_CONSENT_MANAGEMENT:
        return f"{CONSENT_MANAGEMENT}/OperationDefinition/{_OF_CONSENT_MANAGEMENT[name]}"
    if name in _OF_BULK_DATA:
        return f"{BULK_DATA}/OperationDefinition/{'-'.join(filter(None, (kind.lower(), name[1:])))}"
    if name in _OWN:
        return _OWN[name]
    if name == "$process-message":
        return "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"
    return f"http://hl7.org/fhir/OperationDefinition/{kind or 'Resource'}-{name[1:]}"
