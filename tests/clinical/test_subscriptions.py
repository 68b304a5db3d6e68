"""What is said of subscriptions, and what they ask for: channels as R4 and the backport have them."""

import json
from uuid import UUID

import pytest

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.subscriptions import CONTENT, FILTER, Level, Status, asked, binding, statuses
from salus.clinical.fhir.validation import base_validator

NAME = "00000000-0000-4000-8000-000000000001"


def test_each_status_has_an_address_and_an_id() -> None:
    found = [Status(f"https://a.example/Subscription/{each}", "", "active", count=each) for each in (1, 2)]
    told = json.loads(statuses(found, name=NAME, at_s=0))
    assert [each for each in base_validator().validate(told) if each.severity == "error"] == []
    names = [each["resource"]["id"] for each in told["entry"]]
    assert [each["fullUrl"] for each in told["entry"]] == [UUID(each).urn for each in names]
    assert len({*names, NAME}) == 3


def test_a_binding_token_comes_in_valid_parameters() -> None:
    told = json.loads(binding("secret", ["1", "2"], until_s=0, url="wss://a.example/websocket"))
    assert [each for each in base_validator().validate(told) if each.severity == "error"] == []
    said = [(each["name"], *(value for name, value in each.items() if name != "name")) for each in told["parameter"]]
    assert said == [
        ("token", "secret"),
        ("expiration", "1970-01-01T00:00:00Z"),
        ("subscription", "1"),
        ("subscription", "2"),
        ("websocket-url", "wss://a.example/websocket"),
    ]


TOPICS = "https://a.example/SubscriptionTopic/"
JSON = {"payload": "application/fhir+json"}
FULL = JSON | {"_payload": {"extension": [{"url": CONTENT, "valueCode": "full-resource"}]}}
HOOK, SOCKET = {"type": "rest-hook", "endpoint": "https://b.example/"}, {"type": "websocket"}
CHANNELS: list[tuple[str, bool, dict, Level | None]] = [
    ("a search is posted", False, HOOK, Level.EMPTY),
    ("a search is put", False, HOOK | JSON, Level.FULL_RESOURCE),
    ("a search pings", False, SOCKET, Level.EMPTY),
    ("a search that pings has no payload", False, SOCKET | JSON, None),
    ("a topic is posted", True, HOOK | FULL, Level.FULL_RESOURCE),
    ("a topic is told over a socket", True, SOCKET | FULL, Level.FULL_RESOURCE),
    ("a topic has a payload", True, SOCKET, None),
    ("a socket has no endpoint", True, SOCKET | FULL | {"endpoint": "https://b.example/"}, None),
    ("a socket has no header", True, SOCKET | FULL | {"header": ["a: b"]}, None),
    ("a hook has an endpoint", True, FULL | {"type": "rest-hook"}, None),
    ("there is no other channel", True, HOOK | FULL | {"type": "email"}, None),
    ("there is no XML", True, SOCKET | FULL | {"payload": "application/fhir+xml"}, None),
]


@pytest.mark.parametrize(("name", "is_topic", "channel", "level"), CHANNELS, ids=[each[0] for each in CHANNELS])
def test_each_channel_tells_what_it_can(name: str, is_topic: bool, channel: dict, level: Level | None) -> None:
    search = "Observation?code=x"
    by_topic = {"criteria": f"{TOPICS}changed", "_criteria": {"extension": [{"url": FILTER, "valueString": search}]}}
    content = (by_topic if is_topic else {"criteria": search}) | {"channel": channel}
    if level is None:
        with pytest.raises(FhirRejected):
            asked(content, TOPICS)
        return
    found = asked(content, TOPICS)
    assert (found.level, found.is_socket, found.endpoint) == (
        level,
        channel["type"] == "websocket",
        channel.get("endpoint", ""),
    )
