"""What waits for votes, in words: what a change is, and what exactly would hold once it is carried."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from salus.node.services.overview import Overview
from salus.portal.call import Call
from salus.portal.words import Words

CHANGES: Final = {
    "Admit": "Admit %(member)s",
    "Remove": "Remove %(member)s",
    "SetAccess": "Change what %(member)s holds of the ledger",
    "SetPolicy": "Change the rules of %(member)s",
    "SetSuspension": "Suspend %(member)s, or end that",
}
HOLDS: Final = {
    "VALIDATOR": "Validator",
    "OBSERVER": "Follows the ledger",
    "OWN_PROOFS": "Own proofs only",
}


@dataclass(frozen=True)
class ProposalRow:
    """What waits for votes; `exactly` is what would hold then, empty where the name of the change says it all."""

    reference: str
    what: str
    exactly: str
    proposer: str
    in_favour: str
    until: str
    is_ours: bool


def proposals(call: Call, seen: Overview) -> list[ProposalRow]:
    """Return what waits for votes."""
    words, names = call.words, {str(code): row.name for code, row in seen.members.members.items()}
    rows = []
    for proposal, row in seen.members.proposals.items():
        kind, about = type(row.action).__name__, getattr(row.action, "organisation", "")
        member = names.get(about) or getattr(row.action, "name", "") or about or words("the network")
        exactly = _EXACTLY.get(kind)
        rows.append(
            ProposalRow(
                reference=call.portal.reference("proposal", proposal),
                what=words(CHANGES.get(kind, "Change the software’s rules")) % {"member": member},
                exactly="" if exactly is None else exactly(words, row.action),
                proposer=names.get(row.proposer, row.proposer),
                in_favour=words.listed(names.get(each, each) for each in row.in_favour),
                until=words.moment(row.expires_at_s),
                is_ours=call.portal.node.organisation in row.in_favour,
            )
        )
    return rows


def _admitted(words: Words, action: Any) -> str:
    said = words("A new member with the code %(code)s, which answers at %(endpoint)s. It would hold: %(holds)s.")
    holds = words(HOLDS[action.access.name])
    return said % {"code": action.organisation, "endpoint": action.endpoint or words("no address"), "holds": holds}


def _access(words: Words, action: Any) -> str:
    return words("It would hold: %(holds)s.") % {"holds": words(HOLDS[action.access.name])}


def _suspension(words: Words, action: Any) -> str:
    if not action.until_s:
        return words("It would be suspended no longer.")
    return words("It would be suspended until %(until)s.") % {"until": words.moment(action.until_s)}


def _policy(words: Words, action: Any) -> str:
    count = words.many("%(num)s rule", "%(num)s rules", len(action.provisions))
    return words("%(rules)s, in the place of all before. Read them on the command line first.") % {"rules": count}


def _rules(words: Words, action: Any) -> str:
    said = words("Version %(version)d from height %(height)s on.")
    return said % {"version": action.rules_version, "height": f"{action.height:,}"}


_EXACTLY: Final[dict[str, Callable[[Words, Any], str]]] = {
    "Admit": _admitted,
    "SetAccess": _access,
    "SetPolicy": _policy,
    "SetSuspension": _suspension,
    "ScheduleRules": _rules,
}
