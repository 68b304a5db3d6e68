"""How the FHIR server says no: an HTTP status and an OperationOutcome with coded details, never about a person (P4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.clinical.fhir import Fault, FhirRejected
from salus.node.errors import Busy, NotNow, Refusal, Refused
from salus.node.services.tickets import is_spent

DETAILS_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/operation-outcome"
RETRY_AFTER: Final = {"retry-after": "2"}
RETRY_SOON: Final = {"retry-after": "1"}
NOT_FOUND: Final = "expected a resource that is here and that you may read, came the name of none: search for it"
"""One answer for what never was, what is somebody else's, and what is withheld: even existence is protected (R4)."""


@dataclass(frozen=True)
class Issue:
    """One issue of an OperationOutcome.

    Args:
        code: of the value set IssueType, such as `not-found`; detail: of `operation-outcome`, such as `MSG_NO_EXIST`.
        words: what was expected, what came, what to do.
        expression: where in the resource, in FHIRPath; empty for none.
    """

    code: str
    detail: str
    words: str
    severity: str = "error"
    expression: str = ""


class Failure(Exception):
    """A request that is refused.

    Args:
        status: of the HTTP answer.
    """

    def __init__(self, status: int, *issues: Issue, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {issues[0].words}")
        self.status = status
        self.issues = issues
        self.headers = headers or {}


@dataclass(frozen=True)
class _Meaning:
    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


_SYNTAX = _Meaning(400, "structure", "MSG_BAD_SYNTAX")
_OF_FAULTS: Final = {
    Fault.TOO_LARGE: _Meaning(413, "too-long", "MSG_BAD_SYNTAX"),
    Fault.NO_RESOURCE_TYPE: _Meaning(400, "structure", "MSG_UNKNOWN_TYPE"),
    Fault.BAD_ID: _Meaning(400, "value", "MSG_ID_INVALID"),
    Fault.NO_PATIENT: _Meaning(422, "required", "MSG_PARAM_INVALID"),
    Fault.SEVERAL_PATIENTS: _Meaning(422, "business-rule", "MSG_PARAM_INVALID"),
    Fault.WRONG_PATIENT: _Meaning(422, "business-rule", "MSG_PARAM_INVALID"),
    Fault.BAD_NHS_NUMBER: _Meaning(422, "value", "MSG_PARAM_INVALID"),
    Fault.PATCH_UNFIT: _Meaning(422, "processing", "MSG_PARAM_INVALID"),
    Fault.SEARCH_TOO_LARGE: _Meaning(400, "too-costly", "MSG_PARAM_INVALID"),
    Fault.UNKNOWN_PARAMETER: _Meaning(400, "not-supported", "MSG_PARAM_UNKNOWN"),
    Fault.BAD_PARAMETER: _Meaning(400, "value", "MSG_PARAM_INVALID"),
    Fault.NO_XML_FORM: _Meaning(406, "not-supported", "MSG_CANT_PARSE_CONTENT"),
    Fault.BAD_DATE: _Meaning(400, "value", "MSG_DATE_FORMAT"),
}
_OF_REFUSALS: Final = {
    Refusal.VERSION_UNFIT: _Meaning(412, "conflict", "MSG_VERSION_AWARE_CONFLICT"),
    Refusal.RECORD_UNFIT: _Meaning(422, "business-rule", "MSG_PARAM_INVALID"),
    Refusal.PERSON_UNFIT: _Meaning(403, "forbidden", "MSG_AUTH_REQUIRED"),
    Refusal.SESSION_UNFIT: _Meaning(401, "login", "MSG_AUTH_REQUIRED"),
    Refusal.RULES_MISSING: _Meaning(403, "suppressed", "MSG_AUTH_REQUIRED"),
    Refusal.TOO_MANY: _Meaning(429, "throttled", "MSG_PARAM_INVALID", {"retry-after": "60"}),
}
_TICKET_SPENT: Final = _Meaning(403, "forbidden", "MSG_AUTH_REQUIRED")
_OTHER_REFUSAL: Final = _Meaning(422, "business-rule", "MSG_PARAM_INVALID")


def failure_of(error: FhirRejected | Refused | NotNow) -> Failure:
    """Return what a service's "no" is over HTTP."""
    if isinstance(error, Busy):
        return Failure(429, Issue("throttled", "MSG_CANT_PARSE_CONTENT", str(error)), headers=RETRY_SOON)
    if isinstance(error, NotNow):
        return Failure(503, Issue("transient", "MSG_CANT_PARSE_CONTENT", str(error)), headers=RETRY_AFTER)
    if isinstance(error, FhirRejected):
        meaning = _OF_FAULTS.get(error.fault, _SYNTAX)
        return Failure(meaning.status, Issue(meaning.code, meaning.detail, str(error)))
    meaning = _TICKET_SPENT if is_spent(error) else _OF_REFUSALS.get(error.refusal, _OTHER_REFUSAL)
    return Failure(meaning.status, Issue(meaning.code, meaning.detail, error.words), headers=meaning.headers)


def not_found() -> Failure:
    """Return the one answer to the name of what may not be shown."""
    return Failure(404, Issue("not-found", "MSG_NO_EXIST", NOT_FOUND))


def outcome(*issues: Issue) -> bytes:
    """Return an OperationOutcome in JSON."""
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [_issue(each) for each in issues]})


def _issue(issue: Issue) -> dict[str, object]:
    said: dict[str, object] = {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"coding": [{"system": DETAILS_SYSTEM, "code": issue.detail}], "text": issue.words},
        "diagnostics": issue.words,
    }
    return said | ({"expression": [issue.expression]} if issue.expression else {})
