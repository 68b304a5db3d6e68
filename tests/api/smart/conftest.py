"""One hall for all tests of a file: each test has apps and browsers of its own."""

from collections.abc import Iterator

import pytest

from tests.api.smart.smart_world import Hall, cheap_passwords, hall


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    with pytest.MonkeyPatch.context() as patched:
        cheap_passwords(patched)
        with hall(tmp_path_factory.mktemp("hall")) as made:
            yield made
            made.smart.close()


@pytest.fixture
def here(shared: Hall) -> Iterator[Hall]:
    yield shared
    shared.later_s[0] = 0
