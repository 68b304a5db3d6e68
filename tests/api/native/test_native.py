"""The native API and its OpenAPI document: every route, status and schema of the one is met by the other."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from salus.api.fhir.failures import Failure, Issue
from salus.api.fhir.interactions import INTERACTIONS
from salus.api.native import app as native_app
from salus.api.native.call import Operation
from salus.api.native.operations import OPERATIONS
from salus.api.smart.scopes import NATIVE
from salus.contracts.membership import PublishFile
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, gate
from salus.contracts.residuals import commit_choice
from salus.contracts.ticket_bearers import read_bearer
from salus.contracts.tickets import IssueTicket
from salus.crypto.hashing import sha256
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.engines.base import Unavailable
from salus.ledger import transactions
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, PublicKey
from salus.node.errors import Busy, NotNow, Refusal, Refused
from salus.node.founding import trust_root
from salus.node.services import ledger_reads, own_history, ticket_desk
from salus.node.services.anchor import anchor
from salus.node.services.enrol import custodian_held_key
from salus.sdk.verify import verify_file
from salus.testing.world import HOSPITAL
from tests.api.native.native_world import Office, office

pytestmark = [pytest.mark.services, pytest.mark.promise("L5", "R4")]

UNKNOWN = "0" * 64


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as made:
        read = made.ask("ann", "GET", "/FHIR/R4/Observation/o")
        assert read.status_code == 200, read.text
        anchor(made.node)
        yield made


@pytest.fixture(scope="module")
def said(here: Office) -> dict[str, Any]:
    answer = here.ask("", "GET", "/api/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def care(here: Office, **changes: Any) -> dict[str, Any]:
    ask = {
        "kind": "care",
        "organisations": ["RVJ"],
        "role_class": "clinical",
        "resources": [{"type": "Observation", "interactions": ["read"]}],
        "uses_max": 3,
        "expires_at_s": here.node.clock() + 600,
    }
    return {name: value for name, value in (ask | changes).items() if value is not None}


def given(here: Office, who: str = "nurse") -> dict[str, str]:
    answer = here.ask(who, "POST", "/api/1/tickets", care(here))
    assert answer.status_code == 201, answer.text
    return answer.json()


def signed(here: Office, *, pseudonym: bytes = b"") -> dict[str, str]:
    """A ticket that a key of Ann's has signed, as her device sends it."""
    tree = Provision(
        ProvisionType.PERMIT, organisations=(HOSPITAL,), role_classes=(RoleClass.CLINICAL,), purposes=(Purpose.TREAT,)
    )
    key, residual = SigningKey.generate(), commit_choice(tree, secret=new_key())
    message = IssueTicket(
        pseudonym=pseudonym or here.ann,
        ticket=PublicKey(key.public),
        condition=gate(tree).may_permit[0],
        uses_max=1,
        expires_at_s=here.node.clock() + 600,
        commitment=residual.root(),
    )
    raw = transactions.sign(
        [message],
        chain=here.node.chain,
        keys=[custodian_held_key(here.node, here.ann), key],
        expires_at_s=here.node.clock() + 60,
        nonce=bytes(16),
    )
    return {"kind": "signed", **{name: base64.b64encode(each).decode() for name, each in
                                 (("transaction", raw), ("rules", encode(residual)))}}  # fmt: skip


def own_transaction(here: Office) -> str:
    result = here.node.submit(PublishFile(HOSPITAL, "terms", Digest(sha256(str(time.time_ns()).encode()))))
    leaf = msgspec.msgpack.decode(result.leaves[0])
    return leaf[2].hex()


def a_receipt(here: Office) -> str:
    listed = here.ask("ann", "GET", "/api/1/receipts").json()["receipts"]
    return f"{listed[0]['permit']}/{listed[0]['part']}"


# What each answers

Calls = dict[tuple[str, int], Callable[[Office], Any]]


def get(who: str, path: str | Callable[[Office], str]) -> Callable[[Office], Any]:
    return lambda here: here.ask(who, "GET", "/api/1" + (path if isinstance(path, str) else path(here)))


def post(who: str, body: Callable[[Office], Any], **headers: str) -> Callable[[Office], Any]:
    return lambda here: here.ask(who, "POST", "/api/1/tickets", body(here), **headers)


def delete(who: str, name: Callable[[Office], str]) -> Callable[[Office], Any]:
    return lambda here: here.ask(who, "DELETE", f"/api/1/tickets/{name(here)}")


