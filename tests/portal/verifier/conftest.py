"""What the tests of the verifier page share: the page as a file."""

from pathlib import Path

import pytest

from salus.portal.verifier.build import FILE_NAME, single_file
from tests.portal.verifier.test_checks import FOLDER


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as somebody downloads it from a portal that they trust."""
    path = tmp_path_factory.mktemp("page") / FILE_NAME
    path.write_bytes(single_file((FOLDER / "embedded.trust.json").read_bytes()))
    return path
