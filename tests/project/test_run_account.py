"""The account at the end of a run: times per folder, every skip with its reason; missing data; random tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tools.source_tree import ROOT

TESTS = """
import pytest

def test_passes(): pass

def test_wants_data(shared_data): assert shared_data.name == "data"

@pytest.mark.skip(reason="no PostgreSQL here")
def test_skipped(): pass
"""


def run(folder: Path, **environment: str) -> str:
    """What pytest prints for one small folder with our conftest."""
    inner = folder / "tests" / "ledger"
    inner.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "tests" / "conftest.py")
    (inner / "test_small.py").write_text(TESTS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "SALUS_SHARED_DATA"}}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    result = subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, check=False, timeout=60
    )
    return result.stdout


def test_a_run_tells_times_counts_and_reasons(tmp_path: Path) -> None:
    printed = run(tmp_path)
    assert "1 passed, 2 skipped" in printed
    assert "tests/ledger  busy" in printed
    assert "skipped: 2" in printed
    assert "1 x no PostgreSQL here" in printed
    assert "1 x outside test data not found at" in printed


def test_under_ci_missing_data_is_a_failure(tmp_path: Path) -> None:
    assert "CI has everything, yet: outside test data not found" in run(tmp_path, CI="true")


def test_the_data_is_found_where_the_environment_says(tmp_path: Path) -> None:
    data = tmp_path / "elsewhere" / "data"
    data.mkdir(parents=True)
    (data / "SOURCES.md").touch()
    printed = run(tmp_path / "project", SALUS_SHARED_DATA=str(data))
    assert "2 passed, 1 skipped" in printed


def test_no_random_test_is_held_to_a_time() -> None:
    @given(st.just(0.3))
    @settings(max_examples=1)
    def slow(example_s: float) -> None:
        time.sleep(example_s)

    slow()
