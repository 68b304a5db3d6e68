"""Bulk export: what comes out, how it goes on, and what stays in."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from starlette.testclient import TestClient

from salus.api.fhir import exporting
from salus.api.fhir.app import FhirServer
from salus.api.fhir.settings import FhirSettings
from salus.contracts.provisions import Provision, ProvisionType, Verb
from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.projections import resources
from salus.node.services import exports
from salus.node.services.choices import file_by_custodian
from salus.node.services.erase import erase
from salus.node.services.jobs import Jobs, sweep
from tests.api.fhir.fhir_world import BASE, Answer, Hospital, Someone, ask, hospital, observation

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
TAG = {"system": "urn:cohorts", "code": "asthma"}
MEMBER_FILTER = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/member-filter"
PEOPLE = ("ann", "ben", "cat", "dan", "eve")


def patient(name: str, number: int, **more: object) -> dict:
    identifier = [{"system": "urn:h", "value": str(number)}]
    return {"resourceType": "Patient", "id": name, "birthDate": "1980-02-29", "identifier": identifier} | more


def group(search: str, name: str = "g") -> dict:
    expression = {"language": "application/x-fhir-query", "expression": search}
    extension = [{"url": MEMBER_FILTER, "valueExpression": expression}]
    return {"resourceType": "Group", "id": name, "type": "person", "actual": True, "modifierExtension": extension}


@contextmanager
def ward(folder: Path) -> Iterator[Hospital]:
    """Three people more: Cat and Dan have asthma; Eve withholds what is labelled; everybody has an observation."""
    with hospital(folder) as made:
        bodies = [
            {"resourceType": "Practitioner", "id": "dr"},
            patient("cat", 3, meta={"tag": [TAG]}),
            patient("dan", 4, meta={"tag": [TAG]}),
            patient("eve", 5),
            *(observation(name, id=f"o-{name}", valueQuantity={"value": 0}) for name in PEOPLE),
            observation("eve", id="hidden", meta={"security": [PSY]}),
            group("Patient?_tag=urn:cohorts|asthma"),
            group(f"Observation?_security={PSY['code']}", "labelled"),
            {"resourceType": "Group", "id": "empty", "type": "person", "actual": False},
        ]
        for body in bodies:
            sent = json.dumps(body, indent=2).replace('"value": 0', '"value": 1.50').encode()
            answer = ask(made, "feed", "PUT", f"/{body['resourceType']}/{body['id']}", sent)
            assert answer.status == 201, answer.text
        deny(made, "eve", labels=(f"{PSY['system']}|{PSY['code']}",))
        nurse = made.tokens.people["nurse"]
        assert isinstance(nurse, Someone)
        made.tokens.people |= {
            "other": replace(nurse, client="another app"),
            "colleague": replace(nurse, person="another account"),
            "narrow": replace(nurse, narrowed={"Patient": ((("_tag", "urn:cohorts|asthma"),),)}),
            "blind": replace(nurse, may_not="r"),
        }
        yield made


@pytest.fixture(scope="module")
def ward_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with ward(tmp_path_factory.mktemp("ward")) as made:
        yield made


@pytest.fixture
def here(ward_of_all: Hospital) -> Iterator[Hospital]:
    """One for tests that change nobody's record; their exports are forgotten."""
    yield ward_of_all
    with ward_of_all.node.vault.database.writing() as connection:
        connection.execute(delete(schema.jobs))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Hospital]:
    with ward(tmp_path) as made:
        yield made


def pseudonym_of(here: Hospital, name: str) -> Pseudonym:
    found = resources.find(here.node, "Patient", name)
    assert found is not None
    return found.pseudonym


def deny(here: Hospital, name: str, **what: object) -> None:
    file_by_custodian(here.node, pseudonym_of(here, name), Provision(type=ProvisionType.DENY, **what))  # type: ignore[arg-type]


