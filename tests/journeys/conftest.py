"""One portal for all journeys of a module; with `--shots FOLDER` a picture of each page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.apps.browser import DESKTOP
from tests.journeys.journey_world import Served, Walker, served


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def walker(browser: Browser, at: Served, request: pytest.FixtureRequest) -> Iterator[Walker]:
    """Somebody who was never here; their journey has to come to the pages that it says it covers."""
    shots = request.config.getoption("--shots")
    at.reached.clear()
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        yield Walker(context, at, shots=Path(shots) if shots else None)
    covered = {each for mark in request.node.iter_markers("covers") for each in mark.args}
    assert covered <= at.reached, f"the journey never came to {sorted(covered - at.reached)}"
