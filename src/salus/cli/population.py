"""salus population: write invented people with their records."""

from pathlib import Path

import click

from salus.cli.options import as_json_option
from salus.cli.output import Facts, progress, show, table


@click.command(name="population", short_help="Write invented people with their records.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--people", "count", default=200, show_default=True, type=click.IntRange(1), help="How many people.")
@click.option("--seed", default=1, show_default=True, help="Which population: the same seed gives the same bytes.")
@as_json_option
def command(folder: Path, count: int, seed: int, as_json: bool) -> None:
    """Write a synthetic UK population into FOLDER: NDJSON for each of four custodians, and an index of the people.

    No person, address or organisation is real; every NHS number is of the test range.

    \b
    Example:
      salus population ./people --people 1000 --seed 7
      salus import ./north/rz1 ./people/RZ1.ndjson
    """
    from salus.cli.failures import BAD_INPUT, Failure
    from salus.testing.population import write

    try:
        with progress("people", count) as bar:
            population = write(folder, seed=seed, count=count, progress=bar)
    except ValueError as error:
        raise Failure(BAD_INPUT, str(error), "ask for fewer people") from error
    facts: Facts = {
        "folder": str(folder),
        "seed": population.seed,
        "people": population.people,
        "files": [{"name": each.name, "lines": each.lines, "size_bytes": each.size_bytes} for each in population.files],
    }
    rows = [(each.name, each.lines, each.size_bytes) for each in population.files]
    lines = [f"{count} people of seed {seed} in {folder}", *table(("file", "lines", "bytes"), rows)]
    show(facts, lines, as_json=as_json)
