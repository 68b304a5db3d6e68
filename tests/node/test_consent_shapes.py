"""A sharing choice as a FHIR Consent and back: nothing is lost, and what a tree cannot say is refused."""

import json
from dataclasses import replace

import pytest

from salus.clinical.fhir.validation import base_validator
from salus.contracts.patients import Actor
from salus.contracts.provisions import (
    DataMeaning,
    DataReference,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    RoleClass,
    Verb,
)
from salus.ledger.identifiers import OrganisationId
from salus.node.shapes.consents import ConsentFacts, consent, read_consent

PERMIT, DENY = ProvisionType.PERMIT, ProvisionType.DENY
PSY = "http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"
RESTRICTED = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|"
LOINC = "http://loinc.org|718-7"
PRACTICE, HOSPITAL = OrganisationId("A81001"), OrganisationId("RX1")
OKAFOR, HILL = bytes(31) + b"\x01", bytes(31) + b"\x02"
LETTER = bytes(15) + b"\x07"
TREES = {
    "everything": Provision(type=PERMIT),
    "nothing": Provision(type=DENY),
    "two organisations": Provision(type=PERMIT, organisations=(PRACTICE, HOSPITAL)),
    "roles alone": Provision(type=DENY, role_classes=(RoleClass.INSURER, RoleClass.RESEARCH)),
    "roles at places": Provision(
        type=PERMIT,
        organisations=(PRACTICE, HOSPITAL),
        role_classes=(RoleClass.CLINICAL, RoleClass.PATIENT_SIDE),
        purposes=(Purpose.TREAT, Purpose.ETREAT),
        verbs=(Verb.READ, Verb.SEARCH),
    ),
    "named people at a place": Provision(type=PERMIT, organisations=(HOSPITAL,), persons=(OKAFOR, HILL)),
    "days": Provision(type=PERMIT, valid_from_day=20_000, valid_to_day=20_364),
    "from a day on": Provision(type=PERMIT, valid_from_day=20_000),
    "years of data": Provision(type=PERMIT, data_from_s=1_420_070_400, data_to_s=1_577_836_799),
    "data up to then": Provision(type=DENY, data_to_s=-1),
    "what records carry": Provision(type=DENY, labels=(PSY,), classes=("Condition", "Observation"), codes=(LOINC,)),
    "one record": Provision(type=DENY, data=(DataReference(DataMeaning.INSTANCE, LETTER),)),
    "a deny of very restricted": Provision(type=DENY, labels=(RESTRICTED + "V",)),
    "four levels": Provision(
        type=PERMIT,
        organisations=(HOSPITAL,),
        provisions=(
            Provision(
                type=DENY,
                labels=(PSY,),
                provisions=(Provision(type=PERMIT, persons=(OKAFOR,), provisions=(Provision(type=DENY),)),),
            ),
            Provision(type=DENY, classes=("Condition",)),
        ),
    ),
}
FACTS = ConsentFacts(
    logical_id="c1",
    patient="ann",
    custodian=HOSPITAL,
    actor=Actor.PATIENT,
    is_in_force=True,
    evidence_on_day=0,
    filed_at_s=1_790_000_000,
)


def written(tree: Provision, *, facts: ConsentFacts = FACTS) -> dict:
    return json.loads(consent(facts, tree, {LETTER: "DocumentReference/letter"}))


def read(content: dict) -> Provision:
    tree = read_consent(content, {"DocumentReference/letter": LETTER}.get).tree
    assert tree is not None
    return tree


@pytest.mark.parametrize("name", TREES)
def test_a_choice_is_a_valid_consent_and_comes_back_whole(name: str) -> None:
    content = written(TREES[name])
    assert [each for each in base_validator().validate(content) if each.severity == "error"] == []
    assert read(content) == TREES[name]


def test_who_acted_and_on_which_evidence_is_said() -> None:
    by_custodian = replace(FACTS, actor=Actor.CUSTODIAN, evidence_on_day=20_000)
    content = written(TREES["everything"], facts=by_custodian)
    assert content["meta"]["tag"][0]["code"] == "custodian"
    assert content["verification"] == [{"verified": False, "verificationDate": "2024-10-04"}]
    assert content["performer"][0]["identifier"]["value"] == "RX1"
    assert written(TREES["everything"])["verification"][0]["verified"] is True


CODINGS = {
    "ActReason": ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT"),
    "recipient": ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
}


