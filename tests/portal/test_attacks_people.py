"""Who comes to what: everybody at every address and form of everybody else, and places to which nobody is led."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from salus.contracts.gathering import read_trail
from salus.node import schema
from salus.node.bearers import BearerKind, Bearers
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services import enrol, sharing
from salus.node.services.health_links import WantedLink
from salus.node.services.sharing import Wanted
from salus.portal.app import Portal
from salus.portal.call import HOMES, Person, local
from salus.portal.pages import PAGES
from salus.portal.sessions import COOKIE, PortalState
from salus.portal.settings import PortalSettings
from salus.testing.population import story_patient
from salus.testing.world import PRACTICE
from tests.portal.patient_charts import NUMBER, letter, somebody_else
from tests.portal.portal_world import ORIGIN, SEED, Browser, Hospital, emergency, portal
from tests.portal.test_every_page import ANSWERED, OWNERS, SHOWN, address
from tests.portal.test_helpers import STOP, WHO, helping
from tests.portal.test_markup import crawl

pytestmark = pytest.mark.services

WHY = {"number": NUMBER, "reason": "other", "reason-words": "a clinic", "relationship": "treating"}
HIDDEN = re.compile(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]+)"')
HERS = ("Eleanor", "Penicillin", "Discharge summary", "14 March 1968", "999 000 0018")
"""What only those read who read her record, or act for her."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(
            made, folder, letter("theirs", content_type="text/plain", content=b"theirs", title="Their letter")
        )
        emergency(made)
        yield made


@pytest.fixture(scope="module")
def hers(here: Hospital) -> dict[str, str]:
    """Every address of Eleanor's and of the doctor who has her open, with its text; and of officer and operator."""
    helping(here, "ben", "share")
    known = here.portal.accounts.find(here.accounts["eleanor"])
    assert known is not None
    login = here.portal.accounts.login_of(known, here.portal.accounts.hold(known)[0])
    sharing.file(here.node, login, here.patient, Wanted(is_permit=True, organisation=PRACTICE))
    here.portal.links.make(login, here.patient, WantedLink("For Dr Jones", "heddiw-2026", lasts_s=86_400, tries=3))
    doctor = here.signed_in("rao")
    assert doctor.post("/patients", WHY).headers["location"] == "/patient"
    found: dict[str, str] = {}
    for person, name in OWNERS.items():
        browser = doctor if name == "rao" else here.signed_in(name)
        found |= {path: text for path, (_, text) in crawl(browser, HOMES[person]).items()}
    assert len([path for path, text in found.items() if any(each in text for each in HERS)]) > 30
    return found


def nobody(here: Hospital) -> Browser:
    return here.client()


def other_patient(here: Hospital) -> Browser:
    return here.signed_in("other")


def helper_of_nobody(here: Hospital) -> Browser:
    here.accounts["helper"] = here.portal.accounts.add_helper(name="Kim Helper")
    return here.signed_in("helper")


def helper_of_some(here: Hospital) -> Browser:
    return helping(here, f"kim-{len(here.portal.accounts.all())}", "some", kinds=["Immunization"])


def helper_who_was_stopped(here: Hospital) -> Browser:
    """In a session in which they helped, and after its first page without."""
    browser, eleanor = helping(here, f"sam-{len(here.portal.accounts.all())}", "share"), here.signed_in("eleanor")
    assert browser.get("/record").status_code == 200
    link = STOP.findall(eleanor.get("/helpers").text)[0]
    (who,) = WHO.findall(eleanor.get(link).text)
    eleanor.post("/helpers/stop", {"who": who}, page=link)
    return browser


def doctor_with_nobody_open(here: Hospital) -> Browser:
    return here.signed_in("rao")


def operator(here: Hospital) -> Browser:
    return here.signed_in("operator")


def who_has_a_link(here: Hospital) -> Browser:
    """The address of an opened link's file, given as the cookie."""
    return with_cookie(here, bearer(here, BearerKind.LINK_FILE))


def app_with_a_token(here: Hospital) -> Browser:
    """What an app has as its access token, given as cookie and as it is given elsewhere."""
    token = bearer(here, BearerKind.ACCESS)
    browser = with_cookie(here, token)
    browser.client.headers["authorization"] = f"Bearer {token}"
    return browser


