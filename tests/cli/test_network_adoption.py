"""docs/adoption.md, followed word for word on four hosts: a ledger of one key with patients, and what goes on after."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salus.cli.demonstration_places import free_ports
from salus.cli.running import NetworkProcesses
from salus.engines.base import StartRefused
from salus.engines.cometbft.installing import installed
from salus.ledger.identifiers import OrganisationId
from salus.node.founding import Member, found
from salus.node.opening import unix_now_s
from salus.testing.population import HOSPITAL, SyntheticPerson
from tests.cli.conftest import who, write_chart
from tests.cli.network_hosts import blocks
from tests.cli.test_network_life import FINGERPRINT, UNSHARE, first_header, said
from tests.conftest import absent
from tools.source_tree import ROOT

pytestmark = [pytest.mark.services, pytest.mark.long]

PAGE = ROOT / "docs" / "adoption.md"
FOUNDERS = ("rz1", "rz2", "rz3", "rz4")
HOSTS = (*FOUNDERS, "rz5")
MEMBERS = (
    ("RZ1", "hospital", "Ambleford University Hospitals"),
    ("RZ2", "hospital", "Brackwater Infirmary"),
    ("RZ3", "practice", "Harrowmere Medical Centre"),
    ("RZ5", "hospital", "Dunmere General"),
)
AFTERWARDS = """
```sh rz3
salus release ./rz3/rz3 {permit} --out ./released.ndjson --keep --json
salus request ./rz3/rz3 --staff ../rao.staff --from RZ1 {who} --json
```

```sh rz1
salus audit ./rz1/rz1 --staff ../okoro.staff {who} --out ./after --json
```

```sh rz1
salus verify ./after/RZ1.salus-history --trust ./rz1/trust.json --json
```

```sh rz1
for each in ./after/*.salus-receipt; do salus verify $each --trust ./rz1/trust.json --json; done
```

```sh rz4
salus follow ./store.json --trust ./rz4/trust.json --source http://10.0.0.1:26657 --witness http://10.0.0.2:26657
```

```sh rz4
for each in ../before/*.salus-*; do
  salus verify $each --trust ../rz1/north/trust.json
  for trust in ./rz4/trust.json ./store.json; do
    salus verify $each --trust $trust 2>&1 && exit 9 || echo "refused with status $?"
  done
done
```

```sh rz3
salus fsck ./rz3
```

```sh rz4
salus fsck ./rz4
```

```sh rz5
salus fsck ./rz5
```

