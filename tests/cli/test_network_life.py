"""docs/network.md, followed word for word on five hosts: founded, suspended, joined by a snapshot, left."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salus.engines.base import StartRefused
from salus.engines.cometbft.installing import installed
from salus.engines.store import HEADERS, LmdbReader
from tests.cli.network_hosts import blocks
from tests.conftest import absent
from tools.source_tree import ROOT

PAGE = ROOT / "docs" / "network.md"
UNSHARE = ("unshare", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
FINGERPRINT = re.compile(r"(?:[0-9a-f]{4} ){7}[0-9a-f]{4}")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder whose path leaves room for the names of sockets."""
    folder = Path(tempfile.mkdtemp(prefix="salus-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def lived(place: Path) -> dict[str, Any]:
    """What came of the page's commands."""
    try:
        installed()
    except StartRefused as error:
        absent(f"CometBFT is not installed (make setup): {error}")
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        absent("this system gives this account no network namespaces")
    hosts = ("rz1,rz2,rz3,ry5", "rz4")
    command = [*UNSHARE, sys.executable, "-m", "tests.cli.network_hosts", str(PAGE), str(place), *hosts]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def said(lived: dict[str, Any], words: str) -> list[str]:
    """What commands with these words in them printed."""
    return [each["out"] for each in lived["said"] if words in each["commands"]]


@pytest.mark.services
@pytest.mark.promise("L1", "L7")
def test_the_page_is_followed_word_for_word(lived: dict[str, Any], place: Path) -> None:
    # Every founder has the same genesis, and the candidate the same invitation.
    assert len({FINGERPRINT.findall(each)[-1] for each in said(lived, "network found")}) == 1
    assert len({(place / each / each / "genesis").read_bytes() for each in ("rz1", "rz2", "rz3", "rz4", "ry5")}) == 1
    [invited], [joined] = said(lived, "network invite"), said(lived, "network join")
    assert FINGERPRINT.findall(invited)[0] in FINGERPRINT.findall(joined)
    # A policy of everybody is carried by three of four, and every member reads the same rule.
    [carried] = said(lived, "network policies")
    rule = "  1     Anybody may not see your records, for payment."
    assert carried.splitlines()[-2:] == ["policy of everybody, version 1", rule]
    assert rule in said(lived, "network members")[0].splitlines()
    # The third accusation suspends, and a vote confirms it.
    assert ["waits for other" in each for each in said(lived, "network accuse")] == [True, True, False]
    assert "RZ3 is suspended until" in lived["logs"]["rz3-2.log"]
    # Whoever follows sees who came and who went, from two members that agree; whose the new key is, no header says.
    [followed] = said(lived, "salus follow")
    [trusted] = re.findall("Trusted: 4 validators with 40 votes together: (.*)", followed)
    assert [code in trusted for code in ("RZ1", "RZ2", "RZ3", "RZ4", "key ")] == [True, True, True, False, True]
    # Who left has ended by itself, and says so.
    assert lived["ended"] == {"rz4": [0, 0]}
    assert "RZ4 has left north" in lived["logs"]["rz4-3.log"]
    # The four that stay agree about all of it.
    for host, stands in lived["stands"].items():
        assert stands["moves"], host
        assert (stands["chain"], stands["rules_version"], stands["proposals"]) == ("north", 1, [])
        assert {each["organisation"]: each["power"] for each in stands["members"]} == dict.fromkeys(
            ("RY5", "RZ1", "RZ2", "RZ3"), 10
        )
        assert {each["organisation"] for each in stands["members"] if each["suspended"]} == {"RZ3"}
        assert {each["organisation"] for each in stands["validators"]} == {"RY5", "RZ1", "RZ2", "RZ3"}
        assert [each["organisation"] for each in stands["validators"] if each["clock_is_off"]] == []
        assert len(stands["peers"]) == 3
    assert set(lived["stands"]) == {"rz1", "rz2", "rz3", "ry5"}
    assert "suspended until" in lived["stands"]["rz3"]["standing"]


@pytest.mark.services
@pytest.mark.promise("L1")
def test_who_joined_began_with_a_snapshot(lived: dict[str, Any], place: Path) -> None:
    [height] = re.findall(r"header (\d+) is to be trusted", said(lived, "network invite")[0])
    first = {host: first_header(place / host / host / "ledger" / "store") for host in ("rz1", "ry5")}
    assert first["rz1"] == 1
    assert first["ry5"] > int(height) >= 1


@pytest.mark.services
def test_the_hosts_keep_one_chain(lived: dict[str, Any], place: Path) -> None:
    chains = [headers(place / host / host / "ledger" / "store") for host in ("rz1", "rz2", "rz3", "ry5")]
    common = set.intersection(*(set(each) for each in chains))
    assert len(common) > 10
    for height in common:
        assert len({chain[height] for chain in chains}) == 1


def first_header(store: Path) -> int:
    """The height of the oldest header in a store."""
    return min(headers(store))


def headers(store: Path) -> dict[int, bytes]:
    """The hash of each block whose header a store has."""
    from salus.engines.headers import decode_header_row

    reader = LmdbReader(store)
    try:
        with reader.snapshot() as snapshot:
            rows = dict(snapshot.items(HEADERS))
    finally:
        reader.close()
    return {int.from_bytes(key, "big"): decode_header_row(row).signed.commit.block_id.hash for key, row in rows.items()}


def test_the_page_says_where_each_command_runs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("```sh") == len(blocks(page))
    assert {each.host for each in blocks(page)} == {"rz1", "rz2", "rz3", "rz4", "ry5"}
