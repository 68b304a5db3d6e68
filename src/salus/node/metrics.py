"""Figures for operators, as Prometheus reads them: `GET /metrics`, on loopback only.

Promises: everything is read when it is asked for; labels are names of ours and codes of organisations, never anything
of a person (P4). Nothing here decides anything.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from salus.engines.base import Engine, Unavailable
from salus.node.assemble import Node
from salus.node.services.overview import see_validators, waiting
from salus.vault import errors as vault_errors

LOOPBACK: Final = "127.0.0.1"
MS: Final = 1000


class LedgerFigures(Collector):
    """Where a ledger stands, and who signs its blocks.

    Args:
        figures: what waits and what was refused, of the ledger process itself; nothing where it is another process.
    """

    def __init__(self, engine: Engine, figures: Callable[[], Mapping[str, int]] = dict) -> None:
        self._engine = engine
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; a ledger that is away is only said to be that."""
        try:
            status = self._engine.status()
            with self._engine.snapshot() as snapshot:
                validators = see_validators(snapshot, status.height)
        except Unavailable:
            yield _gauge("salus_ledger_up", "1 when the ledger answers", 0)
            return
        yield _gauge("salus_ledger_up", "1 when the ledger answers", 1)
        yield _gauge("salus_ledger_height", "Height of the newest block", status.height)
        yield _gauge("salus_ledger_events", "Outcomes in the log", status.log_size)
        yield _gauge("salus_ledger_state_age_seconds", "Age of the newest signed header", status.header_age_ms / MS)
        yield _gauge(
            "salus_ledger_block_time_seconds", "Time of the newest signed header since 1970", status.header_time_ms / MS
        )
        signed = GaugeMetricFamily("salus_validator_signed_ratio", "Share of the newest blocks", labels=["validator"])
        ahead = GaugeMetricFamily("salus_validator_clock_ahead_seconds", "Skew of its votes", labels=["validator"])
        for each in validators:
            signed.add_metric([each.name], each.signed / each.of)
            ahead.add_metric([each.name], each.ahead_ms / MS)
        yield from (signed, ahead)
        process = GaugeMetricFamily("salus_ledger_process", "What waits, and what was refused since", labels=["what"])
        for what, value in sorted(self._figures().items()):
            process.add_metric([what], value)
        yield process


class NodeFigures(Collector):
    """What one node has to do, and what it has answered.

    Args:
        counts: of answers and refusals, by name: "ask answer", "refused reason".
    """

    def __init__(self, node: Node, counts: Callable[[], Mapping[str, int]] = dict) -> None:
        self._node = node
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; a database that is away is only said to be that."""
        try:
            todo = waiting(self._node)
        except vault_errors.Unavailable:
            yield _gauge("salus_node_up", "1 when the database answers", 0)
            return
        yield _gauge("salus_node_up", "1 when the database answers", 1)
        yield _gauge("salus_node_orphans", "Staged, and not registered for a minute; at most 1000", todo.orphans)
        yield _gauge("salus_node_batches_waiting", "Registrations not yet known to be on the ledger", todo.batches)
        yield _gauge("salus_node_anchors_open", "Ends of permits that are not closed on the ledger", todo.anchors)
        yield _gauge("salus_node_erasures_owed", "Holders that have not stated an erasure", todo.erasures)
        yield from _answers(self._counts())


@contextmanager
def served(port: int, *collectors: Collector) -> Iterator[int]:
    """Serve figures while the block runs; yield the port. Port 0 serves none.

    Raises:
        OSError: the port is taken.
    """
    if not port:
        yield 0
        return
    registry = CollectorRegistry(auto_describe=False)
    for each in collectors:
        registry.register(each)
    server, thread = start_http_server(port, addr=LOOPBACK, registry=registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answers(counts: Mapping[str, int]) -> Iterator[Metric]:
    answers = CounterMetricFamily("salus_exchange_answers", "Sealed answers by kind", labels=["ask", "answer"])
    refused = CounterMetricFamily("salus_exchange_refused", "Refusals by reason", labels=["reason"])
    for name, count in sorted(counts.items()):
        first, second = name.split(" ")
        if first == "refused":
            refused.add_metric([second], count)
        else:
            answers.add_metric([first, second], count)
    released = sum(count for name, count in counts.items() if name == "PartAccept Slots")
    yield from (answers, refused)
    yield CounterMetricFamily("salus_releases", "Parts whose slots left this node", value=released)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)
