"""Other organisations in a patient's own devices: what brings one in, what stays when one is away, what is refused."""

from __future__ import annotations

import html
import itertools
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from salus.contracts import patients
from salus.contracts.patients import Holder
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node import http_peers
from salus.node.errors import NotNow
from salus.node.exchange import Answer, Ask, Done
from salus.node.http_peers import ASK_S
from salus.node.services import deliver, enrol, ledger_reads, take_over_codes
from salus.node.services.accounts import AccountId
from salus.node.services.signer_devices import Device
from salus.node.services.take_over_codes import TRIES_MAX
from salus.portal.app import Portal
from salus.portal.pages.patient import organisations_add
from salus.portal.settings import PortalSettings
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE
from tests.portal.pocket_device import BY_SIGNER, SIGNER, PocketDevice
from tests.portal.portal_world import NAMES, ORIGIN, Browser, Hospital, portal
from tests.portal.second_custodian import Manner, Practice
from tests.portal.signer.signer_world import data
from tests.portal.test_acting_devices import state
from tests.portal.test_markup import faults

HERE, THERE = NAMES[HOSPITAL], NAMES[PRACTICE]
WRONG = "ABCDEFGHJKMNPQRS"
FORM = re.compile(r'name="do" value="([a-z-]+)"')
_NUMBERS = itertools.count(300)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Hospital and practice, which is another computer's, both sign for their patients."""
    with portal(tmp_path_factory.mktemp("portal"), signer=SIGNER, is_joined=True, has_device=False) as made:
        yield made


@pytest.fixture
def practice(here: Hospital) -> Practice:
    assert here.joined is not None
    return here.joined[0]


@dataclass
class Patient:
    """Somebody with records at both, who signs in at the hospital."""

    here: Hospital
    name: str
    at: dict[OrganisationId, Pseudonym]
    phone: PocketDevice
    browser: Browser

    @property
    def account(self) -> AccountId:
        return self.here.accounts[self.name]

    def devices(self) -> list[Device]:
        return self.here.portal.devices.of(self.account)

    def named(self, name: str) -> Device:
        return next(each for each in self.devices() if each.name == name)

    def relationship(self, custodian: OrganisationId) -> patients.Relationship:
        with self.here.node.engine.snapshot() as reader:
            return patients.require_relationship(reader, self.at[custodian])

    def keys(self) -> list[int]:
        """How many further devices act at each."""
        return [len(self.relationship(each).keys) for each in (HOSPITAL, PRACTICE)]

    def code(self) -> str:
        return take_over_codes.make(self.here.made.practice, self.at[PRACTICE])

    def do(self, what: str, device: PocketDevice, by: PocketDevice | None = None) -> Any:
        """Press a button for a device on the page of devices, and say yes with it or with another one."""
        came = self.browser.post("/acting-devices", {"do": what, "device": device.id.hex()})
        return came if came.status_code != 303 or not by else by.say_yes(self.browser, came)

    def set_up(self, device: PocketDevice, name: str) -> None:
        device.say_yes(self.browser, self.browser.post("/acting-devices", {"do": "set-up", "name": name}))

    def open(self, device: PocketDevice, *, way: PocketDevice | None = None) -> Any:
        came = self.browser.post("/opening", {"way": way.id.hex()} if way else {})
        return device.say_yes(self.browser, came)

    def enter(self, code: str, custodian: str = PRACTICE) -> Any:
        return self.browser.post("/organisations/add", {"organisation": custodian, "code": code})

    def bring(self) -> None:
        came = self.phone.say_yes(self.browser, self.enter(self.code()))
        assert came.headers["location"] == "/organisations"
        self.open(self.phone)

    def page(self, path: str) -> str:
        return html.unescape(self.browser.get(path).text)


def somebody(here: Hospital) -> Patient:
    """Somebody new, for whom both custodians sign."""
    place = next(_NUMBERS)
    number, name = kept_nhs_number(place), f"patient {place}"
    at = {each: enrol.enrol(here.made.nodes[each], number, "1980-02-29") for each in (HOSPITAL, PRACTICE)}
    here.accounts[name] = here.portal.accounts.add_patient(at[HOSPITAL], name="Ann Other")
    return Patient(here, name, at, PocketDevice(), here.signed_in(name))


@pytest.fixture
def cara(here: Hospital) -> Patient:
    """Somebody for whom both custodians sign."""
    return somebody(here)


@pytest.fixture
def ann(here: Hospital) -> Patient:
    """Somebody whose phone acts at the hospital, and has opened."""
    made = somebody(here)
    made.set_up(made.phone, "My phone")
    made.do("hand-over", made.phone, made.phone)
    made.open(made.phone)
    return made