def patient_of_the_practice(here: Hospital) -> Browser:
    """Eleanor herself, signed in at the practice's own portal: that session is of another node."""
    node = here.made.practice
    there = Portal(node, PortalSettings(ORIGIN), peers=here.made.peers(PRACTICE))
    try:
        person = story_patient(SEED)
        pseudonym = enrol.match(node, person.nhs_number, person.birth_date)
        assert pseudonym is not None, "she was filed there as well"
        account = there.accounts.add_patient(pseudonym, name="Eleanor Moss")
        made = Hospital(here.made, there, pseudonym, {"eleanor": account})
        cookie = made.signed_in("eleanor").client.cookies[COOKIE]
        with pytest.raises(Refused) as refused:
            here.portal.accounts.add_patient(pseudonym, name="Eleanor Moss")
        assert refused.value.refusal is Refusal.PATIENT_UNKNOWN
    finally:
        there.close()
    return with_cookie(here, cookie)


PEOPLE = (
    *(nobody, other_patient, helper_of_nobody, helper_of_some, helper_who_was_stopped),
    *(doctor_with_nobody_open, operator, who_has_a_link, app_with_a_token, patient_of_the_practice),
)


def bearer(here: Hospital, kind: BearerKind) -> str:
    """A token of another kind, with what a session of Eleanor's would have in it."""
    bearers = Bearers(here.node, SealedRows(here.node.vault, here.node.chain))
    state = PortalState("form", account=here.accounts["eleanor"], seen_s=here.node.clock())
    return bearers.issue(kind, state, until_s=here.node.clock() + 3_600)


def with_cookie(here: Hospital, value: str) -> Browser:
    browser = here.client()
    browser.client.cookies.set(COOKIE, value, domain="portal.example")
    return browser


def standing(here: Hospital) -> dict[str, Any]:
    """All that anybody decided about Eleanor, and how she signs in."""
    with here.node.engine.snapshot() as reader:
        trail = len(read_trail(reader, here.patient))
    kept = (schema.accounts, schema.passkeys, schema.health_links, schema.helped, schema.resources)
    with here.node.vault.database.reading() as connection:
        rows = {
            each.name: connection.execute(select(each).where(each.c.pseudonym == here.patient)).all() for each in kept
        }
    hidden = here.portal.hidden(here.patient)
    return {"trail": trail, "hidden": hidden} | {name: sorted(map(tuple, each)) for name, each in rows.items()}


@pytest.mark.promise("R4")
@pytest.mark.parametrize("who", PEOPLE, ids=lambda each: each.__name__)
def test_nobody_reads_at_anothers_address(here: Hospital, hers: dict[str, str], who: Any) -> None:
    """IDOR: every address that somebody else came to, with its ids, and the same by what a script asks for."""
    browser, hidden = who(here), [each for each in HERS if who is not helper_of_some or each != "Eleanor"]
    for path in hers:
        came = browser.get(path, hx_request="true")
        said = [each for each in hidden if each in unescape(came.text)]
        assert said == [], (path, said)
        assert came.status_code < 500, path


@pytest.mark.promise("R4")
@pytest.mark.parametrize("who", PEOPLE, ids=lambda each: each.__name__)
def test_nobody_does_anything_with_what_anothers_forms_have(here: Hospital, hers: dict[str, str], who: Any) -> None:
    """Every form of the table, with every hidden value of everybody's forms: nothing about Eleanor is another."""
    browser = who(here)
    values: dict[str, list[str]] = {}
    for text in hers.values():
        for name, value in HIDDEN.findall(text):
            values.setdefault(name, []).append(unescape(value))
    assert {"form", "who", "do", "choice", "link"} <= values.keys()
    before = standing(here)
    theirs = {each.path for each in PAGES if each.person in (Person.SIGNED_IN, Person.ANYBODY)}
    for page in ANSWERED:
        if page.path in theirs and page.path not in ("/devices", "/helping"):
            continue  # signing in and out, which has tests of its own
        fields = {name: found[-1] for name, found in values.items() if name != "form"}
        came = browser.post(address(page), fields, page="/devices")
        assert came.status_code < 500, page.path
    assert standing(here) == before


def test_a_token_of_any_other_kind_is_no_session(here: Hospital) -> None:
    for kind in BearerKind:
        browser = with_cookie(here, bearer(here, kind))
        assert browser.get("/devices").status_code == (200 if kind is BearerKind.PORTAL else 303), kind


