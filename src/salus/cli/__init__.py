"""The command `salus`: one file per verb; what a verb needs is imported when it runs, so that help comes at once.

Results go to standard output, the rest to standard error as `error:` and then `hint:` (STYLE 35). Exit status: 0 done,
1 the answer is no, 2 bad usage or input, 3 something that is needed is away: try later.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from salus.cli.failures import Failure, failure_of

MODULES = {
    "init": "init",
    "serve": "serve",
    "status": "status",
    "demo": "demo",
    "population": "population",
    "staff": "staff",
    "account": "account",
    "app": "app",
    "import": "importing",
    "patient": "patient",
    "recovery": "recovery",
    "consent": "consent",
    "request": "request",
    "release": "release",
    "audit": "audit",
    "verify": "verify",
    "follow": "follow",
    "fsck": "fsck",
    "erase": "erase",
    "backup": "backup",
    "restore": "restore",
    "reindex": "reindex",
    "fhir": "fhir",
    "leaks": "leaks",
    "network": "network",
    "signer": "signer",
}
"""Where each verb is, in the order in which help lists them."""
INTERRUPTED = 130


class Verbs(click.Group):
    """The verbs, each loaded when it is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """The names in the order of the help."""
        return list(MODULES)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of a verb; None for a word that is none."""
        if name not in MODULES:
            return None
        command = import_module(f"salus.cli.{MODULES[name]}").command
        assert isinstance(command, click.Command), f"salus.cli.{MODULES[name]} has a command"
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="salus", message="salus %(version)s")
def salus() -> None:
    """Health records that stay where they are, and a ledger that decides who may see them.

    \b
    Example:
      salus init ./north
      salus serve ./north
      salus demo --exit

    Exit status: 0 done, 1 the answer is no, 2 bad usage or input, 3 something needed is away: try later.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and exit with its status."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; return its exit status."""
    try:
        status = salus.main(args=arguments, prog_name="salus", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        return _say(_usage(error))
    except click.Abort:
        click.echo("error: stopped", err=True)
        return INTERRUPTED
    except Failure as failure:
        return _say(failure)
    except Exception as error:
        found = failure_of(error)
        if found is not None:
            return _say(found)
        raise
    return status if isinstance(status, int) else 0


def _usage(error: click.ClickException) -> Failure:
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} --help" if context is not None else "salus --help"
    return Failure(error.exit_code, error.format_message().rstrip("."), hint)


def _say(failure: Failure) -> int:
    click.echo(f"error: {failure.words}", err=True)
    click.echo(f"hint: {failure.hint}", err=True)
    return failure.status
