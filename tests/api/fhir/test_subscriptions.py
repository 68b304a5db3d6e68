"""Subscriptions against a server and a receiver on real sockets: what is told, when, and that each is decided on."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from salus.api.fhir import notifying
from salus.contracts.provisions import Provision, ProvisionType, Verb
from salus.crypto.signing import verify
from salus.engines.base import Unavailable as LedgerUnavailable
from salus.node import schema
from salus.node.projections import changes, resources
from salus.node.sealed_rows import SealedRows
from salus.node.services.choices import file_by_custodian
from salus.node.services.subscription_events import Events
from salus.node.services.subscriptions import Subscriptions
from salus.vault.errors import Unavailable as VaultUnavailable
from tests.api.exchange_world import eventually
from tests.api.fhir.fhir_world import FHIR_JSON, observation
from tests.api.fhir.receiver import WAIT_S, Receiver, Told, receiver
from tests.api.fhir.served import Served, fields, self_signed, served

pytestmark = pytest.mark.services
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}


@dataclass
class Scene:
    """A hospital, an app that subscribes, and where it is told."""

    here: Served
    at: Receiver
    patients: int = 0
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: dict | None = None, who: str = "clinical") -> requests.Response:
        token = self.tokens.get(who) or self.here.token(getattr(self.here, who))
        self.tokens[who] = token
        url, trust = f"{self.here.base}{path}", str(self.here.certificate)
        content = None if body is None else json.dumps(body)
        return requests.request(method, url, data=content, headers=fields(token), verify=trust, timeout=60)

    def patient(self) -> str:
        """A new patient, alone in a test."""
        self.patients += 1
        name = f"p{self.patients}"
        born = {"birthDate": "1980-02-29", "identifier": [{"system": "urn:h", "value": name}]}
        self.here.put({"resourceType": "Patient", "id": name} | born)
        return name

    def note(self, of: str, name: str, **more: object) -> None:
        """Have the feed write an observation."""
        answer = self.ask("PUT", f"/Observation/{name}", observation(of, id=name, **more), "feed")
        assert answer.status_code in (200, 201), answer.text

    def subscribe(self, body: dict) -> str:
        answer = self.ask("POST", "/Subscription", body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def listening(self, body: dict) -> str:
        """Subscribe, and take the handshake."""
        name = self.subscribe(body)
        assert self.at.next().kind == "handshake"
        self.until_active(name)
        return name

    def until_active(self, name: str) -> None:
        assert eventually(lambda: self.status(name)["status"] == "active", within_s=WAIT_S), "it stays what it is"

    def until_off(self, name: str) -> None:
        assert eventually(lambda: self.status(name)["status"] == "off", within_s=WAIT_S), "it stays what it is"

    def status(self, name: str) -> dict:
        """A subscription as its app reads it."""
        found: dict = self.ask("GET", f"/Subscription/{name}").json()
        return found

    def withdraw(self, of: str, **more: object) -> None:
        """Have a patient deny what the provision says."""
        found = resources.find(self.here.node, "Patient", of)
        assert found is not None
        file_by_custodian(self.here.node, found.pseudonym, Provision(type=ProvisionType.DENY, **more))

    def end(self, name: str) -> None:
        assert self.ask("DELETE", f"/Subscription/{name}").status_code == 204

    def topic(self, of: str, word: str = "changed", content: str = "full-resource", **channel: object) -> dict:
        """A Subscription of the backport to a patient's observations."""
        filtered = {"url": f"{BACKPORT}/backport-filter-criteria", "valueString": f"Observation?patient=Patient/{of}"}
        level = {"url": f"{BACKPORT}/backport-payload-content", "valueCode": content}
        sent = {"payload": FHIR_JSON, "_payload": {"extension": [level]}}
        return {
            "resourceType": "Subscription",
            "meta": {"profile": [f"{BACKPORT}/backport-subscription"]},
            "status": "requested",
            "reason": "ward round",
            "criteria": f"{self.here.base}/SubscriptionTopic/{word}",
            "_criteria": {"extension": [filtered]},
            "channel": {"type": "rest-hook", "endpoint": self.at.url, **sent, **channel},
        }

    def search(self, criteria: str, **channel: object) -> dict:
        """A Subscription in R4's own form."""
        told = {"type": "rest-hook", "endpoint": self.at.url, **channel}
        made = {"resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": criteria}
        return made | {"channel": told}


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("subscriptions")
    (folder / "hook").mkdir()
    certificate, key = self_signed(folder / "hook")
    allowed = {"hook_networks": ("127.0.0.0/8",), "hook_authorities": str(certificate)}
    with receiver(certificate, key) as at, served(folder, **allowed) as here:
        yield Scene(here, at)


