"""Backend services that show themselves wrongly, or want more than they have; each is refused."""

import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from salus.node.services.apps import AppKind, NewApp
from tests.api.smart.smart_world import (
    BASE,
    ISSUER,
    Hall,
    public_jwks,
)

pytestmark = pytest.mark.promise("R4")


def written(here: Hall, header: dict[str, str], **claims: Any) -> str:
    """The two parts of a JWT that are signed."""
    now = here.node.clock()
    said = {"iss": here.backend.id, "sub": here.backend.id, "aud": f"{ISSUER}/oauth/token", "exp": now + 60, "jti": "u"}
    return ".".join(base64url(json.dumps(part).encode()) for part in (header, {**said, **claims}))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(here: Hall) -> str:
    return written(here, {"alg": "none", "kid": "es"}) + "."


def confused(here: Hall) -> str:
    """Signed with the public key as an HMAC secret: what a verifier that believes `alg` would take."""
    signed = written(here, {"alg": "HS256", "kid": "rs"})
    mac = hmac.digest(here.keys["RS512"].as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64url(mac)}"


def stolen_name(here: Hall) -> str:
    return here.assertion(key=ECKey.generate_key("P-384", {"kid": "es"}))


def carried_key(here: Hall) -> str:
    own = ECKey.generate_key("P-384", {"kid": "es"})
    header = {"alg": "ES384", "kid": "own", "jwk": own.as_dict(private=False), "jku": "https://evil.example/jwks"}
    now = here.node.clock()
    claims = {
        "iss": here.backend.id,
        "sub": here.backend.id,
        "aud": f"{ISSUER}/oauth/token",
        "exp": now + 60,
        "jti": "c",
    }
    return jwt.encode(header, claims, own, algorithms=["ES384"])


def twice(here: Hall) -> str:
    assertion = here.assertion()
    assert here.as_backend(assertion).status_code == 200
    return assertion


HEADER, CLAIM = base64.urlsafe_b64encode(b'{"alg":"ES384"}').decode().rstrip("="), b'{"a":'


def nested(begins: bytes, depth: int) -> str:
    """Lists in lists, deeper than a parser goes, as a part of a JWT."""
    return base64.urlsafe_b64encode(begins + b"[" * depth).rstrip(b"=").decode()


ASSERTIONS = {
    "signed by nobody": unsigned,
    "signed with the public key as a secret": confused,
    "signed by another key of the same name": stolen_name,
    "with a key that it brings itself": carried_key,
    "sent a second time": twice,
    "for another audience": lambda here: here.assertion(aud="https://evil.example/oauth/token"),
    "for the FHIR server": lambda here: here.assertion(aud=BASE),
    "for two audiences": lambda here: here.assertion(aud=[f"{ISSUER}/oauth/token", "https://evil.example"]),
    "for no audience": lambda here: here.assertion(aud=None),
    "of another issuer": lambda here: here.assertion(iss="other"),
    "about another subject": lambda here: here.assertion(sub=here.public.id),
    "past its time": lambda here: here.assertion(exp=here.node.clock() - 1),
    "good for an hour": lambda here: here.assertion(exp=here.node.clock() + 3600),
    "without an end": lambda here: here.assertion(exp=None),
    "with an end that is a text": lambda here: here.assertion(exp="9999999999"),
    "with an end that is true": lambda here: here.assertion(exp=True),
    "of the future": lambda here: here.assertion(iat=here.node.clock() + 60),
    "without a jti": lambda here: here.assertion(jti=None),
    "with a jti that is a list": lambda here: here.assertion(jti=["a"]),
    "without a kid": lambda here: here.assertion(header={"kid": ""}),
    "with an algorithm that is not of the list": lambda here: here.assertion(
        algorithm="RS256", key=here.keys["RS512"], header={"kid": "rs"}
    ),
    "that is huge": lambda here: here.assertion(filler="x" * 9_000),
    "that is no JWT": lambda here: "a.b.c",
    "that is one part": lambda here: "x" * 100,
    "that is empty JSON": lambda here: "e30.e30.",
    "whose claims are lists in lists": lambda _here: f"{HEADER}.{nested(CLAIM, 4_000)}.e30",
    "whose header is lists in lists": lambda _here: f"{nested(CLAIM, 4_000)}.e30.e30",
}


