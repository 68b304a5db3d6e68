"""Rosters, Groups that list people: who sees whom on one, by every way there is; nothing tells of the others."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from salus.clinical.fhir.resources import parse
from salus.contracts.provisions import Verb
from salus.node import schema
from salus.node.errors import NotNow
from salus.node.projections import resources
from salus.node.services import rosters
from salus.node.services.deposit import deposit
from salus.node.services.erase import erase, follow_tombstones
from salus.node.services.respond import Responder
from salus.node.services.show import hidden_rosters, newest, show
from salus.node.services.subscription_events import Waiting, tellable, told_of
from tests.api.fhir.fhir_world import Hospital, Someone, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted
from tests.api.fhir.test_bulk import begun, deny, exported, group, manifest_of, patient, pseudonym_of

OTHERS = ("cat", "dan", "eve", "fay", "gil", "gus")
EVERYBODY = ("ann", "ben", *OTHERS)


OF_BEN = [{"code": {"text": "x"}, "exclude": False, "valueReference": {"reference": "Patient/ben"}}]


def roster(logical_id: str, *people: str, **more: object) -> dict:
    member = [{"entity": {"reference": f"Patient/{each}"}} for each in people]
    return {"resourceType": "Group", "id": logical_id, "type": "person", "actual": True, "member": member} | more


@contextmanager
def clinic(folder: Path) -> Iterator[Hospital]:
    """Eight people, on two lists: Cat withholds everything, Dan what is exported, Eve what is searched for."""
    with hospital(folder) as made:
        bodies = [
            *(patient(name, number) for number, name in enumerate(OTHERS, start=3)),
            *(observation(name, id=f"o-{name}") for name in EVERYBODY),
            roster("g", "ann", "ben", "cat", "dan", "eve", name="Clinic", quantity=5),
            roster("closed", "cat", name="Closed"),
            group("Patient?_id=ann", "searched"),
        ]
        for body in bodies:
            assert ask(made, "feed", "PUT", f"/{body['resourceType']}/{body['id']}", body).status == 201, body
        deny(made, "cat", organisations=("RVJ",))
        deny(made, "dan", verbs=(Verb.EXPORT,))
        deny(made, "eve", verbs=(Verb.SEARCH,))
        nurse = made.tokens.people["nurse"]
        assert isinstance(nurse, Someone)
        made.tokens.people |= {
            "ben's": replace(nurse, patient=pseudonym_of(made, "ben")),
            "cat's": replace(nurse, patient=pseudonym_of(made, "cat")),
            "narrow": replace(nurse, narrowed={"Patient": ((("identifier", "urn:h|2"),),)}),
            "no-patients": _without(nurse, "Patient"),
            "with-ann": replace(nurse, narrowed={"Group": ((("member", "Patient/ann"),),)}),
            "with-cat": replace(nurse, narrowed={"Group": ((("member", "Patient/cat"),),)}),
            "of-g": replace(nurse, narrowed={"Patient": ((("_has:Group:member:_id", "g"),),)}),
        }
        yield made


def _without(someone: Someone, kind: str) -> Someone:
    class Without(Someone):
        def may(self, interaction: str, resource_type: str) -> bool:
            return resource_type != kind and super().may(interaction, resource_type)

    return Without(someone.login)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with clinic(tmp_path_factory.mktemp("clinic")) as made:
        yield made


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Another, for tests that write: each its own lists."""
    with clinic(tmp_path_factory.mktemp("desk")) as made:
        yield made


def names_in(text: str) -> set[str]:
    """The Patients that an answer names, as members or as resources; its links repeat what was asked."""
    body = json.loads(text)
    body.pop("link", None)
    shown = [body, *(each.get("resource", {}) for each in body.get("entry", ()))]
    found = {each for each in EVERYBODY if f"Patient/{each}" in json.dumps(body)}
    return found | {each["id"] for each in shown if each.get("resourceType") == "Patient"}


READ, SOUGHT = "ann ben dan eve", "ann ben dan"


