"""A ticket as its holder has it: one text, one key; whoever changes a claim has the key of no ticket."""

import base64
import json
from collections.abc import Callable

import msgspec
import pytest

from salus.contracts.ticket_bearers import (
    BEARER_CHARACTERS_MAX,
    BearerUnfit,
    Coding,
    Resources,
    TicketClaims,
    new_claims,
    read_bearer,
    write_bearer,
)
from salus.crypto.derive import ticket_key

pytestmark = pytest.mark.promise("P1")

PSEUDONYM = bytes(range(16))
CLAIMS = new_claims(
    chain="salus-test",
    audience="https://north.example/FHIR/R4",
    pseudonym=PSEUDONYM,
    resources=(Resources("Observation", ("read", "search"), Coding("laboratory")),),
    time_s=1_800_000_000,
    expires_at_s=1_800_086_400,
    secret=bytes(range(32)),
    thumbprint="A" * 43,
)
TEXT, KEY = write_bearer(CLAIMS)
HEADER, PAYLOAD, SIGNATURE = TEXT.split(".")


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def said() -> dict:
    return json.loads(base64.urlsafe_b64decode(PAYLOAD + "=="))


def test_known_answer() -> None:
    """docs/spec/tickets.md gives the same."""
    assert KEY.public.hex() == "d6dc896c60a44e99e1b8a977e09c7ae37967e07aabab6b174c0eae25d1f19388"
    assert said() == {
        "iss": "urn:salus:ledger:salus-test",
        "aud": "https://north.example/FHIR/R4",
        "exp": 1_800_086_400,
        "iat": 1_800_000_000,
        "jti": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "ticket_type": "urn:salus:ticket-type:1",
        "subject": {
            "patient": {
                "resourceType": "Patient",
                "identifier": [{"system": "urn:salus:pseudonym", "value": PSEUDONYM.hex()}],
            }
        },
        "access": {
            "fhir_resources": [
                {"type": "Observation", "interactions": ["read", "search"], "category": {"code": "laboratory"}}
            ]
        },
        "presenter_binding": {"method": "jkt", "jkt": "A" * 43},
    }


def test_what_was_written_is_read() -> None:
    read = read_bearer(TEXT)
    assert (read.claims, read.key, read.pseudonym) == (CLAIMS, KEY, PSEUDONYM)
    assert "jti" not in repr(read.key)


CLAIMS_CHANGED: dict[str, Callable[[dict], object]] = {
    "bound to another program": lambda claims: claims | {"presenter_binding": {"method": "jkt", "jkt": "B" * 43}},
    "bound to none": lambda claims: {name: claims[name] for name in claims if name != "presenter_binding"},
    "for another server": lambda claims: claims | {"aud": "https://evil.example"},
    "with a later end": lambda claims: claims | {"exp": 2_000_000_000},
    "about everything": lambda claims: (
        claims | {"access": {"fhir_resources": [{"type": "*", "interactions": ["read"]}]}}
    ),
}


@pytest.mark.parametrize("what", CLAIMS_CHANGED)
def test_a_ticket_that_was_changed_is_signed_by_nobody(what: str) -> None:
    payload = encoded(CLAIMS_CHANGED[what](said()))
    with pytest.raises(BearerUnfit):
        read_bearer(f"{HEADER}.{payload}.{SIGNATURE}")


@pytest.mark.parametrize("what", CLAIMS_CHANGED)
def test_a_ticket_that_was_changed_and_signed_anew_has_another_key(what: str) -> None:
    changed = msgspec.convert(CLAIMS_CHANGED[what](said()), TicketClaims)
    assert write_bearer(changed)[1].public != KEY.public


UNFIT = {
    "nothing": "",
    "one part": "x" * 100,
    "two parts": f"{HEADER}.{PAYLOAD}",
    "no signature": f"{HEADER}.{PAYLOAD}.",
    "four parts": f"{TEXT}.x",
    "another algorithm": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{PAYLOAD}.{SIGNATURE}",
    "a key of its own in the header": f"{encoded({'alg': 'EdDSA', 'typ': 'JWT', 'jwk': {}})}.{PAYLOAD}.{SIGNATURE}",
    "another signature": f"{HEADER}.{PAYLOAD}.{'A' * 86}",
    "too long": f"{HEADER}.{'A' * BEARER_CHARACTERS_MAX}.{SIGNATURE}",
    "not base64": f"{HEADER}.A.{SIGNATURE}",
    "not JSON": f"{HEADER}.{base64.urlsafe_b64encode(b'xyz').decode()}.{SIGNATURE}",
    "a line at its end": TEXT + "\n",
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_is_no_ticket_is_refused(what: str) -> None:
    with pytest.raises(BearerUnfit, match="expected a ticket"):
        read_bearer(UNFIT[what])


UNKNOWN: dict[str, Callable[[dict], object]] = {
    "a limit that nobody here would keep": lambda claims: (
        claims | {"access": claims["access"] | {"data_period": {"start": "2026"}}}
    ),
    "a claim": lambda claims: claims | {"revocation": {"url": "https://x.example", "index": 1}},
    "an interaction": lambda claims: (
        claims | {"access": {"fhir_resources": [{"type": "Observation", "interactions": ["update"]}]}}
    ),
    "no kind of records": lambda claims: claims | {"access": {"fhir_resources": []}},
    "another kind of ticket": lambda claims: claims | {"ticket_type": "https://example.org/other"},
    "another binding": lambda claims: claims | {"presenter_binding": {"method": "none"}},
    "a name beside the pseudonym": lambda claims: (
        claims | {"subject": {"patient": claims["subject"]["patient"] | {"birthDate": "1980-02-29"}}}
    ),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_is_refused_though_it_is_signed(what: str) -> None:
    signed = f"{HEADER}.{encoded(UNKNOWN[what](said()))}"
    signature = base64.urlsafe_b64encode(ticket_key(signed.encode()).sign(signed.encode())).rstrip(b"=").decode()
    with pytest.raises(BearerUnfit, match="known claims alone"):
        read_bearer(f"{signed}.{signature}")
