"""Serving: one node's exchange on a socket, in one process or several that the kernel gives connections to.

Promises: each worker opens its own node after the fork; a worker that dies is replaced; SIGTERM or SIGINT lets running
answers finish; no worker outlives the process that began it. Upkeep is done in the first worker.
"""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from types import FrameType
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette

from salus.api.exchange.app import Exchange
from salus.api.exchange.http_protocol import BoundedProtocol
from salus.api.exchange.named_callers import NamedCallers
from salus.api.exchange.settings import ExchangeSettings
from salus.node.assemble import Node
from salus.node.metrics import LedgerFigures, NodeFigures, served
from salus.node.upkeep import ASKING_TASKS, Upkeep

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
BACKLOG: Final = 512
CONNECTIONS_MAX: Final = 1024
SOCKET_MESSAGE_BYTES_MAX: Final = 4_096
"""Of a client's message; ours may be longer."""
SOCKET_PING_S: Final = 20.0
KEPT_ALIVE_S: Final = 65
"""Longer than a caller keeps an idle connection, so that nobody writes into one that is being closed."""
GRACE_S: Final = 10
KILL_S: Final = 20.0
SHORT_LIFE_S: Final = 5.0
SHORT_LIVES_MAX: Final = 3

NodeFactory = Callable[[], AbstractContextManager[Node]]
"""Opens the node of one worker, and closes it."""

Beside = Callable[[Node, Callable[[], None]], AbstractContextManager[object]]
"""Serves something else with a worker's node, in threads of its own, as long as the block runs.

The second argument is what it calls when it fails for a reason that is ours: the worker ends then.
"""

log = structlog.get_logger("salus.exchange")


def nothing_beside(_node: Node, _on_failure: Callable[[], None]) -> AbstractContextManager[None]:
    """Serve the exchange alone."""
    return contextlib.nullcontext()


def serve(node_factory: NodeFactory, *, host: str, port: int, workers: int = 1, settings: ExchangeSettings) -> int:
    """Serve until SIGTERM or SIGINT; call it on the main thread of a process that has no other threads.

    Raises:
        OSError: the address cannot be bound.

    Returns:
        The process's exit status: 0 after a signal, 1 when a worker cannot start, or upkeep or what is beside failed.
    """
    with listen(host, port) as listener:
        return serve_on(listener, node_factory, workers=workers, settings=settings)


def serve_on(
    listener: socket.socket,
    node_factory: NodeFactory,
    *,
    workers: int,
    settings: ExchangeSettings,
    beside: Beside = nothing_beside,
) -> int:
    """Serve on a socket that listens already; see `serve`."""
    if workers == 1:
        return run_worker(listener, node_factory, settings, is_first=True, beside=beside)
    return Supervisor(listener, node_factory, settings, beside).run(workers)


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def run_worker(
    listener: socket.socket,
    node_factory: NodeFactory,
    settings: ExchangeSettings,
    *,
    is_first: bool,
    beside: Beside = nothing_beside,
) -> int:
    """Serve in this process until a signal; return its exit status."""
    with node_factory() as node, contextlib.closing(Exchange(node, settings)) as exchange:
        server = _Server(server_config(exchange))
        first = _first(node, exchange, server, settings.metrics_port) if is_first else contextlib.nullcontext()
        with beside(node, server.fail), first:
            freeze_memory()
            server.run(sockets=[listener])
        return 1 if server.has_failed else 0


def freeze_memory() -> None:
    """Leave what a process keeps for its whole life out of Python's collections.

    A collection of everything stops all threads: it took 110 ms, and so long the answer waited that it fell on.
    """
    gc.collect()
    gc.freeze()


def server_config(exchange: Exchange) -> uvicorn.Config:
    """Return how uvicorn serves an exchange."""
    return uvicorn_config(exchange.app(), date_header=False)