def coding(system: str, code: str) -> dict:
    return {"system": system, "code": code}


def actor(code: str, role: str = "") -> dict:
    system, any_role = CODINGS["recipient"]
    concept = coding("urn:salus:role-class", role) if role else coding(system, any_role)
    place = {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": code}
    return {"role": {"coding": [concept]}, "reference": {"identifier": place}}


def sent(**provision: object) -> dict:
    content = written(TREES["everything"])
    return content | {"provision": provision}


def test_actors_that_are_no_product_become_provisions_of_their_own() -> None:
    nested = {"type": "deny", "actor": [actor("A81001", "clinical"), actor("RX1")]}
    assert read(sent(provision=[nested])).provisions == (
        Provision(type=DENY, organisations=(PRACTICE,), role_classes=(RoleClass.CLINICAL,)),
        Provision(type=DENY, organisations=(HOSPITAL,)),
    )


def test_an_actor_of_any_role_beside_one_of_some_is_not_narrowed() -> None:
    nested = {"type": "permit", "actor": [actor("RX1", "clinical"), actor("RX1")]}
    assert Provision(type=PERMIT, organisations=(HOSPITAL,)) in read(sent(provision=[nested])).provisions


@pytest.mark.parametrize(("type_", "labels"), [("permit", "LMNR"), ("deny", "RV")])
def test_confidentiality_is_a_high_water_mark(type_: str, labels: str) -> None:
    nested = {"type": type_, "securityLabel": [coding(RESTRICTED[:-1], "R")]}
    (found,) = read(sent(provision=[nested])).provisions
    assert found.labels == tuple(RESTRICTED + each for each in labels)


def test_actions_of_fhir_are_verbs() -> None:
    action = {"coding": [coding("http://terminology.hl7.org/CodeSystem/consentaction", "access")]}
    assert read(sent(action=[action])).verbs == (Verb.READ, Verb.SEARCH)


REFUSED = {
    "another scope": {"scope": {"coding": [coding("http://terminology.hl7.org/CodeSystem/consentscope", "adr")]}},
    "a draft": {"status": "draft"},
    "a modifier extension": {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]},
    "a source": {"sourceReference": {"reference": "DocumentReference/1"}},
    "no base rule": {"policyRule": {"coding": [coding("urn:x", "OPTIN")]}},
    "a base rule and its contrary": {"provision": {"type": "deny"}},
    "an unknown organisation": {"provision": {"actor": [actor("not a code!")]}},
    "a custodian as actor": {
        "provision": {"actor": [{**actor("RX1"), "role": {"coding": [coding(CODINGS["recipient"][0], "CST")]}}]}
    },
    "a person by reference": {
        "provision": {"actor": [{**actor("RX1", "clinical"), "reference": {"reference": "Practitioner/1"}}]}
    },
    "actors at the root that share nothing": {"provision": {"actor": [actor("A81001", "clinical"), actor("RX1")]}},
    "another purpose": {"provision": {"purpose": [coding(CODINGS["ActReason"][0], "HMARKT")]}},
    "a purpose of another system": {"provision": {"purpose": [coding("urn:x", "TREAT")]}},
    "an action that is no release": {
        "provision": {
            "action": [{"coding": [coding("http://terminology.hl7.org/CodeSystem/consentaction", "correct")]}]
        }
    },
    "a code in words": {"provision": {"code": [{"text": "haemoglobin"}]}},
    "a class of another system": {"provision": {"class": [coding("urn:x", "Observation")]}},
    "a time of day": {"provision": {"period": {"start": "2026-01-01T10:00:00Z"}}},
    "a day that is none": {"provision": {"period": {"end": "2026-02-30"}}},
    "data that is not here": {
        "provision": {"data": [{"meaning": "instance", "reference": {"reference": "Observation/never"}}]}
    },
    "data and what refers to it": {
        "provision": {"data": [{"meaning": "dependents", "reference": {"reference": "DocumentReference/letter"}}]}
    },
    "a nested rule without a type": {"provision": {"provision": [{"class": [coding("urn:x", "Observation")]}]}},
    "an extension in a rule": {"provision": {"extension": [{"url": "urn:x", "valueBoolean": True}]}},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_tree_cannot_say_is_refused(name: str) -> None:
    with pytest.raises(ProvisionInvalid):
        read_consent(written(TREES["everything"]) | REFUSED[name], {"DocumentReference/letter": LETTER}.get)
