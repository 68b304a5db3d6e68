"""The choices and policies that tables name: those of docs/spec/provisions.md, and those of tables/choices.text."""

from pathlib import Path

from salus.contracts.provisions import Provision
from tests.contracts.test_provisions_decisions import choices, provisions

OWN = Path(__file__).resolve().parent / "tables" / "choices.text"


def own_trees() -> dict[str, Provision]:
    """The trees of tables/choices.text, by name."""
    found = {}
    for part in OWN.read_text(encoding="utf-8").strip().split("\n\n"):
        name, *lines = part.splitlines()
        (found[name],) = provisions([line.removeprefix("  ") for line in lines])
    return found


TREES = choices() | own_trees()
