"""Import, status, fsck, backup, restore, erase, serve: what an operator does."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from salus.cli.demonstration_places import free_ports
from salus.cli.status import validator_line
from salus.ledger.identifiers import CertificateId
from salus.node import config
from salus.node.notices import Notice, NoticeKind, note
from salus.node.opening import open_node
from salus.node.services import enrol
from salus.node.services.overview import ValidatorSeen
from salus.testing.population import HOSPITAL, PRACTICE, SyntheticPerson
from tests.cli.conftest import North, Run, assert_fails, who, write_chart

START_S = 30.0


@pytest.mark.services
def test_import_reports_each_file_and_adds_nothing_twice(
    north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    for person in everybody[20:22]:
        write_chart(tmp_path / f"{person.index}.ndjson", person)
    (tmp_path / "broken.json").write_text('{"resourceType": "Bundle", "type": "collection"', encoding="utf-8")
    first = run("import", north.hospital, tmp_path, "--json")
    assert first.status == 2
    broken, ndjson = first.facts["files"]
    assert (broken["name"], len(broken["refused"])) == ("broken.json", 1)
    assert (ndjson["patients"], ndjson["enrolled"], ndjson["refused"]) == (2, 2, [])
    assert "refused: broken.json: " in first.err
    (tmp_path / "broken.json").unlink()
    again = run("import", north.hospital, tmp_path, "--json")
    assert (again.status, again.facts["new"]) == (0, 0)
    assert again.facts["files"][0]["known"] == ndjson["new"]
    assert again.facts["files"][0]["pseudonyms"] == ndjson["pseudonyms"]
    words = run("import", north.hospital, tmp_path)
    assert words.out.splitlines()[-1].endswith("nothing new")


@pytest.mark.services
def test_what_cannot_be_imported(north: North, tmp_path: Path, run: Run) -> None:
    (tmp_path / "notes.txt").touch()
    result = run("import", north.hospital, tmp_path / "notes.txt")
    assert_fails(result, 2, error="expected .json or .ndjson files, came notes.txt", hint="name FHIR files")
    (tmp_path / "empty").mkdir()
    assert_fails(run("import", north.hospital, tmp_path / "empty"), 2, error="there are none", hint="name files")


@pytest.mark.services
def test_status_says_where_everything_stands(north: North, run: Run) -> None:
    result = run("status", north.folder, "--json")
    assert result.status == 0
    assert result.facts["ledger"]["moves"]
    assert [each["organisation"] for each in result.facts["nodes"]] == [HOSPITAL.ods, PRACTICE.ods]
    [validator] = result.facts["validators"]
    assert (validator["organisation"], validator["signed"]) == (HOSPITAL.ods, validator["of"])
    assert "(embedded): height" in run("status", north.hospital).out


@pytest.mark.services
def test_status_of_a_node_is_shown_while_the_ledger_is_away(tmp_path: Path, run: Run) -> None:
    """Nothing serves it: what the node has to do, its backups and its disk are there all the same."""
    assert run("init", tmp_path / "own", "--hospital", "RA1=West Hospital").status == 0
    result = run("status", tmp_path / "own", "--json")
    assert (result.status, result.facts["ledger"]["moves"]) == (3, False)
    (node,) = result.facts["nodes"]
    assert (node["organisation"], node["orphans"], node["data_backed_up"]) == ("RA1", 0, "never")
    assert 0 <= node["disk_free_percent"] <= 100
    assert "ledger: does not answer" in run("status", tmp_path / "own").out


def test_a_validator_that_signs_nothing_is_said_to_be_away() -> None:
    lines = [validator_line(ValidatorSeen("RA1", signed, 8, 0, 10)) for signed in (0, 1)]
    assert [each.endswith(": it is away") for each in lines] == [True, False]


@pytest.mark.services
def test_a_running_network_is_clean(north: North, run: Run) -> None:
    result = run("fsck", north.folder, "--json")
    assert result.facts["clean"], result.facts
    assert len(result.facts["findings"]) == 3


@pytest.fixture
def own(tmp_path: Path, run: Run) -> Path:
    """A network of one hospital with a ledger process of its own, ended with the test."""
    (port,) = free_ports(1)
    assert run("init", tmp_path / "own", "--hospital", "RA1=West Hospital", "--port", port).status == 0
    return tmp_path / "own"


def start(folder: Path, *, stderr: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    """Start `salus serve` and wait for its ready line."""
    command = [sys.executable, "-m", "salus.cli", "serve", str(folder), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["ready"]
    return process


def stop(process: "subprocess.Popen[str]") -> int:
    """SIGTERM; return the exit status."""
    process.send_signal(signal.SIGTERM)
    status = process.wait(START_S)
    assert process.stdout is not None
    process.stdout.close()
    return status


def noted(folder: Path, person: SyntheticPerson) -> None:
    """Note an emergency that was refused, for a patient of a node."""
    with open_node(folder) as node:
        pseudonym = enrol.find(node, person.nhs_number)
        assert pseudonym is not None
        certificate = CertificateId(person.index.to_bytes(32, "big"))
        refused = Notice(NoticeKind.EMERGENCY_REFUSED, 1_750_000_000, certificate, pseudonym)
        note(node, refused, name=bytes(pseudonym))


@pytest.mark.services
@pytest.mark.promise("P5")
def test_what_was_erased_after_the_backup_does_not_come_back(
    own: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    node, stays, goes = own / "ra1", everybody[0], everybody[1]
    ledger = start(own / "ledger")
    try:
        for person in (stays, goes):
            run("import", node, write_chart(tmp_path / f"{person.index}.ndjson", person))
        for person in (stays, goes):
            noted(node, person)
            assert run("account", "add", node, "--name", f"P{person.index}", *who(person)).status == 0
        data = run("backup", "data", node, tmp_path / "data", "--json")
        assert (data.status, data.facts["damaged"]) == (0, [])
        erased = run("erase", node, *who(goes), "--yes", "--json")
        assert erased.facts["objects"] > 0
        assert run("backup", "keys", node, tmp_path / "keys").status == 0
        for name in ("node.db", "node.db-wal", "node.db-shm"):
            (node / name).unlink(missing_ok=True)
        for name in ("objects", "released", "received"):
            shutil.rmtree(node / name)
        restored = run("restore", node, "--data", tmp_path / "data", "--keys", tmp_path / "keys", "--json")
        assert restored.status == 0, restored
        assert restored.facts["erased_meanwhile"] == erased.facts["objects"]
        assert restored.facts["patients"] == 1
        (left,) = run("staff", "notices", node, "--json").facts["notices"]
        assert left["certificate"] == f"{stays.index:064x}"
        accounts = run("account", "list", node, "--json").facts["accounts"]
        assert [each["name"] for each in accounts] == [f"P{stays.index}"]
        assert run("fsck", own, "--json").facts["clean"]
        again = run("import", node, tmp_path / f"{stays.index}.ndjson", "--json")
        assert (again.facts["new"], again.facts["files"][0]["enrolled"]) == (0, 0)
        gone = run("consent", "list", node, *who(goes))
        assert_fails(gone, 1, error="nobody here has this number", hint="check both")
    finally:
        assert stop(ledger) == 0


@pytest.mark.services
def test_a_restore_needs_an_empty_node_and_a_ledger(
    own: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    node = own / "ra1"
    ledger = start(own / "ledger")
    run("import", node, write_chart(tmp_path / "chart.ndjson", everybody[0]))
    run("backup", "data", node, tmp_path / "data")
    run("backup", "keys", node, tmp_path / "keys")
    full = run("restore", node, "--data", tmp_path / "data", "--keys", tmp_path / "keys")
    assert_fails(full, 2, error="has release journals already", hint="restore into an empty node")
    again = run("backup", "data", node, tmp_path / "data")
    assert_fails(again, 2, error="is there already", hint="name a new folder")
    assert stop(ledger) == 0
    away = run("import", node, tmp_path / "chart.ndjson")
    assert away.status in (0, 3)  # nothing new needs no ledger; anything else would


@pytest.mark.services
def test_a_flipped_byte_in_the_store_is_found_by_fsck(
    own: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    from sqlalchemy import create_engine, select, update

    from salus.vault import schema

    node = own / "ra1"
    ledger = start(own / "ledger")
    try:
        run("import", node, write_chart(tmp_path / "chart.ndjson", everybody[0]))
        engine = create_engine(f"sqlite:///{node}/node.db")
        with engine.begin() as connection:
            name, sealed = connection.execute(select(schema.objects)).first() or ("", b"")
            wrong = bytes([sealed[0] ^ 1]) + sealed[1:]
            connection.execute(update(schema.objects).where(schema.objects.c.name == name).values(sealed=wrong))
        engine.dispose()
        result = run("fsck", node, "--json")
        assert result.status == 1
        findings = result.facts["findings"][str(node)]
        assert len(findings) == 1, findings
        assert "segment 0 of 1: is not the one that was stored" in findings[0]
    finally:
        stop(ledger)


@pytest.mark.services
def test_without_a_ledger_process_nothing_is_half_done(
    own: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    stop(start(own / "ledger"))
    result = run("import", own / "ra1", write_chart(tmp_path / "chart.ndjson", everybody[0]))
    assert_fails(result, 3, error="the ledger does not answer", hint="it goes on where it stopped")
    status = run("status", own)
    assert (status.status, "does not move" in status.out) in ((3, True), (0, False))


@pytest.mark.services
def test_a_node_whose_log_nobody_reads_any_more_answers_all_the_same(own: Path) -> None:
    ledger, node = start(own / "ledger"), start(own / "ra1", stderr=subprocess.PIPE)
    assert node.stderr is not None
    node.stderr.close()
    listen = config.read_node(own / "ra1").listen
    connection = HTTPConnection(listen.host, listen.port, timeout=START_S)
    came = []
    for _ in range(2):  # each is noted in the log
        connection.request("POST", "/exchange/1/ask", body=b"unsigned")
        response = connection.getresponse()
        came.append((response.status, json.loads(response.read())["words"]))
    connection.close()
    assert came == [(401, "expected signature-input with the label salus")] * 2
    assert (stop(node), stop(ledger)) == (0, 0)


@pytest.mark.services
def test_serve_ends_its_processes_with_itself(own: Path) -> None:
    process = start(own)
    killed = start_killed(process)
    assert killed


def start_killed(process: "subprocess.Popen[str]") -> bool:
    """Kill the parent; its children end by themselves."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    process.kill()
    process.wait(START_S)
    assert process.stdout is not None
    process.stdout.close()
    until_s = time.monotonic() + START_S
    while any(map(is_alive, children)):
        if time.monotonic() > until_s:
            return False
        time.sleep(0.05)
    return True