ANSWERS: Calls = {
    ("status", 200): get("", "/status"),
    ("members", 200): get("nurse", "/members"),
    ("header", 200): get("nurse", "/headers/0"),
    ("header", 404): get("nurse", "/headers/999999999"),
    ("outcome", 200): get("nurse", lambda here: f"/outcomes/{own_transaction(here)}"),
    ("outcome", 404): get("nurse", f"/outcomes/{UNKNOWN}"),
    ("proofs", 200): get("nurse", lambda here: f"/proofs/{own_transaction(here)}"),
    ("proofs", 404): get("nurse", f"/proofs/{UNKNOWN}"),
    ("history", 200): get("ann", "/history"),
    ("receipts", 200): get("ann", "/receipts"),
    ("receipt", 200): get("ann", lambda here: f"/receipts/{a_receipt(here)}"),
    ("receipt", 404): get("ann", f"/receipts/{UNKNOWN[:32]}/1"),
    ("tickets", 200): get("ann", "/tickets"),
    ("give-ticket", 201): post("ann", care),
    ("give-ticket", 400): post("nurse", lambda here: care(here, uses_max=0)),
    ("give-ticket", 409): post("nurse", lambda here: care(here, expires_at_s=1)),
    ("give-ticket", 413): post("nurse", lambda here: b" " * (native_app.BODY_BYTES_MAX + 1)),
    ("give-ticket", 415): post("nurse", care, **{"content-type": "text/plain"}),
    ("ticket", 200): get("nurse", lambda here: f"/tickets/{given(here)['ticket']}"),
    ("ticket", 404): get("nurse", f"/tickets/{UNKNOWN}"),
    ("end-ticket", 204): delete("ann", lambda here: given(here)["ticket"]),
    ("end-ticket", 404): delete("ann", lambda here: UNKNOWN),
    **{(each.name, 401): (lambda here, each=each: tried(here, each, "nobody")) for each in OPERATIONS if each.scope},
    **{(each.name, 403): (lambda here, each=each: tried(here, each, "reader")) for each in OPERATIONS if each.scope},
}
EXAMPLES = {"height": "0", "transaction": UNKNOWN, "permit": UNKNOWN[:32], "part": "1", "ticket": UNKNOWN}
STAGED: dict[tuple[str, int], tuple[Any, str, Exception]] = {
    **{
        (name, 409): (own_history.audit, "answer_history", Refused(Refusal.RULES_MISSING, "lost"))
        for name in ("history", "receipts", "receipt")
    },
    ("end-ticket", 409): (ticket_desk, "ticket_of", Refused(Refusal.LEDGER_REJECTED, "no")),
    ("give-ticket", 408): (native_app, "read_body", Failure(408, Issue("timeout", "", "slow"))),
}
"""What a vault that lost something, a ledger that refuses, or a slow client comes to."""


@pytest.mark.parametrize("case", STAGED, ids=lambda case: f"{case[0]} {case[1]}")
def test_each_answer_to_what_goes_wrong(here: Office, monkeypatch: pytest.MonkeyPatch, case: tuple[str, int]) -> None:
    place, name, error = STAGED[case]

    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(place, name, failing)
    (operation,) = (each for each in OPERATIONS if each.name == case[0])
    answer = tried(here, operation, "ann")
    assert (answer.status_code, set(answer.json())) == (case[1], {"refusal", "words"})


def tried(here: Office, operation: Operation, who: str) -> Any:
    path = re.sub(r"\{(\w+)\}", lambda found: EXAMPLES[found[1]], operation.path)
    body = care(here) if operation.takes is not None else None
    return here.ask(who, operation.method, f"/api/1{path}", body)


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case[0]} {case[1]}")
def test_each_answer_is_what_the_document_says(here: Office, said: dict[str, Any], case: tuple[str, int]) -> None:
    answer = ANSWERS[case](here)
    assert answer.status_code == case[1], answer.text
    documented = answers_of(said)[case]
    content = documented.get("content", {})
    if not content:
        assert answer.content == b""
        return
    (kind,) = content
    assert answer.headers["content-type"].partition(";")[0] == kind
    if kind == "application/json":
        meets(answer.json(), content[kind]["schema"], said)


def answers_of(said: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (operation["operationId"], int(status)): response
        for path in said["paths"].values()
        for operation in path.values()
        for status, response in operation["responses"].items()
    }