@pytest.fixture
def tablet(ann: Patient) -> PocketDevice:
    """A further device of theirs, which acts at the hospital alone; the practice was added after it."""
    made = PocketDevice()
    ann.set_up(made, "Tablet")
    ann.do("let-act", made, ann.phone)
    ann.do("accept", made, made)
    ann.open(ann.phone)
    ann.bring()
    assert ann.keys() == [1, 0]
    return made


@pytest.mark.promise("U3")
def test_a_code_brings_an_organisation_in_and_one_yes_opens_both(ann: Patient) -> None:
    code = ann.code()
    came = ann.phone.say_yes(ann.browser, ann.enter(f" {code[:8].lower()}-{code[8:]} "))
    assert (came.status_code, came.headers["location"]) == (303, "/organisations")
    row = ann.relationship(PRACTICE)
    assert (row.holder, row.key) == (Holder.PATIENT, ann.phone.key(ann.at[PRACTICE]).public)
    page = ann.page("/organisations")
    assert f"{THERE} is added" in page
    assert page.count("Opened by: My phone.") == 2
    assert ann.browser.get("/record").headers["location"] == "/opening"
    assert f"This opens your record at: {HERE} and {THERE}." in ann.page("/opening")
    ann.open(ann.phone)
    assert [each.custodian for each in state(ann.here, ann.browser).held] == [HOSPITAL, PRACTICE]
    assert "There is no other organisation to add" in ann.page("/organisations")
    assert ann.browser.get("/organisations/add").headers["location"] == "/organisations"


def test_who_has_no_device_of_their_own_is_told_what_to_do_first(cara: Patient) -> None:
    assert "let a device of your own act for you first" in cara.page("/organisations")
    for came in (cara.browser.get("/organisations/add"), cara.enter(cara.code())):
        assert came.headers["location"] == "/organisations"
    assert cara.relationship(PRACTICE).holder is Holder.CUSTODIAN


