"""One walk over everything that the FHIR server does, each answer kept as a file for another validator to read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

from salus.clinical.fhir.xml.reading import read_xml
from tests.api.fhir.fhir_world import FHIR_JSON, Hospital, observation

FHIR_XML = "application/fhir+xml"
SUFFIXES = {FHIR_JSON: "json", FHIR_XML: "xml"}
FIRST = ("Patient", "Organization", "Location", "Practitioner", "PractitionerRole")


@dataclass
class Walk:
    """Asks, and keeps what comes.

    Args:
        folder: where answers are kept, one below it for each form.
    """

    here: Hospital
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    def ask(self, method: str, path: str, body: object = None, *, who: str = "nurse", **headers: str) -> int:
        """Ask in JSON and, where nothing is changed by that, in XML as well; return the status."""
        if method == "GET":
            self._ask(FHIR_XML, method, path, body, who, headers)
        return self._ask(FHIR_JSON, method, path, body, who, headers)

    def _ask(self, form: str, method: str, path: str, body: object, who: str, headers: dict[str, str]) -> int:
        fields = {"authorization": f"Bearer {who}", "accept": form, "content-type": FHIR_JSON}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        known = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        answer = self.here.client.request(method, f"/FHIR/R4{path}", headers=fields, **known)
        if answer.content and answer.headers["content-type"].startswith(form):
            place = self.folder / f"{next(self.numbers):04d}-{method}-{answer.status_code}.{SUFFIXES[form]}"
            place.write_bytes(answer.content)
        return int(answer.status_code)


def walk(here: Hospital, examples: Path, folder: Path) -> tuple[int, int]:
    """Store examples and ask for them in every way.

    Returns: how many examples were stored, and how many answers are kept.
    """
    going = Walk(here, folder)
    stored = [each for each in by_dependence(examples) if put(going, each) == 201]
    for each in stored:
        read(going, each.kind, each.id)
    for kind in dict.fromkeys(each.kind for each in stored):
        going.ask("GET", f"/{kind}?_count=50&_include=*&_revinclude=Provenance:target")
    whole_server(going)
    operations(going)
    writes(going)
    refusals(going)
    return len(stored), len(list(folder.iterdir()))


class Example(NamedTuple):
    """A resource in XML."""

    kind: str
    id: str
    body: bytes


def by_dependence(examples: Path) -> list[Example]:
    """The examples, those that others name first."""
    found = []
    for each in sorted(examples.glob("*.xml")):
        content = read_xml(body := each.read_bytes())
        found.append(Example(str(content["resourceType"]), str(content["id"]), body))
    return sorted(found, key=lambda each: FIRST.index(each.kind) if each.kind in FIRST else len(FIRST))


def put(going: Walk, example: Example) -> int:
    """Have the feed write an example under its own id."""
    at = f"/{example.kind}/{example.id}"
    return going.ask("PUT", at, example.body, who="feed", content_type=FHIR_XML)


def read(going: Walk, kind: str, logical_id: str) -> None:
    """Each way to read one resource."""
    at = f"/{kind}/{logical_id}"
    for path in (at, f"{at}/_history", f"{at}/$meta"):
        going.ask("GET", path)
    if kind == "Patient":
        going.ask("GET", f"{at}/$everything?_count=20")
        for within in ("Observation", "Consent", "AuditEvent", "Provenance"):
            going.ask("GET", f"{at}/{within}")


def whole_server(going: Walk) -> None:
    """What is about the server, and about all types."""
    for path in ("/metadata", "/_history?_count=50", "/Patient/_history", "?_type=Patient,Observation"):
        going.ask("GET", path)
    going.ask("POST", "/Observation/_search", b"_count=2", content_type="application/x-www-form-urlencoded")
    for summary in ("true", "text", "data", "count"):
        going.ask("GET", f"/Patient?_summary={summary}")
    going.ask("GET", "/Patient?_elements=birthDate&_sort=-birthdate&_count=1&colour=red")


def operations(going: Walk) -> None:
    """What FHIR's own operations answer."""
    gender = "http://hl7.org/fhir/administrative-gender"
    for path in (
        "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender",
        f"/ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/administrative-gender&system={gender}&code=male",
        f"/CodeSystem/$validate-code?url={gender}&code=nothing",
        f"/CodeSystem/$lookup?system={gender}&code=female",
    ):
        assert going.ask("GET", path) == 200, path
    going.ask("POST", "/Observation/$validate", observation())
    going.ask("POST", "/Observation/$validate", {"resourceType": "Observation"})


def writes(going: Walk) -> None:
    """What is answered to writes of every kind."""
    for wish in ("return=minimal", "return=representation", "return=OperationOutcome"):
        going.ask("POST", "/Observation", observation(), prefer=wish)
    going.ask("PUT", "/Observation/walked", observation(id="walked"), who="feed")
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    going.ask("PATCH", "/Observation/walked", patch, content_type="application/json-patch+json")
    entries = [
        {"resource": observation(), "request": {"method": "POST", "url": "Observation"}},
        {"request": {"method": "GET", "url": "Observation?patient=ann"}},
        {"request": {"method": "GET", "url": "Observation/nowhere"}},
    ]
    for kind, some in (("batch", entries), ("transaction", entries[:2])):
        assert going.ask("POST", "", {"resourceType": "Bundle", "type": kind, "entry": some}) == 200, kind
    assert going.ask("DELETE", "/Observation/walked") == 204
    going.ask("GET", "/Observation/walked")
    going.ask("GET", "/Observation/walked/_history")


def refusals(going: Walk) -> None:
    """What is answered to what cannot be done."""
    for method, path, body, headers in (
        ("GET", "/Observation/nowhere", None, {}),
        ("GET", "/Nonsense", None, {}),
        ("GET", "/Observation?_sort=colour", None, {"prefer": "handling=strict"}),
        ("GET", "/Observation?date=nonsense", None, {}),
        ("POST", "/Observation", {"resourceType": "Observation"}, {}),
        ("POST", "/Observation", b"{", {}),
        ("POST", "/Observation", b"<a/>", {"content_type": "text/plain"}),
        ("PUT", "/Patient/ann", {"resourceType": "Patient", "id": "ann"}, {"if_match": 'W/"9"'}),
        ("POST", "", {"resourceType": "Bundle", "type": "collection"}, {}),
    ):
        status = going.ask(method, path, body, **headers)
        assert 400 <= status < 500, (method, path, status)
    assert going.ask("GET", "/Patient/ann", who="nobody") == 401
