"""One patient's view: own records and others' answers, letters that can do nothing, emergency access, earlier tests."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.importers import NdjsonFiles, file_chart
from salus.node.assemble import Node
from salus.node.people import certify_person, open_session
from salus.node.services import reviews, view_patient
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.portal.open_patients import OpenPatient
from salus.portal.pages.clinician import earlier_tests, patient
from salus.testing import population
from salus.testing.population import story_patient
from tests.portal.portal_world import SEED, TOKEN, Browser, Hospital, portal
from tests.portal.test_clinician_find import NAMED, NUMBER, WHY

BORN = {"born-day": "14", "born-month": "3", "born-year": "1968"}
EMERGENCY = {"reason": "unconscious", "reason-words": "brought in by ambulance, no answer"}
PRACTICE = "Harrowmere Medical Centre"
SCRIPT = '<script>alert("x")</script><img src=x onerror=alert(1)>'
LETTER = re.compile(r'href="(/patient/letters/[0-9]+)\?of=[0-9]+"')
TEST = re.compile(r'href="(/patient/results/[0-9,-]+)\?of=[0-9]+"')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        path = folder / "hostile.ndjson"
        path.write_bytes(b"\n".join(json.dumps(each).encode() for each in hostile()))
        for chart in NdjsonFiles([path]).charts():
            file_chart(made.node, chart)  # type: ignore[arg-type]
        yield made


def hostile() -> list[dict[str, object]]:
    """Records of the same person with markup in every text that a page shows, and files that are not what they say."""
    person = json.loads(story_patient(SEED).chart_at(population.HOSPITAL.ods).resources[0])
    about = {"subject": {"reference": f"Patient/{person['id']}"}}
    said = {"text": SCRIPT}
    page = {"contentType": "text/html", "data": "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "title": SCRIPT}
    words = {"contentType": "text/plain", "data": "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="}
    return [
        person,
        {
            "resourceType": "AllergyIntolerance",
            "id": "bad-allergy",
            "patient": about["subject"],
            "code": said,
            "reaction": [{"manifestation": [said]}],
        },
        {"resourceType": "Condition", "id": "bad-condition", **about, "code": said},
        {
            "resourceType": "Observation",
            "id": "bad-observation",
            "status": "final",
            **about,
            "code": said,
            "valueString": SCRIPT,
            "referenceRange": [{"text": SCRIPT}],
        },
        {
            "resourceType": "MedicationRequest",
            "id": "bad-medicine",
            "status": "active",
            "intent": "order",
            **about,
            "medicationCodeableConcept": said,
            "dosageInstruction": [{"text": SCRIPT}],
        },
        {
            "resourceType": "DocumentReference",
            "id": "bad-letter",
            "status": "current",
            **about,
            "date": "2026-06-01T10:00:00Z",
            "description": SCRIPT,
            "author": [{"display": SCRIPT}],
            "content": [{"attachment": page}, {"attachment": words}],
        },
        {
            "resourceType": "Condition",
            "id": "mistake",
            **about,
            "code": {"text": "Leprosy, a mistake"},
            "verificationStatus": {"coding": [{"code": "entered-in-error"}]},
        },
    ]


def opened(here: Hospital) -> Browser:
    """A clinician who has Eleanor open."""
    made = here.signed_in("rao")
    assert made.post("/patients", WHY | NUMBER | BORN).headers["location"] == "/patient"
    return made


@pytest.fixture(scope="module")
def browser(here: Hospital) -> Browser:
    """One who only reads."""
    return opened(here)


@pytest.fixture(scope="module")
def page(browser: Browser) -> str:
    """What they read once nobody is asked any more."""
    return settled(browser)


@pytest.fixture
def fresh(here: Hospital) -> Browser:
    """One who does more."""
    return opened(here)


def settled(browser: Browser) -> str:
    """The page once nobody is asked any more."""
    until_s = time.monotonic() + 60
    while "Asking" in browser.get("/patient/answers").text:
        assert time.monotonic() < until_s
        time.sleep(0.05)
    return re.sub(r"\s+", " ", browser.get("/patient").text)


def test_the_view_begins_with_allergies_and_has_every_kind(page: str) -> None:
    order = ["Allergies and warnings", "Penicillin", "Problems", "Medicines", "Test results", "Letters", "Vaccinations"]
    places = [page.index(each) for each in order]
    assert places == sorted(places)
    for each in ("Type 2 diabetes mellitus", "Take one twice a day with meals", "130 mmol/L (low)", "133 to 146"):
        assert each in page
    assert "Leprosy" not in page


def test_each_organisation_has_its_state(page: str) -> None:
    assert f"{PRACTICE} <strong" in page
    assert "May not share" in page
    assert "Amlodipine" not in page


@pytest.mark.usefixtures("page")
def test_what_a_script_asks_for_is_a_part_of_the_page(browser: Browser) -> None:
    part = browser.client.get("/patient/answers?seen=1", headers={"hx-request": "true"}).text
    assert ("<html" in part, PRACTICE in part, "hx-select" in part) == (False, True, False)
    assert "hx-select" in browser.client.get("/patient/answers?seen=0", headers={"hx-request": "true"}).text


@pytest.mark.parametrize("place", ["7", "x", "9" * 5000])
def test_nobody_is_asked_again_who_was_not_asked(fresh: Browser, place: str) -> None:
    settled(fresh)
    assert fresh.post("/patient/again", {"place": place}, page="/patient").headers["location"] == "/patient"
    assert "Asking" not in fresh.get("/patient/answers").text


def test_an_organisation_is_asked_again(here: Hospital, fresh: Browser) -> None:
    settled(fresh)
    asked: list[object] = []
    inner = here.portal.collections.again
    here.portal.collections.again = lambda *given: asked.append(given)  # type: ignore[method-assign]
    try:
        fresh.post("/patient/again", {"place": "0"}, page="/patient")
    finally:
        here.portal.collections.again = inner  # type: ignore[method-assign]
    assert len(asked) == 1


def test_no_markup_of_a_record_is_markup_of_a_page(browser: Browser, page: str) -> None:
    """Stored script, in every text that these pages show."""
    letter = next(each for each in LETTER.findall(page) if "onerror" in browser.get(each).text)
    test = next(each for each in TEST.findall(browser.get("/patient/all/results").text))
    for path in ("/patient", "/patient/all/problems", "/patient/all/letters", "/patient/tests", test, letter):
        text = browser.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
    assert page.count("&lt;script&gt;") >= 5


def test_a_page_inside_a_letter_is_saved_and_never_shown(browser: Browser, page: str) -> None:
    letter = next(each for each in LETTER.findall(page) if "onerror" in browser.get(each).text)
    text = browser.get(letter).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    came = browser.get(f"{letter}/0")
    assert came.headers["content-type"] == "application/octet-stream"
    assert came.headers["content-disposition"].startswith("attachment")
    for each in ("0", "1"):
        headers = browser.get(f"{letter}/{each}").headers
        assert (headers["x-content-type-options"], "sandbox" in headers["content-security-policy"]) == ("nosniff", True)
    for each in ("2", "x", "-1", "9" * 5000):
        assert browser.get(f"{letter}/{each}").status_code == 404


def test_a_letter_is_a_pdf_of_hers(browser: Browser, page: str) -> None:
    letter = next(each for each in LETTER.findall(page) if "Discharge summary" in browser.get(each).text)
    shown = browser.get(letter)
    assert ("<iframe" in shown.text, "frame-src 'self'" in shown.headers["content-security-policy"]) == (True, True)
    came = browser.get(f"{letter}/0")
    assert "frame-ancestors 'self'" in came.headers["content-security-policy"]
    assert "sandbox" in came.headers["content-security-policy"]
    assert came.headers["x-frame-options"] == "SAMEORIGIN"
    assert (came.status_code, came.headers["content-type"], came.content[:5]) == (200, "application/pdf", b"%PDF-")


def test_addresses_of_one_session_are_nothing_in_another(here: Hospital, page: str) -> None:
    """IDOR: an address that was copied opens nothing with nobody open; a letter's not with the same patient either."""
    letter, test = LETTER.findall(page)[0], TEST.findall(page)[0]
    other = here.signed_in("rao")
    assert (other.get(letter).status_code, other.get(test).headers["location"]) == (404, "/patients")
    other.post("/patients", WHY | NUMBER)
    for path in (letter, f"{letter}/0", "/patient/results/999-9", "/patient/results/a$b"):
        assert other.get(path).status_code == 404
    for path in (letter, f"{letter}/0", test):
        assert here.signed_in("eleanor").get(path).status_code == 404


