"""The network of each row, and the table of all rows at the end of a run: row, evidence, held."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salus.engines.base import StartRefused
from salus.engines.cometbft.installing import VERSION, installed
from tests.conftest import absent
from tests.engines.cometbft.network import wait_until
from tests.faults.network import FourValidators

Evidence = Callable[[str], None]
HELD = {"passed": "yes", "failed": "**no**", "skipped": "not run"}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path leaves room for sockets; removed when its nodes have ended."""
    folder = Path(tempfile.mkdtemp(prefix="salus-"))
    yield folder
    wait_until(lambda: _is_removed(folder), "nodes whose ledger process was killed have ended")


@pytest.fixture
def four(place: Path, request: pytest.FixtureRequest) -> Iterator[FourValidators]:
    """Four validators that are not started; with the parameter True also an observer."""
    try:
        installed(VERSION)
    except StartRefused as error:
        absent(f"CometBFT {VERSION} is not installed (make setup): {error}")
    network = FourValidators(place, has_observer=getattr(request, "param", False))
    yield network
    network.close()


@pytest.fixture
def network(four: FourValidators) -> FourValidators:
    """Four validators that have blocks."""
    four.start()
    return four


@pytest.fixture
def evidence(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Evidence:
    """Notes what was seen, for the table."""
    row = request.node.get_closest_marker("fault").args[0]
    record_property("row", row)
    return lambda words: record_property("evidence", words)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--faults-page FILE` writes the table."""
    parser.addoption("--faults-page", help="write the table of faults to this file")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    reports = [each for found in terminalreporter.stats.values() for each in found if _row(each)]
    lines = [_line(each) for each in sorted(reports, key=lambda each: each.start)]
    if not lines:
        return
    table = ["| row | evidence | held |", "|---|---|---|", *lines]
    terminalreporter.section("faults")
    for line in table:
        terminalreporter.write_line(line)
    page = terminalreporter.config.getoption("--faults-page")
    if page:
        Path(page).write_text("\n".join([_machine(), "", *table, ""]), encoding="utf-8")


def _row(report: object) -> bool:
    return isinstance(report, pytest.TestReport) and report.when == "call" and "row" in dict(report.user_properties)


def _line(report: pytest.TestReport) -> str:
    words = [str(said) for name, said in report.user_properties if name == "evidence"]
    row = dict(report.user_properties)["row"]
    return f"| {row} | {'; '.join(words)}; took {report.duration:.0f} s | {HELD[report.outcome]} |"


def _machine() -> str:
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} processors, {platform.system()} {platform.release()}, load {load:.1f} at the end."


def _is_removed(folder: Path) -> bool:
    """A node that is just ending may still write or remove something there."""
    try:
        shutil.rmtree(folder)
    except OSError:
        return False
    return True
