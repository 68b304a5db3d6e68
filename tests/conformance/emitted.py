"""One walk over everything that the FHIR server does, each answer kept as a file for another validator to read."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from salus.clinical.fhir.subscriptions import Event, Status, notification
from salus.clinical.fhir.xml.reading import read_xml
from salus.contracts.patients import KeyKind
from salus.crypto.signing import SigningKey
from salus.ledger.verifier.trust import encode_trust
from salus.node.founding import trust_root
from salus.node.services.anchor import anchor
from salus.node.services.member_directory import publish
from tests.api.fhir.fhir_world import BASE, FHIR_JSON, Answer, Hospital, observation
from tests.api.fhir.ledger_people import assisted
from tests.api.fhir.test_companions import DEPOSITS, POINTERS
from tests.api.fhir.test_consents import PSY, deny_psy
from tests.api.fhir.test_delegates import DELEGATES, appoint
from tests.api.fhir.test_messages import encounter, message
from tests.api.fhir.test_rosters import roster
from tests.api.fhir.test_subscriptions import BACKPORT

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
        return self._ask(FHIR_JSON, method, path, body, who, headers).status

    def told(self, method: str, path: str, body: object = None, *, who: str = "nurse", **headers: str) -> Any:
        """Ask in JSON for what has to be given; return it."""
        answer = self._ask(FHIR_JSON, method, path, body, who, headers)
        assert answer.status in (200, 201), (path, answer.text)
        return answer.body

    def _ask(self, form: str, method: str, path: str, body: object, who: str, headers: dict[str, str]) -> Answer:
        fields = {"authorization": f"Bearer {who}", "accept": form, "content-type": FHIR_JSON}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        known = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        answer = self.here.client.request(method, f"/FHIR/R4{path}", headers=fields, **known)
        if answer.content and answer.headers["content-type"].startswith(form):
            self.keep(f"{method}-{answer.status_code}.{SUFFIXES[form]}", answer.content)
        return Answer(answer)

    def keep(self, name: str, said: bytes) -> None:
        """Keep what was said, under a number of its own."""
        (self.folder / f"{next(self.numbers):04d}-{name}").write_bytes(said)


def walk(here: Hospital, examples: Path, folder: Path) -> tuple[int, int]:
    """Store examples and ask for them in every way.

    Returns: how many examples were stored, and how many answers are kept.
    """
    going = Walk(here, folder)
    stored = [each for each in by_dependence(examples) if put(going, each) == 201]
    for each in stored:
        read(going, each.kind, each.id)
    for kind in dict.fromkeys(each.kind for each in stored):
        path = f"/{kind}?_count=50&_include=*&_revinclude=Provenance:target"
        assert going.ask("GET", path) == 200, path
    whole_server(going)
    operations(going)
    writes(going)
    messages(going)
    roster_of(going, "ann", "ben")
    subscriptions(going)
    choices_of(going, "ann")
    made_of(going, "ann")
    events_of(going, "ann")
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
    for path in (at, f"{at}/_history", f"{at}/_history/1", f"{at}/$meta"):
        going.ask("GET", path)
    if kind == "Patient":
        going.ask("GET", f"{at}/$everything?_count=20")
        going.ask("GET", f"/DocumentReference/$docref?patient={logical_id}")
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
    assert publish(going.here.node) == 1
    for path in ("/Organization/member-RVJ", "/Organization?identifier=RVJ&_revinclude=Endpoint:organization"):
        assert going.ask("GET", path) == 200, path


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


def messages(going: Walk) -> None:
    """The answers to a message: done, done before, refused."""
    done = message("m1", "A01", encounter("messaged"))
    unfit = message("m2", "A01", encounter("messaged", of="nobody"))
    for sent in (done, done, unfit):
        going.told("POST", "/$process-message", sent, who="feed")


def roster_of(going: Walk, *people: str) -> None:
    """A Group that lists people."""
    assert going.ask("PUT", "/Group/listed", roster("listed", *people), who="feed") == 201
    read(going, "Group", "listed")
    assert going.ask("GET", "/Group?_id=listed&_include=*") == 200


def subscriptions(going: Walk) -> None:
    """A subscription of a client's, what is said of it, and its end."""
    level = {"url": f"{BACKPORT}/backport-payload-content", "valueCode": "full-resource"}
    sent = {"payload": FHIR_JSON, "_payload": {"extension": [level]}}
    channel = {"type": "rest-hook", "endpoint": "https://hooks.example/", **sent}
    asked = {"resourceType": "Subscription", "status": "requested", "reason": "ward round", "channel": channel}
    search = "Observation?patient=Patient/ann"
    filtered = {"extension": [{"url": f"{BACKPORT}/backport-filter-criteria", "valueString": search}]}
    for criteria in ({"criteria": search}, {"criteria": f"{BASE}/SubscriptionTopic/changed", "_criteria": filtered}):
        made = going.told("POST", "/Subscription", asked | criteria)
        at = f"/Subscription/{made['id']}"
        assert going.ask("PUT", at, made | {"reason": "another round", "status": "requested"}) == 200
        for path in (at, "/Subscription", f"{at}/$status", f"{at}/$events", "/Subscription/$status"):
            assert going.ask("GET", path) == 200, path
        assert going.ask("DELETE", at) == 204
    bound = going.told("POST", "/Subscription", asked | {"criteria": search, "channel": {"type": "websocket"}})
    assert going.ask("GET", f"/Subscription/{bound['id']}/$get-ws-binding-token") == 200
    assert going.ask("DELETE", f"/Subscription/{bound['id']}") == 204
    how = Status(f"{BASE}{at}", f"{BASE}/SubscriptionTopic/changed", "active", count=1)
    body = json.dumps(observation(id="walked")).encode()
    for level, sent in (("full", body), ("id", b"")):
        event = Event(1, going.here.node.clock(), f"{BASE}/Observation/walked", sent)
        for kind, some in (("handshake", ()), ("heartbeat", ()), ("event-notification", (event,))):
            said = notification(how, kind, some, name=str(uuid4()), at_s=event.at_s)
            going.keep(f"{kind}-{level}.json", said)


