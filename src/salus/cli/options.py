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


def patient_options(command: F) -> F:
    """`--nhs-number`, `--born`, `--pseudonym`: who is meant, at the node that the command is about."""
    command = click.option("--pseudonym", metavar="HEX", help="The relationship's pseudonym, instead of the person.")(
        command
    )
    command = click.option("--born", metavar="DATE", help="Date of birth, YYYY-MM-DD.")(command)
    return click.option("--nhs-number", metavar="NUMBER", help="NHS number; `-` reads it from standard input.")(command)


def wallet_options(command: F) -> F:
    """`--wallet`, `--key-file`: the patient's own keys."""
    command = click.option("--key-file", type=NEW_FILE, help="What the wallet is sealed under, instead of words.")(
        command
    )
    return click.option("--wallet", type=FILE, help="The patient's wallet, where the patient holds the key.")(command)
