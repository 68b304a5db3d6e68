"""Viewing: the records of whoever is open, this organisation's and what others answered, each with where it is from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec
from starlette.responses import Response

from salus.clinical.fhir import circumstances, plain
from salus.clinical.fhir.dates import last_s
from salus.clinical.fhir.plain import Content
from salus.clinical.nhs_number import NhsNumber
from salus.node.projections.resources import Found
from salus.node.services import view_patient
from salus.node.services.collect import Answered, Collected, Custodian
from salus.node.services.view_patient import TYPES, EmergencyAnswer, Viewed
from salus.portal.call import Call
from salus.portal.open_patients import OpenPatient, digits

_READER: Final = msgspec.json.Decoder(dict[str, object], float_hook=Decimal)


@dataclass(frozen=True)
class Known:
    """A record that may be shown, and where it is from.

    Args:
        name: how addresses of this session name it; says nothing of the record.
    """

    content: Content = field(repr=False)
    source: str
    name: str

    @property
    def type(self) -> str:
        """The FHIR type."""
        return str(self.content.get("resourceType"))


@dataclass(frozen=True)
class Answer:
    """What one custodian has answered; `place` is its place in the list, `reason` the name of why it is a no."""

    place: int
    custodian: Custodian
    state: Answered
    is_cut: bool = False
    reason: str = ""


@dataclass(frozen=True)
class View:
    """What may be seen of somebody at this moment; `is_own_ended`: an officer here has ended the emergency access."""

    records: list[Known] = field(repr=False)
    answers: list[Answer]
    is_own_ended: bool = False

    @property
    def is_asking(self) -> bool:
        """Whether an answer may still come."""
        return any(each.state is Answered.ASKING for each in self.answers)

    @property
    def done(self) -> int:
        """How many have answered, or will not."""
        return sum(each.state is not Answered.ASKING for each in self.answers)

    def of(self, *types: str) -> list[Known]:
        """Return the records of some types that are no mistakes, the newest first."""
        found = [each for each in self.records if each.type in types and not circumstances.is_wrong(each.content)]
        return sorted(found, key=_when, reverse=True)


def opened(call: Call) -> OpenPatient | None:
    """Return whom this session has open; None for nobody."""
    patient = call.signed_in.state.patient
    return patient[0] if patient and not patient[0].is_over(call.portal.node.clock()) else None


def viewed(call: Call, patient: OpenPatient) -> Viewed:
    """Return somebody who is open as services take them."""
    is_emergency = patient.is_emergency(call.portal.node.clock())
    why = f"{patient.emergency}; {patient.justification}" if is_emergency else patient.justification
    number = NhsNumber(patient.number) if patient.number else None
    return Viewed(patient.pseudonym, number, patient.born, why, is_emergency)


def view(
    call: Call,
    patient: OpenPatient,
    types: Sequence[str] = TYPES,
    *,
    most: int | None = None,
    skip: int = 0,
    code: str = "",
    name: str = "",
) -> View:
    """Return what may be seen of somebody: own records as they are decided on now, and others' answers so far.

    Args:
        most: how many of this organisation's own records of each type that has many; None for all.
        skip: how many of the newest of them are passed over; then others' records, which come first, are not in it.
        code: the only one of what own records are about.
        name: the address of the only own record that is opened.
    """
    portal, shown = call.portal, viewed(call, patient)

    def is_named(found: Found) -> bool:
        return name_of(call, portal.title, found.type, found.logical_id) == name

    own = view_patient.own_records(
        portal.node,
        portal.responder,
        call.login,
        shown,
        types,
        most=most,
        skip=skip,
        code=code,
        only=is_named if name else None,
    )
    records = [_known(call, each.body, portal.title) for each in own]
    if skip:
        return View([each for each in records if each is not None], [])
    came = portal.collections.look(patient.collection) if patient.collection else {}
    kept = came.get(portal.node.organisation)
    records += [_known(call, body, portal.title) for body in kept.records] if kept is not None else []
    answers = []
    for place, custodian in enumerate(_asked(call, came.keys())):
        collected = came[custodian.organisation]
        answers.append(_answer(place, custodian, collected, portal.node.clock()))
        records += [_known(call, body, custodian.name) for body in collected.records]
    seen = [each for each in records if each is not None and each.type in types]
    return View(seen, answers, _is_ended(kept))


def has_older(call: Call, patient: OpenPatient, types: Sequence[str], *, beyond: int, code: str = "") -> bool:
    """Tell whether this organisation has more records of one of these types than so many."""
    portal, shown = call.portal, viewed(call, patient)
    return view_patient.has_older(portal.node, portal.responder, call.login, shown, types, beyond=beyond, code=code)


def answers_of(call: Call, patient: OpenPatient) -> View:
    """Return what custodians have answered, without any record."""
    came = call.portal.collections.look(patient.collection) if patient.collection else {}
    asked, now_s = enumerate(_asked(call, came.keys())), call.portal.node.clock()
    answers = [_answer(place, each, came[each.organisation], now_s) for place, each in asked]
    return View([], answers, _is_ended(came.get(call.portal.node.organisation)))


def _answer(place: int, custodian: Custodian, collected: Collected, now_s: int) -> Answer:
    state, reason = collected.state_at(now_s), view_patient.why_denied(collected)
    return Answer(place, custodian, state, collected.is_cut, reason)


def _is_ended(own: Collected | None) -> bool:
    return own is not None and own.state is Answered.ENDED


def go_to(call: Call, patient: OpenPatient, own: EmergencyAnswer | None = None, *, notice: str = "") -> Response:
    """Open somebody: ask all other custodians for them, anew, and send the browser to their page.

    Args:
        own: this organisation's answer to emergency access, which is kept with the others', also where it is empty:
            by it they are known to be an emergency's (`gathered_answers`).
    """
    portal = call.portal
    if patient.collection:
        portal.collections.drop(patient.collection)
    custodians = portal.collections.others()
    held = view_patient.sessions_with(portal.accounts, call.owner, custodians, call.signed_in.state.held)
    shown = viewed(call, patient)
    wanted = view_patient.askings(portal.node, call.owner, custodians, held, shown)
    have = [view_patient.own_answer(portal.node, call.owner, held[0], shown, own)] if own else []
    collection = portal.collections.begin(wanted, about=patient.pseudonym, have=have) if wanted or have else b""
    opened_now = msgspec.structs.replace(patient, collection=collection)
    return call.go("/patient", notice=notice, patient=(opened_now,), found=(), held=held)


def go_to_search(call: Call) -> Response:
    """Send the browser to the search, since nobody is open; whose emergency access is over is told so."""
    is_over = any(each.is_over(call.portal.node.clock()) for each in call.signed_in.state.patient)
    if not is_over:
        return call.go("/patients")
    said = call.words("Emergency access has ended. Search again for what you can see without it.")
    return call.go("/patients", not_done=said, patient=())


def ask_again(call: Call, patient: OpenPatient, named: str) -> None:
    """Ask one custodian once more, by its place in the list."""
    portal = call.portal
    custodians = _asked(call, portal.collections.look(patient.collection).keys())
    held = call.signed_in.state.held
    wanted = view_patient.askings(portal.node, call.owner, custodians, held, viewed(call, patient))
    place = place_in(named, len(wanted))
    if place is not None:
        portal.collections.again(patient.collection, wanted[place])


def place_in(text: str, count: int) -> int | None:
    """Return the place in a list that a form or an address names; None for one that is not in it."""
    place = int(text) if text.isdecimal() and len(text) < 4 else count
    return place if place < count else None


def find(records: Sequence[Known], name: str) -> Known | None:
    """Return the record that an address names, of those that may be seen; None for none."""
    return next((each for each in records if each.name == name), None)


def name_of(call: Call, *parts: str) -> str:
    """Return how addresses of this session name something: digits that mean nothing elsewhere."""
    return digits(call.signed_in.state.form, *parts)


def _asked(call: Call, those: Collection[str]) -> list[Custodian]:
    return [each for each in call.portal.collections.others() if each.organisation in those]


def _known(call: Call, body: bytes, source: str) -> Known | None:
    """A record as it is read; None for what is no JSON object: another kind of document."""
    try:
        content = _READER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return Known(content, source, name_of(call, source, str(content.get("resourceType")), str(content.get("id"))))


def _when(known: Known) -> float:
    """When it was, for an order; before everything where that is not said."""
    at_s = last_s(plain.date_of(known.content))
    return float("-inf") if at_s is None else at_s
