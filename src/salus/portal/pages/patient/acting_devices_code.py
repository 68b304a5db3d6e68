"""A take-over code: by it the patient's device, set up at another organisation, acts for them here as well."""

from typing import Final

from starlette.responses import Response

from salus.node.services import take_over_codes
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.signing import signs_alone

HERE: Final = "/acting-devices/code"
DEVICES: Final = "/acting-devices"
CODE: Final = "take-over-code"
"""Among the answers of a session, which are sealed: the code, until it was shown."""
GROUP: Final = 4


def show(call: Call) -> Response:
    """The code that was just made, once; else what it does, and whether there is one."""
    code = dict(call.signed_in.state.answers).get(CODE, "")
    if take_over_codes.is_good(call.portal.node, call.owner.pseudonym, code):
        return _shown(call, code)
    if signs_alone(call):
        return call.go(DEVICES)
    made_s = take_over_codes.made_s(call.portal.node, call.owner.pseudonym)
    return call.page(
        "pages/patient/acting_devices_code.html",
        title=call.words("A code for the device that you have elsewhere"),
        back=DEVICES,
        made="" if made_s is None else call.words.day(made_s),
    )


def answer(call: Call) -> Response:
    """Make a code, which ends an older one; or end the one there is."""
    if signs_alone(call):
        return call.go(DEVICES)
    if call.form.get("do") == "stop":
        take_over_codes.stop(call.portal.node, call.owner.pseudonym)
        return call.go(DEVICES, notice=call.words("The code is stopped. It opens nothing any more"))
    code = take_over_codes.make(call.portal.node, call.owner.pseudonym)
    return call.go(HERE, answers=((CODE, code),))


def _shown(call: Call, code: str) -> Response:
    call.portal.sessions.change(call.signed_in, answers=())
    return call.page(
        "pages/patient/acting_devices_code_made.html",
        title=call.words("Your code"),
        groups=[code[start : start + GROUP] for start in range(0, len(code), GROUP)],
    )


PAGES: Final = (Page(HERE, Person.PATIENT, show, answer),)
