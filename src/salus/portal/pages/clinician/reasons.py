"""Why a clinician looks: reasons and relationships to choose from, as they go into requests and patients read them."""

from typing import Final

from salus.portal.call import Call, Error

OTHER: Final = "other"
WORDS_MAX: Final = 200
"""Characters of a reason in a clinician's own words."""
REASONS: Final = {
    "appointment": "An appointment or a ward round",
    "referral": "A referral or a letter",
    "result": "A test result to act on",
    "medicine": "A prescription or a question about medicines",
    "advice": "Somebody asked me for advice",
    OTHER: "Another reason",
}
RELATIONSHIPS: Final = {
    "treating": "I am treating this person",
    "team": "I am in the team that treats this person",
    "referred": "This person was referred to me",
    "advising": "I advise somebody who treats this person",
}
EMERGENCIES: Final = {
    "unconscious": "The person cannot answer, and needs treatment now",
    "danger": "The person is in danger, and there is no time to ask",
    "others": "Somebody else is in danger",
    OTHER: "Another reason",
}


def chosen(call: Call, field: str, among: dict[str, str], *, missing: str) -> tuple[str, list[Error]]:
    """Return what was chosen of a list, in words, with what was written beside it; or what is missing."""
    name = call.form.get(field, "")
    if name not in among:
        return "", [Error(field, missing)]
    written = " ".join(call.form.get(f"{field}-words", "").split())
    if len(written) > WORDS_MAX:
        many = call.words("The reason must be %(max)s characters or fewer") % {"max": WORDS_MAX}
        return "", [Error(f"{field}-words", many)]
    if name == OTHER and not written:
        return "", [Error(f"{field}-words", call.words("Say what the reason is"))]
    return ": ".join(each for each in (among[name], written) if each), []


def items(call: Call, field: str, among: dict[str, str]) -> list[dict[str, object]]:
    """Return a list as radios take it."""
    now = call.form.get(field, "")
    return [{"value": name, "text": call.words(text), "checked": name == now} for name, text in among.items()]
