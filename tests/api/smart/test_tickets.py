"""Tokens for tickets: what a patient's ticket lets a service read, and every way in which there is nothing to get."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.testclient import TestClient

from salus.api.fhir.app import PREFIXES, FhirServer
from salus.api.fhir.settings import FhirSettings
from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.api.smart.ticket_exchange import GRANT_TYPE, ISSUED_TOKEN_TYPE, SUBJECT_TOKEN_TYPE
from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.access import AccessPermitted
from salus.contracts.gathering import read_trail
from salus.contracts.membership import RevokeCertificate
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, Verb
from salus.contracts.ticket_bearers import Coding, Resources, read_bearer, write_bearer
from salus.contracts.tickets import TICKETS
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.ledger.outcomes import DONE
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.exchange import Delivery, Done
from salus.node.founding import trust_root
from salus.node.people import Person, certify_person
from salus.node.projections import resources as projection
from salus.node.services.anchor import anchor
from salus.node.services.apps import App, AppKind, NewApp
from salus.node.services.audit import history
from salus.node.services.enrol import enrol
from salus.node.services.store import Write, store
from salus.node.services.tickets import revoke_by_custodian
from salus.sdk import wallet
from salus.sdk.history_check import all_faults, check_history
from salus.sdk.wallet import Relationship, SignedTicket, Wallet
from salus.testing.world import HOSPITAL, World, world
from tests.api.fhir.fhir_world import observation
from tests.api.smart.smart_world import ASSERTION, BASE, ISSUER

pytestmark = pytest.mark.promise("R1", "R3")

NUMBER, BORN = NhsNumber("9990000018"), "1980-02-29"
PATIENT = {
    "resourceType": "Patient",
    "id": "ann",
    "birthDate": BORN,
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER.digits}],
}
LABORATORY = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]
}
OBSERVATIONS = (Resources("Observation", ("read", "search")),)
TO_THE_SERVICE = Provision(
    ProvisionType.PERMIT, organisations=(HOSPITAL,), role_classes=(RoleClass.SYSTEM,), purposes=(Purpose.TREAT,)
)


@dataclass
class Service:
    """A backend service that may read nothing by itself, and its key."""

    app: App
    person: Person
    key: ECKey

    def assertion(self, node: Node) -> str:
        claims = {"iss": self.app.id, "sub": self.app.id, "aud": f"{ISSUER}/oauth/token", "exp": node.clock() + 200}
        return jwt.encode({"alg": "ES384", "kid": "k"}, claims | {"jti": str(time.time_ns())}, self.key, ["ES384"])


@dataclass
class Clinic:
    """A hospital with Ann's records and two services; Ann holds her own key."""

    world: World
    node: Node
    smart: Smart
    client: TestClient
    mine: Wallet
    ann: Relationship
    service: Service
    other: Service
    later_s: list[int] = field(default_factory=list)

    def signed(self, tree: Provision = TO_THE_SERVICE, **changes: Any) -> SignedTicket:
        now_s = self.node.clock()
        wanted = {"resources": OBSERVATIONS, "audience": BASE, "uses_max": 5, "expires_at_s": now_s + 3600} | changes
        return wallet.sign_ticket(self.mine, self.ann, tree, time_s=now_s, **wanted)

    def ticket(self, tree: Provision = TO_THE_SERVICE, **changes: Any) -> SignedTicket:
        """A ticket in force, whose rules the hospital holds."""
        signed = self.signed(tree, **changes)
        assert answer(self.node, "", Delivery(signed.raw, signed.residual)) == Done(DONE)
        return signed

    def exchange(self, bearer: str, service: Service | None = None, **changes: str) -> Any:
        by = service or self.service
        form = {
            "grant_type": GRANT_TYPE,
            "subject_token": bearer,
            "subject_token_type": SUBJECT_TOKEN_TYPE,
            "client_assertion_type": ASSERTION,
            "client_assertion": by.assertion(self.node),
            **changes,
        }
        return self.client.post("/oauth/token", data=form)

    def token(self, signed: SignedTicket, **changes: str) -> str:
        answered = self.exchange(signed.bearer, **changes)
        assert answered.status_code == 200, answered.text
        return str(answered.json()["access_token"])

    def get(self, token: str, path: str) -> Any:
        return self.client.get(f"/FHIR/R4{path}", headers={"authorization": f"Bearer {token}"})

    def ids(self, token: str, path: str = "/Observation") -> list[str]:
        answered = self.get(token, path)
        assert answered.status_code == 200, answered.text
        return sorted(each["resource"]["id"] for each in answered.json().get("entry", ()))

    def used(self, signed: SignedTicket) -> int:
        with self.node.engine.snapshot() as reader:
            row = TICKETS.get(reader, signed.message.ticket)
        assert row is not None
        return row.used

    def refused(self, bearer: str, service: Service | None = None, **changes: str) -> tuple[int, str, str]:
        answered = self.exchange(bearer, service, **changes)
        assert "access_token" not in answered.text
        said = answered.json()
        return answered.status_code, said["error"], said["error_description"]