def test_the_first_view_opens_the_newest_results_and_every_problem(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient, "NEWEST", 1)
    first = browser.get("/patient").text
    assert ("Serum sodium level" in first, "Serum C reactive protein" in first) == (False, True)
    assert ("Type 2 diabetes mellitus" in first, "Pneumonia" in first, "Metformin" in first) == (True, True, True)
    assert "Serum sodium level" in browser.get("/patient/all/results").text


def test_all_of_a_kind_and_no_other(browser: Browser) -> None:
    assert "Serum sodium level" in browser.get("/patient/all/results").text
    assert browser.get("/patient/all/secrets").status_code == 404


def test_no_address_and_no_page_names_anything_of_machines(page: str) -> None:
    assert (
        re.findall(r"\b[0-9a-f]{16,}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-", re.sub(r'(value|href|src)="[^"]*"', "", page)) == []
    )
    assert [each for each in re.findall(r'(?:href|action|src|hx-get)="([^"]*)"', page) if "9990000018" in each] == []


# Earlier tests


def test_an_old_result_is_not_usable_and_a_new_one_is(
    here: Hospital, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = re.findall(r'value="([0-9,-]+)"[^>]*>\s*Serum sodium level', browser.get("/patient/tests").text)[0]
    said = browser.get(f"/patient/tests?test={name}").text
    assert "The last result is too old to use" in said
    assert "130 mmol/L (low)" in said
    assert re.search(r"25 May 2018 \(\d{1,2} years ago\)", said)
    monkeypatch.setattr(earlier_tests, "USABLE_D", {"2951-2": 10_000})
    said = browser.get(f"/patient/tests?test={name}").text
    assert "There is a result that you can use" in said
    assert here.portal.title in said


def test_of_another_test_no_result_has_come(browser: Browser) -> None:
    assert "No result of it has come" in browser.get("/patient/tests?test=other").text
    assert "too old" not in browser.get("/patient/tests?test=000000000000").text


# Emergency access


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        ({}, "Choose what the emergency is"),
        ({"reason": "unconscious"}, "Say in a few words what has happened"),
        ({"reason": "unconscious", "reason-words": "  "}, "Say in a few words what has happened"),
        ({"reason": "x", "reason-words": "y"}, "Choose what the emergency is"),
    ],
)
def test_an_emergency_needs_a_reason_in_words(browser: Browser, entered: dict[str, str], said: str) -> None:
    came = browser.post("/patient/emergency", entered)
    assert (came.status_code, came.text.count(said)) == (400, 2)
    assert "Emergency access until" not in browser.get("/devices").text