@pytest.mark.promise("R4")
@pytest.mark.parametrize(
    ("path", "who", "seen"),
    [
        ("/Group/g", "nurse", READ),
        ("/Group/g", "reader", READ),
        ("/Group/g", "ann-app", "ann"),
        ("/Group/g", "ben's", "ben"),
        ("/Group/g", "cat's", ""),
        ("/Group/g", "narrow", "ben"),
        ("/Group/g", "no-patients", ""),
        ("/Group/g", "of-g", READ),
        ("/Patient", "of-g", SOUGHT),
        ("/Patient/fay", "of-g", ""),
        ("/Group", "with-ann", SOUGHT),
        ("/Group", "with-cat", ""),
        ("/Group/g", "with-cat", ""),
        ("/Group/g", "feed", ""),
        ("/Group/g/_history", "nurse", READ),
        ("/Group/g/_history", "ann-app", "ann"),
        ("/Group/g/_history/1", "nurse", READ),
        ("/Group/_history", "nurse", SOUGHT),
        ("/_history?_count=100", "ann-app", "ann"),
        ("/Group/g/$meta", "nurse", ""),
        ("/Group", "nurse", SOUGHT),
        ("/Group", "cat's", ""),
        ("/Group?_id=g", "ann-app", "ann"),
        ("/Group?_id=g&_elements=member", "nurse", SOUGHT),
        ("/Group?_id=g&_summary=data", "narrow", "ben"),
        ("/?_type=Group", "nurse", SOUGHT),
        ("/Group?member=Patient/ann", "nurse", SOUGHT),
        ("/Group?member=ben", "nurse", SOUGHT),
        ("/Group?member=Patient/cat", "nurse", ""),
        ("/Group?member=Patient/eve", "nurse", ""),
        ("/Group?member=Patient/fay", "nurse", ""),
        ("/Group?member=Patient/ben", "ann-app", ""),
        ("/Group?member=Patient/ann", "ann-app", "ann"),
        ("/Group?member=Patient/ann", "narrow", ""),
        ("/Group?member:Patient.identifier=urn:h|1", "nurse", SOUGHT),
        ("/Group?member:Patient.identifier=urn:h|3", "nurse", ""),
        ("/Group?member:missing=false", "nurse", ""),
        ("/Patient?_has:Group:member:_id=g", "nurse", SOUGHT),
        ("/Patient?_has:Group:member:_id=g", "ben's", "ben"),
        ("/Patient?_has:Group:member:_id=closed", "nurse", ""),
        ("/Patient?_has:Group:member:_id=g", "no-patients", ""),
        ("/Observation?subject:Patient._has:Group:member:_id=g", "nurse", SOUGHT),
        ("/Group?_id=g&_include=Group:member", "nurse", SOUGHT),
        ("/Group?_id=g&_include=Group:member", "narrow", "ben"),
        ("/Patient?_id=ann&_revinclude=Group:member", "nurse", SOUGHT),
        ("/Patient?_id=ann&_revinclude=Group:member", "ann-app", "ann"),
        ("/Patient?_id=fay&_revinclude=Group:member", "nurse", "fay"),
        ("/Patient/ann/Group", "nurse", ""),
        ("/Patient/ann/$everything?_type=Patient,Group", "nurse", "ann"),
        ("/Group/closed", "nurse", ""),
        ("/Group/closed/_history", "nurse", ""),
        ("/Group/closed/_history/1", "nurse", ""),
        ("/Group?_id=closed", "nurse", ""),
    ],
)
def test_whoever_may_see_a_patient_sees_them_on_a_list(here: Hospital, path: str, who: str, seen: str) -> None:
    assert names_in(ask(here, who, "GET", path).text) == set(seen.split())


@pytest.mark.promise("R4")
@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("/Group/closed", 404),
        ("/Group/closed/_history", 404),
        ("/Group/closed/_history/1", 404),
        ("/Group/closed/$meta", 404),
        ("/Group/closed/$export", 404),
        ("/Group?_id=closed", 0),
        ("/Group?_id=closed&_summary=count", 0),
        ("/Group?_id=closed,g", 1),
        ("/Group?_id=closed,g&_summary=count", 1),
        ("/Group?_id=closed,g,searched&_total=accurate", 2),
    ],
)
def test_a_list_of_nobody_who_may_be_seen_is_not_there(here: Hospital, path: str, want: int) -> None:
    answer = ask(here, "nurse", "GET", path)
    never = ask(here, "nurse", "GET", path.replace("closed", "never"))
    assert answer.body.get("total", answer.status) == want
    if want == 404:
        assert answer.text == never.text


