"""Your other organisations: whose records a patient's own devices open, as the ledger has it at each request."""

from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from salus.node.services import ledger_reads
from salus.node.services.device_steps import Reach, reaches
from salus.portal.call import Call, Page, Person
from salus.portal.pages.patient.organisation_names import names_of
from salus.portal.pages.patient.signing import signs_alone

HERE: Final = "/organisations"


@dataclass(frozen=True)
class Row:
    """An organisation in words, and the devices that open its records; none where it signs for the patient."""

    name: str
    is_here: bool
    devices: str = field(repr=False)


def show(call: Call) -> Response:
    """The organisations, this one first."""
    alone, found = signs_alone(call), reaches(call.portal.devices, call.signed_in.account)
    opened = {one.custodian for each in found for one in each.acts}
    rows = [_row(call, code, found) for code in opened | {call.portal.node.organisation}]
    return call.page(
        "pages/patient/organisations.html",
        title=call.words("Your other organisations"),
        back="/acting-devices",
        rows=sorted(rows, key=lambda each: (not each.is_here, each.name)),
        signs_alone=alone,
        can_add=can_add(call),
        others=others(call),
    )


def can_add(call: Call) -> bool:
    """Tell whether a device of the patient's that lets others act is known here: it can take over elsewhere too."""
    return bool(
        signs_alone(call)
        and call.portal.settings.signer
        and call.portal.devices.reached(call.signed_in.account, call.owner.pseudonym)
    )


def others(call: Call) -> dict[str, str]:
    """Return the members that can be asked and whose records no device opens yet, by code, in the order of names."""
    found = reaches(call.portal.devices, call.signed_in.account)
    there = {one.custodian for each in found for one in each.acts} | {call.portal.node.organisation}
    known = sorted(ledger_reads.members(call.portal.node), key=lambda each: each.name)
    able = [each for each in known if each.endpoint and not each.is_suspended]
    return {each.organisation: each.name for each in able if each.organisation not in there}


def _row(call: Call, code: str, found: list[Reach]) -> Row:
    names = [each.device.name for each in found if any(one.custodian == code for one in each.acts)]
    (name,) = names_of(call, [code])
    return Row(name, code == call.portal.node.organisation, call.words.listed(names))


PAGES: Final = (Page(HERE, Person.PATIENT, show, needs_session=False),)
