"""The server as a client meets it: TLS, SMART's configuration, a token for a backend service, records."""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest

from tests.api.fhir.fhir_world import ANN, FHIR_JSON, observation
from tests.api.fhir.served import Backend, Served, served


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as made:
        yield made


class Client:
    """A plain HTTPS client of one backend service."""

    def __init__(self, here: Served, backend: Backend | None) -> None:
        self._at = urlsplit(here.base)
        self._connection = http.client.HTTPSConnection(str(self._at.hostname), self._at.port, context=here.trust)
        self._token = ""
        if backend is not None:
            fields = {"content-type": "application/x-www-form-urlencoded"}
            status, body = self.ask("POST", "/oauth/token", urlencode(backend.form()), **fields)
            assert status == 200, body
            self._token = body["access_token"]

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
        if self._token:
            headers = {"authorization": f"Bearer {self._token}", "content-type": FHIR_JSON} | headers
        sent = json.dumps(body) if isinstance(body, dict) else body
        self._connection.request(method, path, sent, headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")


def test_a_client_finds_out_where_to_sign_in(here: Served) -> None:
    with Client(here, None) as client:
        status, said = client.ask("GET", "/FHIR/R4/.well-known/smart-configuration")
    assert status == 200
    assert said["token_endpoint"] == here.clinical.token_url


def test_a_feed_writes_and_a_clinical_system_reads_what_it_may(here: Served) -> None:
    with Client(here, here.feed) as feed, Client(here, here.clinical) as ehr:
        assert feed.ask("PUT", "/FHIR/R4/Patient/ann", json.loads(ANN))[0] == 201
        assert feed.ask("PUT", "/FHIR/R4/Observation/o", observation(id="o"))[0] == 201
        assert feed.ask("GET", "/FHIR/R4/Observation/o")[0] == 404
        status, body = ehr.ask("GET", "/FHIR/R4/Observation/o")
        assert (status, body["id"]) == (200, "o")
        status, bundle = ehr.ask("GET", "/FHIR/R4/Observation?patient=ann")
        assert (status, bundle["total"]) == (200, 1)


def test_nobody_reads_without_a_token(here: Served) -> None:
    with Client(here, None) as client:
        assert client.ask("GET", "/FHIR/R4/Patient/ann")[0] == 401
