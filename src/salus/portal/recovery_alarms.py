"""Recovery alarms: what every page of a patient says while somebody may be taking over their key or guardians."""

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
    device = [each.now.ready_at_s for each in found if each.now.started]
    people = [each.now.changes_at_s for each in found if each.now.changes_at_s]
    return Alarms(words.moment(min(device)) if device else "", words.moment(min(people)) if people else "")
