"""Operations: a whole chart page by page, validation, and what FHIR itself defines."""

from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType
from salus.node.projections import resources
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import Answer, Hospital, ask, hospital, observation
from tests.api.fhir.test_searching import follow, ids

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
GENDER = "http://hl7.org/fhir/administrative-gender"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        doctor = {"resourceType": "Practitioner", "id": "dr"}
        bodies = [
            doctor,
            *(observation(id=f"o{n}", performer=[{"reference": "Practitioner/dr"}]) for n in range(3)),
            observation(id="hidden", meta={"security": [PSY]}),
            observation("ben", id="of-ben"),
        ]
        for body in bodies:
            path = f"/{body['resourceType']}/{body['id']}"
            assert ask(made, "feed", "PUT", path, body).status == 201
        found = resources.find(made.node, "Observation", "hidden")
        assert found is not None
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|{PSY['code']}",))
        file_by_custodian(made.node, found.pseudonym, tree)
        yield made


def get(here: Hospital, path: str, who: str = "nurse") -> Answer:
    return ask(here, who, "GET", path)


def test_a_whole_chart_is_everything_that_may_be_seen_and_the_directory_it_refers_to(here: Hospital) -> None:
    answer = get(here, "/Patient/ann/$everything")
    assert (ids(answer)[0], sorted(ids(answer)[1:]), ids(answer, "include")) == ("ann", ["o0", "o1", "o2"], ["dr"])
    assert answer.body["total"] == 4


def test_a_chart_comes_in_pages(here: Hospital) -> None:
    first = get(here, "/Patient/ann/$everything?_count=3")
    second = follow(here, first)
    assert second is not None
    assert (len(ids(first)), len(ids(second)), follow(here, second)) == (3, 1, None)


def test_a_chart_can_be_narrowed(here: Hospital) -> None:
    assert ids(get(here, "/Patient/ann/$everything?_type=Patient")) == ["ann"]
    assert ids(get(here, "/Patient/ann/$everything?_since=2099-01-01")) == []
    assert get(here, "/Patient/ann/$everything?colour=red").status == 400


def test_a_chart_of_somebody_else_is_not_there(here: Hospital) -> None:
    assert get(here, "/Patient/ben/$everything", "ann-app").status == 404
    assert get(here, "/Patient/never/$everything").status == 404


def test_validation_says_what_is_wrong_and_stores_nothing(here: Hospital) -> None:
    good = ask(here, "nurse", "POST", "/Observation/$validate", observation())
    assert (good.status, [each["severity"] for each in good.body["issue"]]) == (200, ["information"])
    bad = ask(here, "nurse", "POST", "/Observation/$validate", observation(status="x", id="v"))
    assert [each["severity"] for each in bad.body["issue"]] == ["error"]
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": observation()}]}
    assert ask(here, "nurse", "POST", "/Observation/$validate", wrapped).status == 200
    assert ask(here, "nurse", "POST", "/Condition/$validate", observation()).status == 400
    assert get(here, "/Observation/v").status == 404


def test_meta_is_of_what_may_be_read(here: Hospital) -> None:
    (parameter,) = get(here, "/Observation/o0/$meta").body["parameter"]
    assert parameter["valueMeta"]["versionId"] == "1"
    assert get(here, "/Observation/hidden/$meta").status == 404


def values(answer: Answer) -> dict:
    return {each["name"]: each.get("valueBoolean", each.get("valueString")) for each in answer.body["parameter"]}


def test_what_fhir_defines_is_told(here: Hospital) -> None:
    expansion = get(here, f"/ValueSet/$expand?url={GENDERS}").body["expansion"]
    assert sorted(each["code"] for each in expansion["contains"]) == ["female", "male", "other", "unknown"]
    check = f"/ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code="
    assert values(get(here, check + "male")) == {"result": True, "display": "Male"}
    assert values(get(here, check + "man")) == {"result": False}
    assert values(get(here, f"/CodeSystem/$lookup?system={GENDER}&code=male"))["display"] == "Male"
    asked = {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": GENDERS}]}
    assert ask(here, "nurse", "POST", "/ValueSet/$expand", asked).status == 200
    assert get(here, "/ValueSet/$expand?url=urn:none").status == 404
    assert get(here, f"/CodeSystem/$lookup?system={GENDER}&code=man").status == 404


@pytest.mark.promise("R4")
@pytest.mark.parametrize(
    "path", ["/Patient/{}/$everything", "/Patient/{}/Observation", "/Patient/{}/$everything?_type=X"]
)
def test_a_patient_who_may_not_be_seen_is_as_one_who_never_was(here: Hospital, path: str) -> None:
    found = resources.find(here.node, "Patient", "ben")
    assert found is not None
    file_by_custodian(here.node, found.pseudonym, Provision(type=ProvisionType.DENY, organisations=("RVJ",)))
    came = [ask(here, "nurse", "GET", path.format(name), x_request_id="same") for name in ("ben", "never")]
    assert (came[0].status, came[0].text) == (came[1].status, came[1].text) == (404, came[0].text)
