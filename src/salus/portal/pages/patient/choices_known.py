"""Known choices: those in force at each organisation that keeps records of the patient, as far as these have answered.

For the pages that list, stop and change them. Those here are shown as ever; others answer a session that the patient's
own device certified, and are asked once in each time box, or after a change.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from starlette.responses import Response

from salus.node.services import choices_elsewhere, sharing
from salus.node.services.choices_elsewhere import Place
from salus.node.services.collect import Answered, Sought
from salus.node.services.own_elsewhere import Answer, Elsewhere
from salus.node.services.sharing import InForce
from salus.portal.call import Call
from salus.portal.pages.patient.signing import had_ended, places

_CHOICE: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Known:
    """A choice in force, at which organisation, and how an address names it."""

    place: Place
    choice: InForce
    which: str


@dataclass(frozen=True)
class AtPlace:
    """The choices at one organisation.

    Args:
        answer: of another one; None of this one.
        known: None where the patient hid all of it from themself.
    """

    place: Place
    answer: Answer | None
    known: list[Known] | None


class Choices:
    """A patient's choices, for one request."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.places = places(call)

    @cached_property
    def groups(self) -> list[AtPlace]:
        """The choices at each organisation, this one first."""
        call, (own, *others) = self._call, self.places
        here = sharing.in_force(call.portal.node, call.portal.responder, call.login, call.owner.pseudonym)
        found = None if here is None else [Known(own, each, str(number)) for number, each in enumerate(here, start=1)]
        return [AtPlace(own, None, found), *(self._elsewhere(others) if others else ())]

    def find(self, name: str) -> Known | None:
        """Return the choice that a form names; None where the patient has no such, or it has not been told of yet."""
        every = (each for group in self.groups for each in group.known or ())
        return next((each for each in every if _CHOICE.fullmatch(name) and each.choice.choice.hex() == name), None)

    def at(self, which: str) -> Known | None:
        """Return the choice that an address names; None where there is none."""
        every = (each for group in self.groups for each in group.known or ())
        return next((each for each in every if each.which == which), None)

    def not_there(self, name: str) -> Response:
        """Say why nothing is done about a choice: it has ended, or its organisation has not said yet what it is."""
        node, words = self._call.portal.node, self._call.words
        choice = bytes.fromhex(name) if _CHOICE.fullmatch(name) else b""
        for place in self.places[1:]:
            if sharing.is_in_force(node, place.pseudonym, choice):
                said = words("We are still asking %(organisation)s about that choice. Nothing was changed. Try again")
                return self._call.go("/sharing", not_done=said % {"organisation": place.name}, answers=())
        return had_ended(self._call)

    def ask_again(self, place: int) -> None:
        """Ask another organisation once more, by its place among them."""
        self._asked().again(place)

    def _asked(self) -> Elsewhere:
        """The others, all of whom were asked."""
        call, others = self._call, _others(self._call)
        collection = others.begin()
        if collection != call.signed_in.state.choices:
            call.portal.sessions.change(call.signed_in, choices=collection)
        return others

    def _elsewhere(self, places: list[Place]) -> list[AtPlace]:
        others = self._asked()
        answers = {each.custodian.organisation: each for each in others.answers()}
        return [self._at(others, each, answers.get(each.custodian)) for each in places]

    def _at(self, others: Elsewhere, place: Place, answer: Answer | None) -> AtPlace:
        """What one of them has said; one that was asked before a choice was made is asked once more."""
        if answer is None or answer.state is not Answered.CAME:
            return AtPlace(place, answer, [])
        found = choices_elsewhere.in_force(self._call.portal.node, place, others.rules_of(place.custodian))
        if any(each.tree is None and each.filed_at_s >= answer.asked_s for each in found):
            others.again(answer.place)
            return AtPlace(place, replace(answer, state=Answered.ASKING), [])
        named = [Known(place, each, f"{answer.place + 1}-{number}") for number, each in enumerate(found, start=1)]
        return AtPlace(place, answer, named)


def _others(call: Call) -> Elsewhere:
    portal, state, about = call.portal, call.signed_in.state, call.owner.pseudonym
    of, asked = state.held[1:], state.choices
    return Elsewhere(portal.node, portal.collections, of, about=about, collection=asked, sought=Sought.CHOICES)