@pytest.mark.promise("R4", "P7")
def test_who_comes_and_goes_unseen_is_told_by_nothing(desk: Hospital) -> None:
    paths = [
        *("/Group/g", "/Group/g/_history", "/Group/_history", "/_history?_count=200", "/Group?_id=g", "/Group"),
        *("/Group?member=Patient/cat", "/Group?member:missing=true", "/Patient?_has:Group:member:_id=g"),
        *("/Group?_lastUpdated=gt2000-01-01", "/Group?_sort=-_lastUpdated", "/Patient?_revinclude=Group:member"),
        "/Patient?_id=cat&_revinclude=Group:member",
    ]

    def told() -> list[tuple]:
        answers = [ask(desk, "nurse", "GET", path) for path in paths]
        entries = [each.body.get("entry", each.body.get("member")) for each in answers]
        heads = [(each.status, each.headers.get("etag"), each.headers.get("last-modified")) for each in answers]
        return [*zip(paths, heads, entries, [each.body.get("total") for each in answers], strict=True)]

    before = told()
    for people in (("ann", "ben", "dan", "eve"), ("cat", "ann", "ben", "dan", "eve")):
        body = roster("g", *people, name="Clinic", quantity=len(people), text=_narrative(people))
        assert ask(desk, "feed", "PUT", "/Group/g", body).status == 200
        assert told() == before
    assert ask(desk, "feed", "DELETE", "/Group/closed").status == 204
    assert told() == before


def _narrative(people: tuple[str, ...]) -> dict:
    said = ", ".join(f"Patient/{each}" for each in people)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{said}</div>'}


@pytest.mark.promise("R4")
def test_a_list_is_exported_by_who_on_it_may_be(here: Hospital) -> None:
    assert exported(here, "/Group/g/$export?_type=Patient,Observation") == {
        "Patient": ["ann", "ben", "eve"],
        "Observation": ["o-ann", "o-ben", "o-eve"],
    }
    assert exported(here, "/Group/g/$export?_type=Patient", who="ann-app") == {"Patient": ["ann"]}
    assert exported(here, "/Group/g/$export?_type=Patient", who="narrow") == {"Patient": ["ben"]}


@pytest.mark.promise("R4")
def test_an_export_of_everything_names_who_on_a_list_may_be_exported(here: Hospital) -> None:
    manifest = manifest_of(here, begun(here, "/$export?_type=Group"))
    (output,) = manifest["output"]
    lines = ask(here, "nurse", "GET", output["url"].partition("/FHIR/R4")[2]).text.splitlines()
    assert output["count"] == len(lines) == 2
    named = {json.loads(line)["id"]: names_in(line) for line in lines}
    assert named == {"g": {"ann", "ben", "eve"}, "searched": set()}


def test_somebody_who_has_left_is_on_the_list_and_not_in_its_export(desk: Hospital) -> None:
    body = roster("left", "ann", "ben")
    body["member"][1]["inactive"] = True
    assert ask(desk, "feed", "PUT", "/Group/left", body).status == 201
    assert names_in(ask(desk, "nurse", "GET", "/Group/left").text) == {"ann", "ben"}
    assert exported(desk, "/Group/left/$export?_type=Patient") == {"Patient": ["ann"]}


def test_an_entry_is_read_as_it_came_and_counts_are_left_out(desk: Hospital) -> None:
    entry = b'{"period":{"start":"2026-01-01"},"entity":{"reference":"Patient/ann"},"extension":[{"url":"urn:x",'
    entry += b'"valueDecimal":1.50}]}'
    body = b'{"resourceType":"Group","id":"f","actual":true,"quantity":1,"type":"person","member":[' + entry + b"]}"
    assert ask(desk, "feed", "PUT", "/Group/f", body).status == 201
    shown = ask(desk, "nurse", "GET", "/Group/f")
    assert entry.decode() in shown.text
    assert "quantity" not in shown.body
    xml = ask(desk, "nurse", "GET", "/Group/f", accept="application/fhir+xml")
    assert '<valueDecimal value="1.50"/>' in xml.text


@pytest.mark.promise("R4")
def test_what_a_client_has_is_no_answer_for_who_may_be_seen_now(desk: Hospital) -> None:
    assert ask(desk, "feed", "PUT", "/Group/known", roster("known", "ann", "gil")).status == 201
    tag = ask(desk, "nurse", "GET", "/Group/known").headers["etag"]
    deny(desk, "gil", organisations=("RVJ",))
    again = ask(desk, "nurse", "GET", "/Group/known", if_none_match=tag)
    assert (again.status, names_in(again.text)) == (200, {"ann"})


