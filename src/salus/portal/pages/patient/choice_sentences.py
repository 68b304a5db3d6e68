"""Choices as sentences: what a patient decided, in words that say who may see what, and until when.

The same words where a choice is made, where it is listed and where it is withdrawn.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from salus.clinical.fhir.kinds import whole
from salus.node.services.sharing import InForce, Rule
from salus.portal.words import Words


def _(english: str) -> str:
    """Mark words for translation."""
    return english


LABELS: Final = {
    "PSY": _("mental health"),
    "SEX": _("sexual health and having children"),
    "STD": _("infections passed on by sex"),
    "HIV": _("HIV"),
    "ETH": _("alcohol and drugs"),
    "SDV": _("abuse or violence"),
    "GDIS": _("illnesses in the genes"),
    "BH": _("behaviour"),
    "TBOO": _("other private matters"),
}
CLASSES: Final = {
    "DocumentReference": _("letters and documents"),
    "Observation": _("test results"),
    "DiagnosticReport": _("test reports"),
    "MedicationRequest": _("medicines"),
    "AllergyIntolerance": _("allergies"),
    "Condition": _("health problems"),
    "Immunization": _("vaccinations"),
    "Encounter": _("visits"),
    "Procedure": _("operations and procedures"),
    "ImagingStudy": _("scans and X-rays"),
}
ALONE: Final = {
    "Binary": _("files"),
    "MedicationAdministration": _("medicines that were given to you"),
    "MedicationDispense": _("medicines that were handed out to you"),
    "MedicationRequest": _("prescribed medicines"),
    "MedicationStatement": _("medicines that you take"),
    "Patient": _("your name and address"),
}
"""What rules that were made elsewhere can name, and nobody chooses here."""
OTHERS: Final = _("other records")
_CARE: Final = frozenset({"treat", "etreat"})
_CARERS: Final = frozenset({"clinical", "pharmacy"})
_MADE_BY: Final = {
    "patient": _("You decided this on %(when)s, with your own device."),
    "delegate": _("Somebody you let act for you decided this on %(when)s."),
    "custodian": _("%(organisation)s wrote this down for you on %(when)s, and signed it for you."),
}


def sentence(words: Words, rule: Rule, holders: Sequence[str] = ()) -> str:
    """Return a choice as one sentence.

    Args:
        holders: by whom the records were written down that it is about, where that has to be said.
    """
    who = _who(words, rule)
    what = _what(words, rule) or (words("everything") if rule.is_permit else words("anything"))
    if len(holders) == 1:
        what = words("%(what)s that %(organisation)s has written down") % {"what": what, "organisation": holders[0]}
    elif holders:
        named = {"what": what, "organisations": words.listed(holders)}
        what = words("%(what)s that %(organisations)s have written down") % named
    text = words("%(who)s may see %(what)s") % {"who": who, "what": what}
    left_out = [each for each in (_what(words, one) for one in rule.exceptions) if each]
    if left_out:
        text += words(" except %(what)s") % {"what": words.listed(left_out)}
    if rule.until is not None:
        text += words(", until %(day)s") % {"day": words.date(rule.until)}
    return f"{text}."


def made(words: Words, choice: InForce, *, organisation: str, patient: str) -> str:
    """Return who made a choice, and when: a key that is not the patient's own is said to be (assisted mode)."""
    if choice.helper:
        said = words("%(helper)s decided this for %(patient)s on %(when)s.")
        return said % {"helper": choice.helper, "patient": patient, "when": words.moment(choice.filed_at_s)}
    return words(_MADE_BY[choice.actor]) % {"organisation": organisation, "when": words.moment(choice.filed_at_s)}


def kinds(words: Words, labels: Iterable[str], classes: Iterable[str]) -> list[str]:
    """Return kinds of records as people call them; what goes by one word is said once where all of it is meant."""
    about = [words("what is about %(matter)s") % {"matter": words(LABELS.get(each, each))} for each in labels]
    every = tuple(classes)
    wholes = [each for each in every if each in CLASSES and set(whole([each])) <= set(every)]
    parts = set(whole(wholes)) - set(wholes)
    named = [CLASSES[each] if each in wholes else ALONE.get(each, OTHERS) for each in every if each not in parts]
    return [*about, *(words(each) for each in dict.fromkeys(named))]


def _who(words: Words, rule: Rule) -> str:
    places = words.listed(rule.organisations)
    if not rule.is_permit:
        return words("Nobody at %(places)s") % {"places": places} if places else words("Nobody but you")
    is_care = bool(rule.purposes) and set(rule.purposes) <= _CARE and set(rule.role_classes) <= _CARERS
    if places:
        said = words("Anyone treating you at %(places)s") if is_care else words("Anyone at %(places)s")
        return said % {"places": places}
    return words("Anyone treating you") if is_care else words("Anyone")


def _what(words: Words, rule: Rule) -> str:
    said = kinds(words, rule.labels, rule.classes)
    if rule.other_count:
        said.append(words.many("%(num)s thing that you named", "%(num)s things that you named", rule.other_count))
    return words.listed(said)
