"""Text that is not in Unicode's NFC, as some systems send it: found, paged, shown, and decided on alike."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from salus.contracts.provisions import Provision, ProvisionType
from salus.node.services.choices import file_by_custodian
from tests.api.fhir.fhir_world import BASE, Answer, Hospital, ask, hospital, observation
from tests.api.fhir.ledger_people import pseudonym_of
from tests.api.fhir.test_searching import ids

APART = "Zoe\u0308"
TOGETHER = "Zo\u00eb"
PRACTITIONERS = [f"p{number}" for number in range(3)]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        for name in PRACTITIONERS:
            body = {"resourceType": "Practitioner", "id": name, "name": [{"given": [APART]}]}
            assert ask(made, "feed", "PUT", f"/Practitioner/{name}", body).status == 201
        yield made


def get(here: Hospital, path: str) -> Answer:
    return ask(here, "nurse", "GET", path.removeprefix(BASE))


@pytest.mark.parametrize("given", [APART, TOGETHER], ids=["apart", "together"])
def test_a_search_and_its_pages(here: Hospital, given: str) -> None:
    found, url = [], f"/Practitioner?given={quote(given)}&_count=1"
    while url:
        page = get(here, url)
        assert page.status == 200, page.text
        found += ids(page)
        url = next((each["url"] for each in page.body["link"] if each["relation"] == "next"), "")
    assert sorted(found) == PRACTITIONERS


def test_an_export_of_what_a_search_finds(here: Hospital) -> None:
    wanted = quote(f"Patient?name={APART}", safe="")
    begun = ask(here, "nurse", "GET", f"/$export?_type=Patient&_typeFilter={wanted}", prefer="respond-async")
    assert begun.status == 202
    assert get(here, begun.headers["content-location"]).status in (200, 202)


def test_a_subscription(here: Hospital) -> None:
    channel = {"type": "rest-hook", "endpoint": "https://hook.example/x"}
    body = {"resourceType": "Subscription", "status": "requested", "reason": APART, "channel": channel}
    made = ask(here, "nurse", "POST", "/Subscription", body | {"criteria": f"Patient?name={quote(APART)}"})
    assert made.status == 201, made.text
    read = get(here, f"/Subscription/{made.body['id']}")
    assert (read.status, read.body["reason"]) == (200, APART)


@pytest.mark.promise("R4")
@pytest.mark.parametrize(("name", "said"), [("apart", APART), ("together", TOGETHER)])
def test_a_choice_means_a_code_or_label_however_it_is_written(here: Hospital, name: str, said: str) -> None:
    coded = {"code": {"coding": [{"system": "urn:codes", "code": said}]}, "id": f"code-{name}"}
    labelled = {"meta": {"security": [{"system": "urn:labels", "code": said}]}, "id": f"label-{name}"}
    for body in (observation(**coded), observation(**labelled)):
        assert ask(here, "feed", "PUT", f"/Observation/{body['id']}", body).status == 201
        read = get(here, f"/Observation/{body['id']}")
        assert read.status == 200, read.text
        assert read.body.items() >= {key: body[key] for key in ("code", "id")}.items(), "the bytes are the record"
    denied = (
        Provision(type=ProvisionType.DENY, codes=(f"urn:codes|{TOGETHER}",)),
        Provision(type=ProvisionType.DENY, labels=(f"urn:labels|{TOGETHER}",)),
    )
    filed = [file_by_custodian(here.node, pseudonym_of(here, "ann"), tree) for tree in denied]
    assert len(filed) == 2
    assert [get(here, f"/Observation/{body}-{name}").status for body in ("code", "label")] == [404, 404]
    everything = Provision(type=ProvisionType.PERMIT)
    for choice in filed:
        file_by_custodian(here.node, pseudonym_of(here, "ann"), everything, choice=choice)


def test_a_patient_whose_number_is_written_so(here: Hospital) -> None:
    for name, said, status in (("zoe", APART, 201), ("zoe", TOGETHER, 200)):
        body = {
            "resourceType": "Patient",
            "id": name,
            "birthDate": "1980-02-29",
            "identifier": [{"system": "urn:h", "value": said}],
        }
        assert ask(here, "feed", "PUT", f"/Patient/{name}", body).status == status
        assert get(here, f"/Patient/{name}").status == 200
    assert ask(here, "feed", "PUT", "/Observation/of-zoe", observation("zoe", id="of-zoe")).status == 201
