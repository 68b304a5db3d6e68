"""The network: who the members are, whether the ledger moves, and what waits for votes."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.node.errors import NotNow
from salus.node.services import govern, overview
from salus.node.services.overview import Overview, ValidatorSeen
from salus.portal.call import Call, Page, Person
from salus.portal.pages.operator.proposals import HOLDS, proposals
from salus.portal.words import Words

STRANGER: Final = "A validator that is no member any more"
_MS: Final = 1000


@dataclass(frozen=True)
class MemberRow:
    """A member."""

    name: str
    code: str
    holds: str
    signed: str
    is_suspended: bool
    is_off: bool
    is_away: bool


@dataclass(frozen=True)
class LedgerView:
    """Where the ledger stands."""

    is_moving: bool
    height: str
    age: str
    behind: str
    release: str
    rules: str
    engine: str


def show(call: Call) -> Response:
    """The page; while the ledger is away it says that, and what holds until it is back."""
    title = call.words("The network")
    try:
        seen = overview.overview(call.portal.node)
    except NotNow:
        return call.page("pages/operator/network_away.html", title=title, status=503)
    return call.page(
        "pages/operator/network.html",
        title=title,
        ledger=_ledger(call, seen),
        away=_away(call, seen),
        members=_members(call, seen),
        proposals=proposals(call, seen),
    )


def answer(call: Call) -> Response:
    """A vote came, or is taken back."""
    node = call.portal.node
    for proposal in govern.see_members(node).proposals:
        if call.portal.reference("proposal", proposal) == call.form.get("proposal", ""):
            cast = govern.vote(node, proposal, is_in_favour=call.form.get("vote") == "for")
            said = "Your vote is counted, and the change is carried" if cast.is_carried else "Your vote is counted"
            return call.go("/network", notice=call.words(said))
    return call.go("/network", not_done=call.words("That proposal is no longer open"))


def _ledger(call: Call, seen: Overview) -> LedgerView:
    status, words = seen.ledger.status, call.words
    return LedgerView(
        is_moving=seen.ledger.is_fresh,
        height=f"{status.height:,}",
        age=words.many("%(num)d second", "%(num)d seconds", status.header_age_ms // _MS),
        behind=words.many("%(num)d second", "%(num)d seconds", seen.ledger.clock_behind_ms // _MS),
        release=seen.release,
        rules=str(seen.rules_version),
        engine=words("One organisation signs") if status.engine == "embedded" else words("The validators vote"),
    )


def _members(call: Call, seen: Overview) -> list[MemberRow]:
    words, now_s = call.words, call.portal.node.clock()
    validators = {each.name: each for each in seen.validators}
    rows = []
    for code, row in seen.members.members.items():
        holds, is_suspended = words(HOLDS[row.access.name]), now_s < row.suspended_until_s
        rows.append(_row(words, row.name, code, holds, validators.pop(code, None), is_suspended=is_suspended))
    return rows + [_row(words, words(STRANGER), "", "", each) for each in validators.values()]


def _row(
    words: Words, name: str, code: str, holds: str, validator: ValidatorSeen | None, *, is_suspended: bool = False
) -> MemberRow:
    if validator is None:
        return MemberRow(name, code, holds, "", is_suspended, is_off=False, is_away=False)
    signed = words("%(signed)d of the last %(of)d") % vars(validator)
    return MemberRow(name, code, holds, signed, is_suspended, validator.is_off, validator.is_away)


def _away(call: Call, seen: Overview) -> str:
    """Which validators do not sign, and what that means; empty where all do."""
    words, names = call.words, {str(code): row.name for code, row in seen.members.members.items()}
    missing = [names.get(each.name, words(STRANGER)) for each in seen.validators if each.is_away]
    if not missing:
        return ""
    said = words("%(members)s signed none of the newest blocks.") % {"members": words.listed(missing)}
    if overview.can_lose_another(seen.validators):
        return said
    return f"{said} {words('If one more validator stops, the ledger stops, and nothing is released to others.')}"


PAGE = Page("/network", Person.OPERATOR, show, answer, listed="Network")