@pytest.mark.parametrize("what", ASSERTIONS)
def test_an_assertion_gets_nothing(here: Hall, what: str) -> None:
    answer = here.as_backend(ASSERTIONS[what](here))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "access_token" not in answer.text


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("a user's scopes", {"scope": "user/*.rs"}),
        ("a patient's scopes", {"scope": "patient/*.rs"}),
        ("no scope", {"scope": ""}),
    ],
)
def test_a_backend_service_has_scopes_of_its_own_context_only(here: Hall, what: str, changes: dict[str, str]) -> None:
    assert here.as_backend(here.assertion(), **changes).json()["error"] == "invalid_scope"


def test_a_backend_service_has_no_more_than_it_was_registered_for(here: Hall) -> None:
    new = NewApp(AppKind.BACKEND, "B", jwks=public_jwks(here.keys), account=here.staff, scopes=["system/Patient.rs"])
    app = here.smart.apps.add(new).app
    mine = {"iss": app.id, "sub": app.id}
    assert here.as_backend(here.assertion(**mine), scope="system/*.rs").json()["error"] == "invalid_scope"
    both = here.as_backend(here.assertion(**mine), scope="system/Patient.rs system/*.rs").json()
    assert both["scope"] == "system/Patient.rs"


@pytest.mark.parametrize(
    ("most", "asked", "given"),
    [
        ("system/*.cruds", "system/*.rs", "system/*.rs"),
        ("system/*.cruds", "system/Patient.read", "system/Patient.rs"),
        ("system/*.read", "system/*.read", "system/*.rs"),
        ("system/Condition.rs", "system/Condition.r?code=a", "system/Condition.r?code=a"),
        ("system/Condition.rs?code=a", "system/Condition.r?code=a", "system/Condition.r?code=a"),
        ("system/Condition.rs?code=a", "system/Condition.rs", ""),
        ("system/Condition.rs?code=a", "system/Condition.rs?code=b", ""),
        ("system/Condition.rs", "system/Condition.cruds", ""),
        ("system/Condition.rs", "system/Patient.rs", ""),
        ("system/Condition.rs", "system/*.rs", ""),
        ("user/*.cruds", "system/*.rs", ""),
    ],
)
def test_a_backend_service_may_ask_for_less_than_it_was_registered_for(
    here: Hall, most: str, asked: str, given: str
) -> None:
    new = NewApp(AppKind.BACKEND, "B", jwks=public_jwks(here.keys), account=here.staff, scopes=[most])
    app = here.smart.apps.add(new).app
    said = here.as_backend(here.assertion(iss=app.id, sub=app.id), scope=asked).json()
    assert said.get("scope", "") == given


def test_ways_of_showing_oneself_are_not_mixed_and_a_kind_of_app_has_its_own(here: Hall) -> None:
    app, secret = here.confidential.app, here.confidential.secret
    client = here.client()
    shown = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": app.id, "client_secret": secret}
    assert client.post("/oauth/token", data=shown).json()["error"] == "invalid_grant"
    assert client.post("/oauth/token", data={**shown, "client_secret": "x"}).json()["error"] == "invalid_client"
    assert client.post("/oauth/token", data=shown, auth=(app.id, secret)).json()["error"] == "invalid_request"
    for name in (here.public.id, here.backend.id, "unknown"):
        answer = client.post("/oauth/token", data={**shown, "client_id": name})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert client.post("/oauth/introspect", data={"client_id": here.public.id, "token": "x"}).status_code == 401
