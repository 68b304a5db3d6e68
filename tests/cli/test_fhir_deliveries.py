"""salus fhir deliveries: the log of what subscriptions were told, page by page."""

import pytest

from salus.node.opening import open_node
from salus.node.services.subscription_events import Attempt, Events
from salus.node.services.subscriptions import NO_TENURE, State, Subscription, Terms
from tests.cli.conftest import North, Run, assert_fails

pytestmark = pytest.mark.services

AT_S = 1_790_000_000
TOLD = Subscription(b"a" * 16, b"", State.ACTIVE, 1, AT_S, AT_S, 0, 0, "", Terms(b"", NO_TENURE))
ATTEMPTS = (
    ("handshake", 0, "received"),
    ("event-notification", 1, "status 500"),
    ("event-notification", 1, "received"),
)


def test_the_log_is_read_page_by_page(north: North, run: Run) -> None:
    empty = run("fhir", "deliveries", north.hospital)
    assert (empty.status, empty.out) == (0, "nothing was delivered within a week\n")
    with open_node(north.hospital) as node:
        for kind, number, outcome in ATTEMPTS:
            Events(node).log(TOLD, Attempt(AT_S, kind, number, number, outcome))
    first = run("fhir", "deliveries", north.hospital, "--limit", "2", "--json").facts
    assert [each["outcome"] for each in first["deliveries"]] == ["received", "status 500"]
    assert first["deliveries"][0] == {
        "number": first["deliveries"][0]["number"],
        "at_s": AT_S,
        "subscription": TOLD.id.hex(),
        "kind": "event-notification",
        "first": 1,
        "last": 1,
        "outcome": "received",
    }
    rest = run("fhir", "deliveries", north.hospital, "--before", first["before"], "--json").facts
    assert ([each["kind"] for each in rest["deliveries"]], rest["before"]) == (["handshake"], None)
    words = run("fhir", "deliveries", north.hospital, "--limit", "1").out.splitlines()
    assert "21 September 2026, 15:13:20 BST" in words[1]
    assert words[0].split() == ["number", "at", "subscription", "what", "events", "outcome"]
    assert words[-1] == f"there is more: --before {first['deliveries'][0]['number']}"


def test_of_one_subscription(north: North, run: Run) -> None:
    nobody = run("fhir", "deliveries", north.hospital, "--subscription", "f" * 32, "--json")
    assert nobody.facts["deliveries"] == []
    bad = run("fhir", "deliveries", north.hospital, "--subscription", "no")
    assert_fails(bad, 2, error="expected 32 digits", hint="copy it from the address of the subscription")
