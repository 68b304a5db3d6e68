"""One hospital for all tests of the client."""

from collections.abc import Iterator

import pytest

from tests.sdk.client.client_world import Integrator, integrator


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Integrator]:
    with integrator(tmp_path_factory.mktemp("client")) as made:
        yield made
