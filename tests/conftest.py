"""What every test folder shares: the outside test data, and the account at the end of a run.

A run ends with the time and the counts of each folder and with each reason for which something was skipped, so that
what was not tested is read and not guessed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
# By itself hypothesis holds an example to 200 ms where CI is not set: a machine that has much to do fails that.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; of one module at a time, since while it runs its thread has an event loop."""
    from tests.apps.browser import chromium

    with chromium() as started:
        yield started


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--write-docs` writes generated pages instead of comparing them, `--…-page` the page of a long test."""
    parser.addoption("--write-docs", action="store_true", help="write generated pages instead of comparing them")
    parser.addoption("--openapi-page", help="write what schemathesis came to, to this file")
    parser.addoption("--shots", help="take a picture of each page that a journey comes to, in this folder")
    parser.addoption("--corpus-page", help="write what became of published examples, to this file")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of outside test data (SALUS_SHARED_DATA, else ../shared/data).

    Absent: the test is skipped with the reason; under CI it fails, because there the data is always laid out.
    """
    folder = Path(os.environ.get("SALUS_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "SOURCES.md").is_file():
        absent(f"outside test data not found at {folder}: set SALUS_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def pythons() -> dict[str, Path]:
    """The interpreters in which this package is installed, by version; `make pythons` adds 3.12 and 3.13."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": Path(sys.executable)}
    for python in sorted(ROOT.glob(".venv-3.*/bin/python")):
        found.setdefault(python.parts[-3].removeprefix(".venv-"), python)
    return found


@pytest.fixture
def generated_page(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a page that the program generates with the committed one; `make docs` writes it instead.

    Call it with the path from the project's root and the text; mark the test with `pytest.mark.docs`.
    """

    def compare(name: str, text: str) -> None:
        page = ROOT / name
        if request.config.getoption("--write-docs"):
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
        assert page.is_file(), f"{name} is missing: run `make docs`"
        assert page.read_text(encoding="utf-8") == text, f"{name} is not what the program says: run `make docs`"

    return compare


def absent(reason: str) -> None:
    """Something that a test needs is not on this machine: a skip with its reason, a failure under CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has everything, yet: {reason}")
    pytest.skip(reason)


@dataclass
class Folder:
    """The account of one test folder."""

    busy_s: float = 0.0
    first_s: float = float("inf")
    last_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the folders with their times, then the skips with their reasons."""
    stats = terminalreporter.stats
    folders = account(stats)
    if not folders:
        return
    terminalreporter.section("time and counts per folder")
    for line in folder_lines(folders):
        terminalreporter.write_line(line)
    terminalreporter.section("what was not run")
    for line in skip_lines(stats.get("skipped", [])):
        terminalreporter.write_line(line)
    for line in deselected_lines(stats.get("deselected", []), terminalreporter.config.option.markexpr):
        terminalreporter.write_line(line)


def account(stats: Mapping[str, Sequence[object]]) -> dict[str, Folder]:
    """Fold the reports of a run into one account per folder; set-up and tear-down count as time, not as tests."""
    folders: dict[str, Folder] = {}
    for outcome, reports in stats.items():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue
            folder = folders.setdefault(folder_of(report.nodeid), Folder())
            folder.busy_s += report.duration
            folder.first_s = min(folder.first_s, report.start)
            folder.last_s = max(folder.last_s, report.stop)
            if outcome in OUTCOMES:
                folder.counts[outcome] += 1
    return folders


def folder_of(nodeid: str) -> str:
    """`tests/ledger/test_tree.py::test_x` is counted under `tests/ledger`."""
    return nodeid.split("::", maxsplit=1)[0].rpartition("/")[0] or "."


def folder_lines(folders: dict[str, Folder]) -> Iterable[str]:
    """One line per folder: busy time (summed over workers), elapsed time (first start to last end), counts."""
    width = max(len(name) for name in folders)
    for name, folder in sorted(folders.items()):
        counts = ", ".join(f"{folder.counts[each]} {each}" for each in OUTCOMES if folder.counts[each])
        elapsed_s = folder.last_s - folder.first_s
        yield f"{name:<{width}}  busy {folder.busy_s:7.2f} s  elapsed {elapsed_s:7.2f} s  {counts}"


def skip_lines(skipped: list[pytest.TestReport]) -> Iterable[str]:
    """One line per reason with the number of tests that it kept from running."""
    reasons = Counter(reason_of(report) for report in skipped)
    yield f"skipped: {sum(reasons.values())}"
    for reason, count in sorted(reasons.items()):
        yield f"  {count} x {reason}"


def reason_of(report: pytest.TestReport) -> str:
    """The reason alone: pytest keeps (file, line, "Skipped: reason")."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def deselected_lines(deselected: list[pytest.Item], expression: str) -> Iterable[str]:
    """Tests left out by `-m` are counted too; under xdist each worker deselects for itself and none is counted here."""
    if expression:
        count = f"{len(deselected)} tests" if deselected else "tests"
        yield f"left out by -m: {count} outside {expression!r}"