@pytest.mark.promise("R1", "R2")
def test_emergency_access_shows_what_others_keep_back_and_ends(fresh: Browser) -> None:
    assert fresh.post("/patient/emergency", EMERGENCY).headers["location"] == "/patient"
    page = settled(fresh)
    assert "Amlodipine" in page
    assert PRACTICE in page
    for path in ("/patient", "/patients", "/patient/tests", "/devices", "/nowhere"):
        assert "Emergency access until" in fresh.get(path).text
    came = fresh.post("/patient/emergency/end", {}, page="/patient")
    assert came.headers["location"] == "/patient"
    page = settled(fresh)
    assert "Amlodipine" not in page
    for path in ("/patient", "/devices"):
        assert "Emergency access until" not in fresh.get(path).text


@pytest.mark.promise("R3")
def test_what_came_by_emergency_access_is_gone_once_an_officer_says_no(here: Hospital, fresh: Browser) -> None:
    """Each organisation's officer ends what their own has shown, and nothing of the other's."""
    fresh.post("/patient/emergency", EMERGENCY)
    there, page = "Amlodipine", settled(fresh)
    here_only = "Metformin"
    assert (there in page, here_only in page) == (True, True)
    for node, gone, said in (
        (here.made.practice, there, "Their privacy officer reviewed your emergency access and said no."),
        (here.node, here_only, "Your privacy officer reviewed your emergency access and said no."),
    ):
        assert gone in settled(fresh)
        _say_no(node)
        page = settled(fresh)
        assert gone not in page
        assert said in page
    assert page.count("Access has ended") == 2
    assert fresh.post("/patient/emergency/end", {}, page="/patient").headers["location"] == "/patient"
    assert here_only in settled(fresh), "for care, as before"


def _say_no(node: Node) -> None:
    """An officer of an organisation finds none of its emergencies justified."""
    person = certify_person(node, name="Jo Other", role="Guardian", registration="-", role_class=RoleClass.OFFICER)
    officer = open_session(person.key, person.certificate, custodian=node.organisation, from_s=node.clock())
    for each in reviews.waiting(node, officer):
        reviews.give_verdict(node, officer, each.permit, "nothing says so", is_justified=False)


@pytest.mark.promise("R2", "R4")
def test_whoever_shuts_staff_out_looks_like_nobody_and_an_emergency_opens_them(here: Hospital) -> None:
    rule = Provision(type=ProvisionType.DENY, purposes=(Purpose.TREAT,))
    choice = file_by_custodian(here.node, here.patient, rule)
    try:
        browser = here.signed_in("rao")
        assert browser.post("/patients", WHY | NUMBER | BORN).headers["location"] == "/patients/found"
        hidden = browser.get("/patients/found").text
        browser.post("/patients", WHY | BORN | {"number": "999 000 0026"})
        assert without_names(hidden) == without_names(browser.get("/patients/found").text)
        browser.post("/patients", WHY | NUMBER | BORN)
        browser.post("/patient/emergency", EMERGENCY)
        shown = settled(browser)
        assert (NAMED in shown, "Metformin" in shown) == (True, True)
        came = browser.post("/patient/emergency/end", {}, page="/patient")
        assert came.headers["location"] == "/patients"
        assert NAMED not in browser.get("/patients").text
    finally:
        withdraw_by_custodian(here.node, here.patient, choice)