@pytest.fixture(autouse=True)
def alone(on: Scene) -> Iterator[None]:
    """Each test begins and ends without subscriptions, and with nothing that has come."""
    yield
    for each in on.ask("GET", "/Subscription").json().get("entry", []):
        on.end(each["resource"]["id"])
    while not on.at.came.empty():
        on.at.came.get()
    while not on.at.answers.empty():
        on.at.answers.get()


# What is told


def test_a_topic_tells_each_change_in_numbers_that_begin_with_one(on: Scene) -> None:
    ann = on.patient()
    name = on.listening(on.topic(ann))
    on.note(ann, f"{ann}-a")
    first = on.at.next()
    on.note(ann, f"{ann}-a", status="amended")
    second = on.at.next()
    assert [(each.kind, each.numbers, each.focuses) for each in (first, second)] == [
        ("event-notification", [1], [f"{ann}-a"]),
        ("event-notification", [2], [f"{ann}-a"]),
    ]
    assert [each.bundle["entry"][1]["request"]["method"] for each in (first, second)] == ["POST", "PUT"]
    assert second.bundle["entry"][1]["resource"]["status"] == "amended"
    assert second.status["events-since-subscription-start"] == "2"
    assert first.status["subscription"] == {"reference": f"{on.here.base}/Subscription/{name}"}


LEVELS = {"empty": (False, 0), "id-only": (True, 0), "full-resource": (True, 1)}


@pytest.mark.parametrize("content", LEVELS)
def test_as_much_is_told_as_was_asked_for(on: Scene, content: str) -> None:
    ann = on.patient()
    on.listening(on.topic(ann, content=content))
    on.note(ann, f"{ann}-a")
    told = on.at.next()
    (event,) = told.status["events"]  # type: ignore[misc]
    assert ("focus" in event, len(told.bundle["entry"]) - 1) == LEVELS[content]
    assert (ann.encode() in told.body) is (content != "empty")


@pytest.mark.parametrize(("word", "told"), [("created", ["POST"]), ("updated", ["PUT"]), ("changed", ["POST", "PUT"])])
def test_each_topic_has_its_changes(on: Scene, word: str, told: list[str]) -> None:
    ann = on.patient()
    on.listening(on.topic(ann, word))
    found = []
    for status in ("final", "amended"):
        on.note(ann, f"{ann}-a", status=status)
        expected = "POST" if status == "final" else "PUT"
        if expected in told:
            found.append(on.at.next().bundle["entry"][1]["request"]["method"])
    assert (found, on.at.nothing()) == (told, True)


def test_others_changes_are_not_told(on: Scene) -> None:
    ann, ben = on.patient(), on.patient()
    on.listening(on.topic(ann))
    on.note(ben, f"{ben}-a")
    on.note(ann, f"{ann}-a")
    assert (on.at.next().focuses, on.at.nothing()) == ([f"{ann}-a"], True)


