"""Messages: what is stored of one, what is answered, and that one that comes again is not done again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from salus.clinical.fhir.messages import EVENT_SYSTEM, EVENTS
from salus.clinical.fhir.validation import base_validator
from salus.node import schema
from salus.node.projections import resources
from tests.api.fhir.fhir_world import Answer, Hospital, ask, hospital, observation

SOURCE = "http://pas.example/fhir"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Hospital]:
    with hospital(tmp_path) as made:
        yield made


def encounter(name: str = "e", of: str = "ann", **more: object) -> dict:
    kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
    subject = {"reference": f"Patient/{of}"}
    return {"resourceType": "Encounter", "id": name, "status": "in-progress", "class": kind, "subject": subject} | more


CONSENT = {"resourceType": "Consent", "id": "n-o", "status": "active"}


def message(name: str, event: str, *carried: dict, focus: int = 0, **more: object) -> dict:
    entries = [{"fullUrl": f"{SOURCE}/{each['resourceType']}/{each.get('id')}", "resource": each} for each in carried]
    header = {
        "resourceType": "MessageHeader",
        "id": name,
        "eventCoding": {"system": EVENT_SYSTEM, "code": event},
        "source": {"endpoint": f"{SOURCE}/$process-message"},
        "focus": [{"reference": each["fullUrl"]} for each in entries[focus : focus + 1]],
    } | more
    said = {key: value for key, value in header.items() if value is not None}
    first = {"fullUrl": f"urn:uuid:{name}", "resource": said}
    return {"resourceType": "Bundle", "type": "message", "id": f"b-{name}", "entry": [first, *entries]}


def send(here: Hospital, body: object, who: str = "feed", path: str = "/$process-message") -> Answer:
    return ask(here, who, "POST", path, body)


def code_of(answer: Answer, name: str) -> str:
    """The code of an answer to a message, which is a valid message itself."""
    assert answer.status == 200, answer.text
    body = answer.body
    assert [each for each in base_validator().validate(body) if each.severity == "error"] == []
    header = body["entry"][0]["resource"]
    assert (header["response"]["identifier"], header["destination"]) == (
        name,
        [{"endpoint": f"{SOURCE}/$process-message"}],
    )
    code: str = header["response"]["code"]
    details = [each["fullUrl"] for each in body["entry"][1:] if each["resource"]["resourceType"] == "OperationOutcome"]
    assert [header["response"]["details"]["reference"]] == details if code != "ok" else not details
    return code


def test_what_a_message_carries_is_stored_under_its_senders_ids(here: Hospital) -> None:
    report = {"resourceType": "DiagnosticReport", "id": "r", "status": "final", "code": {"text": "x"}}
    report |= {"subject": {"reference": "Patient/ann"}, "result": [{"reference": f"{SOURCE}/Observation/m-o"}]}
    answer = send(here, message("m1", "R01", report, observation(id="m-o")))
    assert code_of(answer, "m1") == "ok"
    read = ask(here, "nurse", "GET", "/DiagnosticReport/r").body
    assert read["result"] == [{"reference": "Observation/m-o"}]
    assert ask(here, "nurse", "GET", "/Observation/m-o").status == 200
    assert ask(here, "nurse", "GET", "/MessageHeader/m1").status == 404


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_understood_that_is_told_of(here: Hospital, event: str) -> None:
    told = here.client.get("/FHIR/R4/metadata").json()["messaging"][0]["documentation"]
    assert event in told
    kind = EVENTS[event][0]
    focus = {
        "Encounter": encounter(f"e-{event}"),
        "Patient": {"resourceType": "Patient", "id": f"p-{event}", "identifier": [{"system": "urn:m", "value": event}]},
        "ServiceRequest": _of_ann("ServiceRequest", event, status="active", intent="order"),
        "DiagnosticReport": _of_ann("DiagnosticReport", event, status="final", code={"text": "x"}),
        "Appointment": {
            "resourceType": "Appointment",
            "id": f"a-{event}",
            "status": "proposed",
            "participant": [{"actor": {"reference": "Patient/ann"}, "status": "accepted"}],
        },
    }[kind]
    assert code_of(send(here, message(f"m-{event}", event, focus)), f"m-{event}") == "ok"
    assert resources.find(here.node, kind, focus["id"]) is not None


def _of_ann(kind: str, name: str, **more: object) -> dict:
    return {"resourceType": kind, "id": f"x-{name}", "subject": {"reference": "Patient/ann"}} | more


@pytest.mark.parametrize(
    ("name", "who", "carried", "want"),
    [
        ("of nobody here", "feed", [encounter("n"), observation("never", id="n-o")], "business-rule"),
        ("invalid", "feed", [encounter("n"), observation(id="n-o", status="no")], "code-invalid"),
        ("made from the ledger", "feed", [encounter("n"), CONSENT], "not-supported"),
        ("twice", "feed", [encounter("n"), encounter("n")], "structure"),
        ("under a new id, by who feeds no record", "nurse", [encounter("n")], "not-found"),
        ("beyond scopes", "reader", [encounter("n")], "forbidden"),
        ("of another patient than the app is about", "ann-app", [encounter("n", "ben")], "not-found"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_of_a_message_with_a_fault_nothing_is_stored(
    here: Hospital, name: str, who: str, carried: list[dict], want: str
) -> None:
    answer = send(here, message("fault", "A01", *carried), who)
    assert code_of(answer, "fault") == "fatal-error", name
    (issue,) = answer.body["entry"][1]["resource"]["issue"]
    assert (issue["severity"], issue["code"]) == ("error", want)
    for kind, logical_id in (("Encounter", "n"), ("Observation", "n-o")):
        assert resources.find(here.node, kind, logical_id) is None
    good = send(here, message("fault", "A01", encounter("after")))
    assert code_of(good, "fault") == "ok"  # what was refused is not remembered
    with here.node.vault.database.writing() as connection:
        connection.execute(update(schema.messages).values(until_s=0))


A01 = message("m", "A01", encounter())
NO_MESSAGE = {
    "no bundle": encounter(),
    "another bundle": A01 | {"type": "transaction"},
    "empty": {"resourceType": "Bundle", "type": "message"},
    "no header": {"resourceType": "Bundle", "type": "message", "entry": [{"resource": {"resourceType": "Patient"}}]},
    "a header without an id": message("m", "A01", encounter(), id=None),
    "a header that does not say whence it comes": message("m", "A01", encounter(), source=None),
    "an answer": message("m", "A01", encounter(), response={"identifier": "x", "code": "ok"}),
    "an event that merges people": message("m", "A40", {"resourceType": "Patient", "id": "ann"}),
    "an event of somebody else's": message("m", "A01", encounter(), eventCoding={"system": "urn:x", "code": "A01"}),
    "an event by address": message("m", "A01", encounter(), eventCoding=None, eventUri="urn:x"),
    "a focus of another type": message("m", "A01", observation(id="o")),
    "a focus that is not there": message("m", "A01", encounter(), focus=1),
    "a resource without an id": message("m", "A01", {key: value for key, value in encounter().items() if key != "id"}),
    "an entry without a resource": {**A01, "entry": [*A01["entry"], {"fullUrl": "urn:x"}]},
}  # fmt: skip


@pytest.mark.parametrize("name", NO_MESSAGE)
def test_what_is_no_message_of_ours_is_refused(here: Hospital, name: str) -> None:
    answer = send(here, NO_MESSAGE[name])
    assert answer.status in (400, 422), answer.text
    assert answer.body["resourceType"] == "OperationOutcome"
    assert resources.find(here.node, "Encounter", "e") is None


def test_who_wants_an_answer_later_is_told_that_there_is_none(here: Hospital) -> None:
    assert send(here, A01, path="/$process-message?async=true").status == 400


def test_a_message_that_comes_again_is_not_done_again(fresh: Hospital) -> None:
    first = message("m", "A01", encounter(status="in-progress"))
    answer = send(fresh, first)
    assert code_of(answer, "m") == "ok"
    later = message("later", "A03", encounter(status="finished"))
    assert code_of(send(fresh, later), "later") == "ok"
    again = send(fresh, first | {"id": "sent-again", "timestamp": "2026-01-01T00:00:00Z"})
    assert again.text == answer.text
    assert ask(fresh, "nurse", "GET", "/Encounter/e").body["status"] == "finished"
    other = send(fresh, message("m", "A01", encounter(status="cancelled")))
    assert (other.status, other.detail) == (422, "MSG_PARAM_INVALID")
    fresh.tokens.people["lab"] = replace(fresh.tokens.people["feed"], client="another app")  # type: ignore[type-var]
    assert code_of(send(fresh, message("m", "A01", encounter("own")), who="lab"), "m") == "ok"


def test_a_message_past_its_time_is_new(fresh: Hospital) -> None:
    first = message("m", "A01", encounter(status="in-progress"))
    assert code_of(send(fresh, first), "m") == "ok"
    with fresh.node.vault.database.writing() as connection:
        connection.execute(update(schema.messages).values(until_s=fresh.node.clock()))
    assert code_of(send(fresh, message("m", "A01", encounter(status="finished"))), "m") == "ok"
    assert ask(fresh, "nurse", "GET", "/Encounter/e").body["status"] == "finished"
