"""Who can see a record: the questions, the sentence, what it changes for others at once, and withdrawing it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

import pytest

from salus.contracts import consent
from salus.contracts.access import Basis
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, Verb
from salus.node.services import choices, sharing
from salus.node.services.consult import Question, consult
from salus.node.services.respond import Login
from salus.node.services.search import Reach, Search
from salus.node.services.sharing import Wanted
from salus.portal.pages.patient.choice_sentences import sentence
from salus.portal.words import words_of
from salus.testing.world import PRACTICE
from tests.portal.patient_charts import MACHINE_WORDS, add, somebody_else
from tests.portal.portal_world import Hospital, portal

TAG = re.compile(r"<[^>]*>")
CHOICE = re.compile(r'name="choice" value="([0-9a-f]+)"')
AT_PRACTICE = "Anyone treating you at Harrowmere Medical Centre may see everything except what is about mental health"
UNTIL = {"day-day": "1", "day-month": "3", "day-year": "2099"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        medicine = {"text": "Apixaban 5mg tablets"}
        thinner = {"resourceType": "MedicationRequest", "id": "thinner", "status": "active", "intent": "order"}
        add(made, folder, [thinner | {"medicationCodeableConcept": medicine, "authoredOn": "2026-01-01"}])
        somebody_else(made, folder, [])
        yield made


@pytest.fixture(autouse=True)
def without_choices(here: Hospital) -> Iterator[None]:
    yield
    for choice in _choices(here):
        sharing.withdraw(here.node, _login(here, "eleanor"), here.patient, choice)


def _choices(here: Hospital) -> list[bytes]:
    with here.node.engine.snapshot() as reader:
        return [each.choice for each in consent.choices(reader, here.patient).choices]


def _login(here: Hospital, name: str) -> Login:
    account = here.portal.accounts.find(here.accounts[name])
    assert account is not None
    return here.portal.accounts.login_of(account, here.portal.accounts.hold(account)[0])


def _asked(here: Hospital, answers: list[tuple[str, dict[str, object]]], name: str = "eleanor") -> object:
    """Answer the questions; return the page to check, and the browser."""
    browser = here.signed_in(name)
    came = None
    for page, fields in answers:
        came = browser.post(f"/sharing/{page}", fields)  # type: ignore[arg-type]
        assert came.status_code == 303, (page, came.status_code)
    return browser


SHARE = [("direction", {"direction": "more"}), ("who", {"who": PRACTICE})]
HIDE = [("direction", {"direction": "less"}), ("who", {"who": "everybody"})]
OPEN = ("until", {"day-day": ""})


@pytest.mark.parametrize(
    ("wanted", "want"),
    [
        (Wanted(is_permit=True), "Anyone treating you may see everything."),
        (
            Wanted(is_permit=True, organisation=PRACTICE, labels=("PSY",), until=datetime.date(2027, 3, 1)),
            f"{AT_PRACTICE}, until 1 March 2027.",
        ),
        (
            Wanted(is_permit=True, classes=("Observation", "DocumentReference"), is_only=True),
            "Anyone treating you may see letters and documents and test results.",
        ),
        (Wanted(is_permit=False), "Nobody but you may see anything."),
        (
            Wanted(is_permit=False, organisation=PRACTICE, labels=("HIV",), is_only=True),
            "Nobody at Harrowmere Medical Centre may see what is about HIV.",
        ),
    ],
)
def test_a_choice_is_a_sentence(here: Hospital, wanted: Wanted, want: str) -> None:
    assert sentence(words_of("en"), sharing.said(here.node, wanted)) == want


def test_a_choice_is_made_by_answering_and_holds_at_once(here: Hospital) -> None:
    browser = _asked(
        here, [*SHARE, ("what", {"what": "except"}), ("kinds", {"kinds": ["PSY", "Encounter"]}), ("until", UNTIL)]
    )
    page = browser.get("/sharing/check").text
    said = f"{AT_PRACTICE} and visits, until 1 March 2099."
    assert said in page
    assert _choices(here) == []
    browser.post("/sharing/check", {})
    page = browser.get("/sharing").text
    assert said in page
    assert "It holds everywhere since" in page
    assert "signed it for you" in page  # assisted mode is said where the choice is shown
    assert len(_choices(here)) == 1
    assert browser.get("/sharing/check").headers["location"] == "/sharing/direction"


def test_a_choice_is_withdrawn_in_two_clicks_and_says_since_when(here: Hospital) -> None:
    browser = _asked(here, [*SHARE, ("what", {"what": "all"}), OPEN])
    browser.post("/sharing/check", {})
    (link,) = re.findall(r'href="(/sharing/stop\?which=\d)"', browser.get("/sharing").text)
    (choice,) = CHOICE.findall(browser.get(link).text)
    browser.post("/sharing/stop", {"choice": choice}, page=link)
    assert "Your choice has ended. Since" in browser.get("/sharing").text
    assert _choices(here) == []
    browser.post("/sharing/stop", {"choice": choice}, page="/sharing/direction")
    assert "had ended before" in browser.get("/sharing").text


def test_a_choice_that_hid_something_is_said_to_hide_nothing_any_more(here: Hospital) -> None:
    """Whoever stops hiding does not read that nobody is let in."""
    browser = _asked(here, [*HIDE, ("what", {"what": "all"}), OPEN])
    browser.post("/sharing/check", {})
    page = browser.get("/sharing/stop?which=1").text
    assert "people who treat you can see it again" in page
    (choice,) = CHOICE.findall(page)
    browser.post("/sharing/stop", {"choice": choice}, page="/sharing/stop?which=1")
    page = browser.get("/sharing").text
    assert re.search(r"Your choice has ended\. Since [^.]+ it hides nothing any more, anywhere", page)
    assert "nobody is let in" not in page


WANTS = [
    Wanted(is_permit=True),
    Wanted(is_permit=True, organisation=PRACTICE, labels=("PSY",), until=datetime.date(2027, 3, 1)),
    Wanted(is_permit=True, labels=("HIV", "PSY"), classes=("Encounter",)),
    Wanted(is_permit=True, classes=("DocumentReference", "Observation"), is_only=True),
    Wanted(is_permit=False),
    Wanted(is_permit=False, organisation=PRACTICE, labels=("HIV",), classes=("Observation",), is_only=True),
]


@pytest.mark.parametrize("wanted", WANTS, ids=str)
def test_an_answer_is_found_again_in_its_rules(wanted: Wanted) -> None:
    assert sharing.wanted_of(sharing.tree_of(wanted)) == wanted


@pytest.mark.parametrize("wanted", WANTS, ids=str)
def test_a_choice_that_is_begun_to_be_changed_is_answered_as_it_stands(here: Hospital, wanted: Wanted) -> None:
    sharing.file(here.node, _login(here, "eleanor"), here.patient, wanted)
    browser = _begun(here)
    same = browser.post("/sharing/check", _rules(browser))
    assert same.headers["location"] == "/sharing"
    assert "Your choice is as it was" in browser.get("/sharing").text
    assert _filed(here)[-1] == (_choices(here)[0], "ConsentFiled")


@pytest.mark.promise("R3")
def test_a_choice_is_changed_in_one_step_without_a_time_in_which_neither_holds(here: Hospital) -> None:
    sharing.file(here.node, _login(here, "eleanor"), here.patient, Wanted(is_permit=True, organisation=PRACTICE))
    (choice,), before = _choices(here), len(_filed(here))
    browser = _begun(here)
    assert re.findall(r'value="(\w+)" [^>]*checked|checked[^>]* value="(\w+)"', browser.get("/sharing/who").text)
    for page, fields in (("what", {"what": "except"}), ("kinds", {"kinds": ["PSY"]}), ("until", UNTIL)):
        browser.post(f"/sharing/{page}", fields)
    page = browser.get("/sharing/check").text
    said = "Anyone treating you at Harrowmere Medical Centre may see everything"
    assert re.findall(rf"{said}[^.<]*\.", page) == [f"{said}.", f"{AT_PRACTICE}, until 1 March 2099."]
    browser.post("/sharing/check", _rules(browser))
    assert f"{AT_PRACTICE}, until 1 March 2099." in browser.get("/sharing").text
    assert _filed(here)[before:] == [(choice, "ConsentFiled")]
    assert _choices(here) == [choice]
    day = browser.get("/sharing/until").text  # the answers are gone: a new choice begins with none
    assert 'value="2099"' not in day


def test_the_last_day_of_a_choice_is_there_when_it_is_changed(here: Hospital) -> None:
    sharing.file(here.node, _login(here, "eleanor"), here.patient, WANTS[1])
    page = _begun(here).get("/sharing/until").text
    assert re.findall(r'name="day-\w+"[^>]* value="(\d+)"', page) == ["1", "3", "2027"]


@pytest.mark.parametrize("when", ["before it is begun", "before it is checked", "before it is made"])
def test_a_choice_that_has_ended_is_not_changed(here: Hospital, when: str) -> None:
    sharing.file(here.node, _login(here, "eleanor"), here.patient, Wanted(is_permit=True))
    (choice,) = _choices(here)
    browser, fields = here.signed_in("eleanor"), {"choice": choice.hex()}
    steps = [
        lambda: browser.post("/sharing/begin", fields, page="/sharing"),
        lambda: browser.get("/sharing/check"),
        lambda: browser.post("/sharing/check", {"rules": "00"}, page="/sharing/preview"),
    ]
    last = ["before it is begun", "before it is checked", "before it is made"].index(when)
    for step in steps[:last]:
        step()
    sharing.withdraw(here.node, _login(here, "eleanor"), here.patient, choice)
    assert steps[last]().headers["location"] == "/sharing"
    assert "had ended before. Nothing was changed" in browser.get("/sharing").text
    assert _choices(here) == []


def test_a_choice_that_was_changed_meanwhile_is_checked_again(here: Hospital) -> None:
    eleanor = _login(here, "eleanor")
    sharing.file(here.node, eleanor, here.patient, Wanted(is_permit=True))
    browser, (choice,) = _begun(here), _choices(here)
    browser.post("/sharing/who", {"who": PRACTICE})
    rules = _rules(browser)
    sharing.file(here.node, eleanor, here.patient, Wanted(is_permit=True, labels=("PSY",)), choice=choice)
    came = browser.post("/sharing/check", rules, page="/sharing/preview")
    assert came.headers["location"] == "/sharing/check"
    assert "Your choice was changed meanwhile" in browser.get("/sharing/check").text
    assert [each for each, _ in _filed(here)][-2:] == [choice, choice]


def test_nobody_elses_choice_is_changed(here: Hospital) -> None:
    """IDOR: another patient sends the name of Eleanor's choice."""
    sharing.file(here.node, _login(here, "eleanor"), here.patient, Wanted(is_permit=True))
    (choice,) = _choices(here)
    other, before = here.signed_in("other"), _filed(here)
    for name in (choice.hex(), "0" * 32, "x"):
        came = other.post("/sharing/begin", {"choice": name}, page="/sharing")
        assert came.headers["location"] == "/sharing"
        assert "had ended before" in other.get("/sharing").text
    assert _filed(here) == before


