"""Opening: a patient whose own device holds the key signs once after signing in, for all whose records it opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.errors import Refusal
from salus.node.services import device_keys
from salus.node.services.device_steps import Reach, reaches
from salus.node.services.signer_answers import SessionSigned
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import HOMES, Call, Page, Person, local
from salus.portal.pages.patient.organisation_names import named_organisations
from salus.portal.pages.patient.signing import Ending, part_of, to_signer, without_device
from salus.portal.refusals import Said
from salus.portal.sessions import SIGNED_IN_S


@dataclass(frozen=True)
class Way:
    """Devices that open the same organisations.

    Args:
        id: how a form names it.
        devices, organisations: in words.
    """

    id: str
    devices: str = field(repr=False)
    organisations: str


def show(call: Call) -> Response:
    """Say why the device is asked, and what it opens."""
    return call.page(
        "pages/patient/opening.html",
        title=call.words("Open your record"),
        ways=[_way(call, each) for each in _alike(call)] if call.portal.settings.signer else [],
        can_sign=bool(call.portal.settings.signer),
    )


def answer(call: Call) -> Response:
    """Ask it for a session with each custodian of the patient's for whom it acts."""
    wanted, ways = call.form.get("way", ""), _alike(call)
    alike = next((each for each in ways if wanted in ("", each[0].device.id.hex())), None)
    if alike is None:
        changed = call.words("This has changed since you opened the page. Open it again")
        raise Said(Refusal.CHOICE_UNFIT, changed if ways else without_device(call))
    pseudonym, now_s = call.owner.pseudonym, call.portal.node.clock()
    keys = sorted(alike[0].acts, key=lambda each: (each.pseudonym != pseudonym, each.custodian))
    items, seeds = device_keys.to_open(keys, from_s=now_s, until_s=now_s + SIGNED_IN_S)
    devices = [each.device for each in alike]
    return to_signer(call, Kind.SESSION, items, ending="opened", devices=devices, known=seeds)


def _alike(call: Call) -> list[list[Reach]]:
    """The devices that act here, together with those that act for the same; who open most come first."""
    groups: dict[frozenset[bytes], list[Reach]] = {}
    for each in reaches(call.portal.devices, call.signed_in.account):
        groups.setdefault(frozenset(one.pseudonym for one in each.acts), []).append(each)
    here = [group for opened, group in groups.items() if call.owner.pseudonym in opened]
    return sorted(here, key=lambda group: -len(group[0].acts))


def _way(call: Call, alike: list[Reach]) -> Way:
    names = call.words.listed(each.device.name for each in alike)
    custodians = named_organisations(call, (each.custodian for each in alike[0].acts))
    return Way(alike[0].device.id.hex(), names, custodians)


def _opened(call: Call, collected: Collected) -> Response:
    """Go on in these sessions to what was wanted. Raises Refused: no key of the patient's certified them."""
    signed = part_of(collected, SessionSigned)
    held = device_keys.opened(call.portal.node, collected.request, signed, collected.known)
    wanted = call.signed_in.state.next
    return call.go(local(wanted) if wanted else HOMES[Person.PATIENT], held=held, next="")


ENDINGS: Final[Mapping[str, Ending]] = {"opened": Ending("/opening", _opened)}
PAGES: Final = (Page("/opening", Person.PATIENT, show, answer, needs_session=False),)
