"""What has to be true of every answer, whatever was asked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.xml import read_xml

TRACE: Final = re.compile(
    r"Traceback|File \"[^\"]+\.py\"|sqlalchemy|msgspec\.|lmdb|site-packages|\.py:\d+", re.IGNORECASE
)
WITHOUT_BODY: Final = ("HEAD",)


@dataclass(frozen=True)
class Answer:
    """What a server answered; names of header fields in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)


@dataclass(frozen=True)
class Known:
    """What must be in no error, no address and no log: words that say who somebody is."""

    words: Sequence[str] = field(repr=False)

    def told(self, text: str) -> bool:
        """Tell whether one of them is in a text."""
        return any(each in text for each in self.words)


@dataclass(frozen=True)
class Finding:
    """A fault, and the number of the request that showed it."""

    number: int
    code: str
    fault: str


def faults_of(method: str, answer: Answer, known: Known) -> list[str]:
    """Return what is wrong with an answer: a failure of the server, a refusal that says nothing, a word too many."""
    faults = [f"status {answer.status}"] if answer.status >= 500 else []
    if known.told(" ".join(f"{name}: {value}" for name, value in answer.headers.items())):
        faults.append("a header field says who somebody is")
    if answer.status >= 400:
        if method not in WITHOUT_BODY and not _has_details(answer):
            faults.append(f"no OperationOutcome with coded details, status {answer.status}")
        if TRACE.search(answer.text):
            faults.append("an error tells of the program")
        if known.told(answer.text):
            faults.append("an error says who somebody is")
    return faults


def _has_details(answer: Answer) -> bool:
    try:
        is_xml = "xml" in answer.headers.get("content-type", "")
        outcome: Any = read_xml(answer.text.encode()) if is_xml else msgspec.json.decode(answer.text)
        return outcome["resourceType"] == "OperationOutcome" and all(
            each["details"]["coding"][0]["code"] for each in outcome["issue"]
        )
    except (msgspec.DecodeError, FhirRejected, KeyError, IndexError, TypeError):
        return False  # it has another shape
