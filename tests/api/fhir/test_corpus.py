"""Everything that HL7, UK Core and Synthea publish as examples, stored and read back the same, in JSON and in XML.

A patient whom examples name and nobody gives is stored as a stub first. What is refused stands here, with the reason.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from salus.clinical.fhir.exact_json import read_exact, write_exact
from salus.clinical.fhir.subjects import HOST_PATHS
from salus.clinical.fhir.xml import read_xml
from salus.node.shapes import APART
from tests.api.fhir.fhir_world import Answer, Hospital, ask, hospital
from tests.clinical.xml.test_xml import literals

XML: Final = "application/fhir+xml"
PATIENT: Final = re.compile(r'"reference":\s*"Patient/([^"/#]+)')
SAMPLE: Final = 9
"""Of so many examples `make test` takes one; `make long` takes them all."""

REFUSED: Final[dict[str, str]] = {
    "an answer, a message, a subscription or an event is no record of a patient that it names": """
        AuditEvent-example AuditEvent-example-login AuditEvent-example-media
        MessageHeader-1cbdfb97-5859-48a4-8301-d54eab818d68 OperationOutcome-101
        OperationOutcome-break-the-glass OperationOutcome-searchfail Subscription-example-error
        UKCore-MessageHeader-Discharge-Example UKCore-OperationOutcome-DateError-Example
    """,
    "it could be about a patient, and names none": """
        Basic-basic-example-narrative BiologicallyDerivedProduct-example Claim-100154 Contract-C-123
        DetectedIssue-allergy DocumentManifest-654789 List-current-allergies List-example-empty List-med-list
        MeasureReport-hiv-indicators MeasureReport-measurereport-cms146-cat2-example
        MolecularSequence-coord-1-base MolecularSequence-graphic-example-2 MolecularSequence-graphic-example-4
        MolecularSequence-sequence-complex-variant Observation-herd1 PaymentNotice-77654 Person-grahame
        Procedure-education Procedure-ob ServiceRequest-ob Specimen-pooled-serum SupplyDelivery-pumpdelivery
        SupplyRequest-simpleorder Task-fm-example1 Task-fm-example3 Task-fm-example5
        UKCore-Observation-FingerJointInflamed-Example VerificationResult-example
    """,
    "a bundle by itself is nobody's: send its entries, as a transaction": """
        Bundle-101 Bundle-3ad0687e-f477-468c-afd5-fcc2bf897809 Bundle-b248b1b2-1686-4b94-9936-37d7a5f94b51
        Bundle-bundle-references Bundle-bundle-request-simplesummary Bundle-bundle-response-simplesummary
        Bundle-bundle-search-warning Bundle-conceptmaps Bundle-dg2 Bundle-externals Bundle-f202 Bundle-ghp
        Bundle-lipids Bundle-micro Bundle-registry Bundle-ussg-fht UKCore-Bundle-AllergyList-Example
        UKCore-Bundle-BatchPOST-Example UKCore-Bundle-Sn-NoAllergyData-Example
    """,
    "it breaks R4's own rules": """
        Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe DeviceMetric-example DeviceUseStatement-example
        Questionnaire-zika-virus-exposure-assessment
    """,
    "its patient is contained, or not the one who is here, or what it is about was refused": """
        Claim-100152 Claim-MED-00050 Observation-10minute-apgar-score Observation-20minute-apgar-score
        Observation-5minute-apgar-score Person-pp Provenance-consent-signature Provenance-example-cwl
        QuestionnaireResponse-3141 QuestionnaireResponse-ussg-fht-answers UKCore-Composition-Discharge-Example
    """,
}


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        yield made


def examples(folder: Path) -> dict[str, tuple[bytes, Any]]:
    """The single resources, by the names of their files: bytes as they are published, and the value."""
    found: dict[str, tuple[bytes, Any]] = {}  # without what is no record, and is sent or made in ways of its own
    for path in sorted((folder / "r4-examples").glob("*.json")):
        found[path.stem] = path.read_bytes(), read_exact(path.read_bytes())
    for path in sorted((folder / "uk-core").glob("*.xml")):
        found[path.stem] = path.read_bytes(), read_xml(path.read_bytes())
    return {name: each for name, each in found.items() if each[1]["resourceType"] not in APART}


def put(here: Hospital, body: bytes, value: Any) -> Answer:
    fields = {"content_type": XML} if body.lstrip().startswith(b"<") else {}
    return ask(here, "feed", "PUT", f"/{value['resourceType']}/{value['id']}", body, prefer="return=minimal", **fields)


def put_stubs(here: Hospital, some: dict[str, tuple[bytes, Any]]) -> None:
    """Store each patient whom these name and who is not among them."""
    given = {value["id"] for _, value in some.values() if value["resourceType"] == "Patient"}
    named = {each for _, value in some.values() for each in PATIENT.findall(write_exact(value).decode())}
    for name in sorted(named - given):
        stub = {"resourceType": "Patient", "id": name, "identifier": [{"system": "urn:stub", "value": name}]}
        assert put(here, write_exact(stub), stub).status == 201


def order(value: Any) -> int:
    """Patients first; what belongs to something else after it."""
    kind = value["resourceType"]
    return 0 if kind == "Patient" else 3 if kind == "Provenance" else 2 if kind in HOST_PATHS else 1


def told(value: Any) -> Any:
    """A resource without what a server says of it."""
    meta = {name: each for name, each in value.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    return literals({name: each for name, each in value.items() if name != "meta"} | ({"meta": meta} if meta else {}))


def round_trip(here: Hospital, some: dict[str, tuple[bytes, Any]]) -> tuple[dict[str, str], list[str]]:
    """Store and read back; return what was refused and why, and what came back another."""
    refused, differing = {}, []
    put_stubs(here, some)
    for name, (body, value) in sorted(some.items(), key=lambda each: order(each[1][1])):
        answer = put(here, body, value)
        if answer.status != 201:
            assert answer.status == 422, answer.text
            refused[name] = answer.body["issue"][0]["details"]["text"]
            continue
        path = f"/{value['resourceType']}/{value['id']}"
        as_json = read_exact(ask(here, "nurse", "GET", path).text.encode())
        as_xml = read_xml(ask(here, "nurse", "GET", path, accept=XML).text.encode(), in_order=True)
        if not told(as_json) == told(as_xml) == told(value):
            differing.append(name)
    return refused, differing


def listed() -> set[str]:
    return {name for names in REFUSED.values() for name in names.split()}


def test_a_part_of_the_examples_comes_back_as_it_was_sent(here: Hospital, shared_data: Path) -> None:
    known = examples(shared_data / "fhir")
    some = {name: known[name] for name in sorted(known)[::SAMPLE] if order(known[name][1]) < 2}
    refused, differing = round_trip(here, some)
    assert differing == []
    assert refused.keys() == listed() & some.keys()


@pytest.mark.long
def test_every_example_comes_back_as_it_was_sent(here: Hospital, shared_data: Path) -> None:
    known = examples(shared_data / "fhir")
    assert len(known) > 400
    refused, differing = round_trip(here, known)
    assert differing == []
    assert {name: why for name, why in refused.items() if name not in listed()} == {}
    assert (listed() & known.keys()) - refused.keys() == set()


@pytest.mark.long
def test_every_synthea_chart_comes_back_as_it_was_sent(here: Hospital, shared_data: Path) -> None:
    files = sorted((shared_data / "fhir" / "synthea-r4").glob("*.json"))
    assert len(files) > 30
    differing = []
    for file in files:
        sent = read_exact(file.read_bytes())
        answer = ask(here, "feed", "POST", "/", file.read_bytes())
        assert answer.status == 200, answer.text
        places = [each["response"]["location"].rsplit("/", 4)[1:3] for each in answer.body["entry"]]
        names = {each["fullUrl"]: "/".join(place) for each, place in zip(sent["entry"], places, strict=True)}
        for each, (kind, logical_id) in zip(sent["entry"], places, strict=True):
            text = re.sub(
                r'"(urn:uuid:[^"]+)"',
                lambda found, names=names: f'"{names.get(found[1], found[1])}"',
                write_exact(each["resource"]).decode(),
            )
            expected = told(read_exact(text.encode()) | {"id": logical_id})
            path = f"/{kind}/{logical_id}"
            as_json = read_exact(ask(here, "nurse", "GET", path).text.encode())
            as_xml = read_xml(ask(here, "nurse", "GET", path, accept=XML).text.encode(), in_order=True)
            if not told(as_json) == told(as_xml) == expected:
                differing.append(f"{file.stem} {kind}/{logical_id}")
    assert differing == []