```sh rz1
salus serve ./north 2>&1 && exit 9 || echo "refused with status $?"
```
"""
"""What the page does not say: that everything from before is worth what it was, and the old key nothing."""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder whose path leaves room for the names of sockets."""
    folder = Path(tempfile.mkdtemp(prefix="salus-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def person(everybody: list[SyntheticPerson]) -> SyntheticPerson:
    return everybody[11]


@pytest.fixture(scope="module")
def permit(place: Path, person: SyntheticPerson) -> str:
    """Have a ledger of one key with a patient, a choice, a release with its receipts; return a permit not used yet."""
    folder = place / "rz1" / "north"
    folder.parent.mkdir()
    ports = free_ports(len(MEMBERS))
    members = [
        Member(OrganisationId(code), kind, name, port) for (code, kind, name), port in zip(MEMBERS, ports, strict=True)
    ]
    found(folder, members, chain="north", time_s=unix_now_s())
    with NetworkProcesses(folder, log=place / "old.log"):
        hospital, practice = folder / "rz1", folder / "rz3"
        run("import", hospital, write_chart(place / "chart.ndjson", person))
        run("consent", "file", hospital, *who(person), "--share-with", "RZ3")
        run("staff", "certify", practice, "--name", "Dr Rao", "--role", "GP", "--out", place / "rao.staff")
        officer = ("--name", "Sam Okoro", "--role", "guardian", "--role-class", "officer")
        run("staff", "certify", hospital, *officer, "--out", place / "okoro.staff")
        ask = ("request", practice, "--staff", place / "rao.staff", "--from", "RZ1", *who(person), "--json")
        used = run(*ask)["permit"]
        run("release", practice, used[:8], "--out", place / "old.ndjson", "--keep")
        run("audit", hospital, "--staff", place / "okoro.staff", *who(person), "--out", place / "before")
        left: str = run(*ask)["permit"]
    return left


def run(*arguments: object) -> dict[str, Any]:
    """Run one command that has to succeed, as a program; return what it prints with --json."""
    command = [sys.executable, "-P", "-m", "salus.cli", *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout) if "--json" in arguments else {}
    return found


@pytest.fixture(scope="module")
def lived(place: Path, person: SyntheticPerson, permit: str) -> dict[str, Any]:
    """What came of the page's commands, and of ours after them."""
    try:
        installed()
    except StartRefused as error:
        absent(f"CometBFT is not installed (make setup): {error}")
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        absent("this system gives this account no network namespaces")
    page = place / "page.md"
    more = AFTERWARDS.format(permit=permit[:8], who=" ".join(who(person)))
    page.write_text(PAGE.read_text(encoding="utf-8") + more, encoding="utf-8")
    command = [*UNSHARE, sys.executable, "-m", "tests.cli.network_hosts", str(page), str(place), ",".join(HOSTS), ""]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


@pytest.mark.promise("L1", "L2", "L5")
def test_the_page_is_followed_word_for_word(lived: dict[str, Any], place: Path) -> None:
    assert len({FINGERPRINT.findall(each)[-1] for each in said(lived, "network adopt")}) == 1
    assert len({(place / host / host / "genesis").read_bytes() for host in HOSTS}) == 1
    assert all("all founders agreed" in each for each in said(lived, "network agree"))
    [sealed] = old_heights(place)
    for host in HOSTS:
        stands = lived["stands"][host]
        assert stands["moves"], host
        power = {each["organisation"]: each["power"] for each in stands["members"]}
        assert power == {"RZ1": 10, "RZ2": 10, "RZ3": 10, "RZ4": 10, "RZ5": 0}
        began = first_header(place / host / host / "ledger" / "store")
        assert (began == sealed + 1) if host in FOUNDERS else (began > sealed + 1)


def old_heights(place: Path) -> set[int]:
    """The last height of the old ledger, as each founder's genesis has it."""
    from salus.contracts.genesis import AdoptingGenesis
    from salus.node import config

    documents = [config.read_genesis(place / host / host / "genesis") for host in HOSTS]
    assert all(isinstance(each, AdoptingGenesis) for each in documents)
    return {each.adopted.height for each in documents if isinstance(each, AdoptingGenesis)}


@pytest.mark.promise("R1", "R5", "L5")
def test_what_was_permitted_and_sealed_before_is_so_after(
    lived: dict[str, Any], place: Path, person: SyntheticPerson
) -> None:
    chart = person.chart_at(HOSPITAL.ods)
    assert chart is not None
    released = (place / "rz3" / "released.ndjson").read_bytes().splitlines()
    assert sorted(released) == sorted(chart.resources)
    [told] = said(lived, "salus release")
    asked = json.loads(told.splitlines()[-1])
    assert asked["basis"] == "choice"
    [audited] = said(lived, "salus audit")
    [relationship] = json.loads(audited)["relationships"]
    events = relationship["events"]
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert sum("looked at this history" in event["words"] for event in events) == 2


@pytest.mark.promise("L5", "R6")
def test_old_events_are_proved_under_new_headers_and_nothing_by_the_old_key(lived: dict[str, Any]) -> None:
    verified = [json.loads(line) for each in said(lived, "--trust ./rz1/trust.json") for line in each.splitlines()]
    assert len(verified) == 3  # the history, and the receipts of both releases
    for each in verified:
        assert (each["holds"], each["faults"]) == (True, [])
        assert "Signed by" in each["lines"][-1]
        assert "validators" in each["lines"][-1]
    [old] = said(lived, "../before")
    assert old.count("trust is one key") == 2
    assert old.count("refused with status 1") == 4
    assert old.count("expected the validators of the trust file, came others") == 2


def test_ledgers_and_nodes_are_whole_and_say_from_where(lived: dict[str, Any], place: Path) -> None:
    checked = said(lived, "salus fsck")
    assert len(checked) == len(HOSTS)
    assert not any("finding" in each for each in checked)
    [sealed] = old_heights(place)
    assert all(f"from the ledger sealed at height {sealed}" in each for each in checked[:-1])
    assert "rz5/ledger: blocks not executed again: the first ones are gone" in checked[-1]
    assert [each for each in checked if "north/ledger: blocks executed again from genesis" in each] == checked[:1]


def test_the_old_ledger_never_runs_again(lived: dict[str, Any]) -> None:
    [again] = said(lived, "salus serve")
    assert "sealed at height" in again
    assert "refused with status 3" in again


def test_the_page_says_where_each_command_runs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("```sh") == len(blocks(page))
    assert {each.host for each in blocks(page)} == set(HOSTS)