def choices_of(going: Walk, patient: str) -> None:
    """A patient's choices: filed, read, decided by, replaced and withdrawn."""
    assisted(going.here, patient)
    secret = observation(patient, id="secret", meta={"security": [PSY]})
    assert going.ask("PUT", "/Observation/secret", secret, who="feed") == 201
    made = going.told("POST", "/Consent", deny_psy(patient), who=patient)
    at = f"/Consent/{made['id']}"
    for path in (at, f"/Consent?patient={patient}", f"/Patient/{patient}/Consent"):
        assert going.ask("GET", path, who=patient) == 200, path
    assert going.ask("GET", "/Observation/secret") == 404
    about = {"name": "patient", "valueReference": {"reference": f"Patient/{patient}"}}
    consulted = [about, {"name": "securityLabel", "valueCoding": PSY}]
    going.told("POST", "/Consent/$consult", parameters(*consulted), who=patient)
    wider = {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}
    going.told("PUT", at, made | {"provision": wider}, who=patient)
    assert going.ask("DELETE", at, who=patient) == 204
    going.ask("GET", at, who=patient)
    asked = parameters({"name": "consent", "resource": deny_psy(patient)})
    filed = going.told("POST", "/Consent/$fileConsent", asked, who=patient)
    (new,) = (each["resource"]["id"] for each in filed["parameter"] if each["name"] == "consent")
    named = parameters({"name": "consent", "valueReference": {"reference": f"Consent/{new}"}})
    going.told("POST", "/Consent/$revokeConsent", named, who=patient)


def made_of(going: Walk, patient: str) -> None:
    """What is told of a patient's records beside them, whom they let act, and a chart with all that is made."""
    appoint(going.here, KeyKind.DELEGATE, SigningKey.generate())
    for search, who in ((POINTERS, "nurse"), (DEPOSITS, "nurse"), (DEPOSITS, patient), (DELEGATES, patient)):
        found = going.told("GET", f"{search}&patient={patient}&_count=50", who=who)
        made = found["entry"][0]["resource"]
        assert going.ask("GET", f"/{made['resourceType']}/{made['id']}", who=who) == 200
    assert going.ask("GET", f"/Observation?patient={patient}&_revinclude=Provenance:target") == 200
    for path in ("$everything?_count=20", "$everything?_type=Provenance,Consent,RelatedPerson"):
        assert going.ask("GET", f"/Patient/{patient}/{path}", who=patient) == 200, path


def events_of(going: Walk, patient: str) -> None:
    """What was asked about a patient, and what proves it."""
    anchor(going.here.node)
    trust = encode_trust(trust_root(going.here.genesis))
    for action in "ER":
        going.ask("GET", f"/AuditEvent?action={action}&_count=50", who=patient)
        found = going.told("GET", f"/AuditEvent?action={action}&outcome=0&_count=1", who=patient)
        at = f"/AuditEvent/{found['entry'][0]['resource']['id']}"
        assert going.ask("GET", at, who=patient) == 200
        proof = going.told("GET", f"{at}/$audit-proof", who=patient)
        trusted = {"name": "trust", "valueBase64Binary": b64encode(trust).decode()}
        file = {"name": "file", "valueBase64Binary": proof["data"]}
        going.told("POST", "/$verify", parameters(file, trusted), who=patient)


def parameters(*some: dict) -> dict:
    """What operations take."""
    return {"resourceType": "Parameters", "parameter": list(some)}


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