def begun(here: Hospital, path: str, who: str = "nurse", body: object = None) -> str:
    """The path of the status of a new export."""
    answer = ask(here, who, "GET" if body is None else "POST", path, body, prefer="respond-async")
    assert (answer.status, answer.text) == (202, ""), answer.text
    return answer.headers["content-location"].partition("/FHIR/R4")[2]


def manifest_of(here: Hospital, status: str, who: str = "nurse") -> dict:
    for _ in range(20):
        answer = ask(here, who, "GET", status)
        if answer.status == 200:
            assert answer.headers["content-type"] == "application/json"
            return answer.body
        assert (answer.status, answer.headers["retry-after"]) == (202, "1"), answer.text
        assert answer.headers["x-progress"].startswith("about ")
    raise AssertionError("it never ends")


def fetched(here: Hospital, url: str, who: str = "nurse", **headers: str) -> Answer:
    return ask(here, who, "GET", url.partition("/FHIR/R4")[2], **headers)


def exported(here: Hospital, path: str, who: str = "nurse", body: object = None) -> dict[str, list[str]]:
    """What an export has: names by the type of their file."""
    manifest = manifest_of(here, begun(here, path, who, body), who)
    found: dict[str, list[str]] = {}
    for output in manifest["output"]:
        answer = fetched(here, output["url"], who)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/fhir+ndjson")
        names = [json.loads(line)["id"] for line in answer.text.splitlines()]
        assert len(names) == output["count"]
        found.setdefault(output["type"], []).extend(names)
    return {kind: sorted(names) for kind, names in found.items()}


SEEN = [f"o-{name}" for name in PEOPLE]


@pytest.mark.promise("R4")
@pytest.mark.parametrize(
    ("path", "who", "want"),
    [
        ("/$export?_type=Patient,Observation,Practitioner", "nurse",
         {"Patient": list(PEOPLE), "Observation": SEEN, "Practitioner": ["dr"]}),
        ("/$export?_type=Practitioner", "nurse", {"Practitioner": ["dr"]}),
        ("/Patient/$export", "nurse", {"Patient": list(PEOPLE), "Observation": SEEN}),
        ("/Patient/$export?_type=Patient", "nurse", {"Patient": list(PEOPLE)}),
        ("/Patient/$export", "ann-app", {"Patient": ["ann"], "Observation": ["o-ann"]}),
        ("/Patient/$export?_type=Patient", "narrow", {"Patient": ["cat", "dan"]}),
        ("/Patient/$export?_since=2099-01-01T00:00:00Z", "nurse", {}),
        ("/Patient/$export?_type=Patient&_until=2099-01-01T00:00:00Z", "nurse", {"Patient": list(PEOPLE)}),
        ("/Patient/$export?_type=Observation&_typeFilter=Observation%3F_id%3Do-ann", "nurse",
         {"Observation": ["o-ann"]}),
        ("/Patient/$export?_type=Observation&_typeFilter=Observation%3F_id%3Do-ann,Observation%3F_id%3Do-ben", "nurse",
         {"Observation": ["o-ann", "o-ben"]}),
        ("/Group/g/$export", "nurse", {"Patient": ["cat", "dan"], "Observation": ["o-cat", "o-dan"]}),
        ("/Group/g/$export?_type=Observation", "nurse", {"Observation": ["o-cat", "o-dan"]}),
    ],
)  # fmt: skip
def test_an_export_has_what_may_be_seen_of_what_is_asked_for(
    here: Hospital, path: str, who: str, want: dict[str, list[str]]
) -> None:
    assert exported(here, path, who) == want


def test_patients_can_be_named_in_the_body(here: Hospital) -> None:
    named = [{"name": "patient", "valueReference": {"reference": f"Patient/{name}"}} for name in ("ann", "cat", "x")]
    asked = {"resourceType": "Parameters", "parameter": [*named, {"name": "_type", "valueString": "Patient"}]}
    assert exported(here, "/Patient/$export", body=asked) == {"Patient": ["ann", "cat"]}
    assert exported(here, "/Group/g/$export", body=asked) == {"Patient": ["cat"]}
    assert exported(here, "/Patient/$export", "ann-app", asked) == {"Patient": ["ann"]}


