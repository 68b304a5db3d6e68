"""Find a patient: whom a member of this organisation's staff means, by number, or by name and date of birth.

Promises: tries are counted before anything is looked up; whoever may not be seen is as if they were not here, by the
clock as well; whoever is shown has it in their history, with the reason that was given (R1, R4).
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from salus.clinical.fhir.search import parse_query
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.provisions import Verb
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.projections import resources
from salus.node.projections.resources import Found
from salus.node.services import enrol
from salus.node.services.respond import Login, Responder
from salus.node.services.search import Reach, Search
from salus.node.services.show import newest, show
from salus.node.tallies import Counted, Tally, count

TRIES_MAX: Final = 60
TRIES_S: Final = 900
"""So many times one account looks for somebody within 15 minutes."""
HITS_MAX: Final = 10
"""How many people of one name and birthday are shown to choose from."""
NOBODY_STEP_S: Final = 0.25
"""That there is nobody is said at a multiple of this after it was asked: to decide about somebody takes longer."""
_ANYWHERE: Final = Reach(None, lambda _type: True, lambda _type: ())
_SEPARATORS: Final = re.compile(r"([\\,|$])")

log = structlog.get_logger("salus.find_patient")


@dataclass(frozen=True)
class FoundPatient:
    """A person of this organisation: their pseudonym here, and their Patient resource."""

    pseudonym: bytes
    body: bytes = field(repr=False)


def by_number(
    node: Node, responder: Responder, login: Login, number: NhsNumber, *, born: str, account: bytes
) -> FoundPatient | None:
    """Return the person with a number; None where there is none here that may be seen.

    Args:
        login: as whom, with the reason.
        born: YYYY-MM-DD, which has to fit as well; or empty.
        account: of whoever looks, whose tries are counted.

    Raises:
        Refused: TOO_MANY; or as `show`.
        NotNow: as `show`, or the try cannot be counted at this moment.
    """
    begun_s = time.monotonic()
    count_try(node, account)
    pseudonym = known_here(node, number, born=born)
    patient = resources.patient_of(node, pseudonym) if pseudonym else None
    found = _shown(node, responder, login, [] if patient is None else [patient], Verb.READ)
    log.info("find_patient.by_number", count=len(found))
    _wait_if_nobody(found, begun_s)
    return found[0] if found else None


def by_name(
    node: Node, responder: Responder, login: Login, *, family: str, given: str, born: str, account: bytes
) -> list[FoundPatient]:
    """Return the people with a name and a date of birth who may be seen, at most HITS_MAX.

    Args:
        login: as whom, with the reason.
        family: how it begins; so `given`, which may be empty.
        born: YYYY-MM-DD.
        account: of whoever looks, whose tries are counted.

    Raises:
        Refused: TOO_MANY, also for a name that fits more people; or as `show`.
        FhirRejected: the name or the date is longer than anybody's.
        NotNow: as `show`, or the try cannot be counted at this moment.
    """
    begun_s = time.monotonic()
    count_try(node, account)
    wanted = [("family", _escaped(family)), ("birthdate", born), *([("given", _escaped(given))] if given else [])]
    candidates = Search(node, responder, login, _ANYWHERE).candidates(parse_query("Patient", wanted, is_strict=True))
    if len(candidates) > HITS_MAX:
        raise Refused(Refusal.TOO_MANY, f"expected a name that at most {HITS_MAX} people born that day have")
    found = _shown(node, responder, login, candidates, Verb.SEARCH)
    log.info("find_patient.by_name", count=len(found))
    _wait_if_nobody(found, begun_s)
    return found


def known_here(node: Node, number: NhsNumber, *, born: str) -> bytes:
    """Return the pseudonym of the person with a number, who may not be seen by who asks; empty for none.

    Args:
        born: YYYY-MM-DD, which has to fit as well; or empty.
    """
    return (enrol.match(node, number, born) if born else enrol.find(node, number)) or b""


def patient_of(node: Node, responder: Responder, login: Login, pseudonym: bytes) -> FoundPatient | None:
    """Return a person by their pseudonym here; None where they may not be seen. Raises as `show`."""
    patient = resources.patient_of(node, pseudonym) if pseudonym else None
    found = _shown(node, responder, login, [] if patient is None else [patient], Verb.READ)
    return found[0] if found else None


def count_try(node: Node, account: bytes) -> None:
    """Count that an account looks for somebody, wherever it does. Raises Refused (TOO_MANY) and NotNow."""
    what, now_s = secrets.token_bytes(16), node.clock()
    counted = count(node, Tally.LOOK_UP, who=account, what=what, now_s=now_s, within_s=TRIES_S, most=TRIES_MAX)
    if counted is Counted.TOO_MANY:
        raise Refused(Refusal.TOO_MANY, f"expected at most {TRIES_MAX} searches in {TRIES_S // 60} minutes: wait")


def _shown(node: Node, responder: Responder, login: Login, patients: Sequence[Found], verb: Verb) -> list[FoundPatient]:
    shown = show(node, responder, login, [newest(each) for each in patients], verb)
    return [FoundPatient(each.pseudonym, shown[each.key].body) for each in patients if each.key in shown]


def _wait_if_nobody(found: Sequence[FoundPatient], begun_s: float) -> None:
    if not found:
        time.sleep(NOBODY_STEP_S - (time.monotonic() - begun_s) % NOBODY_STEP_S)


def _escaped(text: str) -> str:
    """A search value in which nothing separates anything (FHIR R4 3.1.1.4.0.1)."""
    return _SEPARATORS.sub(r"\\\1", text)
