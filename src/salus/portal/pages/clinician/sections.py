"""Sections of a patient's view: records as rows of words, by kind, allergies and warnings first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from salus.clinical.fhir import circumstances, contributed, plain
from salus.clinical.fhir.circumstances import Caution
from salus.clinical.fhir.dates import last_s
from salus.clinical.fhir.elements import texts, values
from salus.clinical.fhir.plain import ANY, Range
from salus.portal import dates
from salus.portal.call import Call
from salus.portal.pages.clinician.cautions import caution_words, result_words, state_words
from salus.portal.pages.clinician.same_patient import linked
from salus.portal.pages.clinician.tested import by_test
from salus.portal.pages.clinician.viewing import Known, View
from salus.portal.words import Words

SHORT: Final = 200
"""So many characters of what a report says are in a list; its own page has all."""
NOT_SO: Final = frozenset({Caution.REFUTED, Caution.NOT_TAKEN, Caution.CANCELLED})
"""What was never so, or is not, comes after what is."""
FEW: Final = 8
"""How many rows of a kind the first view has; the kind's own page has all."""


@dataclass(frozen=True)
class Row:
    """One row: cells in the order of the section's columns, and where its first one leads, or nowhere."""

    cells: list[str] = field(repr=False)
    link: str = ""
    flag: str = ""


@dataclass(frozen=True)
class Section:
    """A kind of records.

    Args:
        name: in addresses; title and columns: in words; empty: what is said where there are none.
        has_more: whether there are rows that only the kind's own page has.
    """

    name: str
    title: str
    columns: list[str]
    rows: list[Row] = field(repr=False)
    empty: str
    has_more: bool = False


@dataclass(frozen=True)
class Warned:
    """An allergy or a warning: what, how it shows, where it is from."""

    name: str = field(repr=False)
    details: str = field(repr=False)
    source: str


def warnings(call: Call, view: View) -> list[Warned]:
    """Return allergies and warnings, those that are severe first."""
    words, found = call.words, view.of("AllergyIntolerance", "Flag")
    ordered = sorted(found, key=lambda each: (_is_past(each), each.content.get("criticality") != "high"))
    return [_warned(words, each) for each in ordered]


def sections(call: Call, view: View, *, most: int | None = FEW) -> list[Section]:
    """Return all other kinds, in the order in which a clinician wants them; of each at most so many rows."""
    return [_cut(make(call, view), most) for make in KINDS.values()]


def section(call: Call, view: View, name: str) -> Section:
    """Return one kind, whole."""
    return KINDS[name](call, view)


def problems(call: Call, view: View) -> Section:
    """Problems, those that go on first."""
    words = call.words
    found = sorted(view.of("Condition"), key=_is_past)
    rows = [
        Row([_name(words, each), _since(words, each), state_words(words, each), source_of(words, each)])
        for each in _once(words, found)
    ]
    columns = [words("Problem"), words("Since"), words("State"), words("From")]
    return Section("problems", words("Problems"), columns, rows, words("No problems came with this record."))


def medicines(call: Call, view: View) -> Section:
    """Medicines, those that go on first."""
    words = call.words
    found = sorted(view.of("MedicationRequest", "MedicationStatement"), key=_is_past)
    rows = [
        Row([_name(words, each), _dose(each), _since(words, each), state_words(words, each), source_of(words, each)])
        for each in found
    ]
    columns = [words("Medicine"), words("How to take it"), words("Since"), words("State"), words("From")]
    return Section("medicines", words("Medicines"), columns, rows, words("No medicines came with this record."))


def results(call: Call, view: View) -> Section:
    """The newest result of each test, the newest first."""
    words = call.words
    rows = []
    for tested in by_test(view):
        newest, address = tested.results[0], tested.address
        link = linked(call, f"/patient/results/{address}") if address else ""
        rows.append(Row(result_cells(words, newest), link, flag_of(newest)))
    columns = [words("Test"), words("Result"), words("Usual range"), words("Date"), words("From")]
    return Section("results", words("Test results"), columns, rows, words("No test results came with this record."))


def reports(call: Call, view: View) -> Section:
    """Reports that say something themselves; of others the results say it."""
    words, rows = call.words, []
    for each in view.of("DiagnosticReport"):
        said = conclusion_of(each)
        if said or circumstances.attachments_of(each.content) or not values(each.content, "result"):
            link, short = _letter(call, each), said if len(said) <= SHORT else f"{said[:SHORT]} …"
            rows.append(Row([_named(words, each), short, _since(words, each), source_of(words, each)], link))
    columns = [words("Report"), words("What it says"), words("Date"), words("From")]
    return Section("reports", words("Reports"), columns, rows, words("No reports came with this record."))


def letters(call: Call, view: View) -> Section:
    """Letters and other documents."""
    words = call.words
    rows = []
    for each in view.of("DocumentReference"):
        author = ", ".join(plain.concept(who) for who in values(each.content, "author"))
        cells = [_named(words, each), author, _since(words, each), source_of(words, each)]
        rows.append(Row(cells, _letter(call, each)))
    columns = [words("Letter"), words("Written by"), words("Date"), words("From")]
    return Section("letters", words("Letters and documents"), columns, rows, words("No letters came with this record."))


