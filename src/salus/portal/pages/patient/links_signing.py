"""Links, signed: by the organisation in assisted mode, else by the patient's own device, a ticket a custodian."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from starlette.responses import Response

from salus.node.services.health_links import Link, MadeLink, WantedLink
from salus.node.services.signer_answers import Signed
from salus.node.services.signer_requests import EndTicket, Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call
from salus.portal.pages.patient.signing import Ending, part_of, signs_alone, to_signer
from salus.portal.shared_link import VIEWER, encoded, link_text

MADE, ADDRESS = "link-made", "link-address"
"""By which answers a session knows the link that was just made, and its address."""


def links_of(call: Call) -> list[Link]:
    """Return the links of whoever is signed in, in the order in which their pages number them."""
    return call.portal.links.of(call.owner.pseudonym)


def sign_link(call: Call, wanted: WantedLink) -> Response:
    """Give out a link. Raises Refused and NotNow, as `HealthLinks.make`."""
    links = call.portal.links
    if signs_alone(call):
        of = [(each.custodian, each.pseudonym) for each in call.signed_in.state.held]
        items = links.to_sign(call.login, of, wanted, audience=f"{call.portal.settings.origin}{VIEWER}")
        return to_signer(call, Kind.ISSUE_TICKET, items, ending="link", known=msgspec.msgpack.encode(wanted))
    return _made(call, wanted, links.make(call.login, call.owner.pseudonym, wanted))


def sign_link_stopped(call: Call, ends: Sequence[EndTicket]) -> Response:
    """Say that a link has ended; where other custodians have tickets of it, once the device has ended these as well."""
    if ends and signs_alone(call):
        return to_signer(call, Kind.REVOKE_TICKET, ends, ending="link-stopped")
    return _stopped(call)


def _link_signed(call: Call, collected: Collected) -> Response:
    wanted = msgspec.msgpack.decode(collected.known, type=WantedLink)
    signed, pseudonym = part_of(collected, Signed), call.owner.pseudonym
    made = call.portal.links.take(call.login, pseudonym, wanted, signed, peers=call.portal.peers)
    return _made(call, wanted, made)


def _ends_signed(call: Call, collected: Collected) -> Response:
    call.portal.links.take_ends(part_of(collected, Signed), peers=call.portal.peers)
    return _stopped(call)


def _made(call: Call, wanted: WantedLink, made: MadeLink) -> Response:
    """Show the code of a link: for as long as this session answers nothing else, since it is kept nowhere."""
    viewer = f"{call.portal.settings.origin}{VIEWER}"
    url = f"{viewer}/{encoded(made.secret)}"
    text = link_text(url=url, key=made.key, label=wanted.label, until_s=made.until_s)
    answers = ((MADE, made.name.hex()), (ADDRESS, f"{viewer}#{text}"))
    numbers = {each.name: number for number, each in enumerate(links_of(call), start=1)}
    place = f"/links/link?which={numbers[made.name]}"
    return call.go(place, notice=call.words("Your link is made"), answers=answers)


def _stopped(call: Call) -> Response:
    when = call.words.moment(call.portal.node.clock())
    said = call.words("Your link has ended. Since %(when)s it opens nothing") % {"when": when}
    return call.go("/links", notice=said, answers=())


ENDINGS: Final[Mapping[str, Ending]] = {
    "link": Ending("/links/make", _link_signed),
    "link-stopped": Ending("/links", _ends_signed),
}