def test_a_choice_that_the_questions_cannot_say_is_only_stopped(here: Hospital) -> None:
    tree = Provision(type=ProvisionType.PERMIT, purposes=(Purpose.HRESCH,))
    choice = choices.file_by_custodian(here.node, here.patient, tree)
    browser = here.signed_in("eleanor")
    page = browser.get("/sharing").text
    assert "You can only stop it" in page
    assert "Change this choice" not in page
    browser.post("/sharing/begin", {"choice": choice.hex()}, page="/sharing")
    assert "You can only stop it" in browser.get("/sharing").text
    assert browser.get("/sharing/check").headers["location"] == "/sharing/direction"


def _begun(here: Hospital) -> object:
    """A browser in which the change of the one choice was begun."""
    browser = here.signed_in("eleanor")
    (name,) = CHOICE.findall(browser.get("/sharing").text)
    assert browser.post("/sharing/begin", {"choice": name}, page="/sharing").headers["location"] == "/sharing/direction"
    return browser


def _rules(browser: object) -> dict[str, str]:
    """What the form of the page to check says of the choice that is changed."""
    (rules,) = re.findall(r'name="rules" value="([0-9a-f]+)"', browser.get("/sharing/check").text)
    return {"rules": rules}


def _filed(here: Hospital) -> list[tuple[bytes, str]]:
    """What has become of Eleanor's choices, oldest first."""
    with here.node.engine.snapshot() as reader:
        trail = read_trail(reader, here.patient)
    kinds = (consent.ConsentFiled, consent.ConsentWithdrawn)
    return [(each.outcome.choice, type(each.outcome).__name__) for each in trail if isinstance(each.outcome, kinds)]