def test_every_kind_of_person_is_tried_above() -> None:
    """Whoever adds a kind of person adds them here as well."""
    tried = {*OWNERS, Person.HELPER, Person.ANYBODY, Person.SIGNED_IN}
    assert set(Person) == tried
    assert {each.person for each in SHOWN} <= tried


def test_helpers_have_the_pages_of_their_own_and_no_others(here: Hospital) -> None:
    for browser, status in ((helper_of_nobody(here), 404), (helper_who_was_stopped(here), 404)):
        browser.get("/helping")
        for page in SHOWN:
            if page.person not in (Person.ANYBODY, Person.SIGNED_IN, Person.HELPER):
                assert browser.get(address(page)).status_code == status, page.path


PLACES = (
    *("https://evil.example", "http://evil.example/record", "//evil.example", "///evil.example", "////evil.example"),
    *("/\\evil.example", "\\\\evil.example", "\\/evil.example", "/%5cevil.example", "/%5Cevil.example", "%5c%5cevil"),
    *("//", "//?a=b", "/record//evil.example", "/record/..//evil.example", "/./\\evil.example", "/record/%2f%2fevil"),
    *("@evil.example", "/@evil.example", "https://portal.example@evil.example", "/record@evil.example", "//a@evil"),
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,a", "vbscript:a", "blob:a"),
    *("/\tevil", "\t//evil.example", "/\n/evil.example", "/\r\nset-cookie: a=b", "/\0/evil.example", "\u2028//evil"),
    *("/record\u202e", "/\u2215evil.example", "/\uff0fevil.example", "/record#@evil", "/record?a=//evil.example"),
    *("/record;//evil", "/%0d%0alocation:%20//evil", "/%09/evil.example", "/%00", "", "record", "?a", "#"),
)


@pytest.mark.parametrize("place", PLACES)
def test_no_place_of_elsewhere_is_one_of_ours(place: str) -> None:
    assert local(place) == "/"


@pytest.mark.parametrize(
    "place", ["/", "/record", "/record?page=2", "/record/results/718-7", "/looked?at=a%20b", "/a/"]
)
def test_a_place_of_ours_is_led_to(place: str) -> None:
    assert local(place) == place


def test_no_parameter_leads_elsewhere(here: Hospital) -> None:
    """Each page that is told where to go on, with each of them; by name in the address, and in the form."""
    eleanor, stranger = here.signed_in("eleanor"), here.client()
    for place in PLACES:
        said = quote(place, safe="")
        for browser, path in (
            (stranger, f"/language/cy?from={said}"),
            (eleanor, f"/language/en?from={said}"),
            (eleanor, f"/record/answers?at={said}&seen={said}"),
            (eleanor, f"/sharing/preview?at={said}"),
            (stranger, f"/launch?iss={said}&launch={said}"),
            (stranger, f"/launch/{said}/back?state={said}&code={said}&iss={said}"),
            (stranger, f"/sign-in/with/{said}/back?state={said}&code={said}"),
            (stranger, f"/sign-in?next={said}&from={said}"),
        ):
            require_here(browser.get(path), path)
        require_here(eleanor.post("/record/again", {"at": place, "place": "0"}, page="/record"), place)
        require_here(eleanor.post("/opening", {"next": place}, page="/devices"), place)


@pytest.mark.parametrize(
    "host", ["evil.example", "portal.example@evil.example", "portal.example:1@evil.example", "evil"]
)
@pytest.mark.parametrize("path", ["/", "/record", "/record/", "/devices/", "//evil.example/record", "/sign-in/"])
def test_no_host_that_a_request_names_is_led_to(here: Hospital, host: str, path: str) -> None:
    for browser in (here.client(), here.signed_in("eleanor")):
        came = browser.client.get(f"{ORIGIN}{path}", headers={"host": host, "x-forwarded-host": host})
        require_here(came, path)
        assert "evil" not in came.text.replace(path, "")


def require_here(came: Any, what: str) -> None:
    assert came.status_code < 500, what
    assert re.fullmatch(r"/(?:[^/\\].*)?", came.headers.get("location", "/")), (what, came.headers.get("location"))
    assert "refresh" not in came.headers
    assert "evil" not in came.headers.get("location", "")
    assert "a=b" not in came.headers.get("set-cookie", "")
