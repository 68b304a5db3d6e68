"""salus consent: sharing choices, filed, withdrawn, listed and read in plain words."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.cli.options import FILE, as_json_option, node_argument, patient_options, wallet_options
from salus.cli.output import Facts, show

if TYPE_CHECKING:
    from salus.cli.sharing import Shared
    from salus.contracts.provisions import Provision

PURPOSES = {
    "direct-care": ("TREAT", "ETREAT"),
    "payment": ("HPAYMT",),
    "research": ("HRESCH",),
    "public-health": ("PUBHLTH",),
}
ROLE_CLASSES = {
    "direct-care": ("CLINICAL", "PHARMACY"),
    "payment": ("INSURER",),
    "research": ("RESEARCH",),
    "public-health": ("OFFICER", "RESEARCH"),
}


@click.group(name="consent", short_help="Sharing choices: file, withdraw, list, show.")
def command() -> None:
    """Sharing choices: who may see what, for which purpose, until when.

    \b
    Example:
      salus consent file ./north/rz1 --wallet ./eleanor.wallet --share-with Z99001 --except-label PSY
    """


@command.command()
@node_argument
@patient_options
@wallet_options
@click.option("--share-with", "share_with", multiple=True, metavar="CODE", help="Who may see records.")
@click.option("--for", "purpose", default="direct-care", show_default=True, type=click.Choice(list(PURPOSES)))
@click.option(
    "--except-label", multiple=True, metavar="LABEL", help="Not what carries it: PSY, HIV, SEX, or a URL|CODE."
)
@click.option("--except-class", multiple=True, metavar="TYPE", help="Not records of this FHIR type.")
@click.option("--until", metavar="DATE", help="The last day, YYYY-MM-DD; else until withdrawn.")
@click.option("--refuse", multiple=True, metavar="CODE", help="An organisation that may see nothing.")
@click.option("--tree", type=FILE, help="A JSON file with the whole tree of rules, instead.")
@as_json_option
def file(
    node: Path,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    wallet: Path | None,
    key_file: Path | None,
    share_with: tuple[str, ...],
    purpose: str,
    except_label: tuple[str, ...],
    except_class: tuple[str, ...],
    until: str | None,
    refuse: tuple[str, ...],
    tree: Path | None,
    as_json: bool,
) -> None:
    """File a choice at NODE: signed by the patient's wallet, or by NODE where it holds the patient's key.

    \b
    Example:
      salus consent file ./north/rz1 --wallet ./eleanor.wallet --share-with Z99001 --except-label PSY
      salus consent file ./north/rz1 --nhs-number 9990000018 --born 1968-03-14 --refuse Z99001
    """
    from salus.cli.sharing import opened, show_choices

    rules = _rules(share_with, purpose, (except_label, except_class, until), refuse, tree)
    with opened(node, (nhs_number, born, pseudonym), (wallet, key_file)) as sharing:
        filed = sharing.file(rules)
        facts, lines = show_choices(sharing, [filed])
    show(facts, ["filed:", *lines], as_json=as_json)


@command.command()
@node_argument
@patient_options
@wallet_options
@click.option("--choice", metavar="HEX", help="Which choice, or how it begins; not needed when there is only one.")
@as_json_option
def withdraw(
    node: Path,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    wallet: Path | None,
    key_file: Path | None,
    choice: str | None,
    as_json: bool,
) -> None:
    """Withdraw a choice at NODE; it stops the very next release.

    \b
    Example:
      salus consent withdraw ./north/rz1 --wallet ./eleanor.wallet
    """
    from salus.cli.sharing import opened

    with opened(node, (nhs_number, born, pseudonym), (wallet, key_file)) as sharing:
        withdrawn = _one(sharing.in_force(), choice)
        sharing.withdraw(withdrawn.choice)
    facts: Facts = {"withdrawn": withdrawn.choice}
    show(facts, [f"withdrawn: {withdrawn.choice.hex()}; permits that rested on it are dead"], as_json=as_json)


@command.command(name="list")
@node_argument
@patient_options
@wallet_options
@as_json_option
def list_choices(
    node: Path,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    wallet: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """List the choices in force at NODE, in plain words.

    \b
    Example:
      salus consent list ./north/rz1 --nhs-number 9990000018 --born 1968-03-14
    """
    from salus.cli.sharing import opened, show_choices

    with opened(node, (nhs_number, born, pseudonym), (wallet, key_file)) as sharing:
        facts, lines = show_choices(sharing, sharing.in_force())
    nothing = "no choice in force: only the custodian's own staff for direct care, and the patient, may see records"
    show(facts, lines or [nothing], as_json=as_json)


@command.command(name="show")
@node_argument
@patient_options
@wallet_options
@click.option("--choice", metavar="HEX", help="Which choice, or how it begins; not needed when there is only one.")
@click.option("--tree", "as_tree", is_flag=True, help="Print the tree as the JSON file that `file --tree` takes.")
@as_json_option
def show_one(
    node: Path,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    wallet: Path | None,
    key_file: Path | None,
    choice: str | None,
    as_tree: bool,
    as_json: bool,
) -> None:
    """Show one choice in plain words, or as a tree.

    \b
    Example:
      salus consent show ./north/rz1 --wallet ./eleanor.wallet --tree > choice.json
    """
    from salus.cli.sharing import opened, show_choices
    from salus.sdk.choice_files import write_choice

    with opened(node, (nhs_number, born, pseudonym), (wallet, key_file)) as sharing:
        found = _one(sharing.in_force(), choice)
        facts, lines = show_choices(sharing, [found])
    if as_tree:
        click.echo(write_choice(found.tree))
    else:
        show(facts, lines, as_json=as_json)


def _rules(
    share_with: tuple[str, ...],
    purpose: str,
    limits: tuple[tuple[str, ...], tuple[str, ...], str | None],
    refuse: tuple[str, ...],
    tree: Path | None,
) -> "Provision":
    from salus.contracts.provisions import Purpose, RoleClass
    from salus.sdk import choice_presets
    from salus.sdk.choice_files import read_choice

    ways = [bool(share_with), bool(refuse), tree is not None]
    if sum(ways) != 1:
        hint = "give --share-with CODE, --refuse CODE or --tree FILE"
        raise Failure(BAD_INPUT, f"expected one way to say the choice, came {sum(ways)}", hint)
    if tree is not None:
        return read_choice(tree.read_bytes())
    if refuse:
        return choice_presets.refuse(refuse)
    except_label, except_class, until = limits
    return choice_presets.share(
        share_with,
        purposes=tuple(Purpose[name] for name in PURPOSES[purpose]),
        role_classes=tuple(RoleClass[name] for name in ROLE_CLASSES[purpose]),
        except_labels=except_label,
        except_classes=except_class,
        until=_day(until),
    )


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise Failure(BAD_INPUT, "expected --until YYYY-MM-DD, came another text", "add --until 2027-03-31") from error


def _one(choices: "list[Shared]", beginning: str | None) -> "Shared":
    found = [each for each in choices if each.choice.hex().startswith((beginning or "").lower())]
    if len(found) == 1:
        return found[0]
    hint = "salus consent list shows them; add --choice with the beginning of one"
    raise Failure(BAD_INPUT, f"expected one choice in force, {len(found)} fit", hint)
