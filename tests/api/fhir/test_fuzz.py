"""The fuzzer against our own server: refusals that say why, nothing half stored, nobody's name in errors or the log."""

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import structlog
from sqlalchemy import func, select
from starlette.testclient import TestClient
from structlog.testing import LogCapture

from salus.api.fhir.interactions import INTERACTIONS
from salus.node import schema
from salus.testing.fuzz import Answer, Asked, Finding, Known, Report, faults_of, fuzz, requests
from tests.api.fhir.fhir_world import Hospital, hospital, observation

QUICK_S = 12.0
QUICK_SEED = int(os.environ.get("SALUS_FUZZ_SEED", "20261128"))
"""The same every time: a change is judged by what it changes; new seeds are for the hour."""
LONG_S = float(os.environ.get("SALUS_FUZZ_S", "3600"))
NAMED = ("Needlefamily", "Needlegiven", "needle-7731", "1987-06-05", "needle.road")
PATIENT = {
    "resourceType": "Patient",
    "id": "needle",
    "active": True,
    "name": [{"family": NAMED[0], "given": [NAMED[1]]}],
    "identifier": [{"system": "urn:h", "value": NAMED[2]}],
    "birthDate": NAMED[3],
    "address": [{"line": [NAMED[4]]}],
}
ABOUT = {"subject": {"reference": "Patient/needle"}}
RESOURCES = [
    PATIENT,
    observation("needle", id="o", valueQuantity={"value": 1.5, "unit": "mg"}, effectiveDateTime="2026-01-01"),
    {"resourceType": "Condition", "id": "c", "code": {"text": "x"}, **ABOUT},
    {"resourceType": "Organization", "id": "org", "name": "x", "active": True},
    {"resourceType": "Consent", "status": "active", "scope": {"coding": [{"code": "x"}]}, "patient": ABOUT["subject"]},
    {"resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": "Observation?code=x"},
    {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": [{"entity": ABOUT["subject"]}]},
    {"resourceType": "ValueSet", "url": "http://hl7.org/fhir/ValueSet/administrative-gender", "status": "active"},
    {"resourceType": "CodeSystem", "url": "http://hl7.org/fhir/administrative-gender", "status": "active"},
]


@dataclass
class Target:
    """The server as the fuzzer sees it, and its log."""

    hospital: Hospital
    client: TestClient
    log: LogCapture

    def ask(self, asked: Asked) -> Answer:
        headers = {"authorization": "Bearer feed"} | {name: value.encode() for name, value in asked.headers.items()}
        answer = self.client.request(asked.method, f"/FHIR/R4{asked.path}", content=asked.body, headers=headers)
        return Answer(answer.status_code, dict(answer.headers), answer.text)

    def stored(self) -> int:
        count = select(func.coalesce(func.sum(schema.resources.c.version), 0))
        with self.hospital.node.vault.database.reading() as connection:
            return int(connection.scalar(count))

    def run(self, seed: int, seconds: float) -> Report:
        made = requests(Random(seed), INTERACTIONS, RESOURCES)
        return fuzz(self.ask, made, Known(NAMED), stored=self.stored, until_s=time.monotonic() + seconds)


@pytest.fixture
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        base, log = "https://fhir.rvj.example", LogCapture()
        with TestClient(made.client.app, base_url=base, raise_server_exceptions=False) as client:
            found = Target(made, client, log)
            for each in RESOURCES:
                if "id" in each:
                    body = json.dumps(each).encode()
                    fields = {"content-type": "application/fhir+json"}
                    assert (
                        found.ask(Asked("", "PUT", f"/{each['resourceType']}/{each['id']}", fields, body)).status < 400
                    )
            before = structlog.get_config()["processors"]
            structlog.configure(processors=[log])
            yield found
            structlog.configure(processors=before)


def require_clean(report: Report, seed: int, log: LogCapture) -> None:
    print(f"seed {seed}: {report.asked.total()} requests, {dict(report.answered)}, slowest {report.slowest_s:.1f} s")
    assert report.findings == []
    assert [each for each in log.entries if Known(NAMED).told(repr(each))] == []


def test_requests_with_something_wrong_are_refused_and_leave_nothing(target: Target) -> None:
    report = target.run(QUICK_SEED, QUICK_S)
    require_clean(report, QUICK_SEED, target.log)


@pytest.mark.long
def test_an_hour_of_requests_with_something_wrong(target: Target) -> None:
    seed = random.randrange(1 << 32)
    report = target.run(seed, LONG_S)
    page = os.environ.get("SALUS_FUZZ_PAGE")
    if page:
        Path(page).write_text(told(report, seed), encoding="utf-8")
    assert report.asked.keys() == {each.code for each in INTERACTIONS}
    require_clean(report, seed, target.log)


def told(report: Report, seed: int) -> str:
    """The report as a page."""
    rows = [f"| {code} | {count} |" for code, count in sorted(report.asked.items())]
    answers = ", ".join(f"{count} with {status}" for status, count in sorted(report.answered.items()))
    found = [f"- request {each.number}, {each.code}: {each.fault}" for each in report.findings] or ["None."]
    lines = [
        "# Requests with something wrong",
        "",
        f"Seed {seed}, {report.asked.total()} requests; the slowest took {report.slowest_s:.1f} s.",
        f"Answered: {answers}.",
        "",
        *("| interaction | requests |", "|---|---|", *rows, ""),
        *("## Findings", "", *found, ""),
    ]
    return "\n".join(lines)


def test_the_same_seed_asks_the_same() -> None:
    first, second = (requests(Random(7), INTERACTIONS, RESOURCES) for _ in range(2))
    assert [next(first) for _ in range(300)] == [next(second) for _ in range(300)]


OUTCOME = '{"resourceType":"OperationOutcome","issue":[{"details":{"coding":[{"code":"x"}]}}]}'
JSON = {"content-type": "application/fhir+json"}
FAULTY = {
    "a failure": (Answer(500, JSON, OUTCOME), "status 500"),
    "no words": (Answer(404, JSON, ""), "no OperationOutcome with coded details, status 404"),
    "words without a code": (
        Answer(404, JSON, OUTCOME.replace("coding", "text")),
        "no OperationOutcome with coded details, status 404",
    ),
    "a trace": (Answer(400, JSON, OUTCOME.replace('"x"', '"Traceback"')), "an error tells of the program"),
    "a name": (Answer(400, JSON, OUTCOME.replace('"x"', f'"{NAMED[0]}"')), "an error says who somebody is"),
    "a name in an address": (Answer(201, {"location": NAMED[2]}, ""), "a header field says who somebody is"),
}


@pytest.mark.parametrize(("answer", "fault"), FAULTY.values(), ids=FAULTY)
def test_what_is_wrong_with_an_answer_is_found(answer: Answer, fault: str) -> None:
    assert faults_of("GET", answer, Known(NAMED)) == [fault]
    assert faults_of("GET", Answer(404, JSON, OUTCOME), Known(NAMED)) == []


def test_what_a_refusal_stored_and_what_took_too_long_is_found() -> None:
    count = iter(range(9))
    report = fuzz(
        lambda _asked: Answer(422, JSON, OUTCOME),
        [Asked("create", "POST", "/Patient", {}, b"")],
        Known(NAMED),
        stored=lambda: next(count),
        until_s=time.monotonic() + 60,
    )
    assert report.findings == [Finding(0, "create", "refused with 422, but stored")]
