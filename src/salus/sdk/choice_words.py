"""A sharing choice in plain words: one sentence for each provision, numbered as receipts number them.

The same words wherever a choice is shown, so that what was agreed to is what is later explained. `explain` says of a
withheld record that provision 1.1 kept it; sentence 1.1 here is that rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from salus.clinical.fhir.kinds import whole
from salus.clinical.uk_time import uk_date, uk_time
from salus.contracts.provisions import (
    EARLIEST_S,
    FIRST_DAY,
    LAST_DAY,
    LATEST_S,
    Provision,
    ProvisionType,
    Purpose,
    RoleClass,
    Verb,
)
from salus.ledger.identifiers import OrganisationId
from salus.sdk.choice_presets import EPOCH

PURPOSES = {
    Purpose.TREAT: "your care",
    Purpose.ETREAT: "emergency care",
    Purpose.BTG: "breaking the glass in an emergency",
    Purpose.PATRQT: "your own requests",
    Purpose.HPAYMT: "payment",
    Purpose.HRESCH: "research",
    Purpose.PUBHLTH: "public health",
    Purpose.HLEGAL: "legal reasons",
}
ROLE_CLASSES = {
    RoleClass.CLINICAL: "clinicians",
    RoleClass.PHARMACY: "pharmacists",
    RoleClass.ADMINISTRATIVE: "administrative staff",
    RoleClass.PATIENT_SIDE: "people on your side",
    RoleClass.INSURER: "insurers",
    RoleClass.RESEARCH: "researchers",
    RoleClass.OFFICER: "privacy officers",
    RoleClass.SYSTEM: "systems",
}
VERBS = {Verb.READ: "see", Verb.SEARCH: "search", Verb.EXPORT: "take out", Verb.SUBSCRIBE: "be told of"}
LABELS = {
    "BH": "behaviour",
    "ETH": "alcohol and drugs",
    "GDIS": "illnesses in the genes",
    "HIV": "HIV",
    "PSY": "mental health",
    "SDV": "abuse or violence",
    "SEX": "sexual health and having children",
    "STD": "infections passed on by sex",
    "TBOO": "other private matters",
    "U": "unrestricted",
    "L": "low confidentiality",
    "M": "moderate confidentiality",
    "N": "normal confidentiality",
    "R": "restricted",
    "V": "very restricted",
}
CLASSES = {
    "AllergyIntolerance": "allergies",
    "Binary": "files",
    "Condition": "health problems",
    "DiagnosticReport": "test reports",
    "DocumentReference": "letters and documents",
    "Encounter": "visits",
    "ImagingStudy": "scans and X-rays",
    "Immunization": "vaccinations",
    "MedicationAdministration": "medicines that were given to you",
    "MedicationDispense": "medicines that were handed out to you",
    "MedicationRequest": "prescribed medicines",
    "MedicationStatement": "medicines that you take",
    "Observation": "test results",
    "Patient": "your name and address",
    "Procedure": "operations and procedures",
}
MEDICINES = whole(["MedicationRequest"])

Names = Mapping[OrganisationId, str]


@dataclass(frozen=True)
class Sentence:
    """What one provision says; `path` is its number in a receipt."""

    path: str
    words: str


def sentences(tree: Provision, names: Names) -> list[Sentence]:
    """Return the sentences of a tree, parents before their exceptions.

    Args:
        names: what organisations are called; a code stands for itself where there is no name.
    """
    return list(_sentences(tree, names, "1"))


def labels_in_words(labels: Sequence[str]) -> str:
    """Return labels as people call them."""
    return _either([LABELS.get(label.rpartition("|")[2], label.rpartition("|")[2]) for label in labels])


def classes_in_words(classes: Sequence[str]) -> str:
    """Return classes of records as people call them; where all that are medicines are meant, that one word."""
    is_whole = set(MEDICINES) <= set(classes)
    said = [each for each in classes if not is_whole or each == MEDICINES[0] or each not in MEDICINES]
    return _either(["medicines" if is_whole and each == MEDICINES[0] else CLASSES.get(each, each) for each in said])


def _sentences(tree: Provision, names: Names, path: str) -> Iterator[Sentence]:
    yield Sentence(path, _root(tree, names) if path == "1" else _exception(tree, names))
    for number, each in enumerate(tree.provisions, start=1):
        yield from _sentences(each, names, f"{path}.{number}")


def _root(tree: Provision, names: Names) -> str:
    verb = _either([VERBS[each] for each in tree.verbs]) or "see"
    may = "may" if tree.type is ProvisionType.PERMIT else "may not"
    who = _who(tree, names) or "anybody"
    return f"{_capital(who)} {may} {verb} {_what(tree) or 'your records'}{_why(tree)}{_when(tree)}."


def _exception(tree: Provision, names: Names) -> str:
    parts = [_what(tree), _who(tree, names), _either([VERBS[each] for each in tree.verbs])]
    what = ", ".join(part for part in parts if part) or "everything"
    opening = "But yes" if tree.type is ProvisionType.PERMIT else "But not"
    return f"{opening}: {what}{_why(tree)}{_when(tree)}."


def _who(tree: Provision, names: Names) -> str:
    people = _all([ROLE_CLASSES[each] for each in tree.role_classes])
    places = _all([names.get(each, each) for each in tree.organisations])
    named = f"{len(tree.persons)} named {'person' if len(tree.persons) == 1 else 'people'}" if tree.persons else ""
    who = _all([each for each in (named, people) if each])
    if not places:
        return who
    return f"{who or 'anybody'} at {places}"


def _what(tree: Provision) -> str:
    parts = []
    if tree.classes:
        parts.append(classes_in_words(tree.classes))
    if tree.labels:
        parts.append(f"records about {labels_in_words(tree.labels)}")
    if tree.codes:
        parts.append(f"records with {'this code' if len(tree.codes) == 1 else f'one of {len(tree.codes)} codes'}")
    if tree.data:
        parts.append(f"{len(tree.data)} {'record that you named' if len(tree.data) == 1 else 'records that you named'}")
    period = _data_period(tree)
    return (" that are ".join(parts) or ("records" if period else "")) + period


def _why(tree: Provision) -> str:
    return f", for {_either([PURPOSES[each] for each in tree.purposes])}" if tree.purposes else ""


def _when(tree: Provision) -> str:
    start = "" if tree.valid_from_day == FIRST_DAY else f" from {_day(tree.valid_from_day)}"
    end = "" if tree.valid_to_day == LAST_DAY else f" until {_day(tree.valid_to_day)}"
    return f",{start}{end}" if start or end else ""


def _data_period(tree: Provision) -> str:
    start = "" if tree.data_from_s == EARLIEST_S else f" from {uk_time(tree.data_from_s)}"
    end = "" if tree.data_to_s == LATEST_S else f" up to {uk_time(tree.data_to_s)}"
    return f" written{start}{end}" if start or end else ""


def _day(day: int) -> str:
    return uk_date(date.fromordinal(EPOCH.toordinal() + day))


def _either(words: Sequence[str]) -> str:
    return _joined(words, "or")


def _all(words: Sequence[str]) -> str:
    return _joined(words, "and")


def _joined(words: Sequence[str], last: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