@pytest.mark.parametrize(
    ("who", "method", "name", "body", "want"),
    [
        ("nurse", "POST", "", roster("", "ann", "ben"), 201),
        ("ann-app", "POST", "", roster("", "ann"), 422),
        ("reader", "POST", "", roster("", "ann"), 403),
        ("feed", "PUT", "/new", roster("new", "ann"), 201),
        ("feed", "PUT", "/new", roster("new", "ben"), 200),
        ("nurse", "PUT", "/g", roster("g", "ann"), 404),
        ("nurse", "PATCH", "/g", [{"op": "remove", "path": "/member/0"}], 404),
        ("nurse", "DELETE", "/g", None, 404),
        ("feed", "PUT", "/n", roster("n", "ann", "never"), 422),
        ("feed", "PUT", "/n", roster("n", "ann", meta={"security": [{"system": "urn:x", "code": "x"}]}), 422),
        ("feed", "PUT", "/n", roster("n", "ann", contained=[{"resourceType": "Patient", "id": "c"}]), 422),
        ("feed", "PUT", "/n", roster("n", "ann", characteristic=OF_BEN), 422),
        ("feed", "PUT", "/n", roster("n", *["ann"] * 1001), 422),
        ("feed", "PUT", "/searched", roster("searched", "ann"), 422),
        ("feed", "PUT", "/g", group("Patient?_id=ann", "g"), 422),
        ("feed", "PUT", "/n", roster("n", "ann", actual=False), 422),
    ],
)  # fmt: skip
def test_who_may_write_which_list(desk: Hospital, who: str, method: str, name: str, body: object, want: int) -> None:
    if isinstance(body, dict) and not body.get("id"):
        body = {key: value for key, value in body.items() if key != "id"}
    kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
    answer = ask(desk, who, method, f"/Group{name}", body, content_type=kind)
    assert answer.status == want, answer.text
    if want >= 400 and name == "/n":
        assert resources.find(desk.node, "Group", "n") is None


@pytest.mark.promise("P5")
def test_an_erasure_takes_a_member_along(desk: Hospital) -> None:
    assert ask(desk, "feed", "PUT", "/Group/erased", roster("erased", "ann", "fay")).status == 201
    fay, columns = pseudonym_of(desk, "fay"), schema.roster_members.c
    theirs = select(schema.roster_members).where(columns.pseudonym == fay)
    with desk.node.vault.database.reading() as connection:
        kept = connection.execute(theirs).one()._asdict()
    erase(desk.node, fay)
    with desk.node.vault.database.writing() as connection:
        assert connection.execute(theirs).all() == []
        connection.execute(insert(schema.roster_members).values(kept))  # a restore of an older backup
    follow_tombstones(desk.node)
    with desk.node.vault.database.reading() as connection:
        assert connection.execute(theirs).all() == []
    assert names_in(ask(desk, "nurse", "GET", "/Group/erased").text) == {"ann"}


