"""A FHIR server on a real socket with TLS and real SMART sign-in, for clients that nobody here wrote."""

import contextlib
import datetime
import ipaddress
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey

from salus.api.exchange.serve import listen
from salus.api.fhir.serve import fhir_beside
from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.contracts.genesis import Genesis
from salus.contracts.provisions import RoleClass
from salus.node.assemble import Node
from salus.node.listen_settings import FhirListen
from salus.node.people import certify_person
from salus.node.services.apps import AppKind, NewApp
from salus.testing.world import HOSPITAL, world
from tests.api.fhir.fhir_world import ANN, FHIR_JSON, observation

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Backend:
    """A backend service: its id and key, and as whom it acts."""

    app: str
    key: ECKey
    token_url: str

    def assertion(self) -> str:
        """A fresh signed assertion (RFC 7523)."""
        claims = {"iss": self.app, "sub": self.app, "aud": self.token_url, "exp": int(time.time()) + 200}
        return jwt.encode({"alg": "ES384", "kid": "k"}, claims | {"jti": str(uuid.uuid4())}, self.key, ["ES384"])

    def form(self, scope: str = "system/*.cruds") -> dict[str, str]:
        """The form that the token endpoint wants."""
        return {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION,
            "client_assertion": self.assertion(),
        }


@dataclass(frozen=True)
class Served:
    """Where the server is, and what is registered with it."""

    node: Node
    base: str
    certificate: Path
    clinical: Backend
    feed: Backend
    genesis: Genesis

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client trusts."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def token(self, backend: Backend) -> str:
        """A token for a backend service."""
        answer = requests.post(backend.token_url, data=backend.form(), verify=str(self.certificate), timeout=60)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def put(self, resource: dict) -> None:
        """Have the feed write a resource under its own id."""
        answer = requests.put(
            f"{self.base}/{resource['resourceType']}/{resource['id']}",
            json=resource,
            headers=fields(self.token(self.feed)),
            verify=str(self.certificate),
            timeout=60,
        )
        assert answer.status_code == 201, answer.text

    def put_patient(self, name: str) -> None:
        """Have the feed write a patient of this id, with five observations."""
        self.put(json.loads(ANN) | {"id": name, "identifier": [{"system": "urn:h", "value": name}]})
        for number in range(5):
            self.put(observation(of=name, id=f"{name}-{number}"))


def fields(token: str) -> dict[str, str]:
    """The header fields of a request with a token."""
    return {"authorization": f"Bearer {token}", "content-type": FHIR_JSON}


@contextlib.contextmanager
def served(folder: Path, **more: object) -> Iterator[Served]:
    """Serve a hospital's records on loopback until the block ends; `more` are settings of `[fhir]`."""
    with world(folder, organisations=(HOSPITAL,), has_index=True) as made, contextlib.ExitStack() as stack:
        node = made.hospital
        listener = stack.enter_context(listen("127.0.0.1", 0))
        port = listener.getsockname()[1]
        base = f"https://127.0.0.1:{port}/FHIR/R4"
        certificate, key = self_signed(folder)
        place = FhirListen(base, port=port, certificate=str(certificate), key=str(key), **more)  # type: ignore[arg-type]
        stack.enter_context(fhir_beside(place, listener)(node, lambda: None))
        clinical, feed = (_backend(node, base, each) for each in (RoleClass.CLINICAL, RoleClass.SYSTEM))
        yield Served(node, base, certificate, clinical, feed, made.genesis)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for loopback and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.pem", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, format_ = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(form, format_, serialization.NoEncryption()))
    return paths


def _backend(node: Node, base: str, role_class: RoleClass) -> Backend:
    smart = Smart(node, SmartSettings(base), lambda _pseudonym: "")
    key = ECKey.generate_key("P-384", {"kid": "k", "use": "sig", "alg": "ES384"})
    person = certify_person(node, name="EHR", role="EHR system", registration=role_class.name, role_class=role_class)
    account = smart.accounts.add_staff(person, role_class, name=role_class.name)
    jwks = msgspec.json.encode({"keys": [key.as_dict(private=False)]})
    new = NewApp(AppKind.BACKEND, role_class.name, jwks=jwks, account=account, scopes=("system/*.cruds",))
    app = smart.apps.add(new).app.id
    smart.close()
    return Backend(app, key, base.removesuffix("/FHIR/R4") + "/oauth/token")
