"""The CometBFT program, networks of it, and short folders for their sockets."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salus.engines.base import StartRefused
from salus.engines.cometbft.engine import CometEngine
from salus.engines.cometbft.installing import CHECKSUMS, VERSION, installed
from tests.conftest import absent
from tests.engines.cometbft.network import wait_until


@pytest.fixture(scope="session")
def cometbft() -> Path:
    """The installed program; absent, the test is skipped with the reason, and fails under CI."""
    return program(VERSION)


@pytest.fixture(params=CHECKSUMS)
def each_cometbft(request: pytest.FixtureRequest) -> Path:
    """Each version that this release runs with."""
    return program(request.param)


def program(version: str) -> Path:
    try:
        return installed(version)
    except StartRefused as error:
        absent(f"CometBFT {version} is not installed (make setup): {error}")
        raise


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket; removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="salus-"))
    yield folder
    wait_until(lambda: is_removed(folder), "nodes whose ledger process was killed have ended")


def is_removed(folder: Path) -> bool:
    """Remove a folder; a node that is just ending may still write or remove something there."""
    try:
        shutil.rmtree(folder)
    except OSError:
        return False
    return True


@pytest.fixture
def running() -> Iterator[Callable[[CometEngine], CometEngine]]:
    """Remembers engines that a test starts; those are closed in the end, the youngest first."""
    started: list[CometEngine] = []

    def remember(engine: CometEngine) -> CometEngine:
        started.append(engine)
        return engine

    yield remember
    for engine in reversed(started):
        engine.close()
