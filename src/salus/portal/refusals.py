"""Refusals as patients read them: in their language, and what to do; a service's own words are for staff."""

from typing import Final

from salus.node.errors import Refusal, Refused
from salus.portal.call import Call, Person


def _(english: str) -> str:
    """Mark words for translation."""
    return english


WORDS: Final = {
    Refusal.TOO_MANY: _(
        "You have done this as often as you can for now. Wait a while, or remove one that you do not need."
    ),
    Refusal.FORM_UNFIT: _("This page is too old. Open it again, and enter again what you entered."),
    Refusal.DELEGATE_UNFIT: _("You can no longer help this person. Ask them if you should"),
    Refusal.NOT_YOURS: _("This is not there any more. Go back and look."),
    Refusal.SIGN_IN_UNFIT: _("You could not be signed in. Go back and try again, or use another way."),
}
OTHERWISE: Final = _(
    "We could not do that. Go back and look before you try again. If it does not work, ask %(organisation)s."
)
_STAFF: Final = frozenset({Person.CLINICIAN, Person.OFFICER, Person.OPERATOR})


class Said(Refused):
    """A refusal whose words are the reader's already, in their language."""


def words_for(call: Call, refused: Refused) -> str:
    """Return what whoever asked reads: of a service's own words only people who work here."""
    if isinstance(refused, Said) or call.person in _STAFF:
        return refused.words
    return call.words(WORDS.get(refused.refusal, OTHERWISE)) % {"organisation": call.portal.title}
