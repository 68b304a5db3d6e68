"""A patient gives out a link in a browser, and somebody else opens it in theirs."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from salus.clinical.fhir.patient_summary import Part, document
from salus.crypto.jwe import write_jwe
from salus.node.services.link_openings import CONTENT_TYPE
from salus.portal.shared_link import encoded, link_text
from tests.apps.browser import DESKTOP
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker

pytestmark = pytest.mark.services

TEXTS = ("What may they see?", "How long is the link to work?", "What do you call this link?", "Choose a passcode")
PASSCODE = "heddiw-2026"


@pytest.fixture
def recipient(browser: Browser, at: Served, request: pytest.FixtureRequest) -> Iterator[Walker]:
    """Somebody with a browser of their own."""
    shots = request.config.getoption("--shots")
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        yield Walker(context, at, shots=Path(shots) if shots else None)


def make(walker: Walker, *, tries: str = "5", name: str = "Dr Jones") -> str:
    """Make a link to everything for a day, and return its address."""
    walker.sign_in("eleanor", "/links", "Share by link")
    answer_all(walker, tries=tries, name=name)
    walker.press("Make the link", "Your link")
    expect(walker.page.get_by_text("Your link is made")).to_be_visible()
    return walker.page.get_by_label("The link itself").input_value()


def answer_all(walker: Walker, *, tries: str = "5", name: str = "Dr Jones") -> None:
    """Answer all questions about a link to everything for a day."""
    page = walker.page
    walker.press("Make a link", TEXTS[0])
    keyboard.pick(page.get_by_label("Everything", exact=True))
    walker.press("Continue", TEXTS[1])
    keyboard.pick(page.get_by_label("1 day"))
    walker.press("Continue", TEXTS[2])
    keyboard.write(page.get_by_role("textbox"), name)
    walker.press("Continue", TEXTS[3])
    keyboard.write(page.get_by_label("Passcode"), PASSCODE)
    keyboard.pick(page.get_by_label(tries, exact=True))


def open_with(walker: Walker, passcode: str, *, name: str = "Dr Jones, Cardiff") -> None:
    """Type who one is and a passcode, and press the button."""
    keyboard.write(walker.page.get_by_label("Who you are"), name)
    keyboard.write(walker.page.get_by_label("Passcode"), passcode)
    keyboard.press(walker.page.get_by_role("button", name="Open the record"))


def visit(walker: Walker, address: str, heading: str) -> None:
    """Open an address as a phone's camera does."""
    walker.page.goto("about:blank")
    walker.page.goto(address)
    walker.look(heading)


@pytest.mark.covers(
    "GET /links",
    "GET /links/what",
    "POST /links/what",
    "GET /links/until",
    "POST /links/until",
    "GET /links/name",
    "POST /links/name",
    "GET /links/make",
    "POST /links/make",
    "GET /links/link",
    "GET /link",
)
def test_a_patient_makes_a_link_and_somebody_opens_it_with_the_passcode(walker: Walker, recipient: Walker) -> None:
    address = make(walker)
    assert re.fullmatch(re.escape(walker.served.origin) + r"/link#shlink:/[A-Za-z0-9_-]+", address)
    expect(walker.page.get_by_alt_text("The code of your link")).to_be_visible()
    sent: list[str] = []
    recipient.page.on("request", lambda each: sent.append(each.url))
    visit(recipient, address, "Open a shared record")
    expect(recipient.page.get_by_text("Dr Jones", exact=True)).to_be_visible()
    open_with(recipient, PASSCODE)
    recipient.look("Shared health record")
    expect(recipient.page.get_by_text("Eleanor")).to_be_visible()
    expect(recipient.page.get_by_text("Penicillin")).to_be_visible()
    assert "#" not in recipient.page.url
    assert not [each for each in sent if "shlink" in each.partition("#")[0]]
    walker.go("/links", "Share by link")
    walker.follow("Dr Jones", "Your link")
    expect(walker.page.get_by_role("listitem").filter(has_text="Dr Jones, Cardiff")).to_contain_text("Opened it")


@pytest.mark.covers("GET /links/stop", "POST /links/stop")
def test_a_stopped_link_explains_itself(walker: Walker, recipient: Walker) -> None:
    address = make(walker, name="A locum")
    walker.press("Stop this link", "Stop this link?")
    walker.press("Yes, stop it", "Share by link")
    expect(walker.page.get_by_text("Your link has ended. Since")).to_be_visible()
    visit(recipient, address, "Open a shared record")
    open_with(recipient, PASSCODE)
    recipient.look("This link does not work")
    said = recipient.page.locator("[data-part=ended]")
    expect(said).to_contain_text("Ask the person who gave it to you for a new one.")


def test_wrong_passcodes_end_a_link_and_both_are_told(walker: Walker, recipient: Walker) -> None:
    address = make(walker, tries="3", name="Somebody careless")
    visit(recipient, address, "Open a shared record")
    keyboard.press(recipient.page.get_by_role("button", name="Open the record"))
    expect(recipient.page.get_by_text("Enter who you are")).to_be_visible()
    for left in (2, 1):
        open_with(recipient, f"wrong-{left}")
        expect(recipient.page.get_by_text(f"That passcode is wrong. Tries left: {left}")).to_be_visible()
    recipient.look("Open a shared record")
    open_with(recipient, "wrong-0")
    recipient.look("This link has ended")
    walker.go("/links", "Share by link")
    walker.follow("Somebody careless", "Your link")
    expect(walker.page.get_by_text("It ended because somebody typed a wrong passcode too often")).to_be_visible()
    expect(walker.page.get_by_role("listitem").filter(has_text="Was not let in")).to_have_count(3)


