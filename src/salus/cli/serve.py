"""salus serve: run the ledger process, a node, or a whole network's processes."""

import io
import logging
import os
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TextIO, cast

import click

from salus.cli.failures import BAD_INPUT, TRY_LATER, Failure
from salus.cli.options import FOLDER, as_json_option
from salus.cli.output import Facts, show

EXCHANGE = "exchange"
"""Where a node's workers keep which requests they have seen."""


@click.command(name="serve", short_help="Run a ledger process, a node, or a network's processes.")
@click.argument("folder", type=FOLDER)
@click.option("--with-parent", "parent", type=int, hidden=True, help="End when this process, the parent, ends.")
@as_json_option
def command(folder: Path, parent: int | None, as_json: bool) -> int:
    """Serve what FOLDER is: a network (ledger process and nodes), its ledger alone, or one node.

    Runs until SIGTERM or Ctrl-C. The line that begins with `ready` comes when everything answers; messages of the
    processes go to standard error.

    \b
    Example:
      salus serve ./north
    """
    from salus.cli.running import end_with_parent
    from salus.node import config

    log_to_standard_error()
    if parent is not None:
        end_with_parent(parent)
    if config.is_network(folder):
        return _serve_network(folder, as_json=as_json)
    if config.is_ledger(folder):
        return _serve_ledger(folder, as_json=as_json)
    if config.is_node(folder):
        return _serve_node(folder, as_json=as_json)
    names = f"{config.NETWORK_FILE}, {config.LEDGER_FILE} or {config.NODE_FILE}"
    raise Failure(BAD_INPUT, f"expected {names} in {folder}, there is none", f"salus init {folder} makes a network")


def _serve_network(folder: Path, *, as_json: bool) -> int:
    from salus.cli.running import NetworkProcesses, wait_for_stop
    from salus.node import config

    with NetworkProcesses(folder) as processes:
        network = config.read_network(folder)
        endpoints = [endpoint_of(Path(node)) for node in network.nodes]
        facts: Facts = {"ready": True, "folder": str(folder), "nodes": endpoints, "processes": processes.process_ids()}
        show(facts, [f"ready: {folder}, {', '.join(endpoints)}; Ctrl-C ends"], as_json=as_json)
        if not wait_for_stop(processes):
            raise Failure(TRY_LATER, f"{processes.ended()} has ended by itself", "see its messages, then serve again")
    return 0


def _serve_ledger(folder: Path, *, as_json: bool) -> int:
    from salus.engines import process
    from salus.node import config
    from salus.node.metrics import LedgerFigures, served
    from salus.node.opening import open_ledger

    settings = config.read_ledger(folder)
    with closing(open_ledger(settings)) as engine, served(settings.metrics_port, LedgerFigures(engine, engine.figures)):
        facts: Facts = {"ready": True, "ledger": engine.chain, "socket": settings.socket}
        show(facts, [f"ready: ledger of {engine.chain} on {settings.socket}"], as_json=as_json)
        return TRY_LATER if process.run(engine, Path(settings.socket)) else 0


def _serve_node(folder: Path, *, as_json: bool) -> int:
    from salus.api.exchange.serve import Beside, listen, nothing_beside, serve_on
    from salus.api.exchange.settings import ExchangeSettings
    from salus.node import config
    from salus.node.opening import open_node

    settings = config.read_node(folder)
    host, port, workers = settings.listen.host, settings.listen.port, settings.listen.workers
    with open_node(folder):  # whatever is wrong with the folder is said now, by one process
        pass
    limits = ExchangeSettings(
        folder=folder / EXCHANGE,
        threads=settings.limits.threads,
        waiting_max=settings.limits.waiting_max,
        streams_max=settings.limits.streams_max,
        asks_per_minute=settings.limits.asks_per_minute,
        matches_per_minute=settings.limits.matches_per_minute,
        metrics_port=settings.metrics_port,
    )
    limits.folder.mkdir(exist_ok=True, mode=0o700)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(host, port))
        beside: Beside = nothing_beside
        facts: Facts = {"ready": True, "organisation": settings.organisation, "host": host, "port": port}
        said = f"ready: {endpoint_of(folder)}, {workers} worker{'' if workers == 1 else 's'}"
        if settings.fhir is not None:
            from salus.api.fhir.serve import fhir_beside

            place = settings.fhir
            beside = fhir_beside(place, stack.enter_context(listen(place.host, place.port)))
            facts |= {"fhir": place.base, "fhir_port": place.port}
            said += f"; FHIR as {place.base} on port {place.port}"
        if settings.portal is not None:
            from salus.cli.portal_serving import both, portal_beside

            pages = settings.portal
            fhir = {"the FHIR server": settings.fhir.certificate if settings.fhir else ""}
            portal = portal_beside(pages, stack.enter_context(listen(pages.host, pages.port)), others=fhir)
            beside = both(beside, portal)
            facts |= {"portal": pages.origin, "portal_port": pages.port}
            said += f"; portal as {pages.origin} on port {pages.port}"
        show(facts, [said], as_json=as_json)
        ended_badly = serve_on(listener, lambda: open_node(folder), workers=workers, settings=limits, beside=beside)
    return TRY_LATER if ended_badly else 0


def log_to_standard_error() -> None:
    """Log events as lines of names and values, in UTC."""
    import structlog

    stream = cast("TextIO", StandardError())
    logging.basicConfig(stream=stream, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"], drop_missing=True),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )


class StandardError(io.TextIOBase):
    """Standard error for a log: a line that cannot be written, since nobody reads any more, stops no answer."""

    def write(self, text: str) -> int:
        """Write, or lose the line."""
        try:
            sys.stderr.write(text)
        except (OSError, ValueError):
            self._let_go()
        return len(text)

    def flush(self) -> None:
        """Flush, if there is still somebody."""
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            self._let_go()

    def _let_go(self) -> None:
        """Write to nowhere from here on: what is left unwritten would else fail once more, as Python ends."""
        if not sys.stderr.closed:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())
            os.close(nowhere)


def endpoint_of(node: Path) -> str:
    """Return whose node a folder is and where it answers."""
    from salus.node import config

    settings = config.read_node(node)
    return f"{settings.organisation} http://{settings.listen.host}:{settings.listen.port}"
