"""Consent: filing, replacing or withdrawing one is the ledger's transaction; nobody else sees that there is one."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.fhir.validation import base_validator
from salus.contracts import consent
from salus.contracts.patients import Actor
from salus.contracts.provisions import Provision, ProvisionType, RoleClass, gate
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.node.errors import Refused
from salus.node.services import choices
from salus.node.services.deposit import deposit
from salus.sdk import wallet as wallets
from tests.api.fhir.fhir_world import Answer, Hospital, Someone, ask, hospital, observation
from tests.api.fhir.ledger_people import WalletHolder, assisted, pseudonym_of, with_wallet

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
DENY_PSY = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|{PSY['code']}",))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        assert ask(
            made, "feed", "PUT", "/Observation/secret", observation(id="secret", meta={"security": [PSY]})
        ).status
        assisted(made, "ann")
        assisted(made, "ben")
        dan = {
            "resourceType": "Patient",
            "id": "dan",
            "birthDate": "1960-01-01",
            "identifier": [{"system": "urn:h", "value": "4"}],
        }
        assert ask(made, "feed", "PUT", "/Patient/dan", dan).status == 201
        yield made


@pytest.fixture(scope="module")
def cat(here: Hospital) -> WalletHolder:
    return with_wallet(here, "cat", 7)


def deny_psy(patient: str = "ann", **more: object) -> dict:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": PSY["system"], "code": "IDSCL"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "policyRule": {"coding": [{"system": PSY["system"], "code": "OPTOUT"}]},
        "provision": {"securityLabel": [PSY]},
    } | more


def filed(here: Hospital, who: str = "ann", **more: object) -> Answer:
    answer = ask(here, who, "POST", "/Consent", deny_psy(who, **more))
    assert answer.status == 201, answer.text
    return answer


def in_force(here: Hospital, logical_id: str) -> tuple[consent.Choice, ...]:
    with here.node.engine.snapshot() as reader:
        return consent.choices(reader, pseudonym_of(here, logical_id)).choices


def get(here: Hospital, who: str, path: str) -> Answer:
    return ask(here, who, "GET", path, x_request_id="same")


@pytest.mark.promise("R3")
def test_filing_and_withdrawing_a_consent_is_the_ledgers_transaction(here: Hospital) -> None:
    assert get(here, "nurse", "/Observation/secret").status == 200
    made = filed(here)
    (choice,) = in_force(here, "ann")
    assert (choice.gate, choice.actor) == (gate(DENY_PSY), Actor.CUSTODIAN)
    assert get(here, "nurse", "/Observation/secret").status == 404  # the very next one
    body = get(here, "ann", f"/Consent/{made.body['id']}").body
    assert (body["status"], body["meta"]["tag"][0]["code"], body["meta"]["versionId"]) == ("active", "custodian", "1")
    assert [each for each in base_validator().validate(body) if each.severity == "error"] == []

    gone = ask(here, "ann", "PUT", f"/Consent/{body['id']}", body | {"status": "inactive"})
    assert (gone.status, gone.body["status"], gone.headers["etag"], in_force(here, "ann")) == (
        200,
        "inactive",
        'W/"2"',
        (),
    )
    assert get(here, "nurse", "/Observation/secret").status == 200
    assert get(here, "ann", f"/Consent/{body['id']}").body["status"] == "inactive"


def test_a_choice_is_replaced_under_its_id_and_deleted_by_withdrawal(here: Hospital) -> None:
    made = filed(here).body
    wider = made | {"provision": {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}}
    late = ask(here, "ann", "PUT", f"/Consent/{made['id']}", wider, if_match='W/"9"')
    assert (late.status, late.detail) == (412, "MSG_VERSION_AWARE_CONFLICT")
    changed = ask(here, "ann", "PUT", f"/Consent/{made['id']}", wider, if_match='W/"1"')
    assert (changed.status, changed.body["id"], changed.body["provision"]) == (200, made["id"], wider["provision"])
    assert [each.gate for each in in_force(here, "ann")] == [
        gate(Provision(type=ProvisionType.DENY, classes=("Observation",)))
    ]
    for _ in range(2):
        assert ask(here, "ann", "DELETE", f"/Consent/{made['id']}").status == 204
    assert (in_force(here, "ann"), get(here, "ann", f"/Consent/{made['id']}").body["status"]) == ((), "inactive")


def signed(holder: WalletHolder, tree: Provision, here: Hospital) -> dict:
    made = wallets.sign_choice(holder.wallet, holder.relationship, tree, time_s=here.node.clock())
    holder.wallet = wallets.keep_choice(holder.wallet, holder.relationship, made, time_s=here.node.clock())
    return delivery(made.raw, encode(made.residual))


def delivery(raw: bytes, residual: bytes, **more: dict) -> dict:
    parts = {"transaction": raw, "residual": residual}
    parameters = [{"name": name, "valueBase64Binary": b64encode(value).decode()} for name, value in parts.items()]
    return {
        "resourceType": "Parameters",
        "parameter": [*parameters, *({"name": name} | each for name, each in more.items())],
    }


def consent_of(answer: Answer) -> dict:
    assert answer.status == 200, answer.text
    (found,) = (each["resource"] for each in answer.body["parameter"] if each["name"] == "consent")
    return found


def test_what_the_patients_device_signed_is_filed_and_withdrawn(here: Hospital, cat: WalletHolder) -> None:
    made = consent_of(ask(here, "cat", "POST", "/Consent/$fileConsent", signed(cat, DENY_PSY, here)))
    assert (made["meta"]["tag"][0]["code"], made["verification"][0]["verified"]) == ("patient", True)
    assert get(here, "cat", f"/Consent/{made['id']}").body == made
    by_custodian = ask(here, "cat", "DELETE", f"/Consent/{made['id']}")
    assert (by_custodian.status, len(in_force(here, "cat"))) == (422, 1)  # the patient holds the key
    choice = cat.relationship.choices[-1].choice
    why = wallets.sign_withdrawal(cat.wallet, cat.relationship, choice, time_s=here.node.clock())
    gone = ask(here, "cat", "POST", "/Consent/$revokeConsent", delivery(why.raw, encode(why.residual)))
    assert (consent_of(gone)["status"], in_force(here, "cat")) == ("inactive", ())


def test_staff_brings_what_a_device_signed_and_names_the_patient(here: Hospital, cat: WalletHolder) -> None:
    named = {"patient": {"valueReference": {"reference": "Patient/cat"}}}
    body = signed(cat, DENY_PSY, here)
    assert ask(here, "nurse", "POST", "/Consent/$fileConsent", body).status == 404
    body["parameter"].append({"name": "patient"} | named["patient"])
    assert consent_of(ask(here, "nurse", "POST", "/Consent/$fileConsent", body))["status"] == "active"


def test_operations_file_and_revoke_by_custodian_where_nothing_is_signed(here: Hospital) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "consent", "resource": deny_psy()}]}
    made = consent_of(ask(here, "ann", "POST", "/Consent/$fileConsent", body))
    assert made["meta"]["tag"][0]["code"] == "custodian"
    named = {"name": "consent", "valueReference": {"reference": f"Consent/{made['id']}"}}
    gone = ask(here, "ann", "POST", "/Consent/$revokeConsent", {"resourceType": "Parameters", "parameter": [named]})
    assert (consent_of(gone)["status"], in_force(here, "ann")) == ("inactive", ())


def withdraw_all(here: Hospital, who: str, *parameters: dict) -> Answer:
    body = {"resourceType": "Parameters", "parameter": list(parameters)}
    return ask(here, who, "POST", "/Consent/$revokeConsent", body)


@pytest.mark.promise("R3")
def test_a_patient_whose_choice_shuts_themself_out_withdraws_it_without_seeing_it(here: Hospital) -> None:
    choices.file_by_custodian(here.node, pseudonym_of(here, "ben"), Provision(type=ProvisionType.DENY))
    assert get(here, "ben", "/Consent").body["total"] == 0
    assert get(here, "ben", "/Patient/ben").status == 404
    answer = withdraw_all(here, "ben")
    assert (answer.status, [each["name"] for each in answer.body["parameter"]]) == (200, ["return"])
    assert in_force(here, "ben") == ()
    assert {each["resource"]["status"] for each in get(here, "ben", "/Consent").body["entry"]} == {"inactive"}
    assert withdraw_all(here, "ben").status == 200  # again is the same


def test_nobody_else_withdraws_all_choices_of_a_patient(here: Hospital, cat: WalletHolder) -> None:
    filed(here)
    before, ben = len(in_force(here, "ann")), here.tokens.people["ben"]
    here.tokens.people["narrow"] = Someone(
        here.tokens.people["ann"].login,
        patient=here.tokens.people["ann"].patient,
        narrowed={"Consent": ((("status", "inactive"),),)},
    )
    delegate = replace(ben.login, ticket=SigningKey.from_seed(b"t" * 32))
    here.tokens.people["delegate"] = Someone(delegate, patient=ben.patient)
    here.tokens.people["unscoped"] = Someone(ben.login, patient=ben.patient, may_not="d")
    named = {"name": "patient", "valueReference": {"reference": "Patient/ann"}}
    for who, parameters, status in (
        ("nurse", (named,), 403),
        ("nurse", (), 404),
        ("ann-app", (), 403),
        ("ben", (named,), 404),
        ("delegate", (), 403),
        ("narrow", (), 400),
        ("unscoped", (), 403),
        ("ann", ({"name": "residual", "valueBase64Binary": "AA=="},), 400),
    ):
        assert withdraw_all(here, who, *parameters).status == status, (who, parameters)
    assert len(in_force(here, "ann")) == before
    assert (withdraw_all(here, "ann").status, in_force(here, "ann")) == (200, ())
    held = in_force(here, "cat")
    assert (withdraw_all(here, "cat").status, in_force(here, "cat")) == (422 if held else 200, held)


def test_staff_files_on_dated_evidence_only(here: Hospital) -> None:
    undated = ask(here, "nurse", "POST", "/Consent", deny_psy("ben"))
    assert (undated.status, "verificationDate" in undated.text) == (422, True)
    made = ask(
        here,
        "nurse",
        "POST",
        "/Consent",
        deny_psy("ben", verification=[{"verified": True, "verificationDate": "2026-01-02"}]),
    )
    assert (made.status, made.body["verification"]) == (201, [{"verified": False, "verificationDate": "2026-01-02"}])
    assert get(here, "nurse", f"/Consent/{made.body['id']}").status == 404  # it is the patient's to see
    here.tokens.people["feeder"] = Someone(here.login("feeder", RoleClass.SYSTEM))
    assert ask(here, "feeder", "POST", "/Consent", deny_psy("ben")).status == 404


@pytest.mark.promise("R4", "P7")
def test_to_everybody_else_a_consent_is_as_if_it_never_was(here: Hospital) -> None:
    made = filed(here).body["id"]
    never = made[:-1] + ("A" if made[-1] != "A" else "B")
    for who in ("nurse", "feed", "ben", "ann-app"):
        came = [get(here, who, f"/Consent/{name}") for name in (made, never, "x")]
        assert [(each.status, each.text) for each in came] == [(404, came[0].text)] * 3
        assert ask(here, who, "DELETE", f"/Consent/{made}").status == 404
        assert ask(here, who, "PUT", f"/Consent/{made}", deny_psy() | {"id": made}).status == 404
        found = get(here, who, "/Consent?patient=ann")
        assert (found.status, found.body["total"], "entry" in found.body) == (200, 0, False)
        assert get(here, who, "/Patient/ann/Consent").body["total"] == 0
    assert get(here, "reader", "/Patient/ann?_revinclude=Consent:patient").text.count("IDSCL") == 0
    assert len(in_force(here, "ann")) == 1


def found_ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [each["resource"]["id"] for each in answer.body.get("entry", []) if each["search"]["mode"] == "match"]


def test_consents_are_searched_page_by_page(here: Hospital) -> None:
    newest, older = (
        filed(here).body["id"],
        [each["resource"]["id"] for each in get(here, "ann", "/Consent").body["entry"]],
    )
    assert found_ids(get(here, "ann", "/Consent"))[0] == newest
    active = found_ids(get(here, "ann", "/Consent?patient=Patient/ann&status=active"))
    assert len(active) == len(in_force(here, "ann"))
    assert set(active) <= set(older)
    for query, is_all in (
        ("scope=patient-privacy", True),
        ("security-label=PSY&status=active", None),
        ("_tag=urn:salus:actor|custodian", True),
        ("_tag=patient", False),
        ("date=ge2020-01-01", True),
        ("date=lt2020-01-01", False),
        ("consentor=Patient/ann", False),
        ("organization:identifier=https://fhir.nhs.uk/Id/ods-organization-code|RVJ", True),
        ("status:not=active", None),
        (f"_id={newest}", None),
        ("actor:missing=true", True),
    ):
        got = found_ids(get(here, "ann", f"/Consent?{query}"))
        assert is_all is None or bool(got) is is_all, query
        assert set(got) <= set(older)
    assert found_ids(get(here, "ann", f"/Consent?_id={newest}")) == [newest]
    first = get(here, "ann", "/Consent?_count=1")
    (link,) = (each["url"] for each in first.body["link"] if each["relation"] == "next")
    rest = get(here, "ann", link.removeprefix("https://fhir.rvj.example/FHIR/R4"))
    assert found_ids(first) + found_ids(rest)[:1] == found_ids(get(here, "ann", "/Consent"))[:2]
    assert get(here, "ben", link.removeprefix("https://fhir.rvj.example/FHIR/R4")).status == 404
    counted = get(here, "ann", "/Consent?_summary=count").body
    assert (counted["total"], "entry" in counted) == (len(older), False)


def test_a_scope_that_narrows_holds_for_consents(here: Hospital) -> None:
    made = filed(here).body["id"]
    ann = here.tokens.people["ann"]
    here.tokens.people["narrow"] = Someone(
        ann.login, patient=ann.patient, narrowed={"Consent": ((("status", "inactive"),),)}
    )
    here.tokens.people["none"] = Someone(ann.login, patient=ann.patient, may_not="rscud")
    assert get(here, "narrow", f"/Consent/{made}").status == 404
    assert made not in found_ids(get(here, "narrow", "/Consent"))
    assert get(here, "none", f"/Consent/{made}").status == 404
    for method, path in (
        ("GET", "/Consent"),
        ("POST", "/Consent"),
        ("DELETE", f"/Consent/{made}"),
        ("PUT", f"/Consent/{made}"),
    ):
        assert ask(here, "none", method, path, deny_psy() if method[0] == "P" else None).status == 403


@pytest.mark.promise("R4")
def test_whom_a_rule_lets_see_consents_by_name_sees_them(here: Hospital) -> None:
    pseudonym = pseudonym_of(here, "dan")
    classes = ("Consent",)
    named = Provision(type=ProvisionType.PERMIT, role_classes=(RoleClass.CLINICAL,), classes=classes)
    everything = Provision(type=ProvisionType.PERMIT, role_classes=(RoleClass.CLINICAL,))
    seen = []
    for tree in (everything, named, Provision(type=ProvisionType.DENY, classes=classes, provisions=())):
        choices.file_by_custodian(here.node, pseudonym, tree)
        answer = get(here, "nurse", "/Consent?patient=dan")
        seen.append((answer.body["total"], get(here, "nurse", "/AuditEvent?patient=dan").body["total"]))
    assert seen == [(0, 0), (2, 0), (0, 0)]  # a permit for all says nothing of it, and a denial ends it


# Attacks


def test_a_consent_is_stored_on_no_path(here: Hospital) -> None:
    entry = {"resource": deny_psy(), "request": {"method": "POST", "url": "Consent"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    before = in_force(here, "ann")
    assert ask(here, "ann", "POST", "/", bundle).status == 422
    assert ask(here, "feed", "PUT", "/Consent/own-id", deny_psy() | {"id": "own-id"}).status == 404
    patch = [{"op": "replace", "path": "/status", "value": "inactive"}]
    made = filed(here).body["id"]
    for method, path, body in (
        ("PATCH", f"/Consent/{made}", patch),
        ("PUT", "/Consent?status=active", deny_psy()),
        ("DELETE", "/Consent?status=active", None),
        ("GET", f"/Consent/{made}/_history", None),
        ("GET", f"/Consent/{made}/_history/1", None),
        ("GET", f"/Consent/{made}/$meta", None),
    ):
        answer = ask(
            here,
            "ann",
            method,
            path,
            body,
            content_type="application/json-patch+json" if method == "PATCH" else "application/fhir+json",
        )
        assert (answer.status, answer.detail) == (404, "MSG_OP_NOT_ALLOWED"), (method, path)
    with pytest.raises(Refused, match="came a Consent"):
        deposit(here.node, pseudonym_of(here, "ann"), [parse(json.dumps(deny_psy() | {"id": "x"}).encode())])
    assert len(in_force(here, "ann")) == len(before) + 1
    assert ask(here, "ann", "POST", "/Consent", deny_psy(), if_none_exist="status=active").status == 400


def test_a_batch_files_as_a_request_by_itself(here: Hospital) -> None:
    entry = {"resource": deny_psy(), "request": {"method": "POST", "url": "Consent"}}
    read = {"request": {"method": "GET", "url": "Consent?status=active"}}
    answer = ask(here, "ann", "POST", "/", {"resourceType": "Bundle", "type": "batch", "entry": [entry, read]})
    assert [each["response"]["status"] for each in answer.body["entry"]] == ["201", "200"]


@pytest.mark.parametrize("change", ["another's", "other rules", "cut", "no base64", "with a document"])
def test_a_delivery_that_does_not_fit_changes_nothing(here: Hospital, cat: WalletHolder, change: str) -> None:
    made = wallets.sign_choice(cat.wallet, cat.relationship, DENY_PSY, time_s=here.node.clock())
    other = wallets.sign_choice(
        cat.wallet, cat.relationship, Provision(type=ProvisionType.PERMIT), time_s=here.node.clock()
    )
    before = in_force(here, "ann"), in_force(here, "cat")
    good = delivery(made.raw, encode(made.residual))
    who, body = {
        "another's": ("ann", good),
        "other rules": ("cat", delivery(made.raw, encode(other.residual))),
        "cut": ("cat", delivery(made.raw[:-1], encode(made.residual))),
        "no base64": (
            "cat",
            json.loads(json.dumps(good).replace('valueBase64Binary": "', 'valueBase64Binary": "*', 1)),
        ),
        "with a document": (
            "cat",
            delivery(made.raw, encode(made.residual), document={"resource": {"resourceType": "Basic"}}),
        ),
    }[change]
    assert ask(here, who, "POST", "/Consent/$fileConsent", body).status in (400, 422)
    assert (in_force(here, "ann"), in_force(here, "cat")) == before


def test_a_consent_of_somebody_else_is_not_filed(here: Hospital) -> None:
    before = in_force(here, "ben")
    assert ask(here, "ann", "POST", "/Consent", deny_psy("ben")).status == 404
    made = filed(here).body
    moved = made | {"patient": {"reference": "Patient/ben"}}
    assert ask(here, "ann", "PUT", f"/Consent/{made['id']}", moved).status == 422
    assert ask(here, "ann", "POST", "/Consent", deny_psy(scope={"text": "something"})).status == 422
    assert in_force(here, "ben") == before


def test_choices_that_a_desk_or_a_device_filed_are_consents_too(here: Hospital) -> None:
    pseudonym = pseudonym_of(here, "ben")
    choices.file_by_custodian(here.node, pseudonym, Provision(type=ProvisionType.DENY, organisations=("ABC",)))
    newest = get(here, "ben", "/Consent?status=active").body["entry"][0]["resource"]
    assert newest["provision"]["actor"][0]["reference"]["identifier"]["value"] == "ABC"