def is_alive(child: str) -> bool:
    """Whether a process runs; one that has ended, and that nobody has asked about yet, does not."""
    try:
        return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.services
def test_serve_says_when_somebody_else_has_the_port(own: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", config.read_node(own / "ra1").listen.port)):
        result = run("serve", own)
    assert_fails(result, 3, error=f"expected {own}/ra1 to start, its process has ended", hint="see its messages above")


def test_serve_of_a_folder_that_is_nothing(tmp_path: Path, run: Run) -> None:
    assert_fails(run("serve", tmp_path), 2, error="expected network.toml, ledger.toml or node.toml", hint="salus init")
    assert_fails(run("fsck", tmp_path), 2, error="expected a network, a ledger or a node", hint="name the folder")
    assert_fails(run("status", tmp_path), 2, error="expected settings at", hint="name the folder that has them")


def test_population_writes_the_same_bytes_again(tmp_path: Path, run: Run) -> None:
    first = run("population", tmp_path / "a", "--people", 3, "--seed", 7, "--json")
    assert (first.status, first.facts["people"]) == (0, 3)
    run("population", tmp_path / "b", "--people", 3, "--seed", 7)
    for each in first.facts["files"]:
        assert (tmp_path / "a" / each["name"]).read_bytes() == (tmp_path / "b" / each["name"]).read_bytes()
    used = run("population", tmp_path / "a")
    assert_fails(used, 2, error="expected a new or an empty folder", hint="name another folder")
    many = run("population", tmp_path / "c", "--people", 100_000_000)
    assert_fails(many, 2, error="the test range of NHS numbers ends there", hint="ask for fewer people")
