"""The network of each row, and the table of all rows at the end of a run: row, evidence, held."""

import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from salus.engines.base import StartRefused
from salus.engines.cometbft.installing import VERSION, installed
from tests.conftest import absent
from tests.engines.cometbft.conftest import is_removed
from tests.engines.cometbft.network import wait_until
from tests.faults.network import FourValidators

Evidence = Callable[[str], None]
HELD = {"passed": "yes", "failed": "**no**", "skipped": "not run"}


@pytest.fixture(scope="package")
def network() -> Iterator[FourValidators]:
    """Four validators that run, for all rows that leave them as they found them."""
    with _four_validators() as made:
        made.start()
        yield made


@pytest.fixture
def four(request: pytest.FixtureRequest) -> Iterator[FourValidators]:
    """Four validators of this row alone that are not started; with the parameter True also an observer."""
    with _four_validators(has_observer=getattr(request, "param", False)) as made:
        yield made


@contextmanager
def _four_validators(*, has_observer: bool = False) -> Iterator[FourValidators]:
    """In a folder whose path leaves room for sockets; it is removed when the nodes have ended."""
    try:
        installed(VERSION)
    except StartRefused as error:
        absent(f"CometBFT {VERSION} is not installed (make setup): {error}")
    folder = Path(tempfile.mkdtemp(prefix="salus-"))
    made = FourValidators(folder, has_observer=has_observer)
    yield made
    made.close()
    wait_until(lambda: is_removed(folder), "nodes whose ledger process was killed have ended")


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
        Path(page).write_text("\n".join(["# The fault matrix", "", _machine(), "", *table, ""]), encoding="utf-8")


def _row(report: object) -> bool:
    return isinstance(report, pytest.TestReport) and report.when == "call" and "row" in dict(report.user_properties)


def _line(report: pytest.TestReport) -> str:
    words = [str(said) for name, said in report.user_properties if name == "evidence"]
    row = dict(report.user_properties)["row"]
    held = f"**no**: {report.wasxfail}" if hasattr(report, "wasxfail") else HELD[report.outcome]
    return f"| {row} | {'; '.join(words)}; took {report.duration:.0f} s | {held} |"


def _machine() -> str:
    commit = subprocess.run(["git", "log", "-1", "--format=%h"], capture_output=True, text=True, check=False)
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.release()} {platform.machine()}"
    load = os.getloadavg()[0]
    return f"Commit {commit.stdout.strip()}, {machine}, Python {platform.python_version()}, load {load:.1f} at the end."
