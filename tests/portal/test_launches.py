"""Clinicians come from another system with a patient open there: a real one, and one that is made up to attack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from salus.contracts.membership import RevokeCertificate
from salus.contracts.provisions import Provision, ProvisionType, RoleClass
from salus.node.acting import Staff
from salus.node.services.choices import file_by_custodian
from salus.portal.sessions import COOKIE
from tests.api.smart.smart_world import allow, hidden
from tests.portal.launch_world import MadeUpEhr, PracticeEhr, let_in, made_up_ehr, patient, practice_ehr
from tests.portal.portal_world import PASSWORD, Browser, Hospital, portal, staff

pytestmark = [pytest.mark.services, pytest.mark.promise("R4")]

WHY = {"reason": "referral", "relationship": "treating"}
OPENING = "Why are you opening this record?"
TRY_AGAIN = "open the record there once more"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("launches")


# From the practice's own server, which nobody here wrote for this.


@pytest.fixture(scope="module")
def practice(here: Hospital, folder: Path) -> Iterator[PracticeEhr]:
    with practice_ehr(here, folder) as made:
        here.portal.accounts.link(here.accounts["rao"], issuer=made.launcher.issuer, subject=made.user)
        yield made


def path_of(address: str) -> str:
    """The path and the query of an address."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def signed_in_there(there: httpx2.Client, address: str) -> str:
    """Sign in at the practice and let the portal in; return where the browser is sent then."""
    there.get(path_of(address))
    page = there.get("/oauth/sign-in")
    there.post("/oauth/sign-in", data={**hidden(page), "name": "pym", "password": PASSWORD})
    return str(allow(there, there.get("/oauth/consent")).headers["location"])


def launched(browser: Browser, practice: PracticeEhr) -> Any:
    """Come from the practice; return what the portal answers then."""
    with practice.browser() as there:
        sent = browser.get(path_of(practice.launch()))
        back = signed_in_there(there, sent.headers["location"])
    return browser.get(path_of(back))


def test_a_clinician_comes_with_a_patient_and_says_why_once(here: Hospital, practice: PracticeEhr) -> None:
    browser = here.client()
    assert launched(browser, practice).headers["location"] == "/launch/patient"
    page = browser.get("/launch/patient").text
    for said in (OPENING, "Harrowmere Medical Centre", "999 000 0018", "14 March 1968"):
        assert said in page
    missing = browser.post("/launch/patient", {})
    assert (missing.status_code, "Choose why you are looking" in missing.text) == (400, True)
    assert browser.post("/launch/patient", WHY).headers["location"] == "/patient"
    assert "Eleanor" in browser.get("/patient").text
    assert browser.get("/launch/patient").headers["location"] == "/patients"


# From one that is made up.


@dataclass
class MadeUp:
    """Two of them, of which the first is linked to Dr Rao; every request of the portal's is counted at both."""

    here: Hospital
    one: MadeUpEhr
    other: MadeUpEhr

    def begun(self, browser: Browser, ehr: MadeUpEhr) -> str:
        """Begin a launch, go through the EHR's sign-in, and return the path to come back to."""
        sent = browser.get(launch_path(ehr.fhir)).headers["location"]
        return path_of(str(httpx2.get(sent, verify=False).headers["location"]))

    def come(self, browser: Browser | None = None) -> Any:
        """Come from the first."""
        browser = browser or self.here.client()
        return browser.get(self.begun(browser, self.one))


@pytest.fixture(scope="module")
def served(here: Hospital, folder: Path) -> Iterator[MadeUp]:
    with made_up_ehr() as one, made_up_ehr() as other:
        let_in(here, one.launcher(folder, "one"), other.launcher(folder, "other"))
        here.portal.accounts.link(here.accounts["rao"], issuer=one.issuer, subject=f"{one.fhir}/Practitioner/7")
        yield MadeUp(here, one, other)


@pytest.fixture
def made_up(served: MadeUp, folder: Path) -> MadeUp:
    let_in(served.here, served.one.launcher(folder, "one"), served.other.launcher(folder, "other"))
    for each in (served.one, served.other):
        each.claims, each.user, each.patient, each.served, each.status = {}, "Practitioner/7", "p1", patient(), 200
        each.asked.clear()
    return served


