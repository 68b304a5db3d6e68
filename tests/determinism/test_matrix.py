"""The same blocks give the same roots whatever the hash seed, locale, time zone, Python and engine (L1)."""

import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from salus.engines.base import Snapshot
from salus.engines.client import LedgerClient
from salus.engines.clock import SECOND_NS
from salus.engines.headers import decode_body_row, read_header
from salus.engines.store import BLOCKS, height_key
from salus.ledger.machine import read_meta
from salus.testing.simulator.cast import CHAIN, Cast, make_cast
from salus.testing.simulator.player import Player
from salus.testing.simulator.recording import InMemoryRunner, read
from tests.conftest import absent
from tests.determinism.surroundings import (
    HASH_SEEDS,
    PLACES,
    ROOT,
    Place,
    environment,
    execute_at,
    has_locale,
)
from tests.determinism.write_vectors import VECTORS
from tests.progress import Progress

pytestmark = [pytest.mark.services, pytest.mark.promise("L1")]

FILE = VECTORS / "ledger-1.json"
VERSIONS = ("3.11", "3.12", "3.13")
KINDS = ("memory", "store")
FEW = (("3.11", "memory", 0), ("3.12", "store", 1), ("3.13", "memory", 2), ("3.13", "store", 0))
"""(Python, over which store, which place): the combinations of `make test`."""


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled locales of all places."""
    folder = tmp_path_factory.mktemp("locales")
    missing = [place.locale for place in PLACES if not has_locale(place, folder)]
    if missing:
        absent(f"no sources of the locales {', '.join(missing)} here: install the package locales")
    return folder


def python_of(pythons: dict[str, Path], version: str) -> Path:
    if version not in pythons:
        absent(f"no Python {version} here: `make pythons` where it is installed")
    return pythons[version]


def check(python: Path, version: str, kind: str, place: Place, hash_seed: int, locales: Path) -> None:
    """Execute the stored ledger at a place, and look that it was that place."""
    recording = read(FILE)
    roots = execute_at(python, kind, FILE, environment(place, hash_seed, locales))
    assert roots.python.startswith(version)
    assert place.locale in roots.locale
    assert roots.app_hashes == tuple(block.app_hash for block in recording.blocks)
    assert roots.rows == recording.rows


@pytest.mark.parametrize(("version", "kind", "place"), FEW)
def test_a_few(pythons: dict[str, Path], locales: Path, version: str, kind: str, place: int) -> None:
    check(python_of(pythons, version), version, kind, PLACES[place], HASH_SEEDS[place + 1], locales)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_all(pythons: dict[str, Path], locales: Path, version: str, kind: str) -> None:
    python = python_of(pythons, version)
    progress = Progress(f"determinism, Python {version}, {kind}")
    for place in PLACES:
        for hash_seed in HASH_SEEDS:
            check(python, version, kind, place, hash_seed, locales)
            progress.tell(f"{place.locale} {place.zone} PYTHONHASHSEED {hash_seed}")


def test_the_pythons_know_different_text(pythons: dict[str, Path], locales: Path) -> None:
    found = {
        execute_at(python_of(pythons, version), "memory", FILE, environment(PLACES[0], 0, locales)).unicode
        for version in ("3.11", "3.13")
    }
    assert len(found) == 2, "the recording has text that their tables order differently"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ledger_process_gives_the_roots_of_a_machine_here(
    pythons: dict[str, Path], locales: Path, tmp_path: Path, version: str
) -> None:
    python = python_of(pythons, version)
    seed, begin_s = 77, int(time.time()) - 10
    cast = make_cast(Random(seed), begin_s=begin_s)
    arguments = [str(tmp_path / "ledger"), str(tmp_path / "s"), str(seed), str(begin_s)]
    surroundings = environment(PLACES[VERSIONS.index(version)], HASH_SEEDS[-1], locales)
    command = [str(python), "-m", "salus.testing.simulator.ledgers", *arguments]
    child = subprocess.Popen(command, cwd=ROOT, env=surroundings)
    try:
        with closing(LedgerClient(tmp_path / "s", tmp_path / "ledger", chain=CHAIN, reconnect_s=30.0)) as client:
            client.wait_for(0, timeout_s=30.0)
            submit_some(client, cast, seed)
            with client.snapshot() as snapshot:
                assert executed_here(snapshot, cast) > 20
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(30.0) == 0


def submit_some(client: LedgerClient, cast: Cast, seed: int) -> None:
    """Send transactions of a seed, legal and illegal."""
    auditor = cast.auditor()
    player = Player(auditor, cast.keys, Random(seed))
    for number in range(30):
        raws = [player.transaction(int(time.time())) for _ in range(5)]
        client.submit_many(raws)
        good = [raw for raw in raws if auditor.expect(raw, int(time.time()))]
        auditor.block(number + 1, int(time.time()), good)  # only so that the player knows about what there is


def executed_here(snapshot: Snapshot, cast: Cast) -> int:
    """Execute the blocks of a snapshot in this process; compare each header's app hash; return how many changed it."""
    founding = cast.founding()
    runner = InMemoryRunner(founding)
    meta, hashes = read_meta(snapshot), []
    assert meta is not None
    for height in range(1, meta.height + 1):
        sealed = read_header(snapshot, height)
        assert sealed is not None
        header = sealed.signed.header
        if hashes:
            assert header.app_hash == hashes[-1], height
        body = snapshot.get(BLOCKS, height_key(height))
        raws = () if body is None else decode_body_row(body)
        hashes.append(runner.execute(height, header.time_ns // SECOND_NS, raws))
    assert hashes[-1] == meta.app_hash
    return len(set(hashes))
