"""Clients that nobody here wrote use the server: fhirpy and fhirclient, each over TLS with a token of its own."""

from collections.abc import Iterator

import fhirpy
import pytest
from fhirclient import client as fhirclient

from tests.api.fhir.fhir_world import observation
from tests.api.fhir.served import Served, fields, served


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as made:
        made.put_patient("ann")
        yield made


@pytest.mark.services
def test_fhirpy_creates_reads_changes_searches_pages_and_deletes(here: Served) -> None:
    client = fhirpy.SyncFHIRClient(
        here.base,
        authorization=f"Bearer {here.token(here.clinical)}",
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
    smart.server.session.headers.update(fields(here.token(here.clinical)))
    smart.server.session.verify = str(here.certificate)
    patient = Patient.read("ann", smart.server)
    assert patient.birthDate.isostring == "1980-02-29"
    search = Observation.where({"patient": "ann", "_count": "3"})
    found = list(search.perform_resources_iter(smart.server))
    assert len(found) == 5
    answer = Observation(observation()).create(smart.server)
    assert answer["resourceType"] == "Observation"