def launch_path(iss: str, launch: str = "l1", **more: str) -> str:
    """The address to which an EHR sends a browser."""
    return "/launch?" + urlencode({"iss": iss, "launch": launch} | more)


def test_it_asks_as_smart_says(made_up: MadeUp) -> None:
    """SMART App Launch 2.2, 2.0.9: with PKCE, state and nonce, for this server, about this launch."""
    sent = urlsplit(made_up.here.client().get(launch_path(made_up.one.fhir)).headers["location"])
    asked = dict(parse_qsl(sent.query))
    assert f"{sent.scheme}://{sent.netloc}{sent.path}" == f"{made_up.one.issuer}/authorize"
    assert (asked["launch"], asked["aud"], asked["code_challenge_method"]) == ("l1", made_up.one.fhir, "S256")
    assert asked["scope"] == "launch openid fhirUser patient/Patient.r"
    assert min(len(asked[each]) for each in ("state", "nonce", "code_challenge")) >= 43


UNKNOWN = {
    "another": lambda fhir: "https://evil.example/fhir",
    "one that begins the same": lambda fhir: f"{fhir}.evil.example",
    "one with a name before it": lambda fhir: fhir.replace("http://", "http://evil@"),
    "one with a slash more": lambda fhir: f"{fhir}/",
    "one in capitals": lambda fhir: fhir.upper(),
    "the sign-in beside it": lambda fhir: fhir.removesuffix("/fhir"),
    "none": lambda _fhir: "",
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_nothing_is_asked_of_a_system_that_is_not_named(made_up: MadeUp, what: str, monkeypatch: Any) -> None:
    asked: list[str] = []
    monkeypatch.setattr(made_up.here.portal.launches, "_fetch", lambda *said: asked.append(str(said)))
    came = made_up.here.client().get(launch_path(UNKNOWN[what](made_up.one.fhir)))
    assert (came.status_code, "location" in came.headers, TRY_AGAIN in came.text) == (403, False, True)
    assert asked + made_up.one.asked == []


@pytest.mark.parametrize("address", ["/launch", "/launch?iss=a&iss=b", "/launch?iss={iss}&iss={iss}&launch=l1"])
def test_an_address_of_another_shape_is_no_launch(made_up: MadeUp, address: str) -> None:
    assert made_up.here.client().get(address.format(iss=made_up.one.fhir)).status_code == 403


@pytest.mark.parametrize("launch", ["", "x" * 2_049])
def test_a_launch_without_its_name_is_none(made_up: MadeUp, launch: str) -> None:
    assert made_up.here.client().get(launch_path(made_up.one.fhir, launch)).status_code == 403


def test_a_system_s_own_discovery_document_changes_nothing(made_up: MadeUp) -> None:
    """What the operator wrote down counts; the document that would lead astray is never read."""
    sent = made_up.here.client().get(launch_path(made_up.one.fhir)).headers["location"]
    assert sent.startswith(f"{made_up.one.issuer}/authorize?")
    assert made_up.come().headers["location"] == "/launch/patient"
    assert set(made_up.one.asked) == {"/authorize", "/token", "/fhir/Patient/p1"}


def says(**claims: Any) -> Callable[[MadeUpEhr], None]:
    return lambda ehr: setattr(ehr, "claims", claims)


def is_(**fields: Any) -> Callable[[MadeUpEhr], None]:
    def change(ehr: MadeUpEhr) -> None:
        for name, value in fields.items():
            setattr(ehr, name, value)

    return change


REFUSED: dict[str, Callable[[MadeUpEhr], None]] = {
    "of another launch (nonce)": says(nonce="n"),
    "of another issuer": says(iss="https://evil.example"),
    "for another app": says(aud="other"),
    "of nobody (fhirUser)": says(fhirUser=None),
    "of a user of another server": is_(user="https://evil.example/fhir/Practitioner/7"),
    "of a patient as the user": is_(user="Patient/7"),
    "of a user who is a path": is_(user="Practitioner/../Practitioner/7"),
    "about no single patient": is_(patient=["p1", "p2"]),
    "about a path": is_(patient="../../evil"),
    "about an address": is_(patient="p1?_format=xml"),
    "about a patient of another id": is_(served=patient(id="p2")),
    "about what is no patient": is_(served={"resourceType": "OperationOutcome", "id": "p1"}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_answer_opens_nothing(made_up: MadeUp, what: str) -> None:
    REFUSED[what](made_up.one)
    browser = made_up.here.client()
    came = made_up.come(browser)
    assert (came.status_code, TRY_AGAIN in came.text) == (403, True)
    assert "/fhir/Patient/evil" not in made_up.one.asked
    assert browser.get("/devices").headers["location"] == "/sign-in"


def test_a_launch_is_of_the_browser_that_began_it_and_counts_once(made_up: MadeUp) -> None:
    """State, and login CSRF: an attacker's launch is finished in somebody else's browser."""
    mine, other = made_up.here.client(), made_up.here.client()
    back = made_up.begun(mine, made_up.one)
    made_up.begun(other, made_up.one)
    assert other.get(back).status_code == 403
    assert made_up.here.client().get(back).status_code == 403
    assert made_up.one.asked.count("/token") == 0
    assert mine.get(back.replace("state=", "state=x")).status_code == 403
    assert mine.get(back).status_code == 403  # what was tried with another state has ended
    back = made_up.begun(mine, made_up.one)
    assert mine.get(back).status_code == 303
    assert (mine.get(back).status_code, made_up.one.asked.count("/token")) == (403, 1)


def test_a_code_goes_to_nobody_but_the_system_that_gave_it(made_up: MadeUp) -> None:
    """Mix-up (RFC 9700 4.4): one system's answer is put under another's address, with its name and without."""
    for names in (lambda back: back, lambda back: back.partition("&iss=")[0]):
        browser = made_up.here.client()
        back = made_up.begun(browser, made_up.one)
        assert browser.get(names(back).replace("/one/", "/other/")).status_code == 403
        browser = made_up.here.client()
        made_up.begun(browser, made_up.other)
        state = parse_qs(urlsplit(made_up.begun(browser, made_up.other)).query)["state"][0]
        mixed = urlencode({"code": "code-0", "state": state, "iss": made_up.one.issuer})
        assert browser.get(f"/launch/other/back?{mixed}").status_code == 403
    assert "/token" not in made_up.one.asked + made_up.other.asked


def test_a_launch_is_no_sign_in_and_a_sign_in_no_launch(made_up: MadeUp) -> None:
    browser = made_up.here.client()
    back = made_up.begun(browser, made_up.one)
    assert browser.get(back.replace("/launch/one/back", "/sign-in/with/one/back")).status_code == 403
    assert browser.get("/launch/nobody/back?code=c&state=s").status_code == 403


def test_the_one_who_shows_the_code_has_begun_it(made_up: MadeUp) -> None:
    """PKCE: the system that gave the code for one challenge gives no token for another's verifier."""
    browser = made_up.here.client()
    back = made_up.begun(browser, made_up.one)
    made_up.one.codes[f"code-{len(made_up.one.codes) - 1}"]["code_challenge"] = "x" * 43
    assert browser.get(back).status_code == 403
    assert browser.get("/devices").headers["location"] == "/sign-in"


def test_a_cookie_from_before_a_launch_opens_nothing(made_up: MadeUp) -> None:
    """Session fixation, also of a browser in which somebody else is signed in."""
    for browser in (made_up.here.client(), made_up.here.signed_in("eleanor")):
        browser.get("/sign-in")
        planted = browser.client.cookies[COOKIE]
        assert made_up.come(browser).status_code == 303
        assert browser.client.cookies[COOKIE] != planted
        assert OPENING in browser.get("/launch/patient").text
        other = made_up.here.client()
        other.client.cookies.set(COOKIE, planted, domain="portal.example")
        assert other.get("/launch/patient").headers["location"] == "/sign-in"


@pytest.mark.parametrize("name", ["next", "redirect_uri", "redirect", "return", "url", "target_link_uri"])
def test_no_address_from_outside_leads_on(made_up: MadeUp, name: str) -> None:
    browser = made_up.here.client()
    sent = browser.get(launch_path(made_up.one.fhir, **{name: "https://evil.example/"})).headers["location"]
    assert "evil" not in sent
    back = path_of(str(httpx2.get(sent, verify=False).headers["location"]))
    assert browser.get(f"{back}&{name}=https://evil.example/").headers["location"] == "/launch/patient"


def test_whoever_is_not_known_here_is_told_what_to_do_and_no_patient_is_read(made_up: MadeUp) -> None:
    made_up.one.user = "Practitioner/8"
    browser = made_up.here.client()
    came = made_up.come(browser)
    assert (came.status_code, "ONE knows you, but we do not" in came.text) == (403, True)
    assert "/fhir/Patient/p1" not in made_up.one.asked
    assert browser.get("/devices").headers["location"] == "/sign-in"


@pytest.mark.parametrize("name", ["eleanor", "officer", "operator"])
def test_only_clinicians_come_so(made_up: MadeUp, name: str) -> None:
    user = f"{made_up.one.fhir}/Practitioner/{name}"
    made_up.here.portal.accounts.link(made_up.here.accounts[name], issuer=made_up.one.issuer, subject=user)
    made_up.one.user = user
    came = made_up.come()
    assert (came.status_code, "knows you, but we do not" in came.text) == (403, True)


@pytest.mark.promise("R3")
def test_a_clinician_whose_certificate_is_revoked_is_not_known_any_more(made_up: MadeUp) -> None:
    here = made_up.here
    account = staff(here, "Dr Bell", "Registrar", RoleClass.CLINICAL)
    here.portal.accounts.link(account, issuer=made_up.one.issuer, subject=f"{made_up.one.fhir}/Practitioner/bell")
    made_up.one.user = "Practitioner/bell"
    assert made_up.come().status_code == 303
    known = here.portal.accounts.find(account)
    assert known is not None
    assert isinstance(known.acts_as, Staff)
    revoked = RevokeCertificate(organisation=here.node.organisation, certificate=known.acts_as.certificate.root())
    here.node.submit(revoked)
    assert made_up.come().status_code == 403


@pytest.mark.parametrize(
    "said",
    [
        patient(identifier=[{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000026"}]),
        patient(birthDate="1968-03-15"),
        patient(birthDate="1968"),
    ],
    ids=["a number that nobody here has", "another's birthday", "no whole birthday"],
)
def test_whoever_is_not_here_is_nobody(made_up: MadeUp, said: dict[str, Any]) -> None:
    made_up.one.served = said
    browser = made_up.here.client()
    made_up.come(browser)
    assert browser.post("/launch/patient", WHY).headers["location"] == "/patients/found"
    page = browser.get("/patients/found").text
    assert ("nobody here whom you may see" in page, "Eleanor" in page) == (True, False)


@pytest.mark.parametrize("said", [patient(identifier=[]), patient(identifier=[{"system": "urn:x", "value": "1"}])])
def test_somebody_without_a_number_is_looked_for_by_hand(made_up: MadeUp, said: dict[str, Any]) -> None:
    made_up.one.served = said
    browser = made_up.here.client()
    made_up.come(browser)
    assert browser.get("/launch/patient").headers["location"] == "/patients"
    assert "ONE did not say whom you had open" in browser.get("/patients").text
    assert browser.post("/launch/patient", WHY, page="/patients").headers["location"] == "/patients"


def test_a_launch_without_a_patient_signs_in(made_up: MadeUp) -> None:
    made_up.one.patient = ""
    browser = made_up.here.client()
    assert made_up.come(browser).headers["location"] == "/launch/patient"
    assert browser.get("/launch/patient").headers["location"] == "/patients"


@pytest.mark.promise("R1")
def test_a_patient_who_shares_with_nobody_stays_hidden_from_who_is_launched(made_up: MadeUp) -> None:
    here, browser = made_up.here, made_up.here.client()
    file_by_custodian(here.node, here.patient, Provision(type=ProvisionType.DENY))
    made_up.come(browser)
    assert browser.post("/launch/patient", WHY).headers["location"] == "/patients/found"
    page = browser.get("/patients/found").text
    assert ("nobody here whom you may see" in page, "Eleanor" in page) == (True, False)
