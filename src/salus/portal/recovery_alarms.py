"""Recovery alarms: what every page of a patient says while somebody may be taking over their key or guardians."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from salus.node.services import recoveries
from salus.portal.words import Words

if TYPE_CHECKING:
    from salus.node.services.accounts import Account, AccountId
    from salus.portal.app import Portal


@dataclass(frozen=True)
class Alarms:
    """From when another device can take the place of the patient's, and other people that of theirs; empty if never."""

    device: str = ""
    people: str = ""


def alarms(portal: "Portal", account: "AccountId", owner: "Account", words: Words) -> Alarms:
    """Return what is to be said, of all organisations for which a device of theirs has a key: the first of each."""
    found = recoveries.standings(portal.node, portal.devices, account, owner.pseudonym)
    device, people = (each.now.ready_at_s for each in found), (each.now.changes_at_s for each in found)
    return Alarms(first_moment(words, device), first_moment(words, people))


def first_moment(words: Words, times_s: Iterable[int]) -> str:
    """Return the first of some times in Unix seconds, of which 0 is none, in words; empty where all are none."""
    known = [each for each in times_s if each]
    return words.moment(min(known)) if known else ""