def test_a_search_is_told_as_r4_has_it(on: Scene) -> None:
    ann = on.patient()
    on.subscribe(on.search(f"Observation?patient=Patient/{ann}&status=final"))
    with_payload = on.search(f"Observation?patient=Patient/{ann}&status=amended", payload=FHIR_JSON)
    on.subscribe(with_payload)
    on.note(ann, f"{ann}-a")
    told = on.at.next()
    assert (told.method, told.path, told.body) == ("POST", "/hook", b"")
    on.note(ann, f"{ann}-a", status="amended")
    told = on.at.next()
    assert (told.method, told.path, told.bundle["id"]) == ("PUT", f"/hook/Observation/{ann}-a", f"{ann}-a")
    assert told.fields["content-type"] == FHIR_JSON


def test_headers_go_along_and_every_request_is_signed(on: Scene) -> None:
    ann = on.patient()
    on.subscribe(on.topic(ann, header=["Authorization: Bearer of-the-app"]))
    told = on.at.next()
    assert told.fields["authorization"] == "Bearer of-the-app"
    issuer = on.here.base.removesuffix("/FHIR/R4")
    keys = requests.get(f"{issuer}/.well-known/jwks.json", verify=str(on.here.certificate), timeout=60).json()["keys"]
    require_signed(told, on.at.url, {each["kid"]: each["x"] for each in keys})
    changed = Told(told.method, told.path, told.fields, told.body + b" ")
    with pytest.raises(AssertionError):
        require_signed(changed, on.at.url, {each["kid"]: each["x"] for each in keys})


