"""A node that ends, or that stands still with its process alive, is started again, and the log says why."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from salus.engines.clock import SystemClock
from salus.engines.cometbft.child import LOG, Child
from tests.engines.cometbft.network import wait_until

SAYS = {
    "it ends": ("echo out of room; exit 1", "cometbft.ended status=1", "out of room"),
    "its consensus fails": (
        "echo 'E[2026] CONSENSUS FAILURE!!! err=\"wrong AppHash\"'; exec sleep 600",
        "cometbft.consensus_failed",
        "wrong AppHash",
    ),
}


@pytest.fixture
def started(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Child]:
    program = tmp_path / "cometbft"
    program.write_text(f"#!/bin/sh\n{request.param}\n", encoding="utf-8")
    program.chmod(0o700)
    with closing(Child(program, tmp_path, SystemClock(), started=lambda: None)) as child:
        yield child


@pytest.mark.services
@pytest.mark.parametrize(("started", "event", "words"), SAYS.values(), ids=SAYS.keys(), indirect=["started"])
def test_a_node_that_cannot_go_on_is_started_again(
    started: Child, event: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: started.starts >= 2, "it is started again")
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert any(event in each and words in each for each in said), said


@pytest.mark.services
@pytest.mark.parametrize("started", ["echo full disk; exit 1"], indirect=True)
def test_a_log_that_cannot_be_written_changes_nothing(
    started: Child, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / LOG).unlink(missing_ok=True)
    (tmp_path / LOG).mkdir()
    starts = started.starts
    caplog.clear()
    wait_until(lambda: started.starts > starts + 1, "it is started again")
    assert "said=full disk" in caplog.text
