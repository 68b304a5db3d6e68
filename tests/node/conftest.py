"""Days for the tests of bad ones; see `one_day`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.testing.world import world
from tests.node.one_day import LARGE, SMALL, Day, stage


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    with world(tmp_path) as made:
        yield stage(made, SMALL)


@pytest.fixture
def long_day(tmp_path: Path) -> Iterator[Day]:
    """A day with a record of six segments, which comes in a stream of its own."""
    with world(tmp_path) as made:
        yield stage(made, SMALL, LARGE)