def require_signed(told: Told, url: str, keys: dict[str, str]) -> None:
    """Check a signature as a receiver would, after RFC 9421."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(told.body).digest()).decode()}:"
    assert told.fields["content-digest"] == digest
    parameters = told.fields["signature-input"].removeprefix("hook=")
    named = re.findall(r'"([^"]+)"', parameters.partition(")")[0])
    assert {"@method", "@target-uri", "content-digest"} <= set(named)
    values = {"@method": told.method, "@target-uri": url, **told.fields}
    lines = [*(f'"{each}": {values[each]}' for each in named), f'"@signature-params": {parameters}']
    key = keys[re.search(r'keyid="([^"]+)"', parameters)[1]]  # type: ignore[index]
    public = base64.urlsafe_b64decode(key + "=")
    signature = base64.b64decode(told.fields["signature"].removeprefix("hook=:").removesuffix(":"))
    verify(public, "\n".join(lines).encode(), signature)


# That the rules hold


@pytest.mark.promise("R3", "R4")
def test_after_a_withdrawal_nothing_is_told_not_even_that_something_is_there(on: Scene) -> None:
    ann = on.patient()
    on.listening(on.topic(ann, content="empty"))
    on.note(ann, f"{ann}-a")
    assert on.at.next().numbers == [1]
    on.withdraw(ann, verbs=(Verb.SUBSCRIBE,))
    before = on.at.connections
    on.note(ann, f"{ann}-b")
    assert on.at.nothing()
    assert on.at.connections == before  # nobody knocked, either


@pytest.mark.promise("R4")
def test_what_is_withheld_leaves_no_gap(on: Scene) -> None:
    ann = on.patient()
    on.withdraw(ann, labels=(f"{PSY['system']}|{PSY['code']}",))
    on.listening(on.topic(ann))
    on.note(ann, f"{ann}-a")
    on.note(ann, f"{ann}-secret", meta={"security": [PSY]})
    on.note(ann, f"{ann}-b")
    told = [on.at.next()]
    if len(told[0].numbers) == 1:
        told.append(on.at.next())
    assert [each for one in told for each in one.focuses] == [f"{ann}-a", f"{ann}-b"]
    assert [each for one in told for each in one.numbers] == [1, 2]
    assert (on.at.nothing(), b"secret" in b"".join(each.body for each in told)) == (True, False)


@pytest.mark.promise("R3")
def test_what_waits_for_an_endpoint_is_decided_when_it_is_sent(on: Scene) -> None:
    ann = on.patient()
    name = on.listening(on.topic(ann))
    on.at.answers.put(503)
    with on.at.thinking():
        on.note(ann, f"{ann}-a")
        assert on.at.next().numbers == [1]
        on.withdraw(ann, verbs=(Verb.SUBSCRIBE,))
    assert on.at.nothing(3)
    events = on.ask("GET", f"/Subscription/{name}/$events").json()
    assert [len(events["entry"]), ann in json.dumps(events)] == [1, False]


@pytest.mark.promise("R3")
def test_a_subscription_ends_with_its_grant(on: Scene) -> None:
    ann = on.patient()
    name = on.listening(on.topic(ann))
    with on.here.node.vault.database.writing() as connection:
        ended = connection.execute(schema.grants.update().values(ended=1)).rowcount
    assert ended
    on.tokens.clear()
    on.note(ann, f"{ann}-a")
    on.until_off(name)
    assert on.at.nothing()
    assert on.status(name)["error"] == "the endpoint could not be told: access ended"


# That it arrives


def test_what_was_not_received_comes_again_under_its_number(on: Scene) -> None:
    ann = on.patient()
    name = on.listening(on.topic(ann))
    on.at.answers.put(500)
    on.note(ann, f"{ann}-a")
    first, again = on.at.next(), on.at.next()
    on.note(ann, f"{ann}-b")
    assert [each.numbers for each in (first, again, on.at.next())] == [[1], [1], [2]]
    on.until_active(name)
    kept = Subscriptions(on.here.node, SealedRows(on.here.node.vault, on.here.node.chain)).find(bytes.fromhex(name))
    assert kept is not None
    assert eventually(lambda: len(list(Events(on.here.node).deliveries(of=kept.id, limit=10))) > 3, within_s=WAIT_S)
    told = [each.attempt for each in Events(on.here.node).deliveries(of=kept.id, limit=10)]
    log = [(each.kind, each.first, each.outcome) for each in reversed(told)]
    assert log == [
        ("handshake", 0, "received"),
        ("event-notification", 1, "status 500"),
        ("event-notification", 1, "received"),
        ("event-notification", 2, "received"),
    ]


def test_a_database_and_a_ledger_that_are_away_for_a_moment_lose_nothing(
    on: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = on.patient()
    on.listening(on.topic(ann))
    away: list[Exception] = [VaultUnavailable("away"), LedgerUnavailable("away")]
    oldest, tellable = changes.oldest, notifying.tellable
    monkeypatch.setattr(notifying, "POSTPONED_S", 1)
    monkeypatch.setattr(changes, "oldest", lambda *given: failing(away, 2) or oldest(*given))
    monkeypatch.setattr(notifying, "tellable", lambda *given: failing(away, 1) or tellable(*given))
    on.note(ann, f"{ann}-a")
    assert (on.at.next().numbers, away) == ([1], [])


def failing(away: list[Exception], left: int) -> None:
    """Fail with the first of them while so many are left."""
    if len(away) == left:
        raise away.pop(0)


def test_an_endpoint_that_is_gone_is_told_no_more(on: Scene) -> None:
    ann = on.patient()
    name = on.listening(on.topic(ann))
    on.at.answers.put(410)
    on.note(ann, f"{ann}-a")
    on.at.next()
    on.until_off(name)
    assert on.at.nothing()


def test_a_silent_subscription_says_that_it_lives(on: Scene) -> None:
    ann = on.patient()
    heartbeat = {"url": f"{BACKPORT}/backport-heartbeat-period", "valueUnsignedInt": 10}
    name = on.listening(on.topic(ann, extension=[heartbeat]))
    with on.here.node.vault.database.writing() as connection:
        connection.execute(schema.subscriptions.update().values(next_s=on.here.node.clock()))
    told = on.at.next()
    assert (told.kind, told.numbers, len(told.bundle["entry"])) == ("heartbeat", [], 1)
    on.end(name)


def test_events_can_be_asked_for_again_and_how_it_is(on: Scene) -> None:
    ann = on.patient()
    name = on.listening(on.topic(ann, content="id-only"))
    for letter in "ab":
        on.note(ann, f"{ann}-{letter}")
        on.at.next()
    bundle = on.ask("GET", f"/Subscription/{name}/$events?eventsSinceNumber=2&content=full-resource").json()
    assert [each["resource"].get("id") for each in bundle["entry"][1:]] == [f"{ann}-b"]
    status = on.ask("GET", f"/Subscription/{name}/$status").json()
    said = {each["name"]: each for each in status["entry"][0]["resource"]["parameter"]}
    assert (said["status"]["valueCode"], said["events-since-subscription-start"]["valueString"]) == ("active", "2")


# Whose it is, and what is refused


def test_it_is_its_apps_alone(on: Scene) -> None:
    name = on.subscribe(on.topic(on.patient()))
    on.at.next()
    tries = [("GET", f"/Subscription/{name}"), ("DELETE", f"/Subscription/{name}")]
    tries += [("GET", f"/Subscription/{name}/{each}") for each in ("$status", "$events")]
    assert [on.ask(*each, who="feed").status_code for each in tries] == [404] * 4
    assert on.ask("GET", "/Subscription", who="feed").json()["total"] == 0
    assert [each["resource"]["id"] for each in on.ask("GET", "/Subscription").json()["entry"]] == [name]
    assert on.ask("GET", "/Subscription?status=off").json()["total"] == 0


def test_it_is_changed_and_switched_off_and_on(on: Scene) -> None:
    ann = on.patient()
    name = on.listening(on.topic(ann))
    off = on.topic(ann) | {"id": name, "status": "off"}
    assert on.ask("PUT", f"/Subscription/{name}", off).json()["status"] == "off"
    on.note(ann, f"{ann}-a")
    assert on.at.nothing()
    assert on.ask("PUT", f"/Subscription/{name}", on.topic(ann) | {"id": name}).json()["status"] == "requested"
    assert on.at.next().kind == "handshake"


def test_it_is_no_record(on: Scene) -> None:
    body = on.topic(on.patient())
    entry = {"resource": body, "request": {"method": "POST", "url": "Subscription"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert on.ask("POST", "/", bundle).status_code == 422
    assert on.ask("PUT", "/Subscription/mine", body | {"id": "mine"}, "feed").status_code == 404
    assert on.ask("GET", "/?_type=Subscription").json()["total"] == 0


ENDPOINTS = {
    "another scheme": "file:///etc/passwd",
    "a name and a password": "https://me:secret@hooks.example/",
    "no host": "https:///hook",
    "a fragment": "https://hooks.example/#x",
    "a line": "https://hooks.example/\r\nx: y",
}
REFUSED: dict[str, dict] = {
    "an unknown topic": {"criteria": "https://elsewhere.example/SubscriptionTopic/x"},
    "no filter": {"_criteria": {}},
    "an unknown parameter": {"criteria": "Observation?colour=red"},
    "how hits are shown": {"criteria": "Observation?_count=3"},
    "an unknown type": {"criteria": "Nothing?_id=1"},
    "an end that has been": {"end": "2020-01-01T00:00:00Z"},
    "an end that is no time": {"end": "soon"},
}
CHANNELS: dict[str, dict] = {
    "another channel": {"type": "email"},
    "XML": {"payload": "application/fhir+xml"},
    "no content level": {"_payload": {}},
    "a header that is ours": {"header": ["Host: elsewhere.example"]},
    "a header of two lines": {"header": ["X: y\r\nHost: z"]},
    "too long a wait": {"extension": [{"url": f"{BACKPORT}/backport-timeout", "valueUnsignedInt": 600}]},
}


@pytest.mark.parametrize("name", [*ENDPOINTS, *REFUSED, *CHANNELS])
def test_what_is_refused(on: Scene, name: str) -> None:
    body = on.topic("nobody") | REFUSED.get(name, {})
    body["channel"] |= CHANNELS.get(name, {}) | ({"endpoint": ENDPOINTS[name]} if name in ENDPOINTS else {})
    answer = on.ask("POST", "/Subscription", body)
    assert answer.status_code in (400, 422), answer.text
