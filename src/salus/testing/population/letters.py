"""Letters between organisations: what a clinic writes to the practice after seeing somebody."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import date

from salus.testing.population.custodians import PRACTICE, Custodian, Staff
from salus.testing.population.households import Identity
from salus.testing.population.pdf import one_page
from salus.testing.population.uk_core.coding import Code

CLINICAL_LETTER = Code("823691000000103", "Clinical letter")
DISCHARGE_SUMMARY = Code("373942005", "Discharge summary")
LINE_CHARACTERS = 84
TO_PRACTICE = (PRACTICE.name, f"{PRACTICE.lines[-1]}, {PRACTICE.city}, {PRACTICE.postcode}")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter about one person, ready to be filed by whoever sent or received it."""

    kind: Code
    title: str
    written: date
    sender: Custodian
    author: Staff
    sensitivity: tuple[str, ...]
    pdf: bytes


def letter(
    *,
    identity: Identity,
    sender: Custodian,
    author: Staff,
    kind: Code,
    written: date,
    diagnosis: str,
    paragraphs: tuple[str, ...],
    sensitivity: tuple[str, ...],
    to: tuple[str, ...] = TO_PRACTICE,
) -> Letter:
    """Write a letter; `to` is the addressee in lines, the practice if nobody else is named."""
    lines = [
        *heading(sender, author, written),
        "",
        "To:",
        *to,
        "",
        f"Re: {identity.full_name}, born {identity.born:%d/%m/%Y}, NHS number {grouped(identity.nhs_number.digits)}",
        f"{identity.home.line}, {identity.home.city}, {identity.home.postcode}",
        "",
        f"Diagnosis: {diagnosis}",
        *(line for paragraph in paragraphs for line in ("", *textwrap.wrap(paragraph, LINE_CHARACTERS))),
        "",
        "Yours sincerely",
        "",
        author.signature,
        author.works_in,
    ]
    title = f"{kind.display}: {author.works_in}, {written:%d/%m/%Y}"
    return Letter(kind, title, written, sender, author, sensitivity, one_page(lines))


def heading(sender: Custodian, author: Staff, written: date) -> list[str]:
    """The sender's name and address, the department and the day."""
    place = ", ".join((*sender.lines, sender.city, sender.postcode))
    return [
        sender.name,
        place,
        f"Telephone {sender.telephone}",
        f"Department: {author.works_in}",
        f"{written:%d/%m/%Y}",
    ]


def grouped(digits: str) -> str:
    """An NHS number as people read it, 3-3-4."""
    return f"{digits[:3]} {digits[3:6]} {digits[6:]}"
