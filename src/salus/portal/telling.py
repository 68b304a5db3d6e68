"""How the portal tells patients that something has changed: its words, and the ways that its operator set."""

from typing import Final

from salus.node.assemble import Node
from salus.node.sealed_rows import SealedRows
from salus.node.services.telling import Telling, Text
from salus.node.upkeep import Task
from salus.portal.settings import PortalSettings
from salus.portal.words import LANGUAGES, words_of

EVERY_S: Final = 3.0


def telling_of(node: Node, rows: SealedRows, settings: PortalSettings) -> Telling:
    """Return what tells the patients of one portal."""
    texts = {language: _text(language, settings) for language in LANGUAGES}
    return Telling(node, rows, mailer=settings.mailer, push=settings.push, texts=texts)


def telling_tasks(telling: Telling) -> tuple[Task, ...]:
    """Return what is done again and again so that patients are told; any number of workers may do it."""
    return (
        Task("patient_notices", EVERY_S, lambda _node: telling.follow()),
        Task("telling", EVERY_S, lambda _node: telling.tell()),
    )


def _text(language: str, settings: PortalSettings) -> Text:
    """What is said to everybody alike: whoever else reads it learns nothing of a record."""
    words = words_of(language)
    named = {"service": settings.service_name, "address": settings.origin}
    return Text(
        subject=words("%(service)s: something has changed") % named,
        body=words("Something has changed in your record. Sign in to see it: %(address)s") % named,
        code_subject=words("%(service)s: your code") % named,
        code_body=words("Your code is %%(code)s. If you did not ask for it, do nothing.") % named,
    )
