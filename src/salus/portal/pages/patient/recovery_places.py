"""Where recovery stands for a patient, in words: of each organisation for which a device of theirs has a key."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from salus.node.errors import Refused
from salus.node.services import recoveries
from salus.node.services.recoveries import Standing, StandingAt
from salus.node.services.recovery_deliveries import Delivered, WhyNot, deliver_each, why_not
from salus.node.services.signer_answers import Signed
from salus.node.services.signer_devices import Device
from salus.node.services.signings import Collected
from salus.portal.call import Call
from salus.portal.pages.patient.organisation_names import named_organisations
from salus.portal.pages.patient.signing import part_of
from salus.portal.recovery_alarms import first_moment
from salus.portal.refusals import Said


def _(english: str) -> str:
    """Mark words for translation."""
    return english


WHY_NOT: Final[Mapping[WhyNot, str]] = {
    WhyNot.WORDS: _(
        "These words are not the right ones. Look at the other list on the papers, or ask who gave them out"
    ),
    WhyNot.SPENT: _("This was stopped once. It now takes one person more, and your organisation checks who asks"),
    WhyNot.FINAL: _(
        "Your organisation has checked who asks, so it cannot be stopped here. If it was not you, call them"
    ),
    WhyNot.RUNS: _("Somebody has asked to replace your device. Stop that first"),
    WhyNot.EARLY: _("The 3 days are not over yet. Come back later"),
    WhyNot.OVER: _("It is too late for this, or it was done before"),
    WhyNot.OTHER: _("It was not taken. Other words may be needed, or it may be too late"),
}


@dataclass(frozen=True)
class Group:
    """Organisations with which it stands alike.

    Args:
        names: what they are called, joined.
        ready, changes: from when a recovery can be finished at the first of them, and from when other people count
            there, in words; empty where that is nowhere.
        takes_second: whether the words are needed that are for the second time.
    """

    names: str
    ready: str
    changes: str
    takes_second: bool


def standings(call: Call) -> list[StandingAt]:
    """Return where recovery stands, this organisation first."""
    portal = call.portal
    return recoveries.standings(portal.node, portal.devices, call.signed_in.account, call.owner.pseudonym)


def where(found: Iterable[StandingAt], holds: Callable[[Standing], bool]) -> list[StandingAt]:
    """Return those of which it holds."""
    return [each for each in found if holds(each.now)]


def group(call: Call, found: Sequence[StandingAt], *, by: Callable[[Standing], bytes] | None = None) -> Group | None:
    """Return organisations in words; None for none of them. `by` says which recovery key is needed."""
    if not found:
        return None
    return Group(
        named_organisations(call, [each.custodian for each in found]),
        first_moment(call.words, (each.now.ready_at_s for each in found)),
        first_moment(call.words, (each.now.changes_at_s for each in found)),
        takes_second=by is not None and any(by(each.now) == each.now.second_key for each in found),
    )


def chosen(call: Call, found: list[StandingAt]) -> list[StandingAt]:
    """Return those of the one organisation that a form names, or all where it names none."""
    named = call.form.get("organisation", "")
    return [each for each in found if named in {"", each.custodian}]


def first_device(call: Call, found: Sequence[StandingAt]) -> tuple[list[Device], list[StandingAt]]:
    """Return as much as one device can sign whose key is the pseudonym's own: no other has a say in recovery."""
    standing = call.portal.devices.standing
    return _most_at_once(call, found, lambda device, at: standing(device, at.pseudonym).is_first)


def acting_device(call: Call, found: Sequence[StandingAt]) -> tuple[list[Device], list[StandingAt]]:
    """Return as much as one device can sign that acts there."""
    standing = call.portal.devices.standing
    return _most_at_once(call, found, lambda device, at: standing(device, at.pseudonym).acts)


def any_device(call: Call, found: Sequence[StandingAt]) -> tuple[list[Device], list[StandingAt]]:
    """Return as much as one device can bring guardians' words for: it has a key there, whether or not it acts."""
    return _most_at_once(call, found, lambda device, at: any(each.pseudonym == at.pseudonym for each in device.keys))


def signed_for(collected: Collected) -> list[tuple[str, Signed]]:
    """Return what was signed, with the organisation that each is for."""
    return list(zip([each.custodian for each in collected.request.items], part_of(collected, Signed), strict=True))


def deliver_all(call: Call, collected: Collected) -> Delivered:
    """Give each its part. Raises Refused, in words for people, and NotNow, where none took anything."""
    portal = call.portal
    return plainly(call, lambda: deliver_each(portal.node, portal.peers, signed_for(collected)))


def plainly(call: Call, act: Callable[[], Delivered]) -> Delivered:
    """Do it; where the ledger says no, say what that means for people. Raises Refused and NotNow."""
    try:
        return act()
    except Refused as refused:
        reason = why_not(refused)
        if reason is None:
            raise
        raise Said(refused.refusal, call.words(WHY_NOT[reason]), number=refused.number) from refused


def concluded(
    call: Call, back: str, said: str, delivered: Delivered, *, again: str = "", is_opened_anew: bool = False
) -> Response:
    """Say what was done; on a page of its own where some organisation did not take it.

    Args:
        back: the page that comes next; again: the one on which it is done again, if it is another.
        is_opened_anew: whether the sessions end in which the record is open, since another device acts now.
    """
    words, parts = call.words, [said]
    if is_opened_anew:
        call.portal.sessions.change(call.signed_in, held=())
    if not (delivered.away or delivered.refused):
        return call.go(back, notice=said)
    if delivered.away:
        names = named_organisations(call, delivered.away)
        parts.append(words("%(organisations)s did not answer. Do it again for them") % {"organisations": names})
    if delivered.refused:
        names = named_organisations(call, delivered.refused)
        other = words("It does not count at %(organisations)s. Other words may be needed there")
        parts.append(other % {"organisations": names})
    return call.page(
        "pages/patient/unsigned.html",
        title=words("This is not done everywhere yet"),
        back=again or back,
        said=". ".join(parts) + ".",
    )


def _most_at_once(
    call: Call, found: Sequence[StandingAt], able: Callable[[Device, StandingAt], bool]
) -> tuple[list[Device], list[StandingAt]]:
    return recoveries.most_at_once(call.portal.devices.of(call.signed_in.account), found, able)
