"""Figures for operators: read over HTTP on loopback, complete, and without anything of a person (P4)."""

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from salus.cli.demonstration_places import free_ports
from salus.engines.attendance import Attendance
from salus.engines.base import Unavailable
from salus.engines.embedded import EmbeddedEngine
from salus.node import exchange, metrics
from salus.node.errors import Refusal
from salus.node.metrics import LedgerFigures, NodeFigures, served
from salus.node.projections import permits
from salus.node.services import overview
from salus.node.services.erase import erase
from salus.testing.needles import Needle, Needles, date_forms, number_forms
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, world
from salus.vault.errors import Unavailable as VaultUnavailable
from tests.node.one_day import BORN, SMALL, Day, stage

pytestmark = pytest.mark.services

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
COUNTS = {"PartAccept Slots": 3, "PartAsk PartOffer": 4, "refused REPLAYED": 2, "refused Busy": 1}
WANTED = {
    "salus_ledger_up": 1,
    "salus_ledger_height": None,
    "salus_ledger_events": None,
    "salus_ledger_state_age_seconds": None,
    "salus_ledger_block_time_seconds": None,
    "salus_validator_signed_ratio": 1,
    "salus_validator_clock_ahead_seconds": 0,
    "salus_ledger_process": None,
    "salus_node_up": 1,
    "salus_node_orphans": 0,
    "salus_node_batches_waiting": 0,
    "salus_node_anchors_open": 1,
    "salus_node_erasures_owed": None,
    "salus_exchange_answers": None,
    "salus_exchange_refused": None,
    "salus_releases": 3,
}
"""Every figure, and its value where the day decides it."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    with world(tmp_path_factory.mktemp("metrics")) as made:
        yield stage(made, SMALL)


@pytest.fixture(scope="module")
def engine(day: Day) -> EmbeddedEngine:
    made = day.world.engine
    assert isinstance(made, EmbeddedEngine)
    return made


@pytest.fixture(scope="module")
def port(day: Day, engine: EmbeddedEngine) -> Iterator[int]:
    day.receive(day.granted())
    permits.follow(day.hospital)
    figures = (LedgerFigures(engine, engine.figures), NodeFigures(day.hospital, lambda: COUNTS))
    with served(free_ports(1)[0], *figures) as made:
        yield made


def read(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as came:
        return came.read().decode()


def families(text: str) -> dict[str, Metric]:
    return {each.name: each for each in text_string_to_metric_families(text)}


def value(text: str, name: str, **labels: str) -> float:
    [found] = [each.value for each in families(text)[name].samples if labels.items() <= each.labels.items()]
    return found


def test_every_figure_is_there(port: int) -> None:
    found = families(read(port))
    assert found.keys() == WANTED.keys()
    got = {name: found[name].samples[0].value for name, wanted in WANTED.items() if wanted is not None}
    assert got == {name: wanted for name, wanted in WANTED.items() if wanted is not None}


def test_the_page_names_every_figure_and_everything_that_waits(engine: EmbeddedEngine) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in (*WANTED, *engine.figures()) if name not in page] == []


def test_only_this_machine_reads_them(port: int) -> None:
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_no_port_no_figures(engine: EmbeddedEngine) -> None:
    with served(0, LedgerFigures(engine)) as none:
        assert none == 0


@pytest.mark.promise("P4")
def test_nothing_in_them_is_of_a_person(day: Day, port: int) -> None:
    text = read(port)
    needles = Needles(
        [
            *(Needle("number", form) for form in number_forms(kept_nhs_number(0).digits)),
            *(Needle("birthday", form) for form in date_forms(BORN)),
            *(Needle("pseudonym", form) for form in (bytes(day.ann), day.ann.hex().encode())),
            Needle("name", b"Jones"),
        ]
    )
    assert len(needles) > 10
    assert not list(needles.found("metrics", text.encode()))
    asks = {name for name, kind in vars(exchange).items() if isinstance(kind, type)}
    waiting = day.world.engine.figures().keys()  # type: ignore[attr-defined]
    known = asks | Refusal.__members__.keys() | {"Busy", "NotNow", HOSPITAL, PRACTICE} | waiting
    labels = {label for each in families(text).values() for sample in each.samples for label in sample.labels.values()}
    assert labels <= known


def test_a_validator_whose_clock_is_off_is_named(day: Day, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    key = day.world.genesis.validators[0].key
    skewed = [Attendance(key, signed=6, of=8, ahead_ms=3_600_000)]
    monkeypatch.setattr(overview, "attendance", lambda *_, **__: skewed)
    text = read(port)
    assert value(text, "salus_validator_clock_ahead_seconds", validator=HOSPITAL) == 3600
    assert value(text, "salus_validator_signed_ratio", validator=HOSPITAL) == 0.75


def test_what_the_ledger_process_refused_is_counted(port: int, engine: EmbeddedEngine) -> None:
    before = value(read(port), "salus_ledger_process", what="refused_undecodable")
    engine.submit(b"junk")
    assert value(read(port), "salus_ledger_process", what="refused_undecodable") == before + 1


def test_what_is_away_is_said_to_be(
    day: Day, port: int, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ledger_away() -> None:
        raise Unavailable("away")

    def database_away(*_: object) -> None:
        raise VaultUnavailable("away")

    monkeypatch.setattr(engine, "status", ledger_away)
    monkeypatch.setattr(metrics, "waiting", database_away)
    text = read(port)
    assert value(text, "salus_ledger_up") == value(text, "salus_node_up") == 0
    assert "salus_ledger_height" not in text


def test_an_erasure_is_owed_until_the_holder_states_it(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        own = stage(made, SMALL)
        own.receive(own.granted())
        permits.follow(own.hospital)
        with served(free_ports(1)[0], NodeFigures(own.hospital, lambda: COUNTS)) as at:
            assert value(read(at), "salus_node_erasures_owed") == 0
            erase(own.hospital, own.ann)
            assert value(read(at), "salus_node_erasures_owed") == 1
