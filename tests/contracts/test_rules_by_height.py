"""Rules by height on the embedded engine: it stops before a block of newer rules, and newer software goes on."""

from pathlib import Path

import pytest

from salus.contracts import CONTRACTS, membership
from salus.contracts.membership import UPGRADES, Upgrade
from salus.engines.base import Founding, StartRefused, Unavailable
from salus.engines.embedded import EmbeddedEngine
from salus.ledger.transactions import sign
from salus.testing.clock import FakeClock
from tests.contracts.network import BEGIN_S, CHAIN, Given, first_rows, key
from tests.contracts.scenario import Places
from tests.contracts.steps import read_step
from tests.contracts.test_scenarios_on_engine import MAP_SIZE_BYTES

BEGINS_AT = 3
WORDS = "follows rules version 2, this software knows 1: run a newer release"


def start(folder: Path, clock: FakeClock) -> EmbeddedEngine:
    schedule = (membership.CONTRACT, UPGRADES, membership.NETWORK_KEY, Upgrade(2, BEGINS_AT))
    rows = [*first_rows(Given()), schedule]
    founding = Founding(CHAIN, CONTRACTS, BEGIN_S, rows, membership.next_rules_version)
    return EmbeddedEngine(folder, founding, key("hospital/consensus"), clock, map_size_bytes=MAP_SIZE_BYTES)


def publication(clock: FakeClock, number: int) -> bytes:
    step, _ = read_step(f"hospital publishes file-{number} as a-digest", Places(0, {}, {}))
    expires_at_s = clock.wall_ns() // 10**9 + 60
    nonce = number.to_bytes(16, "big")
    return sign([step.message(())], chain=CHAIN, keys=[key("hospital")], expires_at_s=expires_at_s, nonce=nonce)


@pytest.fixture
def stopped(tmp_path: Path) -> tuple[Path, FakeClock]:
    """A ledger whose software stopped before block 3."""
    clock = FakeClock(BEGIN_S)
    engine = start(tmp_path / "ledger", clock)
    engine.submit(publication(clock, 1))
    engine.submit(publication(clock, 2))
    with pytest.raises(Unavailable, match=f"block {BEGINS_AT} {WORDS}"):
        engine.submit(publication(clock, BEGINS_AT))
    engine.close()
    return tmp_path / "ledger", clock


@pytest.mark.services
def test_old_software_does_not_start_either(stopped: tuple[Path, FakeClock]) -> None:
    with pytest.raises(StartRefused, match=WORDS):
        start(*stopped)


@pytest.mark.services
@pytest.mark.promise("L1")
def test_newer_software_goes_on_and_headers_say_so(
    stopped: tuple[Path, FakeClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership.blocks, "RULES_VERSION", 2)
    engine = start(*stopped)
    engine.submit(publication(stopped[1], 9))
    sealed = [engine.signed_header(height) for height in (BEGINS_AT - 1, BEGINS_AT)]
    engine.close()
    assert [each.signed.header.version.app for each in sealed if each is not None] == [1, 2]
