"""Add an organisation: by a code that it gave, the patient's first device takes the key over that it holds for them."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from salus.node.errors import NotNow, Refusal, Refused
from salus.node.services import take_over_codes
from salus.node.services.signer_answers import Answered, HalfSigned
from salus.node.services.signer_devices import Device
from salus.node.services.signer_requests import BeginTakeOver, Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.organisation_names import names_of
from salus.portal.pages.patient.organisations import HERE as LIST
from salus.portal.pages.patient.organisations import can_add, others
from salus.portal.pages.patient.signing import Ending, part_of, to_signer

HERE: Final = "/organisations/add"


def show(call: Call, *errors: Error) -> Response:
    """Ask which organisation, and for its code."""
    known = others(call)
    if not (can_add(call) and known):
        return call.go(LIST, notice=call.words("You cannot add an organisation here. Read what you can do"))
    entered = call.form.get("organisation", "")
    return call.page(
        "pages/patient/organisations_add.html",
        title=call.words("Add an organisation"),
        back=LIST,
        errors=errors,
        others=[{"value": code, "text": name, "selected": code == entered} for code, name in known.items()],
        entered=call.form.get("code", ""),
        device=call.words.listed(each.name for each in _first(call)),
    )


def answer(call: Call) -> Response:
    """Ask the organisation what the code stands for, and the first device to take it over."""
    if not can_add(call):
        return show(call)
    custodian, code, words = call.form.get("organisation", ""), call.form.get("code", ""), call.words
    if custodian not in others(call):
        return show(call, Error("organisation", words("Choose the organisation that gave you the code")))
    if not take_over_codes.could_be(code):
        return show(call, Error("code", words("Enter the 16 letters and numbers of the code")))
    portal, account = call.portal, call.signed_in.account
    try:
        item = take_over_codes.offered(portal.node, portal.peers, account, custodian, code)
    except NotNow:
        return show(call, Error("organisation", _away(call, custodian)))
    except Refused as refused:
        if refused.refusal is not Refusal.TOO_MANY:
            raise
        return show(call, Error("code", words("You tried too many codes. Wait an hour, then try again")))
    if item is None:
        said = words("This code does not work there. Check it, or ask them for a new one")
        return show(call, Error("code", said))
    return to_signer(call, Kind.TAKE_OVER, [item], ending="brought", devices=_first(call), known=code.encode())


def _brought(call: Call, collected: Collected) -> Response:
    """Give the organisation what the device signed: from now on nobody but the patient signs there."""
    (half,), (item,) = part_of(collected, HalfSigned), collected.request.items
    assert isinstance(item, BeginTakeOver), "what was asked for"
    assert isinstance(collected.answer, Answered), "who signed nothing is told so before"
    assert collected.answer.device is not None, "this kind changes the wallet"
    portal, code, new = call.portal, collected.known.decode(), collected.answer.device
    try:
        take_over_codes.bring(portal.peers, portal.devices, call.signed_in.account, item.custodian, code, half, new)
    except NotNow:
        return call.go(HERE, notice=_away(call, item.custodian))
    except Refused as refused:
        if refused.refusal is not Refusal.CHOICE_UNFIT:
            raise
        said = call.words("This code does not work any more. Nothing was changed. Ask them for a new one")
        return call.go(HERE, notice=said)
    said = call.words("%(organisation)s is added. Open your record once more, to see what they have")
    return call.go(LIST, notice=said % {"organisation": names_of(call, [item.custodian])[0]}, held=())


def _first(call: Call) -> list[Device]:
    """The device that lets others act here, so that it does elsewhere too."""
    devices, pseudonym = call.portal.devices, call.owner.pseudonym
    return [each for each in devices.of(call.signed_in.account) if devices.standing(each, pseudonym).is_first]


def _away(call: Call, custodian: str) -> str:
    said = call.words("%(organisation)s does not answer. Nothing is lost, and your code is still good. Try again later")
    return said % {"organisation": names_of(call, [custodian])[0]}


ENDINGS: Final[Mapping[str, Ending]] = {"brought": Ending(HERE, _brought)}
PAGES: Final = (Page(HERE, Person.PATIENT, show, answer),)
