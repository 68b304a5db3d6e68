"""Notifying fails for a reason that is ours: the worker ends, and says so."""

import gc
import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from salus.api.exchange.serve import listen, run_worker
from salus.api.exchange.settings import ExchangeSettings
from salus.api.fhir.notifying import Notifier
from salus.testing.world import HOSPITAL, world


def wrong(*_given: object, **_more: object) -> NoReturn:
    raise AssertionError("we are wrong")


LEASED = SimpleNamespace(lease_due=lambda limit, sockets: [None] if limit else [])
NO_SOCKETS = SimpleNamespace(names=tuple)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("step", ["_find_events", "_try"])
def test_a_failure_of_ours_is_said(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Notifier, "_find_events", lambda _self: None)
    monkeypatch.setattr(Notifier, step, wrong)
    failed, server = threading.Event(), SimpleNamespace(node=None, subscriptions=LEASED)
    with closing(Notifier(server, None, None, NO_SOCKETS, on_failure=failed.set)):  # type: ignore[arg-type]
        assert failed.wait(60)


def test_what_fails_beside_a_worker_ends_it(tmp_path: Path) -> None:
    def beside(_node: object, on_failure: Callable[[], None]) -> AbstractContextManager[None]:
        on_failure()
        return nullcontext()

    hanging = threading.Timer(120, os.kill, (os.getpid(), signal.SIGTERM))
    with world(tmp_path, organisations=(HOSPITAL,)) as made, listen("127.0.0.1", 0) as listener:
        settings = ExchangeSettings(tmp_path)
        hanging.start()
        ended = run_worker(listener, lambda: nullcontext(made.hospital), settings, is_first=False, beside=beside)
        hanging.cancel()
    gc.unfreeze()  # what a worker keeps for its life, this process does not
    assert ended == 1