def receipts_of(here: Hospital, name: str) -> int:
    journal = here.node.custodian_journal
    return sum(len(journal.permit_lines(permit)) for permit in journal.permits_of(pseudonym_of(here, name)))


@pytest.mark.promise("R4", "R5")
def test_who_says_no_to_export_is_absent_and_each_release_has_a_receipt(fresh: Hospital) -> None:
    deny(fresh, "ben", verbs=(Verb.EXPORT,))
    before = {name: receipts_of(fresh, name) for name in PEOPLE}
    status = begun(fresh, "/Patient/$export?_type=Patient")
    (output,) = manifest_of(fresh, status)["output"]
    assert {name: receipts_of(fresh, name) for name in PEOPLE} == before  # nothing has left
    assert output["count"] == 4
    assert sorted(json.loads(line)["id"] for line in fetched(fresh, output["url"]).text.splitlines()) == [
        "ann", "cat", "dan", "eve"
    ]  # fmt: skip
    after = {name: receipts_of(fresh, name) - before[name] for name in PEOPLE}
    assert after == {"ann": 1, "ben": 0, "cat": 1, "dan": 1, "eve": 1}
    assert ask(fresh, "nurse", "GET", "/Patient/ben").status == 200  # to be read is another matter


@pytest.mark.promise("R3", "R4")
def test_what_is_withdrawn_erased_or_deleted_before_the_file_is_fetched_is_left_out(fresh: Hospital) -> None:
    manifest = manifest_of(fresh, begun(fresh, "/Patient/$export?_type=Observation"))
    (output,) = manifest["output"]
    first = fetched(fresh, output["url"])
    deny(fresh, "ann", organisations=("RVJ",))
    assert ask(fresh, "feed", "DELETE", "/Observation/o-ben").status == 204
    erase(fresh.node, pseudonym_of(fresh, "cat"))
    deny(fresh, "dan", verbs=(Verb.EXPORT,))
    second = fetched(fresh, output["url"])
    names = [json.loads(line)["id"] for line in second.text.splitlines()]
    assert (output["count"], names) == (5, ["o-eve"])
    rest = fetched(fresh, output["url"], range="bytes=10-", if_range=first.headers["etag"])
    assert (rest.status, rest.text) == (200, second.text)  # another file by now: whoever goes on begins again


@pytest.mark.promise("R4")
def test_a_member_by_what_is_withheld_is_none(here: Hospital) -> None:
    assert exported(here, "/Group/labelled/$export") == {}


@pytest.mark.promise("R4")
def test_what_was_deleted_since_is_told_as_far_as_it_may_be_seen(fresh: Hospital) -> None:
    since = "_since=2020-01-01T00:00:00Z"
    deny(fresh, "ben", organisations=("RVJ",))
    gone = ("Observation/o-ann", "Observation/o-ben", "Observation/hidden", "Practitioner/dr", "Patient/dan")
    for name in gone:
        assert ask(fresh, "feed", "DELETE", f"/{name}").status == 204
    manifest = manifest_of(fresh, begun(fresh, f"/$export?{since}"))
    (deleted,) = manifest["deleted"]
    lines = [json.loads(line) for line in fetched(fresh, deleted["url"]).text.splitlines()]
    assert {each["type"] for each in lines} == {"transaction"}
    told = [each["entry"][0]["request"] for each in lines]
    assert {each["method"] for each in told} == {"DELETE"}
    assert sorted(each["url"] for each in told) == ["Observation/o-ann", "Patient/dan", "Practitioner/dr"]
    assert (deleted["type"], deleted["count"]) == ("Bundle", 3)
    for path in ("/$export", f"/Patient/$export?{since}&_type=Observation&_typeFilter=Observation%3F_id%3Do-ann"):
        assert "deleted" not in manifest_of(fresh, begun(fresh, path))
    status = begun(fresh, f"/Patient/$export?{since}&_type=Observation")
    (deleted,) = manifest_of(fresh, status)["deleted"]
    assert ask(fresh, "feed", "PUT", "/Observation/o-ann", observation(id="o-ann")).status in (200, 201)
    assert fetched(fresh, deleted["url"]).text == ""  # it is there again