def test_a_link_that_is_over_says_so_without_asking_anybody(walker: Walker, recipient: Walker, at: Served) -> None:
    address = make(walker, name="For a day")
    recipient.page.clock.install(time=at.here.node.clock() + 86_401)
    asked: list[str] = []
    recipient.page.on("request", lambda each: asked.append(each.method))
    visit(recipient, address, "This link does not work")
    assert "POST" not in asked


def test_an_address_without_a_link_says_what_to_do(recipient: Walker, at: Served) -> None:
    for part in (
        "",
        "#shlink:/",
        "#shlink:/eyJ1cmwiOiJodHRwczovL2V2aWwuZXhhbXBsZS9saW5rL3gifQ",
        "#<script>alert(1)</script>",
    ):
        visit(recipient, f"{at.origin}/link{part}", "There is no link here")


@pytest.mark.covers("GET /links/kinds", "POST /links/kinds")
def test_a_link_to_some_kinds_shows_these_and_in_welsh_too(walker: Walker, recipient: Walker) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/links/what", TEXTS[0])
    keyboard.pick(page.get_by_label("Only some kinds"))
    walker.press("Continue", "Which kinds of records?")
    walker.press("Continue", "Which kinds of records?")  # none was chosen
    keyboard.pick(page.get_by_label("Allergies"))
    walker.press("Continue", TEXTS[1])
    keyboard.pick(page.get_by_label("1 hour"))
    walker.press("Continue", TEXTS[2])
    keyboard.write(page.get_by_role("textbox"), "<img src=x onerror=alert(1)>")
    walker.press("Continue", TEXTS[3])
    keyboard.write(page.get_by_label("Passcode"), "12345")
    walker.press("Make the link", TEXTS[3])  # too short
    keyboard.write(page.get_by_label("Passcode"), PASSCODE)
    walker.press("Make the link", "Your link")
    visit(recipient, page.get_by_label("The link itself").input_value(), "Open a shared record")
    keyboard.press(recipient.page.get_by_role("link", name="Cymraeg"))
    recipient.look("Agor cofnod a rannwyd")
    keyboard.write(recipient.page.get_by_label("Pwy ydych chi"), "Dr Jones")
    keyboard.write(recipient.page.get_by_label("Cod cyfrin"), PASSCODE)
    keyboard.press(recipient.page.get_by_role("button").last)
    recipient.look("Cofnod iechyd a rannwyd")
    expect(recipient.page.get_by_text("Penicillin")).to_be_visible()
    expect(recipient.page.get_by_role("heading", name="Alergeddau")).to_be_visible()
    expect(recipient.page.get_by_role("heading", name="Canlyniadau profion")).to_have_count(0)


def test_records_of_two_organisations_are_told_apart_and_who_is_silent_is_named(recipient: Walker, at: Served) -> None:
    """What a link gives out is put together here; whole links to two custodians are in tests/portal."""
    key, about = bytes(32), {"reference": "Patient/p"}
    weight = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "Weight"}, "subject": about}
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "<b>Moss</b>"}]}
    letter = {"resourceType": "DocumentReference", "id": "d", "description": "Letter", "subject": about}
    letter |= {"content": [{"attachment": {"url": "Binary/b"}}]}
    texts = {"RX1": b"from Riverside <img src=x onerror=alert(1)>", "A8": b"from Elm"}
    parts = [
        Part(name, code, f"{at.origin}/link/shown/{code}", [patient, weight, letter, binary(texts[code])])
        for code, name in (("RX1", "Riverside"), ("A8", "Elm"))
    ]
    whole = document(parts, silent=["Oak"], identifier="urn:uuid:x", made="2026-11-29T10:00:00Z")
    file = {"contentType": CONTENT_TYPE, "embedded": write_jwe(key, whole, content_type=CONTENT_TYPE)}
    url = f"{at.origin}/link/{encoded(bytes(32))}"
    recipient.page.route(url, lambda each: each.fulfill(json={"files": [file]}))
    until_s = at.here.node.clock() + 60
    visit(
        recipient, f"{at.origin}/link#{link_text(url=url, key=key, label='x', until_s=until_s)}", "Open a shared record"
    )
    open_with(recipient, PASSCODE)
    recipient.look("Shared health record")
    page = recipient.page
    expect(page.get_by_text("<b>Moss</b>")).to_be_visible()
    expect(page.get_by_text("Oak did not answer. Its records are missing here.")).to_be_visible()
    for name, text in (("Riverside", texts["RX1"]), ("Elm", texts["A8"])):
        items = page.get_by_role("listitem").filter(has_text=name)
        expect(items.filter(has_text="Weight")).to_have_count(1)
        expect(items.filter(has_text="Letter")).to_contain_text(text.decode())


def binary(content: bytes) -> dict[str, str]:
    data = base64.b64encode(content).decode()
    return {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": data}