def service(node: Node, smart: Smart, name: str, role_class: RoleClass = RoleClass.SYSTEM, **more: Any) -> Service:
    key = ECKey.generate_key("P-384", {"kid": "k"})
    person = certify_person(node, name=name, role="Service", registration=name, role_class=role_class)
    account = smart.accounts.add_staff(person, role_class, name=name)
    jwks = msgspec.json.encode({"keys": [key.as_dict(private=False)]})
    app = smart.apps.add(NewApp(AppKind.BACKEND, name, jwks=jwks, account=account, **more)).app
    return Service(app, person, key)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    folder: Path = tmp_path_factory.mktemp("clinic")
    with world(folder, organisations=(HOSPITAL,), has_index=True) as made:
        later_s = [0]
        node = dataclasses.replace(made.hospital, clock=lambda: int(time.time()) + later_s[0])
        smart = Smart(node, SmartSettings(BASE), lambda pseudonym: projection.patient_id(node, pseudonym))
        server = FhirServer(node, FhirSettings(BASE), smart.gate)
        mine = wallet.begin(wallet.new_wallet(), chain=node.chain, custodian=HOSPITAL)
        ann = wallet.relationship(mine, chain=node.chain, custodian=HOSPITAL)
        enrol(node, NUMBER, BORN, key=wallet.signing_key(mine, ann), pseudonym=ann.pseudonym)
        chart = [
            PATIENT,
            observation(id="plain"),
            observation(id="laboratory", category=[LABORATORY]),
            {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/ann"}},
        ]
        store(node, [Write(parse(json.dumps(each).encode())) for each in chart])
        services = [service(node, smart, name) for name in ("Triage", "Other")]
        with TestClient(server.app(smart.routes(PREFIXES)), base_url=ISSUER) as client:
            yield Clinic(made, node, smart, client, mine, ann, *services, later_s)
        server.close()
        smart.close()


@pytest.fixture
def here(clinic: Clinic) -> Iterator[Clinic]:
    yield clinic
    clinic.later_s[0] = 0


# What it lets through


def test_a_service_that_may_see_nothing_sees_what_the_patients_ticket_lets_it(here: Clinic) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION}
    own = here.client.post("/oauth/token", data=form | {"client_assertion": here.service.assertion(here.node)})
    assert here.ids(own.json()["access_token"]) == []
    signed = here.ticket()
    answered = here.exchange(signed.bearer)
    said = answered.json()
    assert (answered.status_code, said["issued_token_type"], said["token_type"]) == (200, ISSUED_TOKEN_TYPE, "Bearer")
    assert (said["scope"], said["patient"], "refresh_token" in said) == ("patient/Observation.rs", "ann", False)
    assert here.ids(said["access_token"]) == ["laboratory", "plain"]
    assert here.get(said["access_token"], "/Observation/plain").status_code == 200
    assert here.get(said["access_token"], "/Condition/c").status_code == 404
    assert here.ids(own.json()["access_token"]) == []