def test_the_manifest_says_what_there_is_and_how_long(here: Hospital) -> None:
    path = "/Patient/$export?_type=Patient&_typeFilter=Patient%3Fidentifier%3D3&_outputFormat=ndjson"
    status = begun(here, path)
    answer = ask(here, "nurse", "GET", status)
    assert answer.headers["expires"].endswith("GMT")
    (output,) = answer.body["output"]
    assert answer.body == {
        "transactionTime": answer.body["transactionTime"],
        "request": "https://fhir.rvj.example/FHIR/R4/Patient/$export?_type=Patient&_outputFormat=ndjson",
        "requiresAccessToken": True,
        "output": [{"type": "Patient", "url": output["url"], "count": 1}],
        "error": [],
    }


def test_files_can_hold_one_patient_after_the_other(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "FILE_RECORDS_MAX", 3)
    manifest = manifest_of(here, begun(here, "/Group/g/$export?organizeOutputBy=Patient"))
    assert manifest["outputOrganizedBy"] == "Patient"
    first, second = manifest["output"]
    assert (first["count"], first["continuesInFile"], second["count"]) == (3, second["url"], 1)
    assert "type" not in first
    lines = [json.loads(line) for output in (first, second) for line in fetched(here, output["url"]).text.splitlines()]
    shown = [
        each["id"] if each["resourceType"] != "Parameters" else each["parameter"][0]["valueReference"]["reference"]
        for each in lines
    ]
    (one, other) = ("cat", "dan") if shown[0] == "Patient/cat" else ("dan", "cat")
    last = [f"Patient/{other}", other, f"Patient/{other}", f"o-{other}"]
    assert shown == [f"Patient/{one}", one, f"o-{one}", *last]


def test_a_manifest_comes_in_pages_to_whoever_says_so(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "FILE_RECORDS_MAX", 2)
    monkeypatch.setattr(exporting, "OUTPUTS_PER_PAGE", 2)
    whole = manifest_of(here, begun(here, "/Patient/$export?_type=Patient"))
    assert (len(whole["output"]), "link" in whole) == (3, False)
    first = manifest_of(here, begun(here, "/Patient/$export?_type=Patient&allowPartialManifests=true"))
    (link,) = first["link"]
    second = fetched(here, link["url"]).body
    assert (link["relation"], len(first["output"]), len(second["output"])) == ("next", 2, 1)
    assert fetched(here, link["url"].replace("page=2", "page=3")).status == 404


def test_a_file_can_be_fetched_in_ranges_and_checked(here: Hospital) -> None:
    (output,) = manifest_of(here, begun(here, "/Patient/$export?_type=Patient"))["output"]
    whole = fetched(here, output["url"])
    digest = base64.b64encode(hashlib.sha256(whole.text.encode()).digest()).decode()
    assert whole.headers["repr-digest"] == f"sha-256=:{digest}:"
    parts = [
        fetched(here, output["url"], range=asked, if_range=whole.headers["etag"])
        for asked in ("bytes=0-9", "bytes=10-")
    ]
    assert [each.status for each in parts] == [206, 206]
    assert {each.headers["repr-digest"] for each in parts} == {whole.headers["repr-digest"]}
    assert "".join(each.text for each in parts) == whole.text
    assert fetched(here, output["url"], range="bytes=-5").text == whole.text[-5:]
    beyond = fetched(here, output["url"], range="bytes=9999999-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.text)}")
    assert fetched(here, output["url"], range="lines=1").text == whole.text


def test_each_resource_is_on_one_line_with_its_decimals(here: Hospital) -> None:
    path = "/$export?_type=Observation&_typeFilter=Observation%3F_id%3Do-ann"
    (output,) = manifest_of(here, begun(here, path))["output"]
    (line,) = fetched(here, output["url"]).text.splitlines()
    assert '"value":1.50' in line


