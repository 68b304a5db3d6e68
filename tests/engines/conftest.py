"""Engines over the toy contract, and ledger processes that the test ends again."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salus.engines.embedded import EmbeddedEngine
from salus.testing.clock import FakeClock
from tests.engines import toy
from tests.engines.child import LedgerProcess


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def start(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., EmbeddedEngine]]:
    """Starts engines, by default on one folder and the fake clock; those still running are closed in the end."""
    started: list[EmbeddedEngine] = []

    def start_one(folder: Path = tmp_path / "ledger", **settings: object) -> EmbeddedEngine:
        settings.setdefault("clock", clock)
        engine = EmbeddedEngine(folder, toy.founding(), toy.CONSENSUS_KEY, **settings)  # type: ignore[arg-type]
        started.append(engine)
        return engine

    yield start_one
    for engine in started:
        engine.close()


@pytest.fixture
def engine(start: Callable[..., EmbeddedEngine]) -> EmbeddedEngine:
    return start()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[LedgerProcess]:
    """A ledger process of the toy chain on the real clock."""
    child = LedgerProcess(tmp_path)
    child.start()
    yield child
    child.kill()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB; needs the right to mount one."""
    place = tmp_path / "small-disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)
