"""Batch and transaction: each alone, or all or none; references between entries; a whole Synthea chart at once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.clinical.fhir.request_bundles import METHODS
from salus.node.projections import resources
from tests.api.fhir.fhir_world import Answer, Hospital, ask, hospital, observation

SYNTHEA = Path(__file__).resolve().parents[4] / "shared" / "data" / "fhir" / "synthea-r4"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        yield made


def post(here: Hospital, kind: str, *entries: dict, who: str = "nurse") -> Answer:
    return ask(here, who, "POST", "", {"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def entry(method: str, url: str, resource: dict | None = None, **more: object) -> dict:
    return {"request": {"method": method, "url": url}, **({"resource": resource} if resource else {}), **more}


def statuses(answer: Answer) -> list[str]:
    return [each["response"]["status"][:3] for each in answer.body["entry"]]


def test_entries_of_a_transaction_mean_each_other_by_their_addresses(here: Hospital) -> None:
    patient = {"resourceType": "Patient", "birthDate": "2000-01-01", "identifier": [{"system": "urn:h", "value": "7"}]}
    result = observation() | {"subject": {"reference": "urn:uuid:p"}}
    answer = post(
        here,
        "transaction",
        entry("POST", "Observation", result),
        entry("POST", "Patient", patient, fullUrl="urn:uuid:p"),
    )
    assert (answer.status, answer.body["type"], statuses(answer)) == (200, "transaction-response", ["201", "201"])
    places = [each["response"]["location"].split("/")[-4:-2] for each in answer.body["entry"]]
    read = ask(here, "nurse", "GET", "/" + "/".join(places[0])).body
    assert read["subject"]["reference"] == "/".join(places[1])


def test_of_a_transaction_with_a_fault_nothing_is_stored(here: Hospital) -> None:
    answer = post(
        here,
        "transaction",
        entry("PUT", "Observation/t-1", observation(id="t-1")),
        entry("PUT", "Observation/t-2", observation("zoe", id="t-2")),
        who="feed",
    )
    assert (answer.status, answer.detail) == (422, "MSG_PARAM_INVALID")
    assert resources.find(here.node, "Observation", "t-1") is None


def test_a_batch_does_each_by_itself(here: Hospital) -> None:
    answer = post(
        here,
        "batch",
        entry("POST", "Observation", observation()),
        entry("GET", "Observation/never"),
        entry("GET", "Patient/ann"),
        entry("POST", "Observation", observation("zoe")),
        entry("GET", "no/such/place/at/all"),
    )
    assert (answer.status, statuses(answer)) == (200, ["201", "404", "200", "422", "404"])
    assert answer.body["entry"][1]["response"]["outcome"]["resourceType"] == "OperationOutcome"


def test_a_transaction_deletes_first_and_reads_last(here: Hospital) -> None:
    ask(here, "feed", "PUT", "/Observation/t-3", observation(id="t-3"))
    answer = post(
        here,
        "transaction",
        entry("GET", "Observation/t-4"),
        entry("PUT", "Observation/t-4", observation(id="t-4")),
        entry("DELETE", "Observation/t-3"),
        who="feed",
    )
    assert statuses(answer)[1:] == ["201", "204"]
    assert ask(here, "nurse", "GET", "/Observation/t-3").status == 410


@pytest.mark.parametrize(
    ("bundle", "status"),
    [
        ({"resourceType": "Bundle", "type": "document"}, 400),
        ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": observation()}]}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": 3}, 400),
        ({"resourceType": "Bundle", "type": "transaction", "entry": [entry("DELETE", "Observation/never")]}, 404),
        (
            {"resourceType": "Bundle", "type": "transaction", "entry": [entry("GET", "https://elsewhere/Patient/ann")]},
            404,
        ),
    ],
)
def test_what_is_no_such_bundle_is_refused(here: Hospital, bundle: dict, status: int) -> None:
    answer = ask(here, "nurse", "POST", "", bundle)
    assert (answer.status, answer.body["resourceType"]) == (status, "OperationOutcome")


@pytest.mark.parametrize("url", ["/", "Observation/$validate", "Observation/_search", "Consent/$fileConsent"])
def test_a_transaction_writes_by_the_addresses_of_records_only(here: Hospital, url: str) -> None:
    before = ask(here, "nurse", "GET", "/Observation?_total=accurate").body["total"]
    answer = post(here, "transaction", entry("POST", url, observation()))
    assert (answer.status, answer.detail) == (422, "MSG_OP_NOT_ALLOWED")
    assert ask(here, "nurse", "GET", "/Observation?_total=accurate").body["total"] == before


def test_a_transaction_patches_what_a_search_finds(here: Hospital) -> None:
    ask(here, "feed", "PUT", "/Observation/t-6", observation(id="t-6"))
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Observation.status"},
        {"name": "value", "valueCode": "amended"},
    ]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    answer = post(here, "transaction", entry("PATCH", "Observation?_id=t-6", patch))
    assert (answer.status, statuses(answer)) == (200, ["200"])
    assert ask(here, "nurse", "GET", "/Observation/t-6").body["status"] == "amended"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("url", ["Observation", "Observation?_id=never", "Observation/never"])
def test_every_method_has_an_answer_in_a_transaction(here: Hospital, method: str, url: str) -> None:
    resource = observation(id="never") if method in ("POST", "PUT") else None
    answer = post(here, "transaction", entry(method, url, resource))
    assert answer.status < 500


def test_a_resource_stands_once_in_a_transaction(here: Hospital) -> None:
    body = observation(id="t-5")
    twice = [entry("PUT", "Observation/t-5", body), entry("PUT", "Observation/t-5", body)]
    assert post(here, "transaction", *twice, who="feed").status == 400


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="no shared/data/fhir/synthea-r4 here")
def test_a_synthea_chart_is_stored_in_one_transaction_and_read_back(here: Hospital) -> None:
    path = min(SYNTHEA.glob("*.json"), key=lambda each: each.stat().st_size)
    answer = ask(here, "feed", "POST", "", path.read_bytes())
    assert answer.status == 200
    assert set(statuses(answer)) == {"201"}
    sent = [each["resource"] for each in json.loads(path.read_bytes())["entry"]]
    assert len(answer.body["entry"]) == len(sent)
    for each, resource in zip(answer.body["entry"], sent, strict=True):
        _, _, kind, logical_id, *_ = each["response"]["location"].rsplit("/", 5)[-6:]
        read = ask(here, "nurse", "GET", f"/{kind}/{logical_id}")
        assert (read.status, read.body["resourceType"]) == (200, resource["resourceType"])
