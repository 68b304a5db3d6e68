"""A hospital with the native API beside its FHIR server: a patient, a nurse and a service who hold tokens for it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from salus.api.fhir.app import PREFIXES, FhirServer
from salus.api.fhir.settings import FhirSettings
from salus.api.native.app import NativeApi
from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.clinical.fhir.resources import parse
from salus.contracts.provisions import RoleClass
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.people import certify_person
from salus.node.projections import resources
from salus.node.services.accounts import AccountId
from salus.node.services.apps import App, AppKind, NewApp
from salus.node.services.grants import Wanted, challenge_of
from salus.node.services.store import Write, store
from salus.testing.world import HOSPITAL, World, world
from tests.api.fhir.fhir_world import ANN, observation
from tests.api.smart.smart_world import BACK, BASE, ISSUER, VERIFIER

SCOPES = ("patient/*.rs", "salus/history", "salus/tickets", "salus/ledger")


@dataclass
class Office:
    """The API and those who use it; each name of `tokens` is somebody's token."""

    world: World
    node: Node
    native: NativeApi
    client: TestClient
    ann: Pseudonym
    tokens: dict[str, str]

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        fields = {"authorization": f"Bearer {self.tokens[who]}"} if who else {}
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if content is not None:
            fields["content-type"] = "application/json"
        return self.client.request(method, path, content=content, headers=fields | headers)


@contextmanager
def office(folder: Path) -> Iterator[Office]:
    with world(folder, organisations=(HOSPITAL,), has_index=True) as made:
        node = made.hospital
        settings = SmartSettings(BASE)
        smart = Smart(node, settings, lambda pseudonym: resources.patient_id(node, pseudonym))
        server, native = FhirServer(node, FhirSettings(BASE), smart.gate), NativeApi(node, settings, smart.gate)
        ann, _ = store(node, [Write(parse(ANN)), Write(parse(json.dumps(observation(id="o")).encode()))])
        app = smart.apps.add(NewApp(AppKind.PUBLIC, "App", [BACK])).app
        nurse, feed = (_staff(smart, node, each) for each in (RoleClass.CLINICAL, RoleClass.SYSTEM))
        patient = smart.accounts.add_patient(ann.found.pseudonym, name="Ann")
        of = ann.found.pseudonym
        tokens = {
            "ann": _token(smart, app, patient, of, SCOPES),
            "nurse": _token(smart, app, nurse, of, SCOPES),
            "system": _token(smart, app, feed, of, SCOPES),
            "alone": _token(smart, app, nurse, b"", SCOPES[1:]),
            "reader": _token(smart, app, patient, of, SCOPES[:1]),
            "nobody": "x" * 43,
        }
        routes = [*smart.routes(PREFIXES), *native.routes()]
        with TestClient(server.app(routes), base_url=ISSUER, raise_server_exceptions=False) as client:
            yield Office(made, node, native, client, of, tokens)
        for each in (server, native, smart):
            each.close()


def _staff(smart: Smart, node: Node, role_class: RoleClass) -> AccountId:
    name = role_class.name
    person = certify_person(node, name=name, role=name, registration=name, role_class=role_class)
    return smart.accounts.add_staff(person, role_class, name=name)


def _token(smart: Smart, app: App, account: AccountId, patient: bytes, scopes: tuple[str, ...]) -> str:
    code = smart.grants.begin(Wanted(app, account, scopes, patient, BACK, challenge_of(VERIFIER), ""))
    return smart.grants.redeem(app, code, redirect_uri=BACK, verifier=VERIFIER).access
