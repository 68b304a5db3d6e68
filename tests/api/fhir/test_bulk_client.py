"""A bulk client takes a group's export over TLS as a backend service, is killed, and goes on (`salus fhir export`)."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from salus.node.services import exports
from salus.node.services.exports import Exports
from tests.api.fhir.fhir_world import observation
from tests.api.fhir.served import Served, served
from tests.api.fhir.test_bulk import TAG, group, patient
from tests.cli.conftest import Run, run

__all__ = ["run"]
NAMES = ("cat", "dan", "eva")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as made:
        answer = requests.post(made.feed.token_url, data=made.feed.form(), verify=str(made.certificate), timeout=60)
        fields = {"authorization": f"Bearer {answer.json()['access_token']}", "content-type": "application/fhir+json"}
        for body in (
            *(patient(name, number, meta={"tag": [TAG]}) for number, name in enumerate(NAMES)),
            patient("zoe", 9),
            *(observation(name, id=f"o-{name}") for name in (*NAMES, "zoe")),
            group("Patient?_tag=urn:cohorts|asthma"),
        ):
            url = f"{made.base}/{body['resourceType']}/{body['id']}"
            answer = requests.put(url, json=body, headers=fields, verify=str(made.certificate), timeout=60)
            assert answer.status_code == 201, answer.text
        yield made


@pytest.fixture
def words(here: Served, tmp_path: Path) -> list[str]:
    """The words of the command, into a new folder `out`."""
    key = tmp_path / "client.jwk"
    key.write_text(json.dumps(here.clinical.key.as_dict(private=True)))
    key.chmod(0o600)
    where = ["--base", here.base, "--client", here.clinical.app, "--key", str(key), "--ca", str(here.certificate)]
    return ["fhir", "export", *where, "--out", str(tmp_path / "out")]


def names_in(folder: Path) -> list[str]:
    lines = [line for path in sorted(folder.glob("*.ndjson")) for line in path.read_text().splitlines()]
    return sorted(json.loads(line)["id"] for line in lines)


IN_GROUP = sorted([*NAMES, *(f"o-{name}" for name in NAMES)])


@pytest.mark.services
def test_a_client_that_is_killed_in_the_middle_goes_on(
    here: Served, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(exports, "FILE_RECORDS_MAX", 1)
    fetched, may_go_on = [], threading.Event()
    records = Exports.records

    def slow(self: Exports, *asked: object) -> object:
        fetched.append(asked)
        if len(fetched) == 3:
            may_go_on.wait(60)
        return records(self, *asked)  # type: ignore[arg-type]

    monkeypatch.setattr(Exports, "records", slow)
    out = tmp_path / "out"
    client = subprocess.Popen([sys.executable, "-m", "salus.cli", *words, "--group", "g"])
    try:
        until_s = time.monotonic() + 60
        while len(fetched) < 3:
            assert time.monotonic() < until_s
            time.sleep(0.02)
    finally:
        client.send_signal(signal.SIGKILL)
        client.wait()
        may_go_on.set()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*.ndjson")}
    assert (len(kept), (out / "export.json").exists()) == (2, True)
    result = run(*words, "--group", "g", "--json")
    assert result.status == 0, result.err
    assert (names_in(out), (out / "export.json").exists()) == (IN_GROUP, False)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # not fetched again
    assert len(fetched) == 3 + 4
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}


@pytest.mark.services
def test_an_export_is_taken_and_nothing_is_left_at_the_server(
    here: Served, words: list[str], tmp_path: Path, run: Run
) -> None:
    result = run(*words, "--type", "Patient", "--since", "2020-01-01T00:00:00Z")
    assert result.status == 0, result.err
    assert names_in(tmp_path / "out") == [*NAMES, "zoe"]
    assert "00001.Patient.ndjson" in result.out
    again = run(*words, "--type", "Patient")
    assert (again.status, again.err.startswith("error: expected a new folder")) == (2, True)
    for number in range(9):  # eight at a time: none is left over
        assert run(*words[:-1], tmp_path / f"out{number}", "--type", "Patient").status == 0


@pytest.mark.services
def test_a_file_that_comes_damaged_is_fetched_again_and_never_kept(
    here: Served, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    import salus.cli.fhir.exporting as exporting

    monkeypatch.setattr(exporting, "TRIES_MAX", 1)
    with monkeypatch.context() as patched:
        patched.setattr("salus.api.fhir.exporting.b64encode", lambda _digest: b"other")
        result = run(*words, "--type", "Patient")
    assert (result.status, list((tmp_path / "out").glob("*.ndjson"))) == (3, [])
    assert "hint: run the same command again" in result.err
    assert run(*words, "--type", "Patient").status == 0


@pytest.mark.services
@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        (["--group", "never"], 1, "the server says no"),
        (["--group", "g", "--system"], 2, "expected --group or --system"),
        (["--type", "Colour"], 1, "the server says no"),
        (["--scope", "patient/*.rs"], 1, "the server says no"),
    ],
)
def test_what_is_not_given_is_said(words: list[str], more: list[str], status: int, error: str, run: Run) -> None:
    result = run(*words, *more)
    assert (result.status, result.err.startswith(f"error: {error}")) == (status, True), result.err


def test_a_key_that_others_can_read_is_refused(words: list[str], tmp_path: Path, run: Run) -> None:
    (tmp_path / "client.jwk").chmod(0o644)
    assert run(*words).status == 2
    (tmp_path / "client.jwk").chmod(0o600)
    (tmp_path / "client.jwk").write_text("{}")
    assert run(*words).err.startswith("error: expected a private JWK with a kid")
