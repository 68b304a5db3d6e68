"""Every verb helps: what it does, an example that parses, `--json`; and help comes at once."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from salus.cli import MODULES, salus
from tests.cli.conftest import Run

VERBS_OF_THE_ISSUE = (
    *("init", "serve", "demo", "population", "import", "patient", "consent", "request", "release", "audit", "verify"),
    *("fsck", "backup", "restore"),
)
HEAVY = {"sqlalchemy", "lmdb", "cryptography", "nacl", "msgspec", "rich", "httpx2", "starlette", "uvicorn", "structlog"}


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    context = click.Context(salus)
    for name in salus.list_commands(context):
        command = salus.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from (((name, each), one) for each, one in command.commands.items())
        else:
            yield (name,), command


COMMANDS = dict(commands())
NAMES = [pytest.param(words, id=" ".join(words)) for words in COMMANDS]


def test_the_verbs_of_the_issue_are_there() -> None:
    assert set(VERBS_OF_THE_ISSUE) <= set(MODULES)


def test_help_lists_every_verb_in_one_line(run: Run) -> None:
    result = run("--help")
    assert result.status == 0
    listed = re.findall(r"^  ([a-z]+)  +\S", result.out.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(MODULES)


@pytest.mark.parametrize("words", NAMES)
def test_a_verb_helps(words: tuple[str, ...], run: Run) -> None:
    result = run(*words, "--help")
    assert result.status == 0
    assert result.err == ""
    assert "Example:" in result.out
    assert "--json" in result.out


def examples(words: tuple[str, ...]) -> list[list[str]]:
    """The command lines below `Example:` in a help text."""
    text = (COMMANDS[words].help or "").partition("Example:")[2].replace("\\\n", " ")
    return [
        shlex.split(line.partition(" > ")[0])[1:] for line in text.splitlines() if line.strip().startswith("salus ")
    ]


@pytest.mark.parametrize("words", NAMES)
def test_an_example_names_only_what_there_is(words: tuple[str, ...]) -> None:
    found = examples(words)
    assert found
    for example in found:
        called = tuple(example[: len(words)]) if tuple(example[: len(words)]) in COMMANDS else (example[0],)
        options = {option for parameter in COMMANDS[called].params for option in parameter.opts}
        assert [word for word in example if word.startswith("--") and word not in options] == []


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nfrom salus.cli import run\nrun(['--help'])\nprint(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert HEAVY & set(result.stderr.split()) == set()


def test_a_word_that_is_no_verb(run: Run) -> None:
    result = run("frobnicate")
    assert (result.status, result.out) == (2, "")
    assert result.err == "error: No such command 'frobnicate'\nhint: salus --help\n"


def test_no_word_at_all_shows_the_help(run: Run) -> None:
    result = run()
    assert (result.status, result.out) == (2, "")
    assert "Commands:" in result.err


def test_the_version(run: Run) -> None:
    assert re.fullmatch(r"salus \d+\.\d+\.\d+\n", run("--version").out)
