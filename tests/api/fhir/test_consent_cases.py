"""Sharing choices from Consent to answer: filed over HTTP, asked of over HTTP, the decision and its reason checked.

A reason is what the history of the patient has: the basis of the permit of what goes; of what does not, the choice (A,
B in the order of filing) with the provision that keeps it, the default, or the ledger's own no.
"""

import re
from collections.abc import Iterator

import pytest

from tests.api.fhir.consent_desk import LOINC, SNOMED, Desk, day, deny, desk_of, permit


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_of(tmp_path_factory.mktemp("fhir")) as made:
        yield made


RESEARCH, TREAT = "HRESCH", "TREAT"
SECRET = deny(label="PSY")
GROUPS: dict[str, tuple[list[dict], str]] = {
    "no choice at all": (
        [],
        """
        nurse       plain       read    goes   own staff
        clerk       psy         read    goes   own staff
        ambulance   plain       read    goes   own staff
        glass       psy         read    goes   emergency
        ann         very        read    goes   patient
        officer     plain       read    stays  ledger: nothing permits
        biller      plain       read    stays  ledger: nothing permits
        registry    plain       read    stays  ledger: nothing permits
        student     plain       search  stays  ledger: nothing permits
        """,
    ),
    "a label is denied": (
        [SECRET],
        """
        nurse       psy         read    stays  A 1
        nurse       both        search  stays  A 1
        nurse       plain       read    goes   own staff
        nurse       hiv         read    goes   own staff
        clerk       psy         read    stays  A 1
        ambulance   psy         read    stays  A 1
        glass       psy         search  goes   emergency
        ann         psy         read    stays  A 1
        student     psy         read    stays  ledger: nothing permits
        """,
    ),
    "one of two labels is enough": (
        [deny(label=["PSY", "HIV"])],
        """
        nurse       psy         read    stays  A 1
        nurse       hiv         read    stays  A 1
        nurse       restricted  read    goes   own staff
        """,
    ),
    "confidentiality is denied from a level upwards": (
        [deny(label="R")],
        """
        nurse       restricted  read    stays  A 1
        nurse       very        read    stays  A 1
        nurse       plain       read    goes   own staff
        """,
    ),
    "confidentiality is permitted up to a level": (
        [permit(purpose=RESEARCH, label="R")],
        """
        student     restricted  read    goes   choice
        student     very        read    stays  default
        student     plain       read    stays  default
        """,
    ),
    "a class is denied": (
        [deny(sort="Condition")],
        """
        nurse       problem     read    stays  A 1
        nurse       plain       read    goes   own staff
        """,
    ),
    "class and label have to hold together": (
        [deny(sort="Observation", label="HIV")],
        """
        nurse       hiv         read    stays  A 1
        nurse       psy         read    goes   own staff
        nurse       problem     read    goes   own staff
        """,
    ),
    "a code is denied": (
        [deny(code=[(LOINC, "5221-7"), (SNOMED, "38341003")])],
        """
        nurse       hiv         read    stays  A 1
        nurse       problem     search  stays  A 1
        nurse       plain       read    goes   own staff
        """,
    ),
    "a code is one of its own system": (
        [deny(code=(SNOMED, "5221-7"))],
        """
        nurse       hiv         read    goes   own staff
        """,
    ),
    "a purpose is denied": (
        [deny(purpose=TREAT)],
        """
        nurse       plain       read    stays  ledger: patient denies
        clerk       plain       search  stays  ledger: patient denies
        ambulance   plain       read    goes   own staff
        glass       plain       read    goes   emergency
        ann         plain       read    goes   patient
        """,
    ),
    "a purpose is permitted": (
        [permit(purpose=RESEARCH)],
        """
        student     plain       read    goes   choice
        student     psy         search  goes   choice
        biller      plain       read    stays  ledger: nothing permits
        nurse       plain       read    goes   own staff
        """,
    ),
    "two purposes are permitted": (
        [permit(purpose=["HPAYMT", "PUBHLTH"])],
        """
        biller      plain       read    goes   choice
        registry    plain       read    goes   choice
        student     plain       read    stays  ledger: nothing permits
        """,
    ),
    "a role is denied": (
        [deny(role="administrative")],
        """
        clerk       plain       read    stays  ledger: patient denies
        nurse       plain       read    goes   own staff
        """,
    ),
    "a role is permitted for a purpose": (
        [permit(role="administrative", purpose=["HPAYMT", RESEARCH])],
        """
        biller      plain       read    goes   choice
        student     plain       read    stays  ledger: nothing permits
        """,
    ),
    "a person is denied": (
        [deny(who="nurse")],
        """
        nurse       plain       read    stays  A 1
        nurse       problem     search  stays  A 1
        doctor      plain       read    goes   own staff
        """,
    ),
    "a person is permitted": (
        [permit(who="student", purpose=RESEARCH)],
        """
        student     plain       read    goes   choice
        registry    plain       read    stays  ledger: nothing permits
        """,
    ),
    "a care team is denied, each by name": (
        [deny(who=["nurse", "doctor"])],
        """
        nurse       plain       read    stays  A 1
        doctor      plain       read    stays  A 1
        ambulance   plain       read    goes   own staff
        """,
    ),
    "nobody but a care team": (
        [deny(permit(who=["nurse", "doctor"]))],
        """
        nurse       plain       read    goes   choice
        doctor      psy         read    goes   choice
        clerk       plain       read    stays  A 1
        student     plain       read    stays  A 1
        ann         plain       read    stays  A 1
        """,
    ),
    "this organisation is denied": (
        [deny(at="RVJ")],
        """
        nurse       plain       read    stays  ledger: patient denies
        ann         plain       read    stays  ledger: patient denies
        glass       plain       read    goes   emergency
        """,
    ),
    "another organisation is denied": (
        [deny(at="RA9")],
        """
        nurse       plain       read    goes   own staff
        """,
    ),
    "another organisation is permitted": (
        [permit(at="RA9", purpose=RESEARCH)],
        """
        student     plain       read    stays  ledger: nothing permits
        """,
    ),
    "a role at an organisation is denied": (
        [deny(at="RVJ", role="administrative")],
        """
        clerk       plain       read    stays  ledger: patient denies
        doctor      plain       read    goes   own staff
        """,
    ),
    "everything is denied": (
        [deny()],
        """
        nurse       plain       read    stays  ledger: patient denies
        student     plain       read    stays  ledger: patient denies
        ann         plain       read    stays  ledger: patient denies
        glass       plain       read    goes   emergency
        """,
    ),
    "everything is permitted": (
        [permit()],
        """
        student     very        read    goes   choice
        biller      plain       search  goes   choice
        officer     plain       read    goes   choice
        """,
    ),
    "searches are denied": (
        [deny(verb="search")],
        """
        nurse       plain       search  stays  ledger: patient denies
        nurse       plain       read    goes   own staff
        """,
    ),
    "access, as FHIR says it, is reading and searching": (
        [deny(action="access")],
        """
        nurse       plain       search  stays  ledger: patient denies
        nurse       plain       read    stays  ledger: patient denies
        """,
    ),
    "disclosure, as FHIR says it, is neither": (
        [deny(action="disclose")],
        """
        nurse       plain       search  goes   own staff
        nurse       plain       read    goes   own staff
        """,
    ),
    "data from a day on is denied": (
        [deny(about={"start": "2015-01-01"})],
        """
        nurse       new         read    stays  A 1
        nurse       winter      read    stays  A 1
        nurse       old         read    goes   own staff
        nurse       plain       read    stays  A 1
        """,
    ),
    "data to a day is permitted; what has no date does not go": (
        [permit(purpose=RESEARCH, about={"end": "2015-12-31"})],
        """
        student     old         read    goes   choice
        student     new         read    stays  default
        student     plain       read    stays  default
        """,
    ),
    "the first day of the data counts": (
        [deny(about={"start": "2010-05-01"})],
        """
        nurse       old         read    stays  A 1
        """,
    ),
    "the day after does not": (
        [deny(about={"start": "2010-05-02"})],
        """
        nurse       old         read    goes   own staff
        """,
    ),
    "the last second of the data counts": (
        [deny(about={"end": "2024-05-01T12:00:00Z"})],
        """
        nurse       new         read    stays  A 1
        """,
    ),
    "the second before does not": (
        [deny(about={"end": "2024-05-01T11:59:59Z"})],
        """
        nurse       new         read    goes   own staff
        """,
    ),
    "data that lies partly within is denied": (
        [deny(about={"start": "2020-01-01"})],
        """
        nurse       winter      read    stays  A 1
        """,
    ),
    "data that lies partly within is not permitted": (
        [permit(purpose=RESEARCH, about={"start": "2020-01-01"})],
        """
        student     winter      read    stays  default
        student     new         read    goes   choice
        """,
    ),
    "one record is denied by name": (
        [deny(record="Observation/plain")],
        """
        nurse       plain       read    stays  A 1
        nurse       psy         read    goes   own staff
        """,
    ),
    "a rule that ended yesterday": (
        [deny(days={"end": day(-1)})],
        """
        nurse       plain       read    goes   own staff
        """,
    ),
    "a rule that ends today": (
        [deny(days={"end": day(0)})],
        """
        nurse       plain       read    stays  ledger: patient denies
        """,
    ),
    "a rule that begins today": (
        [deny(days={"start": day(0)})],
        """
        nurse       plain       read    stays  ledger: patient denies
        """,
    ),
    "a rule that begins tomorrow": (
        [deny(days={"start": day(+1)})],
        """
        nurse       plain       read    goes   own staff
        """,
    ),
    "a rule of one day, today, about a label": (
        [deny(days={"start": day(0), "end": day(0)}, label="PSY")],
        """
        nurse       psy         read    stays  A 1
        nurse       plain       read    goes   own staff
        """,
    ),
    "a permit that ended yesterday": (
        [permit(purpose=RESEARCH, days={"start": day(-9), "end": day(-1)})],
        """
        student     plain       read    stays  ledger: nothing permits
        """,
    ),
    "two levels: research, but no label": (
        [permit(SECRET, purpose=RESEARCH)],
        """
        student     plain       read    goes   choice
        student     psy         read    stays  A 1.1
        student     both        search  stays  A 1.1
        nurse       psy         read    goes   own staff
        """,
    ),
    "two levels: treatment only": (
        [deny(permit(purpose=TREAT))],
        """
        nurse       psy         read    goes   choice
        ambulance   plain       read    stays  ledger: patient denies
        glass       plain       read    goes   emergency
        """,
    ),
    "two levels, two exceptions: the second denies": (
        [permit(deny(label="HIV"), SECRET, purpose=RESEARCH)],
        """
        student     hiv         read    stays  A 1.1
        student     psy         read    stays  A 1.2
        student     both        read    stays  A 1.1
        student     plain       read    goes   choice
        """,
    ),
    "two levels, exceptions that disagree: a denial wins": (
        [deny(permit(label="HIV"), deny(label="PSY"))],
        """
        nurse       hiv         read    goes   choice
        nurse       both        read    stays  A 1.2
        nurse       plain       read    stays  A 1
        """,
    ),
    "three levels: treatment only, and there no label": (
        [deny(permit(SECRET, purpose=TREAT))],
        """
        nurse       plain       read    goes   choice
        nurse       psy         read    stays  A 1.1.1
        ambulance   psy         read    stays  ledger: patient denies
        """,
    ),
    "three levels: an exception to a label": (
        [permit(deny(permit(record="Observation/psy"), label="PSY"), purpose=RESEARCH)],
        """
        student     psy         read    goes   choice
        student     both        read    stays  A 1.1
        student     plain       read    goes   choice
        """,
    ),
    "four levels: treatment only, no label, but one person": (
        [deny(permit(deny(permit(who="nurse"), label="PSY"), purpose=TREAT))],
        """
        nurse       psy         read    goes   choice
        nurse       plain       read    goes   choice
        doctor      psy         read    stays  A 1.1.1
        doctor      plain       read    goes   choice
        clerk       both        search  stays  A 1.1.1
        ambulance   psy         read    stays  ledger: patient denies
        student     plain       read    stays  ledger: patient denies
        """,
    ),
    "four levels: a denial at the bottom": (
        [permit(deny(permit(deny(sort="Condition"), role="clinical"), purpose=[RESEARCH, "HPAYMT"]))],
        """
        student     plain       read    goes   choice
        student     problem     read    stays  A 1.1.1.1
        biller      plain       read    stays  ledger: patient denies
        registry    problem     read    goes   choice
        """,
    ),
    "two choices: one permits, one denies a label": (
        [permit(purpose=RESEARCH), SECRET],
        """
        student     plain       read    goes   choice
        student     psy         read    stays  B 1
        """,
    ),
    "two choices about one person": (
        [deny(who="nurse"), permit(who="nurse")],
        """
        nurse       plain       read    stays  A 1
        doctor      plain       read    goes   choice
        """,
    ),
    "two choices about one purpose": (
        [permit(purpose=TREAT), deny(purpose=TREAT)],
        """
        nurse       plain       read    stays  ledger: patient denies
        """,
    ),
    "three choices, each of its own": (
        [SECRET, deny(label="HIV"), permit(purpose="HPAYMT")],
        """
        nurse       hiv         read    stays  B 1
        nurse       both        read    stays  A 1
        biller      plain       read    goes   choice
        biller      hiv         read    stays  B 1
        """,
    ),
    "an exception in one choice is none to another": (
        [deny(permit(who="nurse"), label="PSY"), deny(label="PSY", sort="Observation")],
        """
        nurse       psy         read    stays  B 1
        nurse       plain       read    goes   choice
        """,
    ),
}
CASES = [
    (name, *re.split(r"\s{2,}", line.strip()))
    for name, (_, table) in GROUPS.items()
    for line in table.strip().splitlines()
]


def test_there_are_at_least_a_hundred_and_twenty_cases() -> None:
    assert len(set(CASES)) == len(CASES) >= 120


@pytest.mark.promise("R1", "R2", "R4")
@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case[:4]))
def test_the_answer_is_what_the_choices_say_and_the_history_has_why(desk: Desk, case: tuple[str, ...]) -> None:
    group, who, record, how, goes, why = case
    desk.lay(GROUPS[group][0])
    assert desk.asked(who, record, how) == (goes, why)
