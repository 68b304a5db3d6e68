"""Everything that HL7, UK Core and Synthea publish as examples, stored and read back the same, in JSON and in XML.

A patient whom examples name and nobody gives is stored as a stub first. What is refused stands here, with the reason.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from salus.clinical.fhir.exact_json import read_exact, write_exact
from salus.clinical.fhir.subjects import HOST_PATHS
from salus.clinical.fhir.xml import read_xml
from salus.node.shapes import APART
from tests.api.fhir.corpus_account import Account, write_page
from tests.api.fhir.fhir_world import BASE, FHIR_JSON, Answer, Hospital, ask, hospital
from tests.clinical.xml.test_xml import literals

XML: Final = "application/fhir+xml"
FORMS: Final = (FHIR_JSON, XML)
PATIENT: Final = re.compile(r'"reference":\s*"Patient/([^"/#]+)')
SAMPLE: Final = 9
"""Of so many examples `make test` takes one; `make corpus` takes them all."""
PAGE: Final = 500
"""So many resources of charts are read at one time."""
Examples = dict[str, tuple[bytes, Any]]

REFUSED: Final[dict[str, str]] = {
    "an answer or a message is no record of a patient that it names": """
        MessageHeader-1cbdfb97-5859-48a4-8301-d54eab818d68 OperationOutcome-101
        OperationOutcome-break-the-glass OperationOutcome-searchfail
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


def examples(folder: Path, name: str) -> Examples:
    """The single resources of a set, by the names of their files: bytes as they are published, and the value."""
    found: Examples = {}
    for path in sorted((folder / name).iterdir()):
        body = path.read_bytes()
        found[path.stem] = body, read_xml(body) if path.suffix == ".xml" else read_exact(body)
    return found


def records(some: Examples) -> Examples:
    """Without what is no record, and is sent or made in ways of its own."""
    return {name: each for name, each in some.items() if each[1]["resourceType"] not in APART}


def put(here: Hospital, body: bytes, value: Any) -> Answer:
    fields = {"content_type": XML} if body.lstrip().startswith(b"<") else {}
    return ask(here, "feed", "PUT", f"/{value['resourceType']}/{value['id']}", body, prefer="return=minimal", **fields)


def put_stubs(here: Hospital, some: Examples) -> None:
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


def valued(answer: Answer, form: str) -> Any:
    return read_xml(answer.text.encode(), in_order=True) if form == XML else read_exact(answer.text.encode())


def round_trip(here: Hospital, some: Examples, account: Account) -> None:
    """Store and read back one by one; note what was refused and why, and what came back another."""
    began_s = time.monotonic()
    for name, (body, value) in sorted(some.items(), key=lambda each: order(each[1][1])):
        answer = put(here, body, value)
        if answer.status != 201:
            assert answer.status == 422, answer.text
            account.refused[name] = answer.body["issue"][0]["details"]["text"]
    account.stored_s, began_s = time.monotonic() - began_s, time.monotonic()
    for name in some.keys() - account.refused.keys():
        value = some[name][1]
        path = f"/{value['resourceType']}/{value['id']}"
        read = [valued(ask(here, "nurse", "GET", path, accept=form), form) for form in FORMS]
        if [told(each) for each in read] != [told(value)] * len(FORMS):
            account.differing.append(name)
    account.read_s = time.monotonic() - began_s


def listed() -> set[str]:
    return {name for names in REFUSED.values() for name in names.split()}


def test_a_part_of_the_examples_comes_back_as_it_was_sent(here: Hospital, shared_data: Path) -> None:
    known = records(examples(shared_data / "fhir", "r4-examples") | examples(shared_data / "fhir", "uk-core"))
    some = {name: known[name] for name in sorted(known)[::SAMPLE] if order(known[name][1]) < 2}
    put_stubs(here, some)
    account = Account("a part")
    round_trip(here, some, account)
    assert account.differing == []
    assert account.refused.keys() == listed() & some.keys()