@pytest.mark.promise("R2", "R5")
def test_a_use_is_an_event_in_the_history_and_its_receipt_can_be_checked(here: Clinic) -> None:
    signed = here.ticket()
    here.ids(here.token(signed))
    assert here.used(signed) == 1
    anchor(here.node)
    checked = check_history(
        trust_root(here.world.genesis), history(here.node, here.ann.pseudonym), now_s=here.node.clock()
    )
    assert all_faults(checked) == ()
    assert any(each.terms is not None and each.terms.basis.name == "TICKET" for each in checked.receipts)


def test_tokens_of_one_ticket_share_a_session_and_so_its_uses(here: Clinic) -> None:
    signed = here.ticket()
    tokens = [here.token(signed) for _ in range(3)]
    assert [here.ids(each) for each in tokens] == [["laboratory", "plain"]] * 3
    assert here.used(signed) == 1


@pytest.mark.parametrize(
    ("resources", "asked", "granted"),
    [
        (OBSERVATIONS, {}, "patient/Observation.rs"),
        (OBSERVATIONS, {"scope": "patient/*.cruds"}, "patient/Observation.rs"),
        (OBSERVATIONS, {"scope": "patient/Observation.r"}, "patient/Observation.r"),
        (OBSERVATIONS, {"scope": "patient/Observation.read patient/Condition.read"}, "patient/Observation.rs"),
        ((Resources("*", ("read",)),), {"scope": "patient/Condition.rs"}, "patient/Condition.r"),
        (
            (Resources("Observation", ("search",), Coding("laboratory")),),
            {"scope": "patient/Observation.rs?code=x"},
            "patient/Observation.s?code=x&category=laboratory",
        ),
    ],
)
def test_what_is_granted_is_within_the_ticket(
    here: Clinic, resources: tuple[Resources, ...], asked: dict[str, str], granted: str
) -> None:
    assert here.exchange(here.ticket(resources=resources).bearer, **asked).json()["scope"] == granted


def test_a_ticket_for_a_category_lets_no_other_record_through(here: Clinic) -> None:
    narrow = (Resources("Observation", ("read", "search"), Coding("laboratory")),)
    token = here.token(here.ticket(resources=narrow))
    assert here.ids(token) == ["laboratory"]
    assert here.get(token, "/Observation/plain").status_code == 404


@pytest.mark.promise("R1")
def test_the_rules_of_the_ticket_decide_whatever_its_claims_say(here: Clinic) -> None:
    tree = msgspec.structs.replace(TO_THE_SERVICE, provisions=(Provision(ProvisionType.DENY, classes=("Condition",)),))
    token = here.token(here.ticket(tree, resources=(Resources("*", ("read", "search")),)))
    assert here.ids(token) == ["laboratory", "plain"]
    assert here.ids(token, "/Condition") == []


def test_it_is_configured_as_what_there_is(here: Clinic) -> None:
    said = here.client.get("/FHIR/R4/.well-known/smart-configuration").json()
    assert GRANT_TYPE in said["grant_types_supported"]
    assert said["smart_permission_ticket_types_supported"] == ["urn:salus:ticket-type:1"]


# Attacks


def test_a_ticket_that_was_never_issued_gets_nothing(here: Clinic) -> None:
    status, error, words = here.refused(here.signed().bearer)
    assert (status, error) == (400, "invalid_grant")
    assert "never issued" in words


def test_a_ticket_that_was_widened_is_another_one(here: Clinic) -> None:
    claims = read_bearer(here.ticket(resources=OBSERVATIONS).bearer).claims
    everything = msgspec.structs.replace(claims.access, fhir_resources=(Resources("*", ("read",)),))
    wider = msgspec.structs.replace(claims, access=everything)
    later = msgspec.structs.replace(claims, exp=claims.exp + 86_400)
    for each in (wider, later):
        assert here.refused(write_bearer(each)[0])[:2] == (400, "invalid_grant")


