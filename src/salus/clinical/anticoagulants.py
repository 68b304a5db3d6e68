"""Anticoagulants: medicines that keep blood from clotting, of which whoever treats somebody has to know.

Promises: a medicine is known by any of its names, of its substance or its brand, wherever a resource says it; one that
has no name is taken for one, since nobody can tell.
"""

from collections.abc import Iterator
from typing import Final

from salus.clinical.fhir.elements import objects, texts
from salus.clinical.fhir.plain import NAMES, Content

SUBSTANCES: Final = (
    *("acenocoumarol", "apixaban", "argatroban", "bivalirudin", "dabigatran", "dalteparin", "danaparoid", "edoxaban"),
    *("enoxaparin", "fondaparinux", "heparin", "nicoumalone", "phenindione", "rivaroxaban", "tinzaparin", "warfarin"),
)
"""BNF 2.8.1 and 2.8.2 (parenteral and oral anticoagulants)."""
BRANDS: Final = (
    *("arixtra", "arovi", "clexane", "coumadin", "eliquis", "exembol", "fragmin", "inhixa", "innohep", "ledraxen"),
    *("lixiana", "marevan", "monoparin", "multiparin", "pradaxa", "sinthrome", "xarelto"),
)
"""Under which dm+d has actual products of these that are not named for the substance."""
_WORDS: Final = ("text", "coding.display", "display")
_CONTAINED: Final = ("code", "ingredient.itemCodeableConcept", "ingredient.itemReference")
"""Where a Medication that a resource contains says what it is."""


def may_be_anticoagulant(medicine: Content) -> bool:
    """Tell whether a medicine's resource is about an anticoagulant, or does not say by name what it is about."""
    names = [each.casefold() for each in _names(medicine)]
    return not names or any(one in each for each in names for one in (*SUBSTANCES, *BRANDS))


def _names(medicine: Content) -> Iterator[str]:
    places = [(medicine, each) for each in NAMES.get(str(medicine.get("resourceType")), ())]
    places += [(each, place) for each in objects(medicine, "contained") for place in _CONTAINED]
    for content, place in places:
        for word in _WORDS:
            yield from (each for each in texts(content, f"{place}.{word}") if each.strip())
