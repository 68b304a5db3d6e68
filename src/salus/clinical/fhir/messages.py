"""Messages (FHIR R4 messaging.html): a Bundle whose first entry says what happened, and to what.

Promises: an entry's resource keeps the bytes that stood in the message. Of the events of HL7 v2, whose codes FHIR
messages carry, those are understood that report what was done with records; what else a message may want is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from salus.clinical.fhir.bundles import bad_entry, parsed_entry, read_envelope
from salus.clinical.fhir.elements import text, texts
from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.resources import LOGICAL_ID
from salus.clinical.fhir.strict_json import JsonObject, read_object

EVENT_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v2-0003"
EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "A01": ("Encounter",),
    "A02": ("Encounter",),
    "A03": ("Encounter",),
    "A04": ("Patient", "Encounter"),
    "A08": ("Patient",),
    "A11": ("Encounter",),
    "O21": ("ServiceRequest",),
    "O23": ("ServiceRequest",),
    "R01": ("DiagnosticReport", "Observation"),
    "S12": ("Appointment",),
    "S13": ("Appointment",),
    "S15": ("Appointment",),
}
"""Each event that is understood, and of which types what it is about may be: admission, transfer, discharge,
registration, update, an admission that is cancelled; an order to a laboratory, for imaging; a result; an appointment
that is booked, moved, cancelled."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A resource of a message: its type and id, the address by which others mean it, its bytes."""

    type: str
    id: str
    full_url: str
    body: bytes = field(repr=False)
    place: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message.

    Attributes:
        id: of its header, by which the sender knows the answer.
        header: the MessageHeader.
        carried: the resources that it is about, in order.
    """

    id: str
    header: JsonObject = field(repr=False)
    carried: tuple[Carried, ...]


def read_message(source: bytes, *, entries_max: int) -> Message:
    """Read a message.

    Raises:
        FhirRejected: NOT_A_BUNDLE, BUNDLE_TYPE, TOO_LARGE, BAD_ENTRY: it is none, or a header or a resource has no id;
            and what makes the bytes unreadable.
    """
    hint = "send other bundles to the base of the server"
    _, raw = read_envelope(source, ("message",), hint=hint, entries_max=entries_max)
    header = _header(raw)
    carried = tuple(_carried(bytes(each), f"entry {number}") for number, each in enumerate(raw[1:], start=2))
    return Message(str(header["id"]), header, carried)


def event_of(message: Message) -> str:
    """Return the event of a message that is understood, by its code.

    Raises:
        FhirRejected: BAD_ENTRY: another event, or one that is about nothing in the message of a type that it may be
            about.
    """
    code = text(message.header, "eventCoding.code") or ""
    if text(message.header, "eventCoding.system") != EVENT_SYSTEM or code not in EVENTS:
        expected = f"one of the events {', '.join(EVENTS)} of {EVENT_SYSTEM}"
        raise _unfit(expected, "another", "write the records by a transaction, which needs no event")
    names = {name for each in message.carried for name in (each.full_url, f"{each.type}/{each.id}")}
    focus = [each for each in texts(message.header, "focus.reference") if each in names]
    about = {each.type for each in message.carried if {each.full_url, f"{each.type}/{each.id}"} & set(focus)}
    if not about.intersection(EVENTS[code]):
        expected = f"a focus of {code} in the message, of the type {' or '.join(EVENTS[code])}"
        raise _unfit(expected, "none", "put it into the message, and say in focus.reference which it is")
    return code


def _header(raw: Sequence[msgspec.Raw]) -> JsonObject:
    first = read_object(bytes(raw[0])).get("resource") if raw else None
    if not isinstance(first, dict) or first.get("resourceType") != "MessageHeader":
        raise _unfit("a MessageHeader as the first entry", "another or none", "put it first")
    name = first.get("id")
    if not isinstance(name, str) or not LOGICAL_ID.fullmatch(name):
        raise _unfit("a MessageHeader with an id", "one without", "give each message a new id, such as a UUID")
    if "response" in first:
        raise _unfit("a message", "an answer to one", "this server asks nothing by messages")
    return first


def _carried(source: bytes, place: str) -> Carried:
    try:
        entry = parsed_entry(source, place)
        if entry.resource.id is None:
            raise bad_entry("a resource with the id by which its sender knows it", "one without")
    except FhirRejected as fault:
        raise fault.at(place) from fault
    return Carried(entry.resource.type, entry.resource.id, entry.full_url or "", entry.resource.body, place)


def _unfit(expected: str, came: str, hint: str) -> FhirRejected:
    return FhirRejected(Fault.BAD_ENTRY, expected=expected, came=came, hint=hint)
