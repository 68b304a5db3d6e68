"""What a release and a deposit ask of the databases: time is noisy, counts are not (DESIGN §9)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from salus.clinical.fhir.resources import parse
from salus.node.new_records import new_record
from salus.node.services.deposit import ChartDeposit, deposit_charts
from salus.node.services.enrol import enrol
from salus.testing.population.numbers import kept_nhs_number
from tests.node.one_day import SMALL, Day


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count transactions, and statements by their first word; BEGIN IMMEDIATE is that of a transaction that writes."""
    counts: Counter[str] = Counter()

    def begun(_connection: object) -> None:
        counts["transactions"] += 1

    def asked(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        counts[statement.partition(" ")[0]] += 1

    event.listen(Engine, "begin", begun)
    event.listen(Engine, "before_cursor_execute", asked)
    try:
        yield counts
    finally:
        event.remove(Engine, "begin", begun)
        event.remove(Engine, "before_cursor_execute", asked)


def test_a_release_of_one_record_is_one_durable_step_and_few_looks(day: Day) -> None:
    """The first one of a relationship also makes the key of its journal lines, once and for all, at each end.

    A worker knows it from then on, as it knows the lines.
    """
    costs = []
    for _ in range(3):
        granted = day.granted()
        with counted() as counts:
            assert day.receive(granted) == [SMALL]
        costs.append(counts)
    assert costs[0]["BEGIN"] == 3
    assert costs[1] == costs[2] == {"transactions": 8, "SELECT": 14, "BEGIN": 1, "INSERT": 3}


def test_charts_that_are_deposited_together_are_looked_up_together(day: Day) -> None:
    hospital = day.hospital
    people = [enrol(hospital, kept_nhs_number(place), "1990-01-01") for place in range(1, 7)]
    costs = []
    for few in (people[:1], people[1:]):
        with counted() as counts:
            filed = deposit_charts(hospital, [ChartDeposit(each, [new_record(parse(SMALL))]) for each in few])
        assert [len(of_chart) for of_chart in filed] == [1] * len(few)
        costs.append(counts)
    assert costs[0] == costs[1]
