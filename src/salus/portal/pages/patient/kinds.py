"""The kinds of records that a patient's pages list: where each is, what it is called, which resources it has."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Kind:
    """A kind of records.

    Args:
        address: under `/record/`.
        title: in English, as are `about`, a line for the first page, and `absent`, what an empty page says.
        types: FHIR types, each with the search parameter of when it was.
    """

    address: str
    title: str
    about: str
    absent: str
    types: tuple[tuple[str, str], ...]


def _(english: str) -> str:
    """Mark a sentence for translation: the page says it in the reader's language."""
    return english


LETTERS: Final = Kind(
    "letters",
    _("Letters and documents"),
    _("What clinics and hospitals wrote about you"),
    _("There are no letters here yet. When a clinic writes to your GP, the letter comes here."),
    (("DocumentReference", "date"),),
)
RESULTS: Final = Kind(
    "results",
    _("Test results"),
    _("Blood tests, blood pressure, weight and more"),
    _("There are no results here yet. When a test of yours is ready, it comes here."),
    (("Observation", "date"),),
)
REPORTS: Final = Kind(
    "reports",
    _("Test reports"),
    _("Tests that were done together, and what was said about them"),
    _("There are no reports here yet."),
    (("DiagnosticReport", "date"),),
)
MEDICINES: Final = Kind(
    "medicines",
    _("Medicines"),
    _("What was prescribed for you, and how to take it"),
    _("There are no medicines here. If you take some, tell your GP or your pharmacist."),
    (("MedicationRequest", "authoredon"), ("MedicationStatement", "effective")),
)
ALLERGIES: Final = Kind(
    "allergies",
    _("Allergies"),
    _("What you should not be given"),
    _("No allergies are written down here. If you have one, tell your GP."),
    (("AllergyIntolerance", "date"),),
)
PROBLEMS: Final = Kind(
    "problems",
    _("Health problems"),
    _("Illnesses that you have or had"),
    _("No health problems are written down here."),
    (("Condition", "onset-date"),),
)
VACCINATIONS: Final = Kind(
    "vaccinations",
    _("Vaccinations"),
    _("Jabs that you had"),
    _("No vaccinations are written down here. If you had some elsewhere, tell your GP."),
    (("Immunization", "date"),),
)
VISITS: Final = Kind(
    "visits",
    _("Visits"),
    _("When you were seen, and by whom"),
    _("No visits are written down here."),
    (("Encounter", "date"),),
)
PROCEDURES: Final = Kind(
    "procedures",
    _("Operations and procedures"),
    _("What was done for you"),
    _("No operations or procedures are written down here."),
    (("Procedure", "date"),),
)
IMAGES: Final = Kind(
    "images",
    _("Scans and X-rays"),
    _("Pictures that were taken of you"),
    _("There are no scans or X-rays here. Some hospitals keep them elsewhere: ask the one where you had yours."),
    (("ImagingStudy", "started"),),
)
KINDS: Final = (
    LETTERS,
    RESULTS,
    REPORTS,
    MEDICINES,
    ALLERGIES,
    PROBLEMS,
    VACCINATIONS,
    VISITS,
    PROCEDURES,
    IMAGES,
)
BY_ADDRESS: Final = {each.address: each for each in KINDS}
