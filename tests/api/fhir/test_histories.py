"""Histories of types and of everything: what is in them, page by page, and what is withheld shows in none."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from salus.contracts.provisions import Provision, ProvisionType
from salus.node import schema
from salus.node.projections import resources
from salus.node.services import histories
from salus.node.services.choices import file_by_custodian
from salus.vault import schema as vault_schema
from tests.api.fhir.fhir_world import Answer, Hospital, Someone, ask, hospital, observation

PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
WRITES = [
    ("PUT", "a", observation("ann", id="a")),
    ("PUT", "b", observation("ben", id="b")),
    ("PUT", "hidden", observation("ben", id="hidden", meta={"security": [PSY]})),
    ("PUT", "a", observation("ann", id="a", status="amended")),
    ("PUT", "gone", observation("ann", id="gone")),
    ("DELETE", "gone", None),
    ("PUT", "unhidden", observation("ben", id="unhidden", meta={"security": [PSY]})),
    ("PUT", "unhidden", observation("ben", id="unhidden")),
]
SHOWN = ["unhidden/2", "gone/2", "gone/1", "a/2", "b/1", "a/1"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        long_ago(made, -1)
        for number, (method, name, body) in enumerate(WRITES):
            answer = ask(made, "feed", method, f"/Observation/{name}", body)
            assert answer.status in (200, 201, 204), answer.text
            long_ago(made, number)
        ben = resources.find(made.node, "Patient", "ben")
        assert ben is not None
        tree = Provision(type=ProvisionType.DENY, labels=(f"{PSY['system']}|{PSY['code']}",))
        file_by_custodian(made.node, ben.pseudonym, tree)
        yield made


def long_ago(here: Hospital, number: int) -> None:
    """Set what was written since the last call into the past, each time ten seconds later."""
    past_s, at_s = here.node.clock() - 5_000, here.node.clock() - 10_000 + 10 * number
    with here.node.vault.database.writing() as connection:
        for column in (vault_schema.records.c.staged_at_s, schema.resources.c.updated_s):
            connection.execute(update(column.table).where(column > past_s).values({column: at_s}))


def versions(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [version(each) for each in answer.body.get("entry", [])]


def version(entry: dict) -> str:
    return entry["fullUrl"].rpartition("/")[2] + "/" + entry["response"]["etag"].split('"')[1]


def at(here: Hospital, answer: Answer, name: str) -> str:
    """When a version was stored."""
    (found,) = (each for each in answer.body["entry"] if version(each) == name)
    return found["response"]["lastModified"]


def pages(here: Hospital, path: str, who: str = "nurse") -> list[list[str]]:
    answer, found = ask(here, who, "GET", path), []
    while True:
        found.append(versions(answer))
        following = [each["url"] for each in answer.body["link"] if each["relation"] == "next"]
        if not following:
            return found
        parts = urlsplit(following[0])
        answer = ask(here, who, "GET", parts.path.removeprefix("/FHIR/R4") + "?" + parts.query)


def test_the_history_of_a_type_has_what_may_be_shown_the_newest_first(here: Hospital) -> None:
    assert versions(ask(here, "nurse", "GET", "/Observation/_history")) == SHOWN


def test_the_history_of_everything_has_the_other_types_and_the_directory(here: Hospital) -> None:
    ask(here, "feed", "PUT", "/Practitioner/dr", {"resourceType": "Practitioner", "id": "dr"})
    assert versions(ask(here, "nurse", "GET", "/_history"))[: len(SHOWN) + 1] == ["dr/1", *SHOWN]


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_its_pages_are_the_whole(here: Hospital, count: int) -> None:
    found = pages(here, f"/Observation/_history?_count={count}")
    assert [each for page in found for each in page] == SHOWN
    assert all(len(page) == count for page in found[:-1])


def test_pages_go_on_where_few_are_looked_at_in_one_go(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "CANDIDATES", 2)
    assert [each for page in pages(here, "/Observation/_history?_count=1") for each in page] == SHOWN
    assert pages(here, "/Observation/_history?_count=20") == [SHOWN]


def test_what_is_written_between_two_pages_moves_nothing(here: Hospital) -> None:
    first = ask(here, "nurse", "GET", "/Observation/_history?_count=3&_since=2000-01-01")
    (following,) = [each["url"] for each in first.body["link"] if each["relation"] == "next"]
    ask(here, "feed", "PUT", "/Observation/late", observation("ann", id="late"))
    late = ask(here, "nurse", "GET", "/Observation/_history?" + urlsplit(following).query)
    ask(here, "feed", "DELETE", "/Observation/late")
    assert versions(late) == SHOWN[3:]


def test_since_and_at(here: Hospital) -> None:
    whole = ask(here, "nurse", "GET", "/Observation/_history?_count=50")
    kept = [each for each in versions(whole) if not each.startswith("late")]
    since = at(here, whole, "a/2")
    found = versions(ask(here, "nurse", "GET", f"/Observation/_history?_since={since}&_count=50"))
    assert [each for each in found if not each.startswith("late")] == kept[: kept.index("a/2") + 1]
    now = versions(ask(here, "nurse", "GET", f"/Observation/a/_history?_at={since}"))
    before = versions(ask(here, "nurse", "GET", f"/Observation/a/_history?_at={at(here, whole, 'b/1')}"))
    assert (now, before) == (["a/2"], ["a/1"])


@pytest.mark.parametrize("query", ["_since=x", "_at=x", "_count=x", "_since=2020&_since=2021"])
def test_what_cannot_be_read_is_refused(here: Hospital, query: str) -> None:
    assert ask(here, "nurse", "GET", f"/Observation/_history?{query}").status == 400


def test_what_is_unknown_is_refused_when_the_client_is_strict(here: Hospital) -> None:
    assert ask(here, "nurse", "GET", "/Observation/_history?colour=red").status == 200
    assert ask(here, "nurse", "GET", "/Observation/_history?colour=red", prefer="handling=strict").status == 400


@pytest.mark.promise("R4")
def test_an_app_of_one_patient_sees_no_other(here: Hospital) -> None:
    found = versions(ask(here, "ann-app", "GET", "/Observation/_history?_count=50"))
    assert [each for each in found if not each.startswith("late")] == ["gone/2", "gone/1", "a/2", "a/1"]


@pytest.mark.promise("R4")
def test_scopes_narrow_a_history(here: Hospital) -> None:
    nurse = here.tokens.people["nurse"]
    narrowed = {"Observation": ((("status", "amended"),),)}
    here.tokens.people["narrow"] = Someone(nurse.login, narrowed=narrowed)
    here.tokens.people["none"] = Someone(nurse.login, may_not="s")
    assert versions(ask(here, "narrow", "GET", "/Observation/_history")) == ["a/2", "a/1"]
    assert [ask(here, "none", "GET", path).status for path in ("/Observation/_history", "/_history")] == [403, 403]


@pytest.mark.promise("R4")
def test_a_link_leads_nobody_else_and_to_no_other_history(here: Hospital) -> None:
    first = ask(here, "nurse", "GET", "/Observation/_history?_count=1")
    (following,) = [each["url"] for each in first.body["link"] if each["relation"] == "next"]
    query = urlsplit(following).query
    tries = (("feed", "/Observation/_history"), ("nurse", "/Condition/_history"), ("nurse", "/_history"))
    assert [ask(here, who, "GET", f"{path}?{query}").status for who, path in tries] == [404, 404, 404]


@pytest.mark.promise("R4")
def test_a_history_that_may_not_be_seen_is_as_one_that_never_was(here: Hospital) -> None:
    for query in ("", "?_since=2000", "?_since=2999", "?_count=0"):
        urls = [f"/Observation/{each}/_history{query}" for each in ("hidden", "never")]
        came = [ask(here, "nurse", "GET", each, x_request_id="same") for each in urls]
        assert came[0].status == 404
        assert [(each.status, each.text) for each in came] == [(came[0].status, came[0].text)] * 2
    assert ask(here, "nurse", "GET", "/Observation/a/_history?_since=2999").body.get("entry") is None
