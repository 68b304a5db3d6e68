"""What the tests of the verifier page share: the page as a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from salus.portal.verifier.build import FILE_NAME, single_file
from tests.apps.browser import chromium
from tests.portal.verifier.test_checks import FOLDER


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for all tests of the page."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as somebody downloads it from a portal that they trust."""
    path = tmp_path_factory.mktemp("page") / FILE_NAME
    path.write_bytes(single_file((FOLDER / "embedded.trust.json").read_bytes()))
    return path