WRONG: dict[str, tuple[Callable[[Clinic], dict[str, Any]], str]] = {
    "another server": (lambda here: {"audience": "https://south.example/FHIR/R4"}, "for this server"),
    "another program": (lambda here: {"thumbprint": here.other.key.thumbprint()}, "or to this one"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_ticket_for_another_gets_nothing(here: Clinic, what: str) -> None:
    changes, words = WRONG[what]
    status, error, said = here.refused(here.ticket(**changes(here)).bearer)
    assert (status, error) == (400, "invalid_grant")
    assert words in said


def test_a_bound_ticket_that_was_stolen_gets_the_thief_nothing(here: Clinic) -> None:
    bound = here.ticket(thumbprint=here.service.key.thumbprint())
    assert here.refused(bound.bearer, here.other)[1] == "invalid_grant"
    unbound = msgspec.structs.replace(read_bearer(bound.bearer).claims, presenter_binding=None)
    assert here.refused(write_bearer(unbound)[0], here.other)[1] == "invalid_grant"
    assert here.ids(here.token(bound)) == ["laboratory", "plain"]


def test_a_ticket_of_another_ledger_gets_nothing(here: Clinic) -> None:
    claims = msgspec.structs.replace(read_bearer(here.ticket().bearer).claims, iss="urn:salus:ledger:elsewhere")
    assert "of this ledger" in here.refused(write_bearer(claims)[0])[2]


@pytest.mark.parametrize("by", ["the patient", "the custodian"])
def test_a_revoked_ticket_ends_its_token_in_mid_session(here: Clinic, by: str) -> None:
    signed = here.ticket()
    token = here.token(signed)
    assert here.ids(token) == ["laboratory", "plain"]
    if by == "the patient":
        revoked = wallet.sign_revocation(here.mine, here.ann, signed.message.ticket, time_s=here.node.clock())
        assert answer(here.node, "", Delivery(revoked.raw, revoked.residual)) == Done(DONE)
    else:
        revoke_by_custodian(here.node, here.ann.pseudonym, signed.message.ticket)
    assert here.get(token, "/Observation").status_code == 401
    assert here.refused(signed.bearer)[1] == "invalid_grant"


def test_a_ticket_that_ends_takes_its_token_along(here: Clinic) -> None:
    signed = here.ticket(expires_at_s=here.node.clock() + 60)
    answered = here.exchange(signed.bearer).json()
    assert answered["expires_in"] <= 60
    assert here.ids(answered["access_token"]) == ["laboratory", "plain"]
    here.later_s[0] = 61
    assert here.get(answered["access_token"], "/Observation").status_code == 401
    assert here.refused(signed.bearer)[1] == "invalid_grant"


def test_a_ticket_that_is_used_up_gets_no_token_and_opens_nothing_more(here: Clinic) -> None:
    signed = here.ticket(uses_max=1)
    token = here.token(signed)
    assert here.ids(token) == ["laboratory", "plain"]
    assert here.refused(signed.bearer)[1] == "invalid_grant"
    assert here.get(token, "/Observation/plain").status_code == 403  # reading is another use than searching
    assert here.used(signed) == 1


def test_a_service_whose_certificate_was_revoked_gets_nothing_for_a_ticket(here: Clinic) -> None:
    fired = service(here.node, here.smart, "Fired")
    bearer = here.ticket().bearer
    token = here.exchange(bearer, fired).json()["access_token"]
    here.node.submit(RevokeCertificate(HOSPITAL, fired.person.certificate_id))
    assert here.get(token, "/Observation").status_code == 401
    assert here.refused(bearer, fired)[1] == "invalid_grant"


def test_a_token_that_the_service_ended_is_over_and_the_ticket_may_be_shown_again(here: Clinic) -> None:
    signed = here.ticket()
    token = here.token(signed)
    ended = {"client_assertion_type": ASSERTION, "client_assertion": here.service.assertion(here.node), "token": token}
    assert here.client.post("/oauth/revoke", data=ended).status_code == 200
    assert here.get(token, "/Observation").status_code == 401
    assert here.ids(here.token(signed)) == ["laboratory", "plain"]
    assert here.get(token, "/Observation").status_code == 401


def test_a_services_own_token_is_none_of_a_ticket(here: Clinic) -> None:
    fresh = service(here.node, here.smart, "Fresh")
    assert here.exchange(here.ticket().bearer, fresh).status_code == 200
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION}
    own = here.client.post("/oauth/token", data=form | {"client_assertion": fresh.assertion(here.node)}).json()
    assert here.smart.grants.look(own["access_token"])[0].login.ticket is None
    assert "patient" not in own


def test_a_service_has_no_more_by_a_ticket_than_it_was_registered_for(here: Clinic) -> None:
    bounded = service(here.node, here.smart, "Bounded", scopes=("system/Observation.r",))
    ticket = here.ticket(resources=(Resources("*", ("read", "search")),))
    assert here.exchange(ticket.bearer, bounded).json()["scope"] == "patient/Observation.r"
    assert here.refused(ticket.bearer, bounded, scope="patient/Condition.rs")[1] == "invalid_scope"


def test_who_acts_for_a_patient_is_given_nothing_for_a_ticket(here: Clinic) -> None:
    person = service(here.node, here.smart, "Own")
    ben = enrol(here.node, NhsNumber("9990000026"), BORN)
    account = here.smart.accounts.add_patient(ben, name="Ben")
    jwks = msgspec.json.encode({"keys": [person.key.as_dict(private=False)]})
    app = here.smart.apps.add(NewApp(AppKind.BACKEND, "Ben's", jwks=jwks, account=account)).app
    status, error, words = here.refused(here.ticket().bearer, dataclasses.replace(person, app=app))
    assert (status, error) == (400, "invalid_grant")
    assert "not for a patient" in words


FORMS: dict[str, tuple[dict[str, str], str]] = {
    "another kind of token": ({"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
    "a token of somebody who acts": ({"actor_token": "x"}, "invalid_request"),
    "a refresh token wanted": (
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        "invalid_request",
    ),
    "a system's scopes": ({"scope": "system/*.rs"}, "invalid_scope"),
    "scopes to write": ({"scope": "patient/Observation.cud"}, "invalid_scope"),
    "another type": ({"scope": "patient/Condition.rs"}, "invalid_scope"),
    "no scopes": ({"scope": " "}, "invalid_scope"),
    "no ticket": ({"subject_token": "x"}, "invalid_grant"),
    "no assertion": ({"client_assertion": ""}, "invalid_client"),
}


@pytest.mark.parametrize("what", FORMS)
def test_an_exchange_that_is_unfit_is_refused(here: Clinic, what: str) -> None:
    changes, error = FORMS[what]
    assert here.refused(here.ticket().bearer, None, **changes)[1] == error


def test_a_ticket_is_in_no_log_and_no_answer(here: Clinic, caplog: pytest.LogCaptureFixture) -> None:
    signed = here.ticket()
    said = [here.exchange(signed.bearer).text, here.exchange(signed.bearer, scope="system/*.rs").text, caplog.text]
    assert not any(signed.bearer[:200] in each for each in said)
    assert signed.bearer not in repr(signed)


def test_a_verb_has_a_use_of_its_own(here: Clinic) -> None:
    signed = here.ticket()
    token = here.token(signed)
    here.ids(token)
    assert here.get(token, "/Observation/plain").status_code == 200
    assert here.used(signed) == 2
    assert {Verb.READ, Verb.SEARCH} == {each.verb for each in _permits(here, signed)}


def _permits(here: Clinic, signed: SignedTicket) -> list[Any]:
    with here.node.engine.snapshot() as reader:
        trail = read_trail(reader, Pseudonym(here.ann.pseudonym))
    return [
        each.outcome
        for each in trail
        if isinstance(each.outcome, AccessPermitted) and PublicKey(each.outcome.ticket) == signed.message.ticket
    ]