def test_elements_can_be_chosen(here: Hospital) -> None:
    (output,) = manifest_of(here, begun(here, "/Group/g/$export?_type=Patient&_elements=Patient.birthDate"))["output"]
    keys = {key for line in fetched(here, output["url"]).text.splitlines() for key in json.loads(line)}
    assert keys == {"resourceType", "id", "meta", "birthDate"}


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        ("GET", "/$export?_outputFormat=text/csv", "nurse", 400),
        ("GET", "/$export?_type=Colour", "nurse", 400),
        ("GET", "/$export?_since=yesterday", "nurse", 400),
        ("GET", "/$export?_elements=a*b", "nurse", 400),
        ("GET", "/$export?_typeFilter=Patient", "nurse", 400),
        ("GET", "/$export?_typeFilter=Observation%3Fsubject:Patient.name%3DA", "nurse", 400),
        ("GET", "/$export?_typeFilter=Observation%3F_include%3DObservation:subject", "nurse", 400),
        ("GET", "/$export?_type=Patient&_typeFilter=Observation%3F_id%3Da", "nurse", 400),
        ("GET", "/$export?organizeOutputBy=Group", "nurse", 400),
        ("GET", "/$export?colour=red", "nurse", 400),
        ("GET", "/$export", "nurse", 400),
        ("GET", "/$export", "ann-app", 403),
        ("GET", "/Group/g/$export", "ann-app", 403),
        ("GET", "/Group/never/$export", "nurse", 404),
        ("GET", "/Group/empty/$export", "nurse", 422),
        ("GET", "/$export", "nobody", 401),
        ("GET", "/$export-status/never", "nurse", 404),
        ("DELETE", "/$export-status/never", "nurse", 404),
        ("GET", "/$export-files/never/1", "nurse", 404),
        ("PUT", "/$export", "nurse", 404),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_refused(here: Hospital, method: str, path: str, who: str, status: int) -> None:
    answer = ask(here, who, method, path)
    assert (answer.status, answer.body["resourceType"]) == (status, "OperationOutcome")


def test_who_may_read_nothing_exports_nothing(here: Hospital) -> None:
    assert ask(here, "blind", "GET", "/Patient/$export").status == 403


def test_what_is_passed_over_is_said_in_the_error_file(here: Hospital) -> None:
    answer = ask(
        here, "nurse", "GET", "/Patient/$export?colour=red&_type=Patient", prefer="respond-async, handling=lenient"
    )
    status = answer.headers["content-location"].partition("/FHIR/R4")[2]
    (error,) = manifest_of(here, status)["error"]
    (line,) = fetched(here, error["url"]).text.splitlines()
    assert (error["type"], json.loads(line)["issue"][0]["severity"]) == ("OperationOutcome", "warning")


@pytest.mark.promise("R4")
def test_an_export_is_its_clients_alone(here: Hospital) -> None:
    status = begun(here, "/Patient/$export?_type=Patient")
    (output,) = manifest_of(here, status)["output"]
    file = output["url"].partition("/FHIR/R4")[2]
    for who in ("other", "colleague"):
        assert [ask(here, who, *each).status for each in (("GET", status), ("GET", file), ("DELETE", status))] == [
            404
        ] * 3
    assert ask(here, "nurse", "GET", file).status == 200


@pytest.mark.promise("R3", "R4")
@pytest.mark.parametrize(("who", "want"), [("narrow", ["cat", "dan"]), ("ann-app", ["ann"]), ("blind", [])])
def test_a_token_of_the_same_client_with_less_gets_less(here: Hospital, who: str, want: list[str]) -> None:
    (output,) = manifest_of(here, begun(here, "/Patient/$export?_type=Patient"))["output"]
    answer = fetched(here, output["url"], who)
    assert sorted(json.loads(line)["id"] for line in answer.text.splitlines()) == want