def meets(value: Any, schema: dict[str, Any], said: dict[str, Any]) -> None:
    """A value has just the members that a schema lists, each of its kind: as much of JSON Schema as msgspec writes."""
    if "$ref" in schema:
        schema = said["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        assert value in schema["enum"]
    elif schema.get("type") == "object":
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for name, each in value.items():
            meets(each, schema["properties"][name], said)
    elif schema.get("type") == "array":
        assert isinstance(value, list)
        for each in value:
            meets(each, schema["items"], said)
    else:
        kinds = {"string": str, "integer": int, "boolean": bool, "number": float}
        assert isinstance(value, kinds[schema["type"]])
        assert re.search(schema.get("pattern", ""), str(value))


def test_every_status_of_every_operation_is_tried(said: dict[str, Any]) -> None:
    always = {(each.name, status) for each in OPERATIONS for status in (429, 503)}
    assert set(answers_of(said)) == set(ANSWERS) | set(STAGED) | always


def test_the_document_has_the_routes_and_no_others(here: Office, said: dict[str, Any]) -> None:
    documented = {(path, method.upper()) for path, each in said["paths"].items() for method in each}
    served = {
        (route.path, method)
        for route in here.native.routes()
        for method in route.methods or ()
        if method not in ("HEAD", "OPTIONS") and "{rest:path}" not in route.path
    }
    assert served == documented | {("/api/openapi.json", "GET"), ("/api/fhir/openapi.json", "GET")}
    assert said["openapi"] == "3.1.0"
    assert {each.scope for each in OPERATIONS} == {"", *NATIVE}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
@pytest.mark.parametrize(("error", "status"), [(NotNow("away"), 503), (Unavailable("away"), 503), (Busy("full"), 429)])
def test_what_is_away_is_said_to_be(
    here: Office, monkeypatch: pytest.MonkeyPatch, operation: Operation, error: Exception, status: int
) -> None:
    def done(*_: object) -> None:
        with native_app.plainly():
            raise error

    monkeypatch.setattr(native_app, "_done", done)
    answer = tried(here, operation, "ann")
    assert answer.status_code == status
    assert status in operation.statuses
    assert (answer.json()["refusal"], bool(answer.headers["retry-after"])) == (0, True)


def test_the_fhir_servers_document_has_what_is_registered(here: Office) -> None:
    fhir = here.ask("", "GET", "/api/fhir/openapi.json").json()
    documented = {(path, method.upper()) for path, each in fhir["paths"].items() for method in each}
    assert documented == {(each.path, each.method) for each in INTERACTIONS}
    assert fhir["servers"] == [{"url": "https://north.example/FHIR/R4"}]


# What it shows to whom


def test_a_history_and_each_of_its_receipts_verify_offline(here: Office) -> None:
    trust, now_s = trust_root(here.world.genesis), here.node.clock()
    history = verify_file(here.ask("ann", "GET", "/api/1/history").content, trust, now_s=now_s)
    assert (history.kind, history.faults) == ("history", ())
    listed = here.ask("ann", "GET", "/api/1/receipts").json()["receipts"]
    assert listed
    for each in listed:
        file = here.ask("ann", "GET", f"/api/1/receipts/{each['permit']}/{each['part']}").content
        assert verify_file(file, trust, now_s=now_s).kind == "receipt"


def test_a_proof_of_an_own_outcome_verifies_offline(here: Office) -> None:
    transaction = own_transaction(here)
    (proof,) = here.ask("nurse", "GET", f"/api/1/proofs/{transaction}").json()["proofs"]
    proved = verify_file(base64.b64decode(proof), trust_root(here.world.genesis), now_s=here.node.clock())
    assert proved.kind == "outcome"


@pytest.mark.parametrize("path", ["/history", "/receipts", f"/receipts/{UNKNOWN[:32]}/1"])
def test_staff_reads_no_history(here: Office, path: str) -> None:
    for who in ("nurse", "system"):
        answer = here.ask(who, "GET", f"/api/1{path}")
        assert (answer.status_code, "session" in answer.json()["words"]) == (403, True)


def test_who_gives_no_care_sees_no_tickets_and_gives_none(here: Office) -> None:
    ticket = given(here)["ticket"]
    asked = [("GET", ""), ("POST", ""), ("GET", f"/{ticket}"), ("DELETE", f"/{ticket}")]
    tries = [here.ask("system", method, f"/api/1/tickets{path}", care(here) if method == "POST" else None)
             for method, path in asked]  # fmt: skip
    assert [each.status_code for each in tries] == [403] * 4
    assert here.ask("nurse", "GET", f"/api/1/tickets/{ticket}").json()["state"] == "in force"


def test_a_token_that_is_about_nobody_reads_the_ledger_alone(here: Office) -> None:
    assert here.ask("alone", "GET", "/api/1/members").status_code == 200
    for path in ("/history", "/tickets"):
        assert here.ask("alone", "GET", f"/api/1{path}").status_code == 403


def test_a_ticket_is_given_shown_and_ended(here: Office) -> None:
    ticket = given(here)
    assert read_bearer(ticket["bearer"]).key.public.hex() == ticket["ticket"]
    path = f"/api/1/tickets/{ticket['ticket']}"
    shown = here.ask("ann", "GET", path).json()
    assert (shown["state"], shown["issuer"], shown["uses_left"]) == ("in force", "custodian", 3)
    assert shown["conditions"][0]["organisations"] == ["RVJ"]
    assert here.ask("ann", "DELETE", path).status_code == 204
    assert here.ask("ann", "DELETE", path).status_code == 204
    assert here.ask("nurse", "GET", path).json()["state"] == "revoked"
    listed = here.ask("nurse", "GET", "/api/1/tickets").json()["tickets"]
    assert listed[0] == here.ask("nurse", "GET", path).json()


def test_a_ticket_that_a_device_signed_is_passed_on_with_its_rules(here: Office) -> None:
    answer = here.ask("ann", "POST", "/api/1/tickets", signed(here))
    assert (answer.status_code, answer.json()["bearer"]) == (201, "")
    assert here.ask("ann", "GET", f"/api/1/tickets/{answer.json()['ticket']}").json()["uses_max"] == 1


BAD_SIGNED: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "no transaction": lambda ask: ask | {"transaction": "AAAA"},
    "no rules": lambda ask: ask | {"rules": "AAAA"},
    "no base64": lambda ask: ask | {"rules": "?"},
    "something more": lambda ask: ask | {"more": "1"},
}


