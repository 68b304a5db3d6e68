"""Sharing choices over HTTP: filed and withdrawn in the middle of a session; what one cannot say is refused."""

from collections.abc import Iterator

import pytest

from tests.api.fhir.consent_desk import Desk, deny, desk_of, permit
from tests.api.fhir.fhir_world import ask


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_of(tmp_path_factory.mktemp("fhir")) as made:
        yield made


@pytest.mark.promise("R3")
@pytest.mark.parametrize(
    ("provision", "who", "record"),
    [(deny(label="PSY"), "nurse", "psy"), (permit(purpose="HRESCH"), "student", "plain"), (deny(), "nurse", "plain")],
    ids=["a label", "a permit", "everything"],
)
def test_filed_and_withdrawn_in_the_middle_of_a_session_it_holds_for_the_very_next_answer(
    desk: Desk, provision: dict, who: str, record: str
) -> None:
    desk.lay([])
    before = desk.asked(who, record, "read")
    desk.lay([provision])
    assert desk.asked(who, record, "read")[0] != before[0]
    desk.lay([])
    assert desk.asked(who, record, "read") == before


def test_a_patient_withdraws_over_http_and_the_very_next_answer_has_it(desk: Desk) -> None:
    desk.lay([deny(label="PSY")])
    assert desk.asked("nurse", "psy", "read") == ("stays", "A 1")
    assert ask(desk.hospital, "ann", "DELETE", f"/Consent/{desk.consents[0]}").status == 204
    assert desk.asked("nurse", "psy", "read") == ("goes", "own staff")


TEAM = {
    "reference": {"reference": "CareTeam/1"},
    "role": {"coding": [{"system": "urn:salus:role-class", "code": "clinical"}]},
}
NOT_SAID: dict[str, dict] = {
    "a care team by reference": deny() | {"actor": [TEAM]},
    "a purpose that nobody asks for": deny(purpose="MARKT"),
    "a role that nobody has": deny(role="porter"),
    "an action that no answer is": deny(action="use"),
    "a period to the second": deny(days={"start": "2026-01-01T10:00:00Z"}),
    "a period that ends before it begins": deny(days={"start": "2026-02-01", "end": "2026-01-01"}),
    "a code in words": deny() | {"code": [{"text": "heart"}]},
    "a class that is no type": deny() | {"class": [{"system": "urn:x", "code": "Observation"}]},
    "a record that is not here": deny(record="Observation/never"),
    "what refers to a record": deny()
    | {"data": [{"meaning": "related", "reference": {"reference": "Observation/psy"}}]},
    "an exception without a type": deny({"securityLabel": []}),
}


@pytest.mark.parametrize("name", NOT_SAID)
def test_what_a_choice_cannot_say_is_refused_and_nothing_is_filed(desk: Desk, name: str) -> None:
    desk.lay([])
    answer = desk.post(NOT_SAID[name])
    assert (answer.status, desk.in_force()) == (422, ())
    assert answer.body["issue"][0]["details"]["coding"][0]["code"]
