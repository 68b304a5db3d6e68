"""A hospital that lets apps in: staff, a patient, three apps, browsers, and a FHIR server of one route."""

import dataclasses
import itertools
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from salus.api.fhir.failures import Failure
from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.provisions import RoleClass
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.listen_settings import SignInProvider
from salus.node.people import Person, certify_person
from salus.node.services import accounts as account_service
from salus.node.services.accounts import AccountId
from salus.node.services.apps import App, AppKind, NewApp, Registered
from salus.node.services.enrol import enrol
from salus.node.services.grants import challenge_of
from salus.node.services.outside_sign_in import Fetch, fetch
from salus.testing.world import HOSPITAL, World, world

ISSUER = "https://north.example"
BASE = f"{ISSUER}/FHIR/R4"
BACK = "https://app.example/back"
LAUNCH = "https://app.example/launch"
PASSWORD = "correct horse battery"
VERIFIER = "v" * 64
NUMBER, BORN = "9990000018", "1980-02-29"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NAMES = itertools.count()


@dataclass
class Hall:
    """Everything that a test of signing in needs."""

    node: Node
    smart: Smart
    later_s: list[int]
    nurse: Person
    pseudonym: Pseudonym
    staff: AccountId
    patient: AccountId
    public: App
    confidential: Registered
    backend: App
    keys: dict[str, Any]
    names: dict[AccountId, str] = field(default_factory=dict)

    def client(self) -> TestClient:
        """A browser, or a program, that was never here."""
        routes = [*self.smart.routes(["/FHIR/R4"]), Route("/FHIR/R4/{kind}", self._search)]
        return TestClient(Starlette(routes=routes), base_url=ISSUER, follow_redirects=False)

    def _search(self, http: Request) -> Response:
        """What a FHIR server would ask the gate."""
        try:
            access = self.smart.gate.access(dict(http.headers.items()))
        except Failure as failure:
            return JSONResponse({"issue": failure.issues[0].words}, failure.status, dict(failure.headers))
        return JSONResponse(
            {
                "may": access.may("s", http.path_params["kind"]),
                "narrowings": access.narrowings("s", http.path_params["kind"]),
                "patient": access.patient.hex() if access.patient else None,
                "client": access.client,
                "role": access.login.role_class.name,
            }
        )

    def asked(self, **changes: str | None) -> dict[str, str]:
        """The parameters of an authorisation request; None leaves one out."""
        fields: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.public.id,
            "redirect_uri": BACK,
            "scope": "openid fhirUser launch/patient patient/Observation.rs offline_access",
            "state": "st-1",
            "aud": BASE,
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def sign_in(self, browser: TestClient, account: AccountId) -> Response:
        """Fill in the sign-in page."""
        page = browser.get("/oauth/sign-in")
        if page.status_code == 303:
            page = browser.get("/oauth/sign-in")
        return browser.post("/oauth/sign-in", data={**hidden(page), "name": self.names[account], "password": PASSWORD})

    def code(self, browser: TestClient, account: AccountId, **changes: str | None) -> str:
        """Go through the pages as somebody who lets the app in; return the code."""
        browser.get("/oauth/authorize?" + urlencode(self.asked(**changes)))
        self.sign_in(browser, account)
        page = browser.get("/oauth/consent")
        assert page.status_code == 200, page.text
        return went_back(allow(browser, page))["code"]

    def redeem(self, client: TestClient, code: str, /, **changes: str | None) -> Any:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            "client_id": self.public.id,
            **changes,
        }
        return client.post("/oauth/token", data={name: value for name, value in form.items() if value is not None})

    def tokens(self, account: AccountId, **changes: str | None) -> dict[str, Any]:
        """What an app has at the end of a whole launch."""
        client = self.client()
        answer = self.redeem(client, self.code(client, account, **changes))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def search(self, token: str, kind: str = "Observation") -> Any:
        return self.client().get(f"/FHIR/R4/{kind}", headers={"authorization": f"Bearer {token}"})

    def assertion(
        self, *, algorithm: str = "ES384", key: Any = None, header: dict[str, str] | None = None, **claims: Any
    ) -> str:
        """A backend service's signed assertion, with claims and header changed as a test wants; None drops one."""
        now = self.node.clock()
        said = {
            "iss": self.backend.id,
            "sub": self.backend.id,
            "aud": f"{ISSUER}/oauth/token",
            "exp": now + 240,
            "iat": now,
            "jti": f"j{next(NAMES)}",
            **claims,
        }
        key = key if key is not None else self.keys[algorithm]
        head = {"alg": algorithm, "kid": self.keys[algorithm].kid if algorithm in self.keys else "es", **(header or {})}
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(head, kept, key, algorithms=[head["alg"]])

    def as_backend(self, assertion: str, **changes: str) -> Any:
        form = {
            "grant_type": "client_credentials",
            "scope": "system/Observation.rs",
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion,
            **changes,
        }
        return self.client().post("/oauth/token", data=form)


