"""One scene for each file of attacks: what one attack left must not help the next either."""

from collections.abc import Iterator

import pytest

from tests.attacks.attackers import Scene, scene


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as made:
        yield made
