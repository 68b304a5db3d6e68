"""Links in words: what one shows, how it stands with it, and how often it was opened."""

from typing import Final

from salus.clinical.fhir.kinds import whole
from salus.node.services.health_links import Link, LinkState
from salus.node.services.link_secrets import Kept
from salus.portal.pages.patient.choice_sentences import kinds
from salus.portal.words import Words


def _(english: str) -> str:
    """Mark words for translation."""
    return english


_STATES: Final = {
    LinkState.OPEN: _("Works until %(when)s"),
    LinkState.OVER: _("Ended on %(when)s"),
    LinkState.STOPPED: _("You stopped it"),
    LinkState.GUESSED: _("It ended because somebody typed a wrong passcode too often"),
    LinkState.SPENT: _("It ended because it was opened as often as a link can be"),
}


def shows(words: Words, *, labels: tuple[str, ...], classes: tuple[str, ...], is_only: bool) -> str:
    """Return what a link shows."""
    chosen = words.listed(kinds(words, labels, whole(classes)))
    if is_only:
        return words("Your name and only this: %(kinds)s") % {"kinds": chosen}
    return words("Everything except %(kinds)s") % {"kinds": chosen} if chosen else words("Everything")


def shown_of(words: Words, kept: Kept) -> str:
    """Return what a link that was made shows."""
    return shows(words, labels=kept.labels, classes=kept.classes, is_only=kept.is_only)


def state_of(words: Words, link: Link) -> str:
    """Return how it stands with a link."""
    return words(_STATES[link.state]) % {"when": words.moment(link.until_s)}


def openings_of(words: Words, link: Link) -> str:
    """Return how often a link was opened."""
    count = sum(not each.use.is_refused for each in link.uses)
    return words.many("Opened %(num)s time", "Opened %(num)s times", count) if count else words("Not opened yet")
