"""GET /metrics of a ledger process with a CometBFT node, one of four: it serves them, and names who is gone."""

import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from salus.cli.demonstration_places import Setting, four_validators, free_ports
from salus.engines.base import StartRefused
from salus.engines.cometbft.installing import installed
from salus.node import config
from salus.testing.population import CUSTODIANS
from tests.conftest import absent

PATIENCE_S = 60.0
ALL = {each.ods for each in CUSTODIANS}
GONE = CUSTODIANS[-1].ods
OF_COMETBFT = ("mempool", "mempool_refused_busy", "mempool_refused_unfit", "mempool_refused_unsigned",
               "node_starts", "proposals_refused")  # fmt: skip


@pytest.fixture
def setting() -> Iterator[Setting]:
    """Four validators that run; the path leaves room for the names of sockets."""
    try:
        installed()
    except StartRefused as error:
        absent(f"CometBFT is not installed (make setup): {error}")
    place = Path(tempfile.mkdtemp(prefix="salus-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        yield four_validators(place, stack, place / "log", lambda _node, _trust: None)


@pytest.mark.services
@pytest.mark.promise("L1")
def test_a_validator_serves_its_figures_and_names_who_is_gone(setting: Setting) -> None:
    port = free_ports(1)[0]
    settings = msgspec.structs.replace(config.read_ledger(setting.ledger), metrics_port=port)
    (setting.ledger / config.LEDGER_FILE).write_text(config.ledger_toml(settings), encoding="utf-8")
    setting.processes[0].restart_ledger()

    found = wait(port, lambda figures: set(of(figures, "salus_validator_signed_ratio").values()) == {1.0})
    assert of(found, "salus_validator_signed_ratio").keys() == ALL
    assert all(abs(each) < PATIENCE_S for each in of(found, "salus_validator_clock_ahead_seconds").values())
    assert (one(found, "salus_ledger_up"), one(found, "salus_ledger_state_age_seconds") < PATIENCE_S) == (1, True)
    assert abs(one(found, "salus_ledger_block_time_seconds") - time.time()) < PATIENCE_S
    waits = of(found, "salus_ledger_process")
    assert {name: waits[name] for name in OF_COMETBFT} == {name: float(name == "node_starts") for name in OF_COMETBFT}

    setting.processes[-1].kill_ledger()
    height = one(found, "salus_ledger_height")
    later = wait(port, lambda figures: of(figures, "salus_validator_signed_ratio")[GONE] < 1)
    assert one(later, "salus_ledger_height") > height


def wait(port: int, is_so: Callable[[dict[str, Metric]], bool]) -> dict[str, Metric]:
    """Read the figures until they are so."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        found: dict[str, Metric] = {}
        with (
            suppress(urllib.error.URLError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as came,
        ):
            found = {each.name: each for each in text_string_to_metric_families(came.read().decode())}
        if "salus_ledger_height" in found and is_so(found):
            return found
        assert time.monotonic() < until_s, found
        time.sleep(0.1)


def of(figures: dict[str, Metric], name: str) -> dict[str, float]:
    """The samples of a figure by their one label."""
    return {label: each.value for each in figures[name].samples for label in each.labels.values()}


def one(figures: dict[str, Metric], name: str) -> float:
    """The one sample of a figure."""
    [sample] = figures[name].samples
    return sample.value
