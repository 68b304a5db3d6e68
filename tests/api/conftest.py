"""What the tests of the exchange share."""

from collections.abc import Iterator

import pytest

from salus.api.exchange import desk
from salus.node.assemble import Node
from salus.node.exchange import Answer, Ask
from tests.api.exchange_world import Served, served_world


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A hospital and a practice on real sockets."""
    with served_world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Ask]]:
    """What reached the node's services, and from whom."""
    came: list[tuple[str, Ask]] = []
    answer = desk.answer

    def listening(node: Node, sender: str, ask: Ask) -> Answer:
        came.append((sender, ask))
        return answer(node, sender, ask)

    monkeypatch.setattr(desk, "answer", listening)
    return came
