"""Without a block for a while the connections are looked at: silent ones are ended, by starting the node again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from salus.engines.cometbft import following
from salus.engines.cometbft.following import Following
from salus.engines.cometbft.rpc import NodeAway
from tests.engines.cometbft.network import wait_until


class Rpc:
    """A node that says who is silent."""

    def __init__(self, silent: tuple[str, ...] | NodeAway) -> None:
        self._silent = silent
        self.asked = 0

    def silent_peers(self, since_ns: int) -> tuple[str, ...]:
        assert since_ns == following.SILENT_NS
        self.asked += 1
        if isinstance(self._silent, NodeAway):
            raise self._silent
        return self._silent

    def close(self) -> None:
        pass


@contextmanager
def followed(rpc: Rpc, begin_anew: Callable[[], None]) -> Iterator[Following]:
    """All headers are here."""
    chain = SimpleNamespace(meta=SimpleNamespace(height=3), header_height=3)
    made = Following(chain, None, rpc, stored=lambda _height: None, begin_anew=begin_anew)  # type: ignore[arg-type]
    yield made
    made.close()


CASES = {
    "one is silent": (("a",), True),
    "all speak": ((), False),
    "the node is away": (NodeAway("it is starting"), False),
}


@pytest.mark.parametrize(("silent", "begins_anew"), CASES.values(), ids=CASES.keys())
def test_who_is_looked_at(
    silent: tuple[str, ...] | NodeAway, begins_anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STALLED_S", 0.02)
    rpc, begun = Rpc(silent), []
    with followed(rpc, lambda: begun.append(True)):
        wait_until(lambda: rpc.asked >= 2, "it looks again and again")
    assert bool(begun) == begins_anew


def test_while_blocks_come_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "STALLED_S", 0.5)
    rpc = Rpc(("a",))
    with followed(rpc, lambda: None) as made:
        for _ in range(20):
            time.sleep(0.05)
            made.wake()
        assert rpc.asked == 0
