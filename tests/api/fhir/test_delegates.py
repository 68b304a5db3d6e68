"""RelatedPerson: whom a patient lets act, from the ledger's keys, for the patient; beside those that clients store."""

from collections.abc import Iterator

import pytest

from salus.clinical.fhir.validation import base_validator
from salus.contracts.patients import AddKey, KeyKind, RemoveKey
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import Digest, PublicKey
from salus.node.services.enrol import custodian_held_key
from tests.api.fhir.fhir_world import Answer, Hospital, ask, hospital
from tests.api.fhir.ledger_people import assisted, pseudonym_of

DELEGATES = "/RelatedPerson?_tag=urn:salus:made|delegate"
DAY_S = 86_400


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        assisted(made, "ann")
        assisted(made, "ben")
        stored = {"resourceType": "RelatedPerson", "id": "stored", "patient": {"reference": "Patient/ann"}}
        assert ask(made, "feed", "PUT", "/RelatedPerson/stored", stored).status == 201
        appoint(made, KeyKind.DEVICE, SigningKey.generate())
        removed = SigningKey.generate()
        appoint(made, KeyKind.DELEGATE, removed)
        appoint(made, KeyKind.DELEGATE, SigningKey.generate(), until_s=made.node.clock() + 30 * DAY_S)
        pseudonym = pseudonym_of(made, "ann")
        message = RemoveKey(pseudonym=pseudonym, key=PublicKey(removed.public), commitment=Digest(bytes(32)))
        made.node.submit_signed((message,), (custodian_held_key(made.node, pseudonym),))
        yield made


def appoint(here: Hospital, kind: KeyKind, key: SigningKey, *, until_s: int = 0) -> None:
    pseudonym = pseudonym_of(here, "ann")
    commitment = Digest(bytes(32))
    added = AddKey(
        pseudonym=pseudonym, key=PublicKey(key.public), kind=kind, expires_at_s=until_s, commitment=commitment
    )
    here.node.submit_signed((added,), (custodian_held_key(here.node, pseudonym), key))


def get(here: Hospital, who: str, path: str) -> Answer:
    return ask(here, who, "GET", path, x_request_id="same")


def found(here: Hospital, who: str, path: str) -> list[dict]:
    answer = get(here, who, path)
    assert answer.status == 200, answer.text
    return [each["resource"] for each in answer.body.get("entry", [])]


def test_the_patient_sees_whom_they_let_act_and_until_when(here: Hospital) -> None:
    present, past = found(here, "ann", DELEGATES)
    assert [(each["active"], each["meta"]["versionId"]) for each in (present, past)] == [(True, "1"), (False, "2")]
    assert (present["patient"], present["meta"]["tag"][0]["code"]) == ({"reference": "Patient/ann"}, "delegate")
    assert present["period"]["start"] < present["period"]["end"]
    assert not {"name", "telecom", "identifier"} & present.keys()
    for each in (present, past):
        assert [issue for issue in base_validator().validate(each) if issue.severity == "error"] == []
        assert get(here, "ann", f"/RelatedPerson/{each['id']}").body == each
    assert found(here, "ann", f"{DELEGATES}&active=false") == [past]


@pytest.mark.promise("R4")
def test_nobody_else_sees_them_and_stored_ones_are_found_as_before(here: Hospital) -> None:
    name = found(here, "ann", DELEGATES)[0]["id"]
    for who in ("nurse", "feed", "ben", "ann-app"):
        assert found(here, who, f"{DELEGATES}&patient=ann") == []
        came = [get(here, who, f"/RelatedPerson/{each}") for each in (name, "never")]
        assert (came[0].status, came[0].text) == (404, came[1].text)
    for who in ("nurse", "ann"):
        assert [each["id"] for each in found(here, who, "/RelatedPerson?patient=ann")] == ["stored"]