@pytest.mark.promise("R5")
def test_each_member_has_a_receipt_of_who_read_the_list(desk: Hospital) -> None:
    assert ask(desk, "feed", "PUT", "/Group/read", roster("read", "ben", "gus")).status == 201

    def released(of: str) -> int:
        assisted(desk, of)
        answer = ask(desk, of, "GET", "/AuditEvent?subtype=read&outcome=0&_count=0")
        assert answer.status == 200, answer.text
        return int(answer.body["total"])

    before = [released(each) for each in ("ann", "ben", "gus")]
    assert names_in(ask(desk, "nurse", "GET", "/Group/read").text) == {"ben", "gus"}
    after = [released(each) for each in ("ann", "ben", "gus")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [0, 1, 1]


def test_a_group_that_was_one_patients_stays_in_that_record(desk: Hospital) -> None:
    """As an earlier version kept a list of one."""
    body = roster("own", "ann")
    deposit(desk.node, pseudonym_of(desk, "ann"), [parse(json.dumps(body).encode())])
    assert ask(desk, "feed", "PUT", "/Group/own", body | {"name": "x"}).status == 200
    assert ask(desk, "ann-app", "GET", "/Group/own").body["name"] == "x"
    assert ask(desk, "ben's", "GET", "/Group/own").status == 404
    assert ask(desk, "feed", "PUT", "/Group/own", roster("own", "ann", "ben")).status == 422


@pytest.mark.promise("P7")
def test_the_directory_names_nobody_on_a_list(here: Hospital) -> None:
    found = resources.find(here.node, "Group", "g")
    assert found is not None
    (kept,) = here.node.vault.open_small([found.key]).values()
    assert json.loads(kept) == {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "name": "Clinic"}


def test_a_list_that_is_gone_is_as_if_it_never_was(desk: Hospital) -> None:
    assert ask(desk, "feed", "PUT", "/Group/gone", roster("gone", "ann")).status == 201
    assert ask(desk, "feed", "DELETE", "/Group/gone").status == 204
    assert [ask(desk, "nurse", "GET", path).status for path in ("/Group/gone", "/Group/gone/_history")] == [404, 404]
    found = resources.find(desk.node, "Group", "gone")
    assert found is not None
    assert rosters.members(desk.node, [found]) == {found.record: []}
    assert ask(desk, "feed", "PUT", "/Group/gone", roster("gone", "ben")).status == 200
    assert names_in(ask(desk, "nurse", "GET", "/Group/gone").text) == {"ben"}


@pytest.mark.promise("R4")
def test_a_path_that_does_not_say_how_far_it_reaches_shows_no_list(here: Hospital) -> None:
    """As subscriptions do not: that a list has changed says something of who is on it."""
    found = resources.find(here.node, "Group", "g")
    assert found is not None
    responder, login, wanted = Responder(here.node), here.tokens.people["nurse"].login, [newest(found)]
    assert show(here.node, responder, login, wanted) == {}
    assert hidden_rosters(here.node, responder, login, wanted, Verb.SUBSCRIBE) == {found.key}
    event = Waiting(1, found.pseudonym, found.record, found.version, at_s=0, number=0)
    assert tellable(here.node, responder, login, [event]) == frozenset()
    assert told_of(here.node, responder, login, [event]) == {}


@pytest.mark.promise("R4")
def test_a_lists_history_has_its_newest_version_only(desk: Hospital) -> None:
    """Who was on it under an older name nobody knows any more."""
    for name, status in (("A", 201), ("B", 200)):
        assert ask(desk, "feed", "PUT", "/Group/renamed", roster("renamed", "ann", name=name)).status == status
    history = ask(desk, "nurse", "GET", "/Group/renamed/_history").body
    assert (history["total"], [each["resource"]["name"] for each in history["entry"]]) == (1, ["B"])
    versions = [ask(desk, "nurse", "GET", f"/Group/renamed/_history/{each}").status for each in (1, 2, 3)]
    assert versions == [404, 200, 404]


@pytest.mark.promise("R4")
def test_a_write_that_is_cut_off_shows_no_list_of_nobody(desk: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(_node: object, _roster: object) -> None:
        raise NotNow("the node was killed")

    with monkeypatch.context() as patch:
        patch.setattr(rosters, "keep", cut_off)
        assert ask(desk, "feed", "PUT", "/Group/cut", roster("cut", "ann")).status == 503
    assert ask(desk, "nurse", "GET", "/Group/cut").status == 404
    assert ask(desk, "feed", "PUT", "/Group/cut", roster("cut", "ann")).status == 200
    assert names_in(ask(desk, "nurse", "GET", "/Group/cut").text) == {"ann"}


def test_lists_come_with_their_members_in_a_transaction(desk: Hospital) -> None:
    new = patient("", 9)
    del new["id"]
    listed = roster("", "x")
    del listed["id"]
    listed["member"][0]["entity"]["reference"] = "urn:uuid:p"
    entries = [
        {"fullUrl": "urn:uuid:g", "resource": listed, "request": {"method": "POST", "url": "Group"}},
        {"fullUrl": "urn:uuid:p", "resource": new, "request": {"method": "POST", "url": "Patient"}},
    ]
    answer = ask(desk, "nurse", "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.text
    places = ["/".join(each["response"]["location"].split("/")[-4:-2]) for each in answer.body["entry"]]
    shown = ask(desk, "nurse", "GET", f"/{places[0]}").body
    assert [each["entity"]["reference"] for each in shown["member"]] == [places[1]]
