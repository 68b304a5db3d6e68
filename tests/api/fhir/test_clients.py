"""Clients that nobody here wrote use the server: fhirpy and fhirclient, each over TLS with a token of its own."""

import json
from collections.abc import Iterator

import fhirpy
import pytest
import requests
from fhirclient import client as fhirclient

from tests.api.fhir.fhir_world import ANN, observation
from tests.api.fhir.served import Backend, Served, served


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as made:
        token = token_of(made, made.feed)
        for path, body in (
            ("Patient/ann", json.loads(ANN)),
            *((f"Observation/o{n}", observation(id=f"o{n}")) for n in range(5)),
        ):
            answer = requests.put(
                f"{made.base}/{path}", json=body, headers=fields(token), verify=str(made.certificate), timeout=10
            )
            assert answer.status_code == 201, answer.text
        yield made


def fields(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}


def token_of(here: Served, backend: Backend) -> str:
    answer = requests.post(backend.token_url, data=backend.form(), verify=str(here.certificate), timeout=10)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.mark.services
def test_fhirpy_creates_reads_changes_searches_pages_and_deletes(here: Served) -> None:
    client = fhirpy.SyncFHIRClient(
        here.base,
        authorization=f"Bearer {token_of(here, here.clinical)}",
        requests_config={"verify": str(here.certificate)},
    )
    body = observation()
    created = client.resource(body.pop("resourceType"), **body)
    created.save()
    assert created.id
    created["status"] = "amended"
    created.save()
    assert client.reference("Observation", created.id).to_resource()["status"] == "amended"
    found = client.resources("Observation").search(patient="ann", status="amended")
    assert [each.id for each in found.fetch()] == [created.id]
    every = client.resources("Observation").search(patient="ann").limit(2).fetch_all()
    assert len(every) == 6
    assert found.count() == 1
    created.delete()
    with pytest.raises(fhirpy.base.exceptions.ResourceNotFound):
        created.refresh()


@pytest.mark.services
def test_fhirclient_reads_and_searches_in_its_own_models(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from fhirclient.models.observation import Observation
    from fhirclient.models.patient import Patient

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(here.certificate))
    smart = fhirclient.FHIRClient(settings={"app_id": "test", "api_base": here.base})
    smart.server.session.headers.update(fields(token_of(here, here.clinical)))
    smart.server.session.verify = str(here.certificate)
    patient = Patient.read("ann", smart.server)
    assert patient.birthDate.isostring == "1980-02-29"
    search = Observation.where({"patient": "ann", "_count": "3"})
    found = list(search.perform_resources_iter(smart.server))
    assert len(found) == 5
    answer = Observation(observation()).create(smart.server)
    assert answer["resourceType"] == "Observation"
