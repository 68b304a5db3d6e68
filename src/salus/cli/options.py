"""Arguments that several verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
NEW_FILE = click.Path(path_type=Path, dir_okay=False)


def as_json_option(command: F) -> F:
    """`--json`: one JSON object instead of words."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of words.")(command)


def node_argument(command: F) -> F:
    """`NODE`: the folder of a node."""
    return click.argument("node", type=FOLDER)(command)
