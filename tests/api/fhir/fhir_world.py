"""A hospital with a FHIR server on real parts, and the people who use it; the gate alone stands in for SMART."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.testclient import TestClient

from salus.api.fhir.app import FhirServer
from salus.api.fhir.call import Access
from salus.api.fhir.failures import Failure, Issue
from salus.api.fhir.settings import FhirSettings
from salus.clinical.fhir.resources import parse
from salus.contracts.genesis import Genesis
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.people import certify_person, open_session
from salus.node.services.respond import Login
from salus.node.services.store import Write, store
from salus.node.services.subscriptions import NO_TENURE, Tenure
from salus.testing.world import HOSPITAL, world

BASE = "https://fhir.rvj.example/FHIR/R4"
ANN = b'{"resourceType":"Patient","id":"ann","birthDate":"1980-02-29","identifier":[{"system":"urn:h","value":"1"}]}'
BEN = b'{"resourceType":"Patient","id":"ben","birthDate":"1990-01-01","identifier":[{"system":"urn:h","value":"2"}]}'


FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True)
class Someone:
    """Who may do everything within a compartment, or may not do some things."""

    login: Login
    patient: Pseudonym | None = None
    may_not: str = ""
    client: str = "app"
    person: str = "account"
    tenure: Tenure = NO_TENURE
    narrowed: dict = field(default_factory=dict)

    def may(self, interaction: str, _resource_type: str) -> bool:
        return interaction not in self.may_not

    def narrowings(self, _interaction: str, resource_type: str) -> tuple[tuple[tuple[str, str], ...], ...]:
        return self.narrowed.get(resource_type, ((),))


@dataclass
class Tokens:
    """A gate that knows some bearers by heart."""

    people: dict[str, Access] = field(default_factory=dict)

    def access(self, headers: Mapping[str, str]) -> Access:
        found = self.people.get(headers.get("authorization", "").removeprefix("Bearer "))
        if found is None:
            raise Failure(401, Issue("login", "MSG_AUTH_REQUIRED", "sign in"), headers={"www-authenticate": "Bearer"})
        return found


@dataclass
class Hospital:
    """The server, and what stands behind it."""

    node: Node
    client: TestClient
    tokens: Tokens
    genesis: Genesis

    def login(self, name: str, role_class: RoleClass, purpose: Purpose = Purpose.TREAT) -> Login:
        person = certify_person(self.node, name=name, role=name, registration=name, role_class=role_class)
        session = open_session(person.key, person.certificate, custodian=HOSPITAL, from_s=self.node.clock())
        return Login(session, role_class, purpose)


@contextmanager
def hospital(folder: Path, settings: FhirSettings | None = None) -> Iterator[Hospital]:
    """Start it, with Ann and Ben known and three people signed in: `nurse`, `feed`, and `ann-app` for Ann's record."""
    with world(folder, organisations=(HOSPITAL,), has_index=True) as made:
        node, tokens = made.hospital, Tokens()
        server = FhirServer(node, settings or FhirSettings(BASE), tokens)
        with TestClient(server.app(), base_url="https://fhir.rvj.example") as client:
            here = Hospital(node, client, tokens, made.genesis)
            ann, _ = store(node, [Write(parse(ANN)), Write(parse(BEN))])
            nurse = here.login("nurse", RoleClass.CLINICAL)
            tokens.people |= {
                "nurse": Someone(nurse),
                "feed": Someone(here.login("feed", RoleClass.SYSTEM)),
                "ann-app": Someone(nurse, patient=ann.found.pseudonym),
                "reader": Someone(nurse, may_not="cud"),
            }
            yield here
        server.close()


class Answer:
    """An answer, for assertions."""

    def __init__(self, response: object) -> None:
        self.status: int = response.status_code  # type: ignore[attr-defined]
        self.headers = response.headers  # type: ignore[attr-defined]
        self.text: str = response.text  # type: ignore[attr-defined]

    @property
    def body(self) -> dict:
        return json.loads(self.text)

    @property
    def detail(self) -> str:
        (issue,) = self.body["issue"]
        return issue["details"]["coding"][0]["code"]


def ask(here: Hospital, who: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
    fields = {"authorization": f"Bearer {who}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        fields.setdefault("content-type", FHIR_JSON)
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    return Answer(here.client.request(method, f"/FHIR/R4{path}", content=content, headers=fields))


def observation(of: str = "ann", **more: object) -> dict:
    code = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    subject = {"reference": f"Patient/{of}"}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": subject} | more
