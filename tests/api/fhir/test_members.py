"""The ledger's members are in the directory as Organization and Endpoint, and nobody else says what they are."""

import dataclasses
import json
from collections.abc import Iterator

import msgspec
import pytest

from salus.clinical.fhir.validation import base_validator
from salus.node.services import ledger_reads, member_directory
from salus.node.services.member_directory import publish
from tests.api.fhir.fhir_world import Hospital, ask, hospital
from tests.api.fhir.test_searching import ids

ODS = "https://fhir.nhs.uk/Id/ods-organization-code"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        assert publish(made.node) == 1
        yield made


def test_a_member_is_read_and_found_by_its_code(here: Hospital) -> None:
    body = ask(here, "nurse", "GET", "/Organization/member-RVJ").body
    assert [each for each in base_validator().validate(body) if each.severity == "error"] == []
    assert (body["name"], body["identifier"]) == ("Organisation RVJ", [{"system": ODS, "value": "RVJ"}])
    assert ids(ask(here, "nurse", "GET", f"/Organization?identifier={ODS}|RVJ")) == ["member-RVJ"]
    assert publish(here.node) == 0  # nothing has changed


def test_nobody_else_writes_it(here: Hospital) -> None:
    body = ask(here, "nurse", "GET", "/Organization/member-RVJ").body
    other = body | {"name": "Somebody else"}
    entry = {"resource": other, "request": {"method": "PUT", "url": "Organization/member-RVJ"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answers = (
        ask(here, "feed", "PUT", "/Organization/member-RVJ", other),
        ask(here, "feed", "PUT", "/Endpoint/member-XYZ", {"resourceType": "Endpoint", "id": "member-XYZ"}),
        ask(here, "feed", "DELETE", "/Organization/member-RVJ"),
        ask(here, "feed", "POST", "/", bundle),
        ask(here, "nurse", "PATCH", "/Organization/member-RVJ", [{"op": "replace", "path": "/name", "value": "x"}],
            content_type="application/json-patch+json"),
    )  # fmt: skip
    assert [each.status for each in answers] == [422] * len(answers)
    assert ask(here, "nurse", "GET", "/Organization/member-RVJ").body == body


def test_what_changes_on_the_ledger_changes_here(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    (own,) = ledger_reads.members(here.node)
    there = msgspec.structs.replace(own, organisation="A81001", name="Practice", endpoint="https://a.example")

    def members(*found: object) -> None:
        monkeypatch.setattr(member_directory.ledger_reads, "members", lambda _node: found)

    members(own, there)
    assert publish(here.node) == 2
    endpoint = ask(here, "nurse", "GET", "/Endpoint/member-A81001").body
    assert [each for each in base_validator().validate(endpoint) if each.severity == "error"] == []
    assert (endpoint["status"], endpoint["address"]) == ("active", "https://a.example")
    both = ask(here, "nurse", "GET", "/Organization?_id=member-A81001&_include=Organization:endpoint")
    assert (ids(both), ids(both, "include")) == (["member-A81001"], ["member-A81001"])

    members(own, msgspec.structs.replace(there, is_suspended=True))
    assert publish(here.node) == 1
    assert ask(here, "nurse", "GET", "/Endpoint/member-A81001").body["status"] == "suspended"

    members(own)
    assert publish(here.node) == 2
    for path in ("/Endpoint/member-A81001", "/Organization/member-A81001"):
        assert ask(here, "nurse", "GET", path).status == 410
    assert publish(here.node) == 0


def test_without_an_index_nothing_is_published(here: Hospital) -> None:
    assert publish(dataclasses.replace(here.node, has_index=False)) == 0
    assert json.loads(ask(here, "nurse", "GET", "/Organization/member-RVJ").text)["active"] is True
