"""What a command says: results on standard output, as text for people or as one JSON object, and progress beside it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import click

PROGRESS_FROM = 2
Facts = dict[str, object]


def show(facts: Facts, lines: Sequence[str], *, as_json: bool) -> None:
    """Print the result: the facts with `--json`, the lines without."""
    if as_json:
        click.echo(to_json(facts))
        return
    for line in lines:
        click.echo(line)


def to_json(facts: Facts) -> str:
    """Return facts as JSON on one line; bytes are written in hexadecimal."""
    import msgspec

    return msgspec.json.encode(_plain(facts)).decode()


def note(words: str) -> None:
    """Print something beside the result."""
    click.echo(words, err=True)


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table; numbers stand to the right."""
    cells = [list(heading), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    right = [all(isinstance(row[column], int) for row in rows) and bool(rows) for column in range(len(heading))]
    return [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]


class Bar(Protocol):
    """Told how much is done, and of how much where that was not known before."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Show it."""


@contextmanager
def progress(words: str, total: int | None = None) -> Iterator[Bar]:
    """Show a bar on a terminal while the block runs; elsewhere nothing.

    Args:
        total: None when it becomes known on the way.
    """
    if not sys.stderr.isatty() or (total is not None and total < PROGRESS_FROM):
        yield lambda _done, _total=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(words, total=total)

        def update(done: int, total: int | None = None) -> None:
            bar.update(task, completed=done, total=total)

        yield update


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value
