"""Opening: a patient whose own device holds the key signs once after signing in, for all who keep records of theirs."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from salus.node.services import device_keys
from salus.node.services.signer_answers import SessionSigned
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import HOMES, Call, Page, Person, local
from salus.portal.pages.patient.signing import Ending, part_of, to_signer
from salus.portal.sessions import SIGNED_IN_S


def show(call: Call) -> Response:
    """Say why the device is asked."""
    known = call.portal.devices.acting(call.signed_in.account, call.owner.pseudonym)
    return call.page(
        "pages/patient/opening.html",
        title=call.words("Open your record"),
        devices=[each.name for each in known] if call.portal.settings.signer else [],
    )


def answer(call: Call) -> Response:
    """Ask it for a session with each custodian."""
    now_s = call.portal.node.clock()
    reached = call.portal.devices.reached(call.signed_in.account, call.owner.pseudonym)
    items, seeds = device_keys.to_open(reached, from_s=now_s, until_s=now_s + SIGNED_IN_S)
    return to_signer(call, Kind.SESSION, items, ending="opened", known=seeds)


def _opened(call: Call, collected: Collected) -> Response:
    """Go on in these sessions to what was wanted. Raises Refused: no key of the patient's certified them."""
    signed = part_of(collected, SessionSigned)
    held = device_keys.opened(call.portal.node, collected.request, signed, collected.known)
    wanted = call.signed_in.state.next
    return call.go(local(wanted) if wanted else HOMES[Person.PATIENT], held=held, next="")


ENDINGS: Final[Mapping[str, Ending]] = {"opened": Ending("/opening", _opened)}
PAGES: Final = (Page("/opening", Person.PATIENT, show, answer, needs_session=False),)
