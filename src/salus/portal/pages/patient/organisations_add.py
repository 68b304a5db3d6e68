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


def show(call: Call) -> Response:
    """Ask which organisation, and for its code."""
    return _asked(call, custodian="", code="")


def answer(call: Call) -> Response:
    """Ask the organisation what the code stands for, and the first device to take it over."""
    if not can_add(call):
        return call.go(LIST)
    custodian, code = call.form.get("organisation", ""), call.form.get("code", "")
    item = _offered(call, custodian, code)
    if isinstance(item, Error):
        return _asked(call, item, custodian=custodian, code=code)
    return to_signer(call, Kind.TAKE_OVER, [item], ending="brought", devices=_first(call), known=code.encode())


def _asked(call: Call, *errors: Error, custodian: str, code: str) -> Response:
    """The page as it was filled in; the list of organisations says why there is none to add."""
    known = others(call)
    if not (can_add(call) and known):
        return call.go(LIST)
    return call.page(
        "pages/patient/organisations_add.html",
        title=call.words("Add an organisation"),
        back=LIST,
        errors=errors,
        others=[{"value": each, "text": name, "selected": each == custodian} for each, name in known.items()],
        entered=code,
        device=call.words.listed(each.name for each in _first(call)),
    )


def _offered(call: Call, custodian: str, code: str) -> BeginTakeOver | Error:
    """What may be taken over with the code, or what is wrong with what was filled in."""
    portal, words = call.portal, call.words
    if custodian not in others(call):
        return Error("organisation", words("Choose the organisation that gave you the code"))
    if not take_over_codes.could_be(code):
        return Error("code", words("Enter the 16 letters and numbers of the code"))
    try:
        item = take_over_codes.offered(portal.node, portal.peers, call.signed_in.account, custodian, code)
    except NotNow:
        return _away(call, custodian)
    except Refused as refused:
        if refused.refusal is not Refusal.TOO_MANY:
            raise
        return Error("code", words("You tried too many codes. Wait an hour, then try again"))
    return item or Error("code", words("This code does not work there. Check it, or ask them for a new one"))


def _brought(call: Call, collected: Collected) -> Response:
    """Give the organisation what the device signed: from now on nobody but the patient signs there."""
    (half,), (item,) = part_of(collected, HalfSigned), collected.request.items
    assert isinstance(item, BeginTakeOver), "what was asked for"
    assert isinstance(collected.answer, Answered), "who signed nothing is told so before"
    assert collected.answer.device is not None, "this kind changes the wallet"
    portal, code, new = call.portal, collected.known.decode(), collected.answer.device
    account, custodian = call.signed_in.account, item.custodian
    try:
        take_over_codes.bring(portal.node, portal.peers, portal.devices, account, custodian, code, half, new)
    except NotNow:
        if custodian in others(call):  # else its answer alone was lost, and the ledger has it
            return _asked(call, _away(call, custodian), custodian=custodian, code=code)
    except Refused as refused:
        if refused.refusal is not Refusal.CHOICE_UNFIT:
            raise
        said = call.words("This code does not work any more. Nothing was changed. Ask them for a new one")
        return _asked(call, Error("code", said), custodian=custodian, code=code)
    said = call.words("%(organisation)s is added. Open your record once more, to see what they have")
    return call.go(LIST, notice=said % {"organisation": names_of(call, [custodian])[0]}, held=())


def _first(call: Call) -> list[Device]:
    """The device that lets others act here, so that it does elsewhere too."""
    devices, pseudonym = call.portal.devices, call.owner.pseudonym
    return [each for each in devices.of(call.signed_in.account) if devices.standing(each, pseudonym).is_first]


def _away(call: Call, custodian: str) -> Error:
    said = call.words("%(organisation)s does not answer. Nothing is lost, and your code is still good. Try again later")
    return Error("organisation", said % {"organisation": names_of(call, [custodian])[0]})


ENDINGS: Final[Mapping[str, Ending]] = {"brought": Ending(HERE, _brought)}
PAGES: Final = (Page(HERE, Person.PATIENT, show, answer),)
