"""Proofs through FHIR: each audit event has one, and it holds without the server that gave it out."""

import dataclasses
from base64 import b64decode, b64encode
from collections.abc import Iterator

import pytest

from salus.ledger.verifier.trust import encode_trust
from salus.node.founding import trust_root
from salus.node.services.anchor import anchor
from salus.sdk.verify import verify_file
from tests.api.fhir.fhir_world import Answer, Hospital, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        assert ask(made, "feed", "PUT", "/Observation/plain", observation(id="plain")).status == 201
        assisted(made, "ann")
        assisted(made, "ben")
        assert ask(made, "nurse", "GET", "/Observation/plain").status == 200
        later = dataclasses.replace(made.node, clock=lambda: made.node.clock() + 2)
        anchor(later)  # when a receipt that nobody answers is concluded
        yield made


def events(here: Hospital, query: str) -> list[dict]:
    answer = ask(here, "ann", "GET", f"/AuditEvent?_count=100&{query}")
    return [each["resource"] for each in answer.body.get("entry", [])]


def proof(here: Hospital, event: dict) -> bytes:
    answer = ask(here, "ann", "GET", f"/AuditEvent/{event['id']}/$audit-proof")
    assert (answer.status, answer.body["resourceType"]) == (200, "Binary"), answer.text
    return b64decode(answer.body["data"])


def verified(here: Hospital, content: bytes, trust: bytes | None = None, who: str = "ann", **more: str) -> Answer:
    trust_file = encode_trust(trust_root(here.genesis)) if trust is None else trust
    parts = {"file": b64encode(content).decode(), "trust": b64encode(trust_file).decode()} | more
    parameters = [{"name": name, "valueBase64Binary": value} for name, value in parts.items()]
    return ask(here, who, "POST", "/$verify", {"resourceType": "Parameters", "parameter": parameters})


def told(answer: Answer) -> dict:
    assert answer.status == 200, answer.text
    return {each["name"]: each for each in answer.body["parameter"]}


@pytest.mark.promise("L5", "R5")
@pytest.mark.parametrize(
    ("query", "kind"), [("agent-name=nurse&action=E", "outcome"), ("agent-name=nurse&action=R", "receipt")]
)
def test_an_event_is_proved_by_a_file_that_needs_no_server(here: Hospital, query: str, kind: str) -> None:
    file = proof(here, events(here, query)[0])
    found = verify_file(file, trust_root(here.genesis), now_s=here.node.clock())
    assert (found.kind, found.faults) == (kind, ())
    said = told(verified(here, file))
    assert (said["result"]["valueBoolean"], said["kind"]["valueCode"], "failed" in said) == (True, kind, False)
    lines = [each["valueString"] for each in verified(here, file).body["parameter"] if each["name"] == "line"]
    assert lines == [each for each in found.lines if each]


@pytest.mark.promise("L5")
def test_a_file_that_was_changed_or_trusts_somebody_else_is_not_genuine(here: Hospital) -> None:
    file = proof(here, events(here, "agent-name=nurse&action=R")[0])
    changed = file[:-1] + bytes([file[-1] ^ 1])
    stranger = encode_trust(trust_root(here.genesis)).replace(b"salus-test", b"salus-best")
    for came in (
        verified(here, changed),
        verified(here, b"nothing"),
        verified(here, file, stranger),
        verified(here, file, b"{}"),
    ):
        said = told(came)
        assert (said["result"]["valueBoolean"], "kind" in said) == (False, False)
        assert said["failed"]["part"][0]["valueString"]


def test_what_is_no_question_is_refused(here: Hospital) -> None:
    for body in ({"resourceType": "Parameters"}, {"resourceType": "Parameters", "parameter": [{"name": "file"}]}):
        assert ask(here, "ann", "POST", "/$verify", body).status == 400
    assert verified(here, b"x", file="*").status == 400
    assert verified(here, b"x", who="nobody").status == 401


@pytest.mark.promise("R4")
def test_nobody_else_gets_a_proof(here: Hospital) -> None:
    name = events(here, "action=E")[0]["id"]
    for who in ("nurse", "feed", "ben", "ann-app"):
        came = [
            ask(here, who, "GET", f"/AuditEvent/{each}/$audit-proof", x_request_id="same") for each in (name, "never")
        ]
        assert (came[0].status, came[0].text) == (404, came[1].text)