def hidden(page: Any) -> dict[str, str]:
    """The hidden fields of the first form of a page."""
    first = page.text.split("</form>")[0]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', first)
    return {name: unescape(value) for name, value in found}


def born(date: str) -> dict[str, str]:
    """The fields of a date of birth, as people write it."""
    year, month, day = date.split("-")
    return {"day": str(int(day)), "month": str(int(month)), "year": year}


def allow(browser: TestClient, page: Any, *, leaving_out: str = "") -> Any:
    """Let the app in, with every box ticked but those of one scope."""
    boxes = re.findall(r'<input type="checkbox" id="\w+" name="(\w+)" value="([^"]*)" checked>', page.text)
    ticked = {name: unescape(value) for name, value in boxes if value != leaving_out}
    return browser.post("/oauth/consent", data={**hidden(page), **ticked, "answer": "allow"})


def went_back(answer: Any) -> dict[str, str]:
    """The parameters with which a browser was sent back to the app."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith(BACK + "?"), location
    return dict(parse_qsl(urlsplit(location).query))


def public_jwks(keys: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"keys": [key.as_dict(private=False) for key in keys.values()]})


@contextmanager
def hall(folder: Path, *, providers: tuple[SignInProvider, ...] = (), fetching: Fetch = fetch) -> Iterator[Hall]:
    with world(folder, organisations=(HOSPITAL,)) as made:
        yield make_hall(made, providers=providers, fetching=fetching)


def make_hall(made: World, *, providers: tuple[SignInProvider, ...] = (), fetching: Fetch = fetch) -> Hall:
    later_s = [0]
    node = dataclasses.replace(made.hospital, clock=lambda: int(time.time()) + later_s[0])
    nurse = certify_person(node, name="N", role="Nurse", registration="NMC 1", role_class=RoleClass.CLINICAL)
    pseudonym = enrol(node, NhsNumber(NUMBER), BORN)
    settings = SmartSettings(base=BASE, aliases=(f"{ISSUER}/fhir",), providers=providers)
    smart = Smart(node, settings, lambda _pseudonym: "pat-1", fetching=fetching)
    staff = smart.accounts.add_staff(nurse, RoleClass.CLINICAL, name="Nurse N")
    patient = smart.accounts.add_patient(pseudonym, name="Pat")
    smart.accounts.set_password(staff, signs_in_as="nurse", password=PASSWORD)
    smart.accounts.set_password(patient, signs_in_as="pat", password=PASSWORD)
    keys = {
        "ES384": ECKey.generate_key("P-384", {"kid": "es"}),
        "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
        "RS512": RSAKey.generate_key(2048, {"kid": "rs"}),
    }
    backend = NewApp(AppKind.BACKEND, "Registry", jwks=public_jwks(keys), account=staff)
    return Hall(
        node=node,
        smart=smart,
        later_s=later_s,
        nurse=nurse,
        pseudonym=pseudonym,
        staff=staff,
        patient=patient,
        public=smart.apps.add(NewApp(AppKind.PUBLIC, "Growth <chart>", [BACK], launch_uri=LAUNCH)).app,
        confidential=smart.apps.add(NewApp(AppKind.CONFIDENTIAL, "Rounds", [BACK])),
        backend=smart.apps.add(backend).app,
        keys=keys,
        names={staff: "nurse", patient: "pat"},
    )


def cheap_passwords(monkeypatch: Any) -> None:
    """Passwords that cost little: what they cost is tested elsewhere."""
    monkeypatch.setattr(account_service, "SCRYPT_N", 1 << 8)
    monkeypatch.setattr(account_service, "TRIES_MAX", 10_000)
    monkeypatch.setattr(account_service, "TRIES_FROM_MAX", 10_000)
