"""One portal for all journeys of a module; with `--shots FOLDER` a picture of each page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from sqlalchemy import delete

from salus.node import schema
from tests.apps.browser import DESKTOP, chromium
from tests.journeys.journey_world import Served, Walker, served
from tests.journeys.reader import Reader


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for all journeys: to start it and to show its first page takes a second or two."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def held_to_marks(at: Served, request: pytest.FixtureRequest) -> Iterator[None]:
    """A journey has to come to the pages that it says it covers; who tried before has waited since."""
    at.reached.clear()
    with at.here.node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies))
    yield
    covered = {each for mark in request.node.iter_markers("covers") for each in mark.args}
    assert covered <= at.reached, f"the journey never came to {sorted(covered - at.reached)}"


@pytest.fixture
def walker(browser: Browser, at: Served, request: pytest.FixtureRequest, held_to_marks: None) -> Iterator[Walker]:
    """Somebody who was never here."""
    shots = request.config.getoption("--shots")
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        yield Walker(context, at, shots=Path(shots) if shots else None)


@pytest.fixture
def reader(at: Served, held_to_marks: None) -> Iterator[Reader]:
    """Somebody who was never here, in a browser without JavaScript."""
    with Reader(at) as made:
        yield made