def test_the_preview_is_what_staff_then_sees(here: Hospital) -> None:
    """The same decision: what the page promises to hide is hidden from a clinician who asks, and nothing else."""
    wanted = Wanted(is_permit=False, classes=("Observation",), labels=(), is_only=True)
    eleanor = _login(here, "eleanor")
    promised = sharing.preview(
        here.node, here.portal.responder, eleanor, here.patient, organisation=here.node.organisation, with_choice=wanted
    )
    sharing.file(here.node, eleanor, here.patient, wanted)
    rao = _login(here, "rao")
    assert (rao.role_class, rao.purpose) == (RoleClass.CLINICAL, Purpose.TREAT)
    reach = Reach(here.patient, lambda _type: True, lambda _type: ())
    found = Search(here.node, here.portal.responder, rao, reach).chart(here.patient, (), ())
    allowed = here.portal.responder.allowed(rao, here.patient, Verb.READ, [each.key for each in found])
    names = {f"{each.type}/{each.logical_id}" for each in found if each.key in allowed}
    assert {each.name for each in promised if each.is_seen} == names
    assert {each.name.partition("/")[0] for each in promised if not each.is_seen} == {"Observation"}


def test_the_preview_of_a_choice_asks_the_ledger_s_gate_first(here: Hospital) -> None:
    """A choice that permits lets nobody in who may not ask at all, such as a role that an organisation has not."""
    eleanor, wanted = _login(here, "eleanor"), Wanted(is_permit=True, organisation=PRACTICE)
    for role_class, is_let_in in ((RoleClass.CLINICAL, True), (RoleClass.PHARMACY, False)):
        promised = sharing.preview(
            here.node,
            here.portal.responder,
            eleanor,
            here.patient,
            organisation=PRACTICE,
            role_class=role_class,
            with_choice=wanted,
        )
        assert len(promised) > 20
        assert any(each.is_seen for each in promised) == is_let_in


