"""Proofs through FHIR: `$audit-proof` gives out what proves an AuditEvent, `$verify` checks what anybody was given.

What is given out is checked without this server (`salus verify`); what is checked here is checked against the trust
file that the caller keeps: a server that vouched for itself would prove nothing.
"""

import binascii
from base64 import b64decode, b64encode

from msgspec import json

from salus.api.fhir.call import Call, Reply, Server
from salus.api.fhir.derived import require
from salus.api.fhir.failures import Failure, Issue
from salus.api.fhir.operations import named_parameters
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.strict_json import read_object
from salus.node.services import audit_events
from salus.sdk.verdicts import verdict_on

FILE_TYPE = "application/octet-stream"
INPUTS = ("file", "trust")


def audit_proof(server: Server, call: Call) -> Reply:
    """Answer with the file that proves an AuditEvent, as a Binary (`AuditEvent/{id}/$audit-proof`).

    Of a decision it is the outcome under a signed header, of a release the receipt. Raises Failure: 404; NotNow.
    """
    event = require(server, call.access, audit_events.KIND, call.at["id"])
    file = audit_events.proof_of(server.node, call.access.login, event)
    content = {"resourceType": "Binary", "contentType": FILE_TYPE, "data": b64encode(file).decode()}
    return Reply(200, json.encode(content))


def verify(server: Server, call: Call) -> Reply:
    """Say whether a receipt, a history or a proof is genuine, and what it shows (`$verify`).

    Parameters: `file` and `trust`, both base64: the file, and the trust file against which it is checked.
    Raises Failure: 400.
    """
    named = named_parameters(read_object(call.body))
    if named.keys() != set(INPUTS) or any(len(each) != 1 for each in named.values()):
        words = "expected file and trust, in base64, each once: the trust file is the one that you keep"
        raise Failure(400, Issue("required", "MSG_PARAM_INVALID", words))
    try:
        file, trust = (b64decode(text(named[name][0], "valueBase64Binary") or "", validate=True) for name in INPUTS)
    except binascii.Error as error:
        raise Failure(400, Issue("value", "MSG_PARAM_INVALID", "expected file and trust in base64")) from error
    found = verdict_on(file, trust, now_s=server.node.clock())
    said: list[dict[str, object]] = [{"name": "result", "valueBoolean": found.is_genuine}]
    said += [{"name": "kind", "valueCode": found.kind}] if found.kind else []
    if found.check:
        failed = [{"name": "check", "valueString": found.check}, {"name": "step", "valueInteger": found.step}]
        said.append({"name": "failed", "part": failed})
    said += [{"name": "line", "valueString": each} for each in found.lines if each]
    said += [{"name": "fault", "valueString": each} for each in found.faults]
    return Reply(200, json.encode({"resourceType": "Parameters", "parameter": said}))
