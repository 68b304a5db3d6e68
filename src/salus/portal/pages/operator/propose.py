"""Propose: a change of a member, which more than two thirds of all members have to want."""

from typing import Final

from starlette.responses import Response

from salus.node.services import govern, ledger_reads
from salus.node.services.govern import Change
from salus.portal.call import Call, Error, Page, Person

CHANGES: Final = {
    Change.SUSPEND: "Suspend it for 30 days",
    Change.LIFT: "End its suspension",
    Change.VALIDATOR: "Let it sign the ledger, as a validator",
    Change.OBSERVER: "Let it follow the ledger, without signing",
    Change.OWN_PROOFS: "Let it have its own proofs only",
    Change.REMOVE: "Remove it from the network",
}
POWER: Final = 10
SUSPENDED_S: Final = 30 * 86_400


def show(call: Call) -> Response:
    """The form."""
    return _page(call)


def answer(call: Call) -> Response:
    """A change is proposed; this organisation is in favour."""
    words, node, change = call.words, call.portal.node, call.form.get("change", "")
    member = next((each for each in ledger_reads.members(node) if each.organisation == call.form.get("member")), None)
    errors = [
        *([] if member else [Error("member", words("Choose a member"))]),
        *([] if change in CHANGES else [Error("change", words("Choose a change"))]),
    ]
    if member is None or errors:
        return _page(call, *errors)
    until_s = node.clock() + SUSPENDED_S
    action = govern.action_of(Change(change), member.organisation, power=POWER, until_s=until_s)
    proposed = govern.propose(node, action)
    said = "It is carried: our vote was enough" if proposed.is_carried else "It is proposed: the others vote now"
    return call.go("/network", notice=words(said))


def _page(call: Call, *errors: Error) -> Response:
    members = ledger_reads.members(call.portal.node)
    return call.page(
        "pages/operator/propose.html",
        title=call.words("Propose a change of a member"),
        back="/network",
        errors=errors,
        members=[{"value": each.organisation, "text": f"{each.name} ({each.organisation})"} for each in members],
        changes=[{"value": value, "text": call.words(text)} for value, text in CHANGES.items()],
        entered=call.form,
    )


PAGE = Page("/network/propose", Person.OPERATOR, show, answer)