@pytest.mark.parametrize(
    ("custodian", "code", "words"),
    [
        ("", WRONG, "Choose the organisation that gave you the code"),
        (HOSPITAL, WRONG, "Choose the organisation that gave you the code"),
        ("ZZ9", WRONG, "Choose the organisation that gave you the code"),
        (PRACTICE, "", "Enter the 16 letters and numbers of the code"),
        (PRACTICE, WRONG[1:], "Enter the 16 letters and numbers of the code"),
        (PRACTICE, f"{WRONG[1:]}0", "Enter the 16 letters and numbers of the code"),
        (PRACTICE, WRONG, "This code does not work there"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(ann: Patient, custodian: str, code: str, words: str) -> None:
    came = ann.enter(code, custodian)
    assert came.status_code == 400
    assert said(came).count(words) == 2, "at the top, and at the field"


def test_whoever_cannot_be_asked_is_not_to_choose(ann: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ledger_reads.members(ann.here.node)
    (there,) = [each for each in known if each.organisation == PRACTICE]
    more = replace(there, organisation="RX8", is_suspended=True), replace(there, organisation="RX9", endpoint="")
    monkeypatch.setattr(ledger_reads, "members", lambda node: (*known, *more))
    assert re.findall('<option value="([^"]*)"', ann.page("/organisations/add")) == ["", PRACTICE]


def test_somebody_elses_code_brings_nothing_but_what_it_is_for(ann: Patient, cara: Patient) -> None:
    """Whoever has a code decides; the relationship is the code's, and never the sender's."""
    ann.phone.say_yes(ann.browser, ann.enter(cara.code()))
    assert ann.relationship(PRACTICE).holder is Holder.CUSTODIAN
    assert cara.relationship(PRACTICE).key == ann.phone.key(cara.at[PRACTICE]).public


def test_codes_are_not_tried_for_ever(ann: Patient) -> None:
    for _ in range(TRIES_MAX):
        assert "does not work there" in said(ann.enter(WRONG))
    assert "You tried too many codes" in said(ann.enter(ann.code()))


def test_an_organisation_that_is_away_takes_no_code_and_loses_none(ann: Patient, practice: Practice) -> None:
    code = ann.code()
    with practice.being(Manner.IS_DOWN):
        assert f"{THERE} does not answer" in said(ann.enter(code))
    ann.phone.say_yes(ann.browser, ann.enter(code))
    assert ann.relationship(PRACTICE).holder is Holder.PATIENT


def test_an_organisation_that_hangs_keeps_nobody_waiting(
    ann: Patient, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds a thread of the portal's as long as that, so that a few codes could hold all of them."""
    code = ann.code()
    assert http_peers.PERSON_S < ASK_S / 4
    monkeypatch.setattr(http_peers, "PERSON_S", 0.3)
    begun_s = time.monotonic()
    with practice.being(Manner.WAITS):
        assert f"{THERE} does not answer. Nothing is lost" in said(ann.enter(code))
    assert time.monotonic() - begun_s < ASK_S / 2
    ann.phone.say_yes(ann.browser, ann.enter(code))
    assert ann.relationship(PRACTICE).holder is Holder.PATIENT


def test_an_organisation_that_is_away_after_the_device_signed_is_brought_by_the_same_code(
    ann: Patient, practice: Practice
) -> None:
    code, (before,) = ann.code(), ann.devices()
    asked = ann.enter(code)
    with practice.being(Manner.IS_DOWN):
        came = ann.phone.say_yes(ann.browser, asked)
    assert (came.status_code, said(came).count("Nothing is lost, and your code is still good")) == (400, 2)
    assert f'value="{code}"' in said(came), "nobody types it again"
    (device,) = ann.devices()
    assert (device.before, device.blob != before.blob) == (before.blob, True), "both wallets stay"
    assert ann.relationship(PRACTICE).holder is Holder.CUSTODIAN
    ann.phone.say_yes(ann.browser, ann.enter(code))
    assert ann.relationship(PRACTICE).holder is Holder.PATIENT
    (device,) = ann.devices()
    assert (device.before, len(device.keys)) == (b"", 2)


def test_what_was_brought_and_never_answered_is_there(ann: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, ask = ann.enter(ann.code()), ann.here.portal.peers.ask

    def lost(organisation: OrganisationId, said: Ask) -> Answer:
        ask(organisation, said)
        raise NotNow("the answer is lost")

    with monkeypatch.context() as patch:
        patch.setattr(ann.here.portal.peers, "ask", lost)
        assert ann.phone.say_yes(ann.browser, asked).headers["location"] == "/organisations"
    page = ann.page("/organisations")
    assert (f"{THERE} is added" in page, page.count("Opened by: My phone.")) == (True, 2)
    assert ann.browser.get("/record").headers["location"] == "/opening"


def test_an_organisation_that_says_done_and_did_nothing_has_brought_nothing(
    ann: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ann.enter(ann.code())
    monkeypatch.setattr(deliver, "SEEN_S", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(ann.here.portal.peers, "ask", lambda *_: Done(0))
        came = ann.phone.say_yes(ann.browser, asked)
    assert (came.status_code, "your code is still good" in said(came)) == (400, True)
    assert ann.relationship(PRACTICE).holder is Holder.CUSTODIAN


def test_a_code_that_was_used_meanwhile_brings_nothing_and_the_old_wallet_is_back(ann: Patient, cara: Patient) -> None:
    (before,), code = ann.devices(), cara.code()
    asked = ann.enter(code)
    cara.set_up(cara.phone, "My phone")
    cara.do("hand-over", cara.phone, cara.phone)
    cara.open(cara.phone)
    cara.phone.say_yes(cara.browser, cara.enter(code))
    came = ann.phone.say_yes(ann.browser, asked)
    assert (came.status_code, said(came).count("This code does not work any more")) == (400, 2)
    assert ann.devices() == [before]
    assert cara.relationship(PRACTICE).key == cara.phone.key(cara.at[PRACTICE]).public


def test_what_one_asked_nobody_else_collects(ann: Patient, cara: Patient) -> None:
    """IDOR: neither another account nor another browser of the same."""
    name = ann.phone.approve(ann.browser, ann.enter(ann.code()))
    for other in (cara.browser, ann.here.signed_in(ann.name)):
        assert other.get(f"/signing/{name}/done").status_code == 404
    assert ann.relationship(PRACTICE).holder is Holder.CUSTODIAN


def test_a_device_that_was_there_before_opens_what_it_did(ann: Patient, tablet: PocketDevice) -> None:
    page = ann.page("/acting-devices")
    assert f"It opens: {HERE}. It does not open: {THERE}." in page
    ways = re.findall(r"You can use: ([^<]*)</p>", ann.page("/opening"))
    first, second = (f"{HERE} and {THERE}", HERE)
    assert ways == [
        f"{name}. This opens your record at: {at}." for name, at in (("My phone", first), ("Tablet", second))
    ]
    ann.open(tablet, way=tablet)
    assert [each.custodian for each in state(ann.here, ann.browser).held] == [HOSPITAL]
    came = ann.browser.post("/opening", {"way": "00" * 16})
    assert "This has changed since you opened the page" in said(came)


def test_a_device_is_let_open_more_by_the_steps_of_a_new_one(ann: Patient, tablet: PocketDevice) -> None:
    ann.do("reach", tablet, tablet)
    ann.do("let-act", tablet, ann.phone)
    assert custodians(tablet) == custodians(ann.phone) == [PRACTICE]
    ann.do("accept", tablet, tablet)
    assert ann.keys() == [1, 1]
    assert ann.browser.get("/record").headers["location"] == "/opening", "it opens more than it did"
    assert ann.page("/opening").count("You can use") == 1


@pytest.mark.usefixtures("tablet")
def test_whoever_cannot_sign_all_of_it_is_not_asked(ann: Patient) -> None:
    """A link to the records of both: of the two devices one acts at both, and later none."""
    for page, fields in (("what", {"link-what": "all"}), ("until", {"link-until": "day"}), ("name", {"label": "Jo"})):
        assert ann.browser.post(f"/links/{page}", fields).status_code == 303, page
    wanted = {"passcode": "heddiw-2026", "tries": "5"}
    name = ann.browser.post("/links/make", wanted).headers["location"].partition("/#")[2]
    asked = ann.browser.client.get(f"/signing/{name}", headers=BY_SIGNER).json()
    assert [each["custodian"] for each in asked["items"]] == [HOSPITAL, PRACTICE]
    assert [data(each["id"]) for each in asked["devices"]] == [ann.phone.id]
    change(ann, "My phone", keys=ann.named("My phone").keys[:1])
    came = ann.browser.post("/links/make", wanted)
    words = "None of your devices opens all of these organisations"
    assert (came.status_code, words in said(came)) == (403, True)


@pytest.fixture
def laptop(ann: Patient) -> PocketDevice:
    """A device that was set up when the first one had both; it was not accepted yet."""
    ann.bring()
    made = PocketDevice()
    ann.set_up(made, "Laptop")
    assert custodians(made) == [HOSPITAL, PRACTICE]
    ann.do("let-act", made, ann.phone)
    return made


def test_what_one_custodian_accepted_stays_while_another_is_away(
    ann: Patient, laptop: PocketDevice, practice: Practice
) -> None:
    with practice.being(Manner.IS_DOWN):
        page = said(ann.do("accept", laptop, laptop))
    assert ann.keys() == [1, 0]
    assert f"Not everything is done. {THERE} did not answer" in page
    assert f"It opens: {HERE}. It does not open: {THERE}." in page
    ann.do("accept", laptop, laptop)
    assert custodians(laptop) == [PRACTICE]
    assert ann.keys() == [1, 1]


def test_an_offer_that_ended_is_made_again_by_the_code_once_more(
    ann: Patient, laptop: PocketDevice, practice: Practice
) -> None:
    with practice.being(Manner.IS_DOWN):
        ann.do("accept", laptop, laptop)
    change(ann, "Laptop", offers=tuple(replace(each, until_s=0) for each in ann.named("Laptop").offers))
    assert FORM.findall(ann.page("/acting-devices")) == ["let-act", "reach", "remove", "set-up"]
    ann.open(laptop, way=laptop)
    ann.do("reach", laptop, laptop)
    ann.do("let-act", laptop, ann.phone)
    assert custodians(laptop) == custodians(ann.phone) == [PRACTICE], "so that both show one code"
    ann.do("accept", laptop, laptop)
    assert ann.keys() == [1, 1]


def test_what_is_no_more_offered_is_not_accepted(ann: Patient, laptop: PocketDevice) -> None:
    asked = ann.browser.post("/acting-devices", {"do": "accept", "device": laptop.id.hex()})
    name = laptop.approve(ann.browser, asked)
    change(ann, "Laptop", offers=())
    assert (ann.browser.get(f"/signing/{name}/done").status_code, ann.keys()) == (403, [0, 0])


def test_a_device_is_forgotten_once_every_organisation_took_its_removal(
    ann: Patient, laptop: PocketDevice, practice: Practice
) -> None:
    ann.do("accept", laptop, laptop)
    assert ann.keys() == [1, 1]
    with practice.being(Manner.IS_DOWN):
        page = said(ann.do("remove", laptop, ann.phone))
    assert ann.keys() == [0, 1]
    assert page.count(f"still acts for you at {THERE}") == 2, "of what was done, and for as long as it is so"
    page = ann.page("/acting-devices")
    assert page.count(f"still acts for you at {THERE}") == 1
    assert FORM.findall(page) == ["remove", "set-up"], "nobody lets it act again"
    ann.do("remove", laptop, ann.phone)
    assert custodians(ann.phone) == [PRACTICE]
    assert ann.keys() == [0, 0]
    assert [each.name for each in ann.devices()] == ["My phone"]


def test_who_acts_at_one_of_them_alone_is_not_asked_to_remove_at_both(ann: Patient, tablet: PocketDevice) -> None:
    laptop = PocketDevice()
    ann.set_up(laptop, "Laptop")
    ann.do("let-act", laptop, ann.phone)
    ann.do("accept", laptop, laptop)
    assert ann.keys() == [2, 1]
    ann.do("remove", laptop, ann.phone)
    assert {data(each["id"]) for each in ann.phone.asked["devices"]} == {ann.phone.id, laptop.id}
    assert ann.keys() == [1, 0]


def test_where_two_devices_are_first_each_lets_act_where_it_is(ann: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """No page of ours does that, but a recovery at one organisation: then no device alone ends all that another may."""
    tablet, laptop = PocketDevice(), PocketDevice()
    ann.set_up(tablet, "Tablet")
    change(ann, "My phone", made_s=0)  # the oldest is asked first
    with monkeypatch.context() as patch:
        patch.setattr(organisations_add, "_first", lambda call: [ann.named("Tablet")])
        tablet.say_yes(ann.browser, ann.enter(ann.code()))
    ann.open(ann.phone)
    ann.set_up(laptop, "Laptop")
    for first, custodian in ((ann.phone, HOSPITAL), (tablet, PRACTICE)):
        ann.open(ann.phone, way=ann.phone)
        ann.do("reach", laptop, laptop)
        ann.do("let-act", laptop, first)
        assert custodians(first) == [custodian]
        ann.do("accept", laptop, laptop)
    assert ann.keys() == [1, 1]
    assert ann.do("remove", tablet).status_code == 403, "it is first somewhere"
    ann.do("remove", laptop, ann.phone)
    assert ann.keys() == [0, 1]
    ann.do("remove", laptop, tablet)
    assert (ann.keys(), len(ann.devices())) == ([0, 0], 2)


def test_where_a_device_came_from_elsewhere_the_pages_say_so(ann: Patient) -> None:
    """The practice's own portal, which knows no device of Ann's."""
    ann.bring()
    made, settings = ann.here.made, PortalSettings(ORIGIN, signer=SIGNER)
    with closing(Portal(made.practice, settings, peers=made.peers(PRACTICE))) as opened:
        there = Hospital(made, opened, ann.at[PRACTICE])
        there.accounts["ann"] = opened.accounts.add_patient(ann.at[PRACTICE], name="Ann Other")
        browser = there.signed_in("ann")
        assert browser.get("/record").headers["location"] == "/opening"
        assert "You set your device up on the website of another organisation" in said(browser.get("/opening"))
        refused = browser.post("/opening", {})
        assert (refused.status_code, "so do it there" in said(refused)) == (403, True)
        assert "Add and remove devices there" in said(browser.get("/acting-devices"))
        page = said(browser.get("/organisations"))
        assert ("Your own device opens it." in page, "Add organisations there" in page) == (True, True)


@pytest.mark.usefixtures("tablet")
def test_the_pages_are_well_formed_in_every_state(ann: Patient, cara: Patient, practice: Practice) -> None:
    pages = {f"{each} before": cara.browser.get(each).text for each in ("/organisations", "/acting-devices")}
    pages |= {each: ann.browser.get(each).text for each in ("/organisations", "/acting-devices", "/opening")}
    other = somebody(ann.here)
    other.set_up(other.phone, "My phone")
    other.do("hand-over", other.phone, other.phone)
    other.open(other.phone)
    with practice.being(Manner.IS_DOWN):
        pages |= {"wrong": other.enter("").text, "away": other.enter(other.code()).text}
    change(ann, "Tablet", is_leaving=True)
    pages["leaving"] = ann.browser.get("/acting-devices").text
    assert [each for each in pages.values() if "<h1" not in each] == []
    assert faults(pages) == []


def change(whose: Patient, name: str, **known: Any) -> None:
    """Keep one of somebody's devices otherwise than it is."""
    whose.here.portal.devices.change(whose.account, whose.named(name).id, lambda now: replace(now, **known))


def custodians(device: PocketDevice) -> list[str]:
    """What it was asked about last."""
    return [each["custodian"] for each in device.asked["items"]]


def said(came: Any) -> str:
    """What a page says."""
    return html.unescape(came.text)
