"""Other systems that launch records into the portal: the practice's own server, and one that is made up to attack."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from salus.api.exchange.serve import listen
from salus.api.fhir.serve import fhir_beside
from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.contracts.provisions import RoleClass
from salus.node.assemble import Node
from salus.node.listen_settings import FhirListen, Launcher
from salus.node.people import certify_person
from salus.node.projections import resources
from salus.node.services import enrol, outside_sign_in
from salus.node.services.accounts import AccountId
from salus.node.services.apps import App, AppKind, NewApp
from salus.node.services.launches import Launches
from salus.testing.population import story_patient
from tests.api.fhir.served import self_signed
from tests.api.smart.provider import OutsideProvider
from tests.portal.portal_world import PASSWORD, SEED, Hospital

NUMBER, BORN = "9990000018", "1968-03-14"
"""Eleanor's."""


def let_in(here: Hospital, *launchers: Launcher) -> None:
    """Name the systems from which records are opened here, as `[portal] launchers` does."""
    origin = here.portal.settings.origin
    here.portal.launches = Launches(here.node, launchers, back=lambda name: f"{origin}/launch/{name}/back")


def secret_file(folder: Path, name: str, secret: str) -> str:
    """Write down a secret as an operator does."""
    file = folder / f"{name}.secret"
    file.touch(mode=0o600)
    file.write_text(secret)
    return str(file)


@dataclass
class PracticeEhr:
    """The practice's FHIR server with its own sign-in, where Dr Pym has Eleanor open."""

    node: Node
    smart: Smart
    base: str
    trust: ssl.SSLContext
    app: App
    account: AccountId
    launcher: Launcher

    @property
    def user(self) -> str:
        """Dr Pym, as the practice's server names them."""
        return f"{self.base}/Practitioner/{self.account.hex()}"

    def launch(self) -> str:
        """The address to which the practice's own program sends the browser."""
        person = story_patient(SEED)
        pseudonym = enrol.match(self.node, person.nhs_number, person.birth_date)
        assert pseudonym is not None, "she was filed there"
        return self.smart.desk.launch(self.account, self.app, pseudonym)

    def browser(self) -> httpx2.Client:
        """A browser of somebody at the practice."""
        return httpx2.Client(base_url=self.base.removesuffix("/FHIR/R4"), verify=self.trust, follow_redirects=False)


@contextmanager
def practice_ehr(here: Hospital, folder: Path) -> Iterator[PracticeEhr]:
    """Serve the practice's records and sign-in on a real socket with TLS, and name them in the portal."""
    node, origin, place = here.made.practice, here.portal.settings.origin, folder / "ehr"
    place.mkdir()
    certificate, key = self_signed(place)
    trust = ssl.create_default_context(cafile=str(certificate))
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        base = f"https://127.0.0.1:{port}/FHIR/R4"
        at = FhirListen(base, port=port, certificate=str(certificate), key=str(key))
        smart = Smart(node, SmartSettings(base), lambda pseudonym: resources.patient_id(node, pseudonym))
        with closing(smart), fhir_beside(at, listener)(node, lambda: None):
            back, launch = f"{origin}/launch/practice/back", f"{origin}/launch"
            new = NewApp(AppKind.CONFIDENTIAL, "Hospital records", (back,), launch_uri=launch)
            registered = smart.apps.add(new)
            person = certify_person(node, name="Dr Pym", role="GP", registration="G", role_class=RoleClass.CLINICAL)
            account = smart.accounts.add_staff(person, RoleClass.CLINICAL, name="Dr Pym")
            smart.accounts.set_password(account, signs_in_as="pym", password=PASSWORD)
            issuer = base.removesuffix("/FHIR/R4")
            launcher = Launcher(
                name="practice",
                title="Harrowmere Medical Centre",
                issuer=issuer,
                client_id=registered.app.id,
                authorization_endpoint=f"{issuer}/oauth/authorize",
                token_endpoint=f"{issuer}/oauth/token",
                jwks_uri=f"{issuer}/.well-known/jwks.json",
                secret=secret_file(place, "practice", registered.secret),
                fhir=base,
            )
            let_in(here, launcher)
            trusted, outside_sign_in._trusted = outside_sign_in._trusted, lambda: trust
            try:
                yield PracticeEhr(node, smart, base, trust, registered.app, account, launcher)
            finally:
                outside_sign_in._trusted = trusted


@dataclass
class MadeUpEhr(OutsideProvider):
    """A server in an EHR's shape that answers as a test wants.

    Args:
        user: what the ID token says as fhirUser; patient: what the token endpoint says.
        served: the Patient that its FHIR server gives out, whatever is asked for.
        asked: the path of every request that came.
    """

    user: str = "Practitioner/7"
    patient: Any = "p1"
    served: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def launcher(self, folder: Path, name: str) -> Launcher:
        """As the operator of the hospital writes it down."""
        said = self.settings(folder, name)
        values = {each: getattr(said, each) for each in said.__struct_fields__ if each != "scope"}
        return Launcher(**values, fhir=self.fhir)

    @property
    def fhir(self) -> str:
        """What it names as `iss`."""
        return f"{self.issuer}/fhir"

    def app(self) -> Starlette:
        """Return it, with a FHIR server beside the sign-in, and a discovery document that leads astray."""
        inner = super().app()
        astray = dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), "https://evil.example/")
        inner.routes.append(Route("/fhir/Patient/{id}", self.read))
        inner.routes.append(Route("/fhir/.well-known/smart-configuration", lambda _http: JSONResponse(astray)))
        return inner

    async def authorize(self, http: Request) -> Response:
        """Remember what was asked."""
        self.asked.append(http.url.path)
        return await super().authorize(http)

    async def token(self, http: Request) -> Response:
        """Answer with the launch's context beside the tokens."""
        self.asked.append(http.url.path)
        self.claims = {"fhirUser": self.user} | self.claims
        came = await super().token(http)
        if came.status_code != 200:
            return came
        return JSONResponse(json.loads(bytes(came.body)) | {"patient": self.patient})

    async def read(self, http: Request) -> Response:
        """Give out the patient, to whom has the token."""
        self.asked.append(http.url.path)
        is_let_in = http.headers.get("authorization") == "Bearer x"
        return JSONResponse(self.served, 200 if is_let_in else 401)


def patient(**changes: Any) -> dict[str, Any]:
    """Eleanor, as another system knows her."""
    number = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER}
    return {"resourceType": "Patient", "id": "p1", "identifier": [number], "birthDate": BORN} | changes


@contextmanager
def made_up_ehr() -> Iterator[MadeUpEhr]:
    """Serve one on a free port until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    made = MadeUpEhr(f"http://127.0.0.1:{listening.getsockname()[1]}", "salus-portal", "level", None, served=patient())
    server = uvicorn.Server(uvicorn.Config(made.app(), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
