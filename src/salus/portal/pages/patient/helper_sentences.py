"""Helpers as sentences: who helps, what they may see and decide, and until when."""

from typing import Final

from salus.node.services.patient_helpers import Help, HelperRow
from salus.portal.pages.patient.choice_sentences import kinds
from salus.portal.words import Words


def _(english: str) -> str:
    """Mark words for translation."""
    return english


RELATIONS: Final = {
    "parent": _("My mother, my father or who brings me up"),
    "carer": _("My carer"),
    "attorney": _("Somebody to whom I gave power of attorney"),
    "other": _("Somebody else I trust"),
}
_WHO: Final = {
    "parent": _("%(name)s, who brings you up,"),
    "carer": _("%(name)s, your carer,"),
    "attorney": _("%(name)s, to whom you gave power of attorney,"),
    "other": _("%(name)s"),
}


def sentence(words: Words, wanted: Help) -> str:
    """Return what somebody may do, before it is agreed and after."""
    who = words(_WHO[wanted.relation]) % {"name": wanted.name}
    seen = kinds_seen(words, wanted.classes)
    if wanted.may_share:
        said = words("%(who)s may see %(what)s, and decide for you who else sees it") % {"who": who, "what": seen}
    else:
        said = words("%(who)s may see %(what)s") % {"who": who, "what": seen}
    if wanted.until is not None:
        said += words(", until %(day)s") % {"day": words.date(wanted.until)}
    elif wanted.until_age:
        said += words(", until you are %(age)s years old") % {"age": wanted.until_age}
    return f"{said}."


def state(words: Words, row: HelperRow) -> str:
    """Return how things stand with a helper."""
    if row.is_ended:
        return words("They no longer help you.")
    if not row.is_taken_up:
        return words("They have not used their code yet.")
    return words("Last day: %(day)s.") % {"day": words.date(row.until)} if row.until else words("Until you stop it.")


def kinds_seen(words: Words, classes: tuple[str, ...], *, is_own: bool = True) -> str:
    """Return kinds of records as people call them; all of them where none is named.

    Args:
        is_own: whether it is said to the patient, and not to who helps them.
    """
    named = kinds(words, (), classes)
    everything = words("everything in your record") if is_own else words("everything in their record")
    return words.listed(named) if named else everything
