"""Cautions: what is said beside a record's name, which alone would say something else; and who has not answered."""

from collections.abc import Callable
from typing import Final

from salus.clinical.fhir import circumstances, plain
from salus.clinical.fhir.circumstances import Caution
from salus.node.services.collect import Answered
from salus.portal.pages.clinician.viewing import Known, View
from salus.portal.words import Words

_WHOLE: Final = frozenset({Answered.CAME, Answered.NOTHING_THERE})


def caution_words(words: Words, known: Known) -> str:
    """What has to be said beside a record's name; empty where that says it all."""
    caution = circumstances.caution_of(known.content)
    return "" if caution is None else _SAID[caution](words)


def state_words(words: Words, known: Known) -> str:
    """Whether a problem or a medicine goes on, as far as its source says."""
    if said := caution_words(words, known):
        return said
    if circumstances.is_over(known.content):
        return words("ended")
    is_said = "clinicalStatus" in known.content or "status" in known.content
    return words("goes on") if is_said else words("not said")


def result_words(words: Words, known: Known) -> str:
    """A value with its unit; on which side of the usual range it is, what the laboratory warns of, if it is final."""
    side = {"high": words("high"), "low": words("low")}.get(plain.flag_of(known.content), "")
    concern = {"critical": words("critical"), "abnormal": words("abnormal")}.get(plain.concern_of(known.content), "")
    beside = ", ".join(each for each in (side, concern, caution_words(words, known)) if each)
    value = plain.value_of(known.content).with_unit
    return f"{value} ({beside})" if beside else value


def not_whole(view: View) -> list[str]:
    """Return the organisations of which nothing has come, or not all, for whatever reason."""
    return [each.custodian.name for each in view.answers if each.is_cut or each.state not in _WHOLE]


_SAID: Final[dict[Caution, Callable[[Words], str]]] = {
    Caution.REFUTED: lambda words: words("ruled out"),
    Caution.UNCONFIRMED: lambda words: words("not confirmed"),
    Caution.NOT_DONE: lambda words: words("not done"),
    Caution.NOT_TAKEN: lambda words: words("not taken"),
    Caution.NOT_TO_TAKE: lambda words: words("do not give"),
    Caution.NOT_BEGUN: lambda words: words("not started"),
    Caution.ON_HOLD: lambda words: words("on hold"),
    Caution.NOT_FINAL: lambda words: words("not final"),
    Caution.CORRECTED: lambda words: words("corrected"),
    Caution.CANCELLED: lambda words: words("cancelled"),
    Caution.REPLACED: lambda words: words("replaced by a newer one"),
}
