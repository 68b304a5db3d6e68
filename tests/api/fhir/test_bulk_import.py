"""Bulk import: what is stored, what is refused and where, and how it goes on."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import delete

from salus.api.fhir import importing
from salus.node import schema
from tests.api.fhir.fhir_world import Answer, Hospital, Someone, ask, hospital, observation

LINES = {"content_type": "application/fhir+ndjson"}


def patient(name: str) -> dict:
    identifier = [{"system": "urn:h", "value": name}]
    return {"resourceType": "Patient", "id": name, "birthDate": "1970-01-01", "identifier": identifier}


PROVENANCE = {
    "resourceType": "Provenance",
    "id": "p",
    "target": [{"reference": "Observation/o1"}],
    "recorded": "2026-01-01T00:00:00Z",
    "agent": [{"who": {"display": "PAS"}}],
}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("ward")) as made:
        feed = made.tokens.people["feed"]
        assert isinstance(feed, Someone)
        made.tokens.people["other"] = replace(feed, client="another app")
        made.tokens.people["creator"] = replace(feed, may_not="u")
        yield made


@pytest.fixture
def here(ward: Hospital) -> Iterator[Hospital]:
    """One for all, each with records of its own names; imports are forgotten."""
    yield ward
    with ward.node.vault.database.writing() as connection:
        connection.execute(delete(schema.jobs))


def sent(*resources: object) -> bytes:
    return b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in resources)


def begun(here: Hospital, body: bytes, who: str = "feed") -> str:
    answer = ask(here, who, "POST", "/$import", body, **LINES)
    assert (answer.status, answer.text) == (202, "")
    return answer.headers["content-location"].partition("/FHIR/R4")[2]


def done(here: Hospital, status: str, who: str = "feed") -> dict:
    for _ in range(20):
        answer = ask(here, who, "GET", status)
        if answer.status == 200:
            return answer.body
        assert (answer.status, answer.headers["retry-after"]) == (202, "1"), answer.text
    raise AssertionError("it never ends")


def refused(here: Hospital, said: dict) -> dict[str, str]:
    """Of each line that was refused, the code of what is wrong with it."""
    (error,) = said["error"]
    answer = ask(here, "feed", "GET", error["url"].partition("/FHIR/R4")[2])
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == error["count"]
    issues = [each["issue"][0] for each in lines]
    return {each["diagnostics"].partition(":")[0]: each["details"]["coding"][0]["code"] for each in issues}


def test_lines_are_stored_whatever_their_order_and_the_same_again_changes_nothing(here: Hospital) -> None:
    body = sent(
        PROVENANCE, observation("cat", id="o1"), b"", {"resourceType": "Practitioner", "id": "dr"}, patient("cat")
    )
    first = done(here, begun(here, body))
    assert first["extension"] == {"stored": 4, "unchanged": 0, "refused": 0}
    assert (first["error"], first["output"], first["requiresAccessToken"]) == ([], [], True)
    for name in ("Patient/cat", "Observation/o1", "Provenance/p", "Practitioner/dr"):
        assert ask(here, "nurse", "GET", f"/{name}").status == 200
    assert done(here, begun(here, body))["extension"] == {"stored": 0, "unchanged": 4, "refused": 0}
    changed = sent(observation("cat", id="o1", status="amended"))
    assert done(here, begun(here, changed))["extension"]["stored"] == 1
    assert ask(here, "nurse", "GET", "/Observation/o1").body["meta"]["versionId"] == "2"


def test_a_line_that_is_refused_is_in_the_report_with_its_number_and_keeps_no_other_back(here: Hospital) -> None:
    body = sent(
        observation("dan", id="q1"),  # Dan comes later
        b"{no json",
        observation("dan", id="q2", status="secret"),
        observation("nobody", id="o3"),
        observation("dan"),
        {"resourceType": "Colour", "id": "c"},
        {"resourceType": "Consent", "id": "c"},
        patient("dan"),
        observation("dan", id="q1", status="amended"),  # the same twice: a version each
        b"\xff\xfe",
    )
    said = done(here, begun(here, body))
    assert said["extension"] == {"stored": 3, "unchanged": 0, "refused": 7}
    assert refused(here, said) == {
        "line 2": "MSG_ID_INVALID",
        "line 3": "MSG_ERROR_PARSING",
        "line 4": "MSG_PARAM_INVALID",
        "line 5": "MSG_ID_INVALID",
        "line 6": "MSG_ERROR_PARSING",
        "line 7": "MSG_OP_NOT_ALLOWED",
        "line 10": "MSG_ID_INVALID",
    }
    amended = ask(here, "nurse", "GET", "/Observation/q1").body
    assert (amended["status"], amended["meta"]["versionId"]) == ("amended", "2")
    assert ask(here, "nurse", "GET", "/Observation/q1/_history/1").body["status"] == "final"
    assert ask(here, "nurse", "GET", "/Observation/q2").status == 404


@pytest.mark.promise("P4")
def test_a_report_repeats_nothing_that_came(here: Hospital) -> None:
    body = sent(observation("canary-x", id="o"), {"resourceType": "Patient", "id": "y", "canary": 1}, b'{"canary')
    (error,) = done(here, begun(here, body))["error"]
    answer = ask(here, "feed", "GET", error["url"].partition("/FHIR/R4")[2])
    assert len(answer.text.splitlines()) == 3
    assert "canary" not in answer.text


def test_patients_come_first_however_many_steps_there_are(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "LINES_PER_STEP", 1)
    provenance = PROVENANCE | {"id": "pf", "target": [{"reference": "Observation/of"}]}
    body = sent(provenance, observation("flo", id="of"), patient("flo"))
    assert done(here, begun(here, body))["extension"] == {"stored": 3, "unchanged": 0, "refused": 0}


def test_it_goes_step_by_step_and_what_was_cut_off_goes_on(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "LINES_PER_STEP", 2)
    status = begun(here, sent(*(observation(id=f"s{n}") for n in range(5))))
    first = ask(here, "feed", "GET", status)
    assert (first.status, first.headers["x-progress"]) == (202, "about 30 % done")
    assert [ask(here, "nurse", "GET", f"/Observation/s{n}").status for n in (1, 2)] == [200, 404]
    assert ask(here, "feed", "GET", status.replace("status", "files") + "/1").status == 404
    assert done(here, status)["extension"] == {"stored": 5, "unchanged": 0, "refused": 0}
    assert done(here, status)["extension"]["stored"] == 5  # asked again, it is done only once


def test_a_step_that_was_stored_and_not_kept_is_done_again_without_harm(
    here: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = begun(here, sent(observation(id="k")))
    with monkeypatch.context() as patched:
        patched.setattr("salus.node.services.jobs.Jobs.keep", lambda *_args, **_named: False)  # killed before it
        assert ask(here, "feed", "GET", status).status == 202
    assert done(here, status)["extension"] == {"stored": 0, "unchanged": 1, "refused": 0}
    assert ask(here, "nurse", "GET", "/Observation/k").body["meta"]["versionId"] == "1"


def test_a_ledger_that_is_away_is_waited_for(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    status = begun(here, sent(observation(id="w")))
    with monkeypatch.context() as patched:
        patched.setattr("salus.api.fhir.importing.store", away)
        answer = ask(here, "feed", "GET", status)
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert done(here, status)["extension"]["stored"] == 1


def away(*_: object, **_named: object) -> None:
    from salus.node.errors import NotNow

    raise NotNow("the ledger is away: try later")


@pytest.mark.parametrize(
    ("who", "fields", "status"),
    [
        ("nurse", LINES, 403),
        ("feed", {"content_type": "application/fhir+json"}, 415),
        ("nobody", LINES, 401),
    ],
)
def test_who_may_not_import_is_refused(here: Hospital, who: str, fields: dict[str, str], status: int) -> None:
    answer: Answer = ask(here, who, "POST", "/$import", sent(observation(id="o")), **fields)
    assert (answer.status, answer.body["resourceType"]) == (status, "OperationOutcome")


def test_scopes_bind_each_line(here: Hospital) -> None:
    said = done(here, begun(here, sent(observation(id="o")), "creator"), "creator")
    assert said["extension"]["refused"] == 1


def test_an_import_is_its_clients_alone_and_ends_when_it_says_so(here: Hospital) -> None:
    status = begun(here, sent(b"{"))
    (error,) = done(here, status)["error"]
    report = error["url"].partition("/FHIR/R4")[2]
    assert [ask(here, "other", *each).status for each in (("GET", status), ("GET", report), ("DELETE", status))] == [
        404
    ] * 3
    assert ask(here, "feed", "GET", report.replace("/1", "/2")).status == 404
    assert ask(here, "feed", "GET", status.replace("import", "export")).status == 404
    assert [ask(here, "feed", method, status).status for method in ("DELETE", "GET")] == [202, 404]