def test_a_chart_comes_back_as_it_was_sent(here: Hospital, shared_data: Path, capsys: pytest.CaptureFixture) -> None:
    charts = (shared_data / "fhir" / "synthea-r4").glob("*.json")
    account = Account("a chart")
    round_trip_of_charts(here, [min(charts, key=lambda each: each.stat().st_size)], account, capsys)
    assert (account.sent > 50, account.differing) == (True, [])


@pytest.mark.long
def test_everything_published_comes_back_as_it_was_sent(
    here: Hospital, shared_data: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture
) -> None:
    sets = {name: examples(shared_data / "fhir", name) for name in ("r4-examples", "uk-core")}
    put_stubs(here, records(sets["r4-examples"] | sets["uk-core"]))
    accounts = []
    for name, some in sets.items():
        kept = records(some)
        accounts.append(Account(name, sent=len(some), apart=sorted(some.keys() - kept.keys())))
        round_trip(here, kept, accounts[-1])
    charts = sorted((shared_data / "fhir" / "synthea-r4").glob("*.json"))
    accounts.append(Account("synthea-r4"))
    round_trip_of_charts(here, charts, accounts[-1], capsys)
    if page := request.config.getoption("--corpus-page"):
        write_page(Path(page), accounts)
    assert (sum(map(len, sets.values())), len(charts)) == (414, 35)
    assert [each.differing for each in accounts] == [[], [], []]
    assert {name for each in accounts for name in each.refused} == listed()


def round_trip_of_charts(
    here: Hospital, charts: Sequence[Path], account: Account, capsys: pytest.CaptureFixture
) -> None:
    """Send each chart as the transaction that it is; read everything back by searches, and compare."""

    def say(words: str) -> None:
        with capsys.disabled():
            print(f"\r{words:40}", end="", flush=True)

    expected: dict[str, Any] = {}
    began_s = time.monotonic()
    for number, chart in enumerate(charts, 1):
        sent = read_exact(chart.read_bytes())
        account.sent += len(sent["entry"])
        expected |= stored(here, sent)
        say(f"{number} of {len(charts)} charts stored")
    account.stored_s, began_s = time.monotonic() - began_s, time.monotonic()
    kinds = sorted({name.partition("/")[0] for name in expected})
    for form in FORMS:
        read: dict[str, Any] = {}
        for kind in kinds:
            read |= {f"{kind}/{each['id']}": told(each) for each in found(here, kind, form)}
            say(f"{form}: {len(read)} read")
        account.differing += [name for name, value in expected.items() if read.get(name) != value]
    account.read_s = time.monotonic() - began_s


def stored(here: Hospital, sent: Any) -> dict[str, Any]:
    """Store a transaction.

    Returns: by address what has to be read back, its references to what was sent with it as the server has them.
    """
    answer = ask(here, "feed", "POST", "/", write_exact(sent))
    assert answer.status == 200, answer.text
    places = ["/".join(each["response"]["location"].rsplit("/", 4)[1:3]) for each in answer.body["entry"]]
    addresses = {each["fullUrl"]: place for each, place in zip(sent["entry"], places, strict=True)}
    return {
        place: told(read_exact(renamed(each["resource"], addresses)) | {"id": place.partition("/")[2]})
        for each, place in zip(sent["entry"], places, strict=True)
    }


def renamed(resource: Any, addresses: Mapping[str, str]) -> bytes:
    """A resource that names others by their new addresses."""
    text = write_exact(resource).decode()
    return re.sub(r'"(urn:uuid:[^"]+)"', lambda match: f'"{addresses.get(match[1], match[1])}"', text).encode()


def found(here: Hospital, kind: str, form: str) -> Iterator[Any]:
    """Everything of a type, page by page."""
    path = f"/{kind}?_count={PAGE}"
    while path:
        answer = ask(here, "nurse", "GET", path, accept=form)
        assert answer.status == 200, answer.text
        bundle = valued(answer, form)
        yield from (each["resource"] for each in bundle.get("entry", ()))
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        path = links.get("next", "").removeprefix(BASE)
