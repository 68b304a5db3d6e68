"""The leak suite against our own server: no row leaks; and each row catches what is planted in it."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from salus.cli.leaks import command
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.node.projections import resources
from salus.node.services.choices import file_by_custodian
from salus.testing.leaks import LABEL, PATHS, Answer, Finding, Subjects, run, set_up
from salus.testing.leaks import Path as LeakPath
from tests.api.fhir.fhir_world import Hospital, Someone, hospital
from tests.api.fhir.served import served


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with hospital(tmp_path_factory.mktemp("fhir")) as made:
        yield made


@pytest.fixture(scope="module")
def subjects(here: Hospital) -> Subjects:
    def store(reference: str, resource: dict[str, object]) -> None:
        answer = asking(here, "feed")("PUT", reference, {"content-type": "application/fhir+json"}, json.dumps(resource))
        assert answer.status == 201, answer.text

    return set_up(store)


def asking(here: Hospital, who: str) -> Callable[[str, str, Mapping[str, str], str], Answer]:
    def ask(method: str, url: str, fields: Mapping[str, str], body: str) -> Answer:
        address = url if url.startswith("https://") else f"https://fhir.rvj.example/FHIR/R4/{url}".rstrip("/")
        headers = {"authorization": f"Bearer {who}", "x-request-id": "same", **fields}
        response = here.client.request(method, address, content=body.encode() or None, headers=headers)
        return Answer(response.status_code, dict(response.headers), response.text)

    return ask


@pytest.fixture(scope="module")
def without_a_choice(here: Hospital, subjects: Subjects) -> dict[str, Finding]:
    """What the rows find where nothing is withheld; rows that write come later, to a record that is whole."""
    reading = tuple(each for each in PATHS if each.method in ("GET", "HEAD"))
    return {each.path.name: each for each in run(asking(here, "nurse"), subjects, reading)}


@pytest.fixture(scope="module")
def findings(here: Hospital, subjects: Subjects, without_a_choice: dict[str, Finding]) -> dict[str, Finding]:
    assert without_a_choice, "asked before anything is withheld"
    for each in (subjects.with_secret, subjects.without):
        found = resources.find(here.node, "Patient", each.names["patient"])
        assert found is not None
        tree = Provision(type=ProvisionType.DENY, labels=(f"{LABEL['system']}|{LABEL['code']}",))
        file_by_custodian(here.node, found.pseudonym, tree)
    return {each.path.name: each for each in run(asking(here, "nurse"), subjects, PATHS)}


def test_there_are_at_least_sixty_paths_each_with_a_name_of_its_own() -> None:
    assert len({each.name for each in PATHS}) == len(PATHS) >= 60


@pytest.mark.promise("R4")
@pytest.mark.parametrize("name", [each.name for each in PATHS])
def test_our_server_leaks_on_no_path(findings: dict[str, Finding], name: str) -> None:
    assert findings[name].leak == ""
    assert findings[name].status < 500


@pytest.mark.promise("R4")
def test_an_officer_is_shown_the_trail_and_nothing_else(
    here: Hospital, subjects: Subjects, findings: dict[str, Finding]
) -> None:
    assert findings, "asked after something is withheld"
    here.tokens.people["officer"] = Someone(here.login("officer", RoleClass.OFFICER, Purpose.HLEGAL))
    reading = tuple(each for each in PATHS if each.method in ("GET", "HEAD"))
    told = {each.path.name for each in run(asking(here, "officer"), subjects, reading) if each.leak}
    assert told == {"audit trail", "audit trail of it"}  # of choices both patients have the same


@pytest.mark.parametrize(
    "path", [each for each in PATHS if each.body.startswith(("{", "["))], ids=lambda each: each.name
)
def test_what_a_row_sends_can_be_read(subjects: Subjects, path: LeakPath) -> None:
    sent: list[str] = []
    list(run(lambda *asked: sent.append(asked[3]) or Answer(200, {}, ""), subjects, (path,)))
    assert [json.loads(each) for each in sent]


NOT_OFFERED = {
    "sharing choices", "sharing choices in the chart", "audit trail", "audit trail of it",
    "read as another type", "version that never was", "unknown operation", "below it", "search by text",
    "search by content", "search by filter", "everything of an encounter", "history of the patient", "last n",
    "graph", "documents", "read when newer", "search without the label", "subscriptions", "how subscriptions are",
}  # fmt: skip
"""Rows that find nothing here even where nothing is withheld: it is not offered, or leaves the secret out."""


def test_where_nothing_is_withheld_the_rows_find_it(without_a_choice: dict[str, Finding]) -> None:
    silent = {name for name, each in without_a_choice.items() if not each.leak}
    assert silent <= NOT_OFFERED


PLANTED: dict[str, Callable[[Answer, str], Answer]] = {
    "words of the secret": lambda answer, canary: dataclasses.replace(answer, text=answer.text + f'"{canary}x"'),
    "another status": lambda answer, _: dataclasses.replace(answer, status=403),
    "another total": lambda answer, _: dataclasses.replace(answer, text='{"total":2}'),
    "an ETag": lambda answer, _: dataclasses.replace(answer, headers={"etag": 'W/"2"'}),
    "a link to another page": lambda answer, _: dataclasses.replace(
        answer, text='{"link":[{"relation":"next","url":"https://x/?_page=1"}]}'
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("name", [each.name for each in PATHS])
def test_each_row_catches_each_leak_that_is_planted_in_it(subjects: Subjects, name: str, planted: str) -> None:
    (path,) = (each for each in PATHS if each.name == name)
    plain = Answer(200, {}, '{"total":1}')
    turn = iter((PLANTED[planted](plain, subjects.canary), *([plain] * 50)))
    (finding,) = run(lambda *_: next(turn), subjects, (path,))
    assert finding.leak
    (nothing,) = run(lambda *_: plain, subjects, (path,))
    assert nothing.leak == ""


MANIFEST = '{"output":[{"type":"Condition","url":"https://x/1","count":COUNT}]}'
IN_EXPORTS = {
    "words in a file": lambda canary: (MANIFEST.replace("COUNT", "1"), f'{{"id":"{canary}"}}'),
    "a line more": lambda _: (MANIFEST.replace("COUNT", "1"), '{"id":"a"}\n{"id":"a"}'),
    "another count": lambda _: (MANIFEST.replace("COUNT", "2"), '{"id":"a"}'),
    "a file more": lambda _: (MANIFEST.replace("]}", ',{"type":"Condition","url":"u"}]}').replace("COUNT", "1"), ""),
}


@pytest.mark.parametrize("planted", IN_EXPORTS)
def test_what_leaks_in_an_export_is_caught(subjects: Subjects, planted: str) -> None:
    path = next(each for each in PATHS if each.awaits and not each.is_whole)
    plain, leaking = (MANIFEST.replace("COUNT", "1"), '{"id":"a"}'), IN_EXPORTS[planted](subjects.canary)
    served = iter((leaking, plain, plain, plain))
    now: list[tuple[str, str]] = []

    def ask(method: str, url: str, *_: object) -> Answer:
        if "$export" in url:
            now[:] = [next(served)]
            return Answer(202, {"content-location": "https://x/status"}, "")
        return Answer(200, {}, now[0][0] if url == "https://x/status" and method == "GET" else now[0][1])

    (finding,) = run(ask, subjects, (path,))
    (nothing,) = run(ask, subjects, (path,))
    assert (bool(finding.leak), nothing.leak) == (True, "")


@pytest.mark.services
def test_the_verb_runs_it_against_a_server_at_an_address(tmp_path: Path) -> None:
    with served(tmp_path) as here:
        for name, backend in (("writer", here.feed), ("reader", here.clinical)):
            answer = requests.post(backend.token_url, data=backend.form(), verify=str(here.certificate), timeout=60)
            (tmp_path / name).write_text(answer.json()["access_token"])
        options = ["--base", here.base, "--ca", str(here.certificate), "--json"]
        files = ["--writer", str(tmp_path / "writer"), "--reader", str(tmp_path / "reader")]
        result = CliRunner().invoke(command, [*options, *files], standalone_mode=False)
    said = json.loads(result.stdout.splitlines()[-1])  # the server of this process logs before it
    assert (result.return_value, said["paths"]) == (1, len(PATHS))
    assert len(said["leaks"]) > 40  # nothing was withheld