@pytest.mark.parametrize("is_permit", [True, False])
def test_what_a_choice_would_do_is_what_the_gate_says_once_it_is_filed(here: Hospital, is_permit: bool) -> None:
    eleanor, wanted = _login(here, "eleanor"), Wanted(is_permit, organisation=PRACTICE)
    at = {"organisation": PRACTICE}
    promised = sharing.preview(here.node, here.portal.responder, eleanor, here.patient, **at, with_choice=wanted)
    sharing.file(here.node, eleanor, here.patient, wanted)
    assert sharing.preview(here.node, here.portal.responder, eleanor, here.patient, **at) == promised
    advice = consult(here.node, here.patient, Question(PRACTICE, RoleClass.CLINICAL, Purpose.TREAT))
    assert (advice.basis is Basis.CHOICE, advice.reason is None) == (is_permit, is_permit)


def test_the_preview_page_says_what_another_organisation_sees(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    page = browser.get(f"/sharing/preview?at={PRACTICE}").text
    numbers = re.findall(r'numeric">(\d+)</td>', page)
    assert set(numbers[::2]) == {"0"}
    sharing.file(here.node, _login(here, "eleanor"), here.patient, Wanted(is_permit=True, organisation=PRACTICE))
    numbers = re.findall(r'numeric">(\d+)</td>', browser.get(f"/sharing/preview?at={PRACTICE}").text)
    assert set(numbers[1::2]) == {"0"}
    assert "What a doctor or nurse" not in browser.get("/sharing/preview?at=NOBODY").text


@pytest.mark.parametrize(
    ("kinds", "warned"),
    [
        (["AllergyIntolerance"], {"Penicillin"}),
        (["MedicationRequest"], {"Apixaban 5mg tablets"}),
        (["Observation"], set()),
    ],
)
def test_hiding_allergies_or_anticoagulants_is_warned_of(here: Hospital, kinds: list[str], warned: set[str]) -> None:
    browser = _asked(here, [*HIDE, ("what", {"what": "only"}), ("kinds", {"kinds": kinds}), OPEN])
    page = browser.get("/sharing/check").text
    assert set(re.findall(r"They would not know of: ([^.]+)\.", page)) == warned
    assert ("This can be dangerous" in page) is bool(warned)


@pytest.mark.parametrize(
    ("page", "fields"),
    [
        ("direction", {}),
        ("direction", {"direction": "sideways"}),
        ("who", {"who": "NOBODY"}),
        ("what", {"what": "all\nonly"}),
        ("kinds", {"kinds": "Patient"}),
        ("until", {"day-day": "31", "day-month": "2", "day-year": "2099"}),
        ("until", {"day-day": "1", "day-month": "1", "day-year": "1999"}),
    ],
)
def test_an_answer_that_is_none_is_asked_for_again(here: Hospital, page: str, fields: dict[str, str]) -> None:
    came = here.signed_in("eleanor").post(f"/sharing/{page}", fields)
    assert came.status_code == 400
    assert "There is a problem" in came.text


def test_answers_that_are_missing_or_turned_around_make_no_choice(here: Hospital) -> None:
    browser = _asked(here, [*SHARE, ("what", {"what": "except"}), ("kinds", {"kinds": ["PSY"]}), OPEN])
    browser.post("/sharing/direction", {"direction": "less"})
    for name in (browser, here.signed_in("eleanor")):
        assert name.get("/sharing/check").headers["location"] == "/sharing/direction"
        name.post("/sharing/check", {}, page="/sharing")
    assert _choices(here) == []


def test_nobody_elses_choice_is_withdrawn(here: Hospital) -> None:
    """IDOR: another patient sends the name of Eleanor's choice, and a clinician has no such page."""
    sharing.file(here.node, _login(here, "eleanor"), here.patient, Wanted(is_permit=True))
    (choice,) = _choices(here)
    other = here.signed_in("other")
    assert other.get("/sharing/stop?which=1").status_code == 404
    other.post("/sharing/stop", {"choice": choice.hex()}, page="/sharing/direction")
    assert _choices(here) == [choice]
    for path in ("/sharing", "/sharing/check", "/sharing/preview", "/sharing/stop?which=1"):
        assert here.signed_in("rao").get(path).status_code == 404


def test_who_holds_their_own_key_is_not_signed_for(here: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "holds_key", lambda _node, _pseudonym: True)
    browser = _asked(here, [*SHARE, ("what", {"what": "all"}), OPEN])
    came = browser.post("/sharing/check", {})
    monkeypatch.undo()
    assert came.status_code == 403
    assert "Your own device signs this for you" in came.text
    assert _choices(here) == []


def test_the_last_day_is_asked_for_by_the_names_that_are_read(here: Hospital) -> None:
    page = here.signed_in("eleanor").get("/sharing/until").text
    assert re.findall(r'<input[^>]* name="(day[^"]*)"', page) == ["day-day", "day-month", "day-year"]


def test_a_page_of_one_question_says_who_is_signed_in(here: Hospital) -> None:
    page = here.signed_in("eleanor").get("/sharing/direction").text
    assert "Eleanor Moss" in page
    assert page.count(">direction<") == 0


@pytest.mark.promise("U1")
def test_no_page_has_words_of_machines(here: Hospital) -> None:
    sharing.file(here.node, _login(here, "eleanor"), here.patient, Wanted(is_permit=True, organisation=PRACTICE))
    browser = _asked(here, [*SHARE, ("what", {"what": "except"}), ("kinds", {"kinds": ["PSY"]}), OPEN])
    for path in ("", "/check", "/stop?which=1", "/preview", "/direction", "/who", "/what", "/kinds", "/until"):
        page = browser.get(f"/sharing{path}")
        assert page.status_code == 200
        assert not MACHINE_WORDS.findall(TAG.sub(" ", page.text)), path