@pytest.mark.promise("R4")
@pytest.mark.parametrize(
    "number",
    ["0", "2", "-1", "01e1", "%31%00", "notes", "..", "..%2F1", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "9" * 40, "\u0661"],
)
def test_no_other_name_leads_to_a_file(here: Hospital, number: str) -> None:
    status = begun(here, "/Patient/$export?_type=Patient")
    manifest_of(here, status)
    answer = ask(here, "nurse", "GET", status.replace("status", "files") + f"/{number}")
    assert (answer.status, answer.body["resourceType"]) == (404, "OperationOutcome")


def test_a_file_is_there_once_the_export_is_complete(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PEOPLE_PER_STEP", 2)
    status = begun(here, "/Patient/$export?_type=Patient")
    assert ask(here, "nurse", "GET", status).status == 202
    file = status.replace("status", "files") + "/1"
    assert ask(here, "nurse", "GET", file).status == 404
    manifest_of(here, status)
    assert ask(here, "nurse", "GET", file).status == 200


def test_an_export_goes_on_in_another_process(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill: nothing of it is anywhere but in the database."""
    monkeypatch.setattr(exports, "PEOPLE_PER_STEP", 2)
    status = begun(here, "/Patient/$export?_type=Patient")
    assert ask(here, "nurse", "GET", status).status == 202
    server = FhirServer(here.node, FhirSettings(BASE), here.tokens)
    with TestClient(server.app(), base_url="https://fhir.rvj.example") as client:
        there = replace(here, client=client)
        (output,) = manifest_of(there, status)["output"]
        lines = fetched(there, output["url"]).text.splitlines()
    server.close()
    assert sorted(json.loads(line)["id"] for line in lines) == list(PEOPLE)


def test_of_two_who_go_on_at_once_the_work_of_one_is_kept(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PEOPLE_PER_STEP", 2)
    status = begun(here, "/Patient/$export?_type=Patient")
    keep, waiting = Jobs.keep, [1]

    def overtaken(self: Jobs, *asked: Any, **named: Any) -> bool:
        if waiting:
            waiting.clear()
            for _ in range(2):  # meanwhile others do this step and the next one
                assert ask(here, "nurse", "GET", status).status == 202
        return keep(self, *asked, **named)

    monkeypatch.setattr(Jobs, "keep", overtaken)
    assert ask(here, "nurse", "GET", status).status == 202
    answer = ask(here, "nurse", "GET", status)
    assert answer.status == 200  # it did not go back
    (output,) = answer.body["output"]
    names = [json.loads(line)["id"] for line in fetched(here, output["url"]).text.splitlines()]
    assert (output["count"], sorted(names)) == (5, list(PEOPLE))


def test_an_export_that_was_cancelled_or_is_past_its_time_is_gone(here: Hospital) -> None:
    status = begun(here, "/Patient/$export")
    assert ask(here, "nurse", "DELETE", status).status == 202
    assert [ask(here, "nurse", method, status).status for method in ("GET", "DELETE")] == [404, 404]
    status = begun(here, "/Patient/$export")
    with here.node.vault.database.writing() as connection:
        connection.execute(update(schema.jobs).values(until_s=here.node.clock()))
    assert ask(here, "nurse", "GET", status).status == 404
    assert (sweep(here.node), sweep(here.node)) == (1, 0)


def test_a_client_has_so_many_exports_at_a_time(here: Hospital) -> None:
    kept = [begun(here, "/Patient/$export") for _ in range(8)]
    answer = ask(here, "nurse", "GET", "/Patient/$export", prefer="respond-async")
    assert (answer.status, answer.detail, answer.headers["retry-after"]) == (429, "MSG_PARAM_INVALID", "60")
    begun(here, "/Patient/$export", "other")
    assert ask(here, "nurse", "DELETE", kept[0]).status == 202
    begun(here, "/Patient/$export")


def test_no_bundle_asks_for_an_export(here: Hospital) -> None:
    entry = [{"request": {"method": "GET", "url": "Patient/$export"}}]
    answer = ask(here, "nurse", "POST", "/", {"resourceType": "Bundle", "type": "batch", "entry": entry})
    assert answer.body["entry"][0]["response"]["status"] == "404"