@pytest.mark.parametrize("what", BAD_SIGNED)
def test_a_signed_ticket_that_is_unfit_is_refused(here: Office, what: str) -> None:
    assert here.ask("ann", "POST", "/api/1/tickets", BAD_SIGNED[what](signed(here))).status_code == 400


def test_a_signed_ticket_of_another_patient_is_refused(here: Office) -> None:
    answer = here.ask("ann", "POST", "/api/1/tickets", signed(here, pseudonym=bytes(16)))
    assert answer.status_code == 400
    assert "of this patient" in answer.json()["words"]


@pytest.mark.promise("R4")
def test_what_is_another_organisations_is_answered_as_what_never_was(here: Office, monkeypatch: Any) -> None:
    never = here.ask("nurse", "GET", f"/api/1/outcomes/{UNKNOWN}")
    transaction = own_transaction(here)
    monkeypatch.setattr(ledger_reads.own_proofs, "_is_theirs", lambda *_: False)
    anothers = here.ask("nurse", "GET", f"/api/1/outcomes/{transaction}")
    assert (anothers.status_code, anothers.content) == (never.status_code, never.content)


# Bad input


@pytest.mark.parametrize("path", ["/api", "/api/2", "/api/1/other", "/api/1/headers", "/api/1/headers/-1",
                                  "/api/1/headers/1e3", "/api/1/outcomes/xyz", "/api/1/receipts/00/1"])  # fmt: skip
def test_an_address_that_is_none_is_answered_in_the_same_shape(here: Office, path: str) -> None:
    answer = here.ask("nurse", "GET", path)
    assert answer.status_code == 404
    if path != "/api":  # below the FHIR server's own roof
        assert set(answer.json()) == {"refusal", "words"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000, b'{"kind":"other"}',
                                  json.dumps({"kind": "care"}).encode()])  # fmt: skip
def test_a_body_that_is_none_is_refused_without_an_echo(here: Office, body: bytes) -> None:
    answer = here.ask("nurse", "POST", "/api/1/tickets", body)
    assert (answer.status_code, answer.json()["words"]) == (400, "expected JSON as the OpenAPI document has it")


@pytest.mark.parametrize("changes", [
    {"organisations": []}, {"organisations": ["lower"]}, {"role_class": "insurer"}, {"purpose": "btg"},
    {"resources": []}, {"resources": [{"type": "Observation", "interactions": ["update"]}]}, {"thumbprint": "x"},
    {"expires_at_s": -1}, {"uses_max": 10_001}, {"more": 1},
])  # fmt: skip
def test_a_ticket_that_is_unfit_is_refused(here: Office, changes: dict[str, Any]) -> None:
    assert here.ask("nurse", "POST", "/api/1/tickets", care(here, **changes)).status_code == 400


def test_a_ticket_for_a_type_that_is_none_is_refused(here: Office) -> None:
    many = [{"type": "T" + "x" * 60, "interactions": ["read"]}]
    assert here.ask("nurse", "POST", "/api/1/tickets", care(here, resources=many)).status_code in (201, 400)