def without_names(page: str) -> str:
    """A page without what names its session, and for whom somebody looked."""
    return re.sub(r'(name="of" value="|[?]of=)[0-9]{12}"', "", TOKEN.sub("", page))


def test_emergency_access_ends_with_its_hour(here: Hospital, fresh: Browser) -> None:
    fresh.post("/patient/emergency", EMERGENCY)
    assert NAMED in fresh.get("/devices").text
    now_s = here.node.clock()
    object.__setattr__(here.node, "clock", lambda: now_s + 1_500)
    fresh.get("/devices")
    object.__setattr__(here.node, "clock", lambda: now_s + 3_000)
    fresh.get("/devices")
    object.__setattr__(here.node, "clock", lambda: now_s + 3_601)
    try:
        assert NAMED not in fresh.get("/devices").text
        assert fresh.get("/patient").headers["location"] == "/patients"
        assert "Emergency access has ended. Search again" in fresh.get("/patients").text
        assert "Emergency access has ended" not in fresh.get("/patients").text
    finally:
        object.__setattr__(here.node, "clock", lambda: now_s)


@pytest.mark.promise("R3")
def test_what_emergency_access_shows_leaves_the_screen_with_its_hour(fresh: Browser) -> None:
    """Also with JavaScript off, where nobody presses anything; what is seen without it stays."""
    assert "refresh" not in fresh.get("/patient").headers
    fresh.post("/patient/emergency", EMERGENCY)
    for path in ("/patient", "/patient/all/results", "/devices"):
        after_s, _, leads = fresh.get(path).headers["refresh"].partition("; url=")
        assert (3_500 < int(after_s) <= 3_601, leads.partition("?")[0]) == (True, "/patient")
    fresh.post("/patient/emergency/end", {}, page="/patient")
    assert "refresh" not in fresh.get("/patient").headers


def test_a_way_out_is_named_where_there_is_one(here: Hospital, fresh: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emergency access is no answer to an emergency that was refused, nor to a record that is closed."""
    ask, wait = (
        "If somebody is in danger, ask for emergency access.",
        "Too many emergencies wait for their review there",
    )
    assert ask in settled(fresh)
    for reason, is_emergency, said in (
        ("RELATIONSHIP_CLOSED", False, ()),
        ("NOTHING_PERMITS", True, ()),
        ("EMERGENCIES_UNREVIEWED", True, (wait,)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(view_patient, "why_denied", lambda _, reason=reason: reason)
            patch.setattr(OpenPatient, "is_emergency", lambda *_, so=is_emergency: so)
            page = fresh.get("/patient/answers").text
        assert tuple(each for each in (ask, wait) if each in page) == said, reason


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("EMERGENCY_NOT_CLINICAL", "Only doctors, nurses and other clinicians"),
        ("EMERGENCIES_UNREVIEWED", "Too many emergencies wait for their review"),
        ("NETWORK_POLICY_FORBIDS", "Emergency access to this patient is not allowed here"),
    ],
)
def test_a_limit_is_said_in_words(browser: Browser, monkeypatch: pytest.MonkeyPatch, reason: str, said: str) -> None:
    answer = view_patient.EmergencyAnswer(reason=reason)
    monkeypatch.setattr(view_patient, "begin_emergency", lambda *_: answer)
    came = browser.post("/patient/emergency", EMERGENCY)
    assert (came.status_code, came.text.count(said)) == (400, 2)


def test_somebody_who_is_known_elsewhere_is_opened_by_emergency(here: Hospital) -> None:
    browser = here.signed_in("rao")
    browser.post("/patients", WHY | {"number": "999 000 0026"} | BORN)
    assert "Ask other organisations" in browser.get("/patients/found").text
    assert browser.post("/patient/emergency", EMERGENCY).headers["location"] == "/patient"
    page = settled(browser)
    assert "Name not known here" in page
    assert page.count("Nothing there") == 2


def test_other_organisations_are_asked_for_somebody_who_is_not_here(here: Hospital) -> None:
    browser = here.signed_in("rao")
    browser.post("/patients", WHY | {"number": "999 000 0026"} | BORN)
    came = browser.post("/patients/elsewhere", {}, page="/patients/found")
    assert came.headers["location"] == "/patient"
    assert "Name not known here" in settled(browser)
    other = here.signed_in("rao")
    other.get("/patients")
    assert other.post("/patients/elsewhere", {}, page="/patients").headers["location"] == "/patients/found"