def vaccinations(call: Call, view: View) -> Section:
    """Vaccinations."""
    words = call.words
    rows = [Row([_named(words, each), _since(words, each), source_of(words, each)]) for each in view.of("Immunization")]
    columns = [words("Vaccine"), words("Date"), words("From")]
    empty = words("No vaccinations came with this record.")
    return Section("vaccinations", words("Vaccinations"), columns, rows, empty)


def images(call: Call, view: View) -> Section:
    """Images and procedures, listed."""
    words = call.words
    found = view.of("ImagingStudy", "Procedure")
    rows = [Row([_named(words, each), _since(words, each), source_of(words, each)]) for each in found]
    columns = [words("Image or procedure"), words("Date"), words("From")]
    empty = words("No images or procedures came with this record.")
    return Section("images", words("Images and procedures"), columns, rows, empty)


KINDS: Final[dict[str, Callable[[Call, View], Section]]] = {
    "problems": problems,
    "medicines": medicines,
    "results": results,
    "reports": reports,
    "letters": letters,
    "vaccinations": vaccinations,
    "images": images,
}
TYPES_OF: Final = {
    "problems": ("Condition",),
    "medicines": ("MedicationRequest", "MedicationStatement"),
    "results": ("Observation",),
    "reports": ("DiagnosticReport",),
    "letters": ("DocumentReference",),
    "vaccinations": ("Immunization",),
    "images": ("ImagingStudy", "Procedure"),
}
"""What each kind is made of."""


def result_cells(words: Words, observation: Known) -> list[str]:
    """Test, value, usual range, date, where it is from."""
    shown = result_words(words, observation)
    usual = range_words(words, plain.range_of(observation.content))
    return [_name(words, observation), shown, usual, _since(words, observation), source_of(words, observation)]


def source_of(words: Words, known: Known) -> str:
    """Where a record is from, and that the patient added it where they did."""
    if not contributed.is_contributed(known.content):
        return known.source
    return words("%(organisation)s, added by the patient") % {"organisation": known.source}


def range_words(words: Words, usual: Range) -> str:
    """A usual range in words; empty where there is none."""
    if usual == ANY or usual.words:
        return usual.words
    if usual.low is None:
        return words("up to %(high)s") % {"high": usual.high}
    if usual.high is None:
        return words("from %(low)s") % {"low": usual.low}
    return words("%(low)s to %(high)s") % {"low": usual.low, "high": usual.high}


def moment_of(words: Words, known: Known) -> str:
    """When it was, to the minute where that is said: of several results of one day each has its time."""
    at_s, written = last_s(plain.date_of(known.content)), plain.date_of(known.content)
    return _since(words, known) if at_s is None or "T" not in written else words.moment(at_s)


def flag_of(observation: Known) -> str:
    """Return why a value stands out; empty for one that does not."""
    return plain.flag_of(observation.content) or plain.concern_of(observation.content)


def conclusion_of(report: Known) -> str:
    """Return what a report concludes, in words."""
    coded = [plain.concept(each) for each in values(report.content, "conclusionCode")]
    return "\n".join(each for each in (*texts(report.content, "conclusion"), *coded) if each)


def _cut(whole: Section, most: int | None) -> Section:
    if most is None or len(whole.rows) <= most:
        return whole
    return replace(whole, rows=whole.rows[:most], has_more=True)


def _warned(words: Words, known: Known) -> Warned:
    shows = [plain.concept(each) for each in values(known.content, "reaction.manifestation")]
    severe = words("high risk") if known.content.get("criticality") == "high" else ""
    ended = words("no longer active") if circumstances.is_over(known.content) else ""
    details = [caution_words(words, known), words.listed(shows), severe, ended, _since(words, known)]
    return Warned(_name(words, known), ", ".join(each for each in details if each), source_of(words, known))


def _once(words: Words, found: Sequence[Known]) -> list[Known]:
    """Leave out what one place says twice in the same words."""
    kept: dict[tuple[str, ...], Known] = {}
    for each in found:
        kept.setdefault((_name(words, each), _since(words, each), each.source), each)
    return list(kept.values())


def _name(words: Words, known: Known) -> str:
    return plain.name_of(known.content) or words("Not named")


def _since(words: Words, known: Known) -> str:
    return dates.in_words(words, plain.date_of(known.content))


def _dose(known: Known) -> str:
    return "; ".join(texts(known.content, "dosageInstruction.text")) or "; ".join(texts(known.content, "dosage.text"))


def _letter(call: Call, known: Known) -> str:
    return linked(call, f"/patient/letters/{known.name}")


def _named(words: Words, known: Known) -> str:
    said = caution_words(words, known)
    return f"{_name(words, known)} ({said})" if said else _name(words, known)


def _is_past(known: Known) -> bool:
    return circumstances.is_over(known.content) or circumstances.caution_of(known.content) in NOT_SO
