"""Helping: which pages of a patient's somebody may open who acts for them; all others are not there for a helper.

What they see on these pages, the terms say, at each record (`delegations`); whom they help, every page says.
"""

from typing import Final

from salus.node.acting import Delegate
from salus.node.services.accounts import Account, Accounts

SEEN: Final = frozenset(
    {
        "/record",
        "/record/{kind}",
        "/record/results/{code}",
        "/record/letters/{letter}",
        "/record/letters/{letter}/file/{part}",
    }
)
DECIDED: Final = frozenset(
    {
        "/sharing",
        "/sharing/stop",
        "/sharing/begin",
        "/sharing/preview",
        "/sharing/direction",
        "/sharing/who",
        "/sharing/what",
        "/sharing/kinds",
        "/sharing/until",
        "/sharing/check",
    }
)
"""For those whom the patient lets decide who sees the record."""


def may_open(accounts: Accounts, account: Account, path: str) -> bool:
    """Tell whether a page is there for somebody who acts for a patient.

    Args:
        account: in which they act; path: of the route, with its variables.

    Raises:
        Refused: DELEGATE_UNFIT.
    """
    assert isinstance(account.acts_as, Delegate), "asked of those who help"
    if path in DECIDED:
        return accounts.may_share(account.acts_as)
    return path in SEEN
