"""What a release asks of the databases: time is noisy, counts are not (DESIGN §9)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

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
    granted = day.granted()
    with counted() as counts:
        assert day.receive(granted) == [SMALL]
    assert counts == {"transactions": 6, "SELECT": 11, "BEGIN": 1, "INSERT": 3}
