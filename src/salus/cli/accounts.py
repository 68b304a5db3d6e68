"""Accounts as options name them, and passwords, which no option ever takes: who lists processes would read them."""

import sys

import click

from salus.cli.failures import BAD_INPUT, Failure
from salus.node.services.accounts import AccountId

ACCOUNT_BYTES = 16


def read_account(text: str) -> AccountId:
    """Return an account's id written in hexadecimal. Raises Failure."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != ACCOUNT_BYTES:
        words = f"expected an account's id of {2 * ACCOUNT_BYTES} hexadecimal digits, came another text"
        raise Failure(BAD_INPUT, words, "salus account list shows them")
    return AccountId(found)


def read_password() -> str:
    """Return a password: asked for twice on a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        entered: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return entered
    return sys.stdin.readline().rstrip("\n")
