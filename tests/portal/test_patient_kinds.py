"""Kinds of records: what a patient calls one kind is hidden or shown whole, with the files of letters and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from salus.clinical.fhir.kinds import whole
from salus.clinical.fhir.resources import parse
from salus.contracts import consent
from salus.contracts.provisions import Verb
from salus.node.services import sharing
from salus.node.services.health_links import WantedLink, tree_of
from salus.node.services.respond import Login
from salus.node.services.search import Reach, Search
from salus.node.services.sharing import Wanted
from salus.node.services.store import Write, store
from salus.portal.pages.patient.choice_sentences import kinds
from salus.portal.words import words_of
from salus.testing.world import PRACTICE
from tests.portal.patient_charts import add, chart, somebody_else
from tests.portal.portal_world import Hospital, portal

TAKEN: Final = {"text": "Apixaban 5mg tablets"}
REPORT_FILE, LETTER_FILE = "report-file", "letter-file"


def _document(type_name: str, name: str, file: str) -> dict[str, Any]:
    attachment = {"contentType": "application/pdf", "url": f"Binary/{file}"}
    if type_name == "DiagnosticReport":
        return {"code": {"text": name}, "presentedForm": [attachment], "status": "final"} | _named(type_name, name)
    return {"description": name, "content": [{"attachment": attachment}], "status": "current"} | _named(type_name, name)


def _named(type_name: str, name: str) -> dict[str, Any]:
    return {"resourceType": type_name, "id": name}


def _file(name: str) -> dict[str, Any]:
    return _named("Binary", name) | {"contentType": "application/pdf", "data": "JVBERg=="}


RESOURCES: Final = [
    _document("DocumentReference", "letter", LETTER_FILE),
    _document("DiagnosticReport", "report", REPORT_FILE),
    _file(LETTER_FILE),
    _file(REPORT_FILE),
    _named("MedicationRequest", "asked") | {"status": "active", "intent": "order", "medicationCodeableConcept": TAKEN},
    _named("MedicationStatement", "taken") | {"status": "active", "medicationCodeableConcept": TAKEN},
    _named("MedicationDispense", "given") | {"status": "completed", "medicationCodeableConcept": TAKEN},
    _named("MedicationAdministration", "injected")
    | {"status": "completed", "medicationCodeableConcept": TAKEN, "effectiveDateTime": "2026-01-01"},
]
NAMES: Final = frozenset(f"{each['resourceType']}/{each['id']}" for each in RESOURCES)
LETTERS: Final = {"DocumentReference/letter", f"Binary/{LETTER_FILE}"}
REPORTS: Final = {"DiagnosticReport/report", f"Binary/{REPORT_FILE}"}
MEDICINES: Final = {name for name in NAMES if name.startswith("Medication")}
KINDS: Final = [
    ("DocumentReference", LETTERS),
    ("DiagnosticReport", REPORTS),
    ("MedicationRequest", MEDICINES),
]


@pytest.fixture(scope="module", params=["imported", "sent"])
def here(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        if request.param == "imported":
            add(made, folder, RESOURCES)
        else:
            _send(made)
        somebody_else(made, folder, [])
        yield made


def _send(here: Hospital) -> None:
    """File the same as a program does that sends them in one transaction."""
    subject = {"reference": f"Patient/{chart()[0]['id']}"}
    bodies = [each if each["resourceType"] == "Binary" else each | {"subject": subject} for each in RESOURCES]
    writes = [Write(parse(json.dumps(each).encode())) for each in bodies]
    store(here.node, writes, only=None)


@pytest.fixture(autouse=True)
def without_choices(here: Hospital) -> Iterator[None]:
    yield
    with here.node.engine.snapshot() as reader:
        made = [each.choice for each in consent.choices(reader, here.patient).choices]
    for choice in made:
        sharing.withdraw(here.node, _login(here, "eleanor"), here.patient, choice)


def _login(here: Hospital, name: str) -> Login:
    account = here.portal.accounts.find(here.accounts[name])
    assert account is not None
    return here.portal.accounts.login_of(account, here.portal.accounts.hold(account)[0])


def _seen(here: Hospital, name: str) -> set[str]:
    """What of these records somebody who works here is let see."""
    login, reach = _login(here, name), Reach(here.patient, lambda _type: True, lambda _type: ())
    found = Search(here.node, here.portal.responder, login, reach).chart(here.patient, (), ())
    allowed = here.portal.responder.allowed(login, here.patient, Verb.READ, [each.key for each in found])
    return {f"{each.type}/{each.logical_id}" for each in found if each.key in allowed} & NAMES


@pytest.mark.promise("R1")
@pytest.mark.parametrize(("kind", "parts"), KINDS)
def test_a_kind_that_is_hidden_is_hidden_whole(here: Hospital, kind: str, parts: set[str]) -> None:
    assert _seen(here, "rao") == NAMES
    hidden = Wanted(is_permit=False, classes=(kind,), is_only=True)
    sharing.file(here.node, _login(here, "eleanor"), here.patient, hidden)
    assert _seen(here, "rao") == NAMES - parts


@pytest.mark.promise("R1")
@pytest.mark.parametrize(("kind", "parts"), KINDS)
def test_a_kind_that_alone_is_shown_is_shown_whole(here: Hospital, kind: str, parts: set[str]) -> None:
    """To people elsewhere, who see nothing else: the file of a letter comes with it, that of a report does not."""
    wanted = Wanted(is_permit=True, organisation=PRACTICE, classes=(kind,), is_only=True)
    seen = sharing.preview(
        here.node,
        here.portal.responder,
        _login(here, "eleanor"),
        here.patient,
        organisation=PRACTICE,
        with_choice=wanted,
    )
    assert {each.name for each in seen if each.is_seen} & NAMES == parts


@pytest.mark.parametrize(("kind", "parts"), KINDS)
def test_a_link_shows_a_kind_whole(kind: str, parts: set[str]) -> None:
    wanted = WantedLink("Dentist", "a passcode", 3600, 3, classes=(kind,), is_only=True)
    assert set(tree_of(wanted, PRACTICE).classes) >= {name.partition("/")[0] for name in parts} - {"Binary"}


@pytest.mark.parametrize(
    ("classes", "want"),
    [
        (whole(["MedicationRequest"]), ["medicines"]),
        (("Encounter", *whole(["MedicationRequest"])), ["visits", "medicines"]),
        (("MedicationRequest",), ["prescribed medicines"]),
        (("MedicationStatement", "Binary"), ["medicines that you take", "files"]),
        (("Basic", "Coverage"), ["other records"]),
    ],
)
def test_what_rules_name_is_said_by_the_words_of_people(classes: tuple[str, ...], want: list[str]) -> None:
    assert kinds(words_of("en"), (), classes) == want