def uvicorn_config(
    app: Starlette,
    *,
    date_header: bool,
    certificate: str = "",
    key: str = "",
    sockets: type[asyncio.Protocol] | None = None,
    caller_field: str = "",
) -> uvicorn.Config:
    """Return how uvicorn serves an application: no fields that nobody needs, no words of exceptions in its log.

    Args:
        certificate, key: files in PEM for TLS; empty for none.
        caller_field: in which whatever ends TLS in front of it names who calls; empty where nothing does.
        sockets: how WebSockets are spoken; None where nobody opens one.
    """
    _shorten_tracebacks()
    return uvicorn.Config(
        NamedCallers(app, caller_field) if caller_field else app,
        http=BoundedProtocol,
        loop="uvloop",
        ws=sockets or "none",
        ws_max_size=SOCKET_MESSAGE_BYTES_MAX,
        ws_ping_interval=SOCKET_PING_S,
        ws_ping_timeout=SOCKET_PING_S,
        ws_per_message_deflate=False,  # a length would tell of what is sealed by TLS (CRIME)
        log_level="warning",  # what it says of each socket has the address that a client wrote (P4)
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=date_header,
        ssl_certfile=certificate or None,
        ssl_keyfile=key or None,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=BACKLOG,
        timeout_keep_alive=KEPT_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


class _Server(uvicorn.Server):
    """uvicorn's server; a signal ends it, and does not then end the process before the node is closed."""

    has_failed = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let the signals stop this server."""
        before = {number: signal.signal(number, self._stop) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def fail(self) -> None:
        """Stop, and say that it was no signal."""
        self.has_failed = True
        self.should_exit = True

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True


@contextlib.contextmanager
def _upkeep(node: Node, server: _Server) -> Iterator[None]:
    with (
        contextlib.closing(Upkeep(node, on_failure=server.fail)),
        contextlib.closing(Upkeep(node, on_failure=server.fail, tasks=ASKING_TASKS)),
    ):
        yield


@contextlib.contextmanager
def _first(node: Node, exchange: Exchange, server: "_Server", metrics_port: int) -> Iterator[None]:
    """What the first worker of a node does beside answering."""
    figures = (LedgerFigures(node.engine), NodeFigures(node, exchange.counts))
    with _upkeep(node, server), served(metrics_port, *figures):
        yield


class Supervisor:
    """Keeps worker processes running; knows nothing of nodes."""

    def __init__(
        self, listener: socket.socket, node_factory: NodeFactory, settings: ExchangeSettings, beside: Beside
    ) -> None:
        self._listener = listener
        self._beside = beside
        self._node_factory = node_factory
        self._settings = settings
        self._stopping = False
        self._wake, self._waker = os.pipe()
        self._alive, self._lifeline = os.pipe()

    def run(self, workers: int) -> int:
        """Run so many workers until a signal; return the exit status."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        running = {worker: self._start(worker) for worker in range(workers)}
        began_s = dict.fromkeys(running, time.monotonic())
        short_lives = 0
        while short_lives < SHORT_LIVES_MAX:
            connection.wait([*(process.sentinel for process in running.values()), self._wake])
            if self._stopping:
                break
            for worker, process in running.items():
                if not process.is_alive():
                    log.warning("exchange.worker_died", worker=worker, status=process.exitcode)
                    short_lives = short_lives + 1 if time.monotonic() - began_s[worker] < SHORT_LIFE_S else 0
                    running[worker], began_s[worker] = self._start(worker), time.monotonic()
        _end(list(running.values()))
        return 0 if self._stopping else 1

    def _start(self, worker: int) -> ForkProcess:
        process = multiprocessing.get_context("fork").Process(
            target=self._work, args=(worker,), name=f"worker-{worker}"
        )
        # A signal that came between the fork and the worker's own handlers would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return process

    def _work(self, worker: int) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        os.close(self._lifeline)
        threading.Thread(target=_die_with_parent, args=(self._alive,), daemon=True).start()
        first = worker == 0
        status = run_worker(self._listener, self._node_factory, self._settings, is_first=first, beside=self._beside)
        raise SystemExit(status)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        os.write(self._waker, b"!")


def _die_with_parent(alive: int) -> None:
    os.read(alive, 1)  # ends only when nobody holds the other end any more
    os.kill(os.getpid(), signal.SIGTERM)


def _end(processes: list[ForkProcess]) -> None:
    until_s = time.monotonic() + KILL_S
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(max(0.0, until_s - time.monotonic()))
        if process.is_alive():
            log.warning("exchange.worker_killed", worker=process.name)
            process.kill()
            process.join()


class _NoMessages(logging.Filter):
    """Turns a traceback into its places: an exception's own words may hold what belongs in no log (P4)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten a record; none is dropped."""
        if record.exc_info and record.exc_info[1] is not None:
            record.msg, record.args = f"{record.msg}{_places(record.exc_info[1])}", ()
            record.exc_info = record.exc_text = None
        return True


def _shorten_tracebacks() -> None:
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(each, _NoMessages) for each in logger.filters):
        logger.addFilter(_NoMessages())


def _places(error: BaseException) -> str:
    frames, trace = [type(error).__name__], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return "\n  ".join(frames)
