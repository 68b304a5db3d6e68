"""Plain names: what patients call what has a clinical name, by its code.

The clinical name stands beside it on every page. A name that says more than the code says would be advice: these only
say the same in other words.
"""

from collections.abc import Iterable
from typing import Final

LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"


def _(english: str) -> str:
    """Mark a name for translation."""
    return english


NAMES: Final = {
    (LOINC, "14647-2"): _("Cholesterol (a fat in your blood)"),
    (LOINC, "14682-9"): _("Creatinine (shows how your kidneys work)"),
    (LOINC, "1988-5"): _("CRP (shows swelling or infection)"),
    (LOINC, "15074-8"): _("Blood sugar"),
    (LOINC, "2823-3"): _("Potassium (a salt in your blood)"),
    (LOINC, "29463-7"): _("Weight"),
    (LOINC, "2951-2"): _("Sodium (a salt in your blood)"),
    (LOINC, "39156-5"): _("Body mass index (your weight for your height)"),
    (LOINC, "59408-5"): _("Oxygen in your blood"),
    (LOINC, "59261-8"): _("HbA1c (your average blood sugar)"),
    (LOINC, "6690-2"): _("White blood cells (they fight infection)"),
    (LOINC, "718-7"): _("Haemoglobin (it carries oxygen in your blood)"),
    (LOINC, "72166-2"): _("Smoking"),
    (LOINC, "777-3"): _("Platelets (they help blood to clot)"),
    (LOINC, "8302-2"): _("Height"),
    (LOINC, "8310-5"): _("Temperature"),
    (LOINC, "8462-4"): _("Blood pressure, lower number"),
    (LOINC, "8480-6"): _("Blood pressure, upper number"),
    (LOINC, "85354-9"): _("Blood pressure"),
    (LOINC, "8867-4"): _("Pulse"),
    (SNOMED, "185202000"): _("Seen at your GP surgery"),
    (SNOMED, "185212007"): _("Stay on a hospital ward"),
    (SNOMED, "185229005"): _("Seen at a diabetes clinic"),
    (SNOMED, "38341003"): _("High blood pressure"),
    (SNOMED, "386472008"): _("Phone call with your GP surgery"),
    (SNOMED, "399208008"): _("Chest X-ray"),
    (SNOMED, "44054006"): _("Type 2 diabetes"),
}


def plain_name(codes: Iterable[tuple[str, str]]) -> str:
    """Return what patients call it, in English; empty where only the clinical name is known."""
    return next((NAMES[each] for each in codes if each in NAMES), "")
