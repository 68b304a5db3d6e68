"""A patient comes to a key of their own, decides with it, adds and removes devices; the portal never has the key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from playwright.sync_api import Browser, Request, expect

from salus.contracts import consent, patients
from salus.contracts.patients import Actor, Holder, KeyKind
from salus.node.projections import resources
from salus.node.services.show import newest, show
from tests.apps.browser import DESKTOP
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker, served
from tests.portal.signer.signer_tab import KEEP_PRF
from tests.portal.signer.signer_world import text

pytestmark = pytest.mark.services

APPROVE = "Approve with your passkey"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The portal of this module has a signer page, and a doctor has looked."""
    with served(tmp_path_factory.mktemp("portal"), has_signer=True) as made:
        accounts, patient = made.here.portal.accounts, resources.patient_of(made.here.node, made.here.patient)
        doctor = accounts.find(made.here.accounts["rao"])
        assert doctor is not None
        assert patient is not None
        login = accounts.login_of(doctor, accounts.hold(doctor)[0])
        show(made.here.node, made.here.portal.responder, login, [newest(patient)])
        yield made


@dataclass
class Person:
    """Somebody at a device with an authenticator of its own, and all that the browser sent to the portal."""

    walker: Walker
    prf: list[bytes] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def come(self, path: str, heading: str) -> None:
        """Go to a page that was looked at before."""
        self.walker.page.goto(self.walker.served.origin + path)
        self.expect(heading)

    def expect(self, heading: str) -> None:
        """Be on a page."""
        expect(self.walker.page.get_by_role("heading", level=1)).to_have_text(heading)

    def approve(self, asked: str, heading: str, *, is_seen: bool = False) -> None:
        """Say yes on the signer page, which asks this, and look at the page to which that leads, once for all."""
        self.expect(asked)
        keyboard.press(self.walker.page.get_by_role("button", name=APPROVE))
        if is_seen:
            self.expect(heading)
        else:
            self.walker.look(heading)

    def sign_by(self, button: str, asked: str, heading: str, *, is_seen: bool = False) -> None:
        """Press a button of the portal, and say yes on the signer page to which it leads."""
        keyboard.press(self.walker.page.get_by_role("button", name=button))
        self.approve(asked, heading, is_seen=is_seen)


@contextmanager
def person(browser: Browser, at: Served, *, has_prf: bool = True, shots: Path | None = None) -> Iterator[Person]:
    """A browser with an authenticator."""
    with browser.new_context(ignore_https_errors=True, viewport=DESKTOP) as context:
        context.add_init_script(KEEP_PRF)
        walker = Walker(context, at, shots=shots)
        made = Person(walker)
        devtools = context.new_cdp_session(walker.page)
        devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "hasPrf": has_prf,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        walker.page.expose_function("keepPrf", lambda prf: made.prf.append(bytes(prf)))
        context.on("request", lambda request: made.sent.append(_written(request)))
        yield made


def _written(request: Request) -> str:
    return f"{request.method} {request.url} {request.headers} {request.post_data}"


@pytest.fixture
def ann(browser: Browser, at: Served, request: pytest.FixtureRequest) -> Iterator[Person]:
    shots = request.config.getoption("--shots")
    at.reached.clear()
    with person(browser, at, shots=Path(shots) if shots else None) as made:
        yield made
    covered = {each for mark in request.node.iter_markers("covers") for each in mark.args}
    assert covered <= at.reached, f"the journey never came to {sorted(covered - at.reached)}"


@pytest.fixture
def logged() -> Iterator[list[object]]:
    """What is logged, by every thread."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def relationship(at: Served) -> patients.Relationship:
    """What the ledger says of the patient at the hospital."""
    with at.here.node.engine.snapshot() as reader:
        found = patients.relationship_of(reader, at.here.patient)
    assert found is not None
    return found


def test_a_browser_without_what_it_takes_leaves_everything_as_it_was(browser: Browser, at: Served) -> None:
    with person(browser, at, has_prf=False) as ann:
        set_up(ann)
        page = ann.walker.page
        keyboard.press(page.get_by_role("button", name=APPROVE))
        expect(page.get_by_role("heading", level=1)).to_have_text("This browser cannot keep your keys")
        keyboard.press(page.get_by_role("button", name="Go back to the website"))
        ann.walker.look("Nothing has changed")
        expect(page.get_by_text("goes on acting for you")).to_be_visible()
    assert (relationship(at).holder, at.here.portal.devices.of(at.here.accounts["eleanor"])) == (Holder.CUSTODIAN, [])


def test_who_does_not_approve_changes_nothing_and_comes_back(ann: Person, at: Served) -> None:
    set_up(ann)
    keyboard.press(ann.walker.page.get_by_role("button", name="Do not approve"))
    ann.walker.look("Nothing has changed")
    ann.walker.follow("Go back", "Devices that act for you")
    assert at.here.portal.devices.of(at.here.accounts["eleanor"]) == []


def test_what_one_browser_asked_another_does_not_collect(ann: Person, at: Served, browser: Browser) -> None:
    set_up(ann)
    with person(browser, at) as other:
        other.walker.sign_in("eleanor", "/acting-devices", "Devices that act for you")
        ann.walker.page.route("**/signing/*/done", lambda route: route.abort())
        keyboard.press(ann.walker.page.get_by_role("button", name="Do not approve"))
        with ann.walker.page.expect_request("**/signing/*/done") as asked:
            pass
        other.walker.page.goto(asked.value.url)
        other.walker.look("There is nothing to finish here")


@pytest.mark.covers(
    "GET /acting-devices",
    "POST /acting-devices",
    "GET /signing/{id}/done",
    "GET /opening",
    "POST /opening",
)
def test_a_patient_takes_over_and_decides_with_their_own_devices(
    ann: Person, at: Served, browser: Browser, logged: list[object]
) -> None:
    walker, page = ann.walker, ann.walker.page
    set_up(ann)
    ann.approve("Set up this device", "Devices that act for you")
    assert relationship(at).holder is Holder.CUSTODIAN
    ann.sign_by("Let this device act for me", "Hold your own key", "Devices that act for you")
    assert relationship(at).holder is Holder.PATIENT
    walker.go("/record", "Open your record")
    ann.sign_by("Open with my device", "Open your records", "Your record")
    ann.come("/looked", "Who has looked")
    keyboard.press(page.get_by_role("link", name="Dr Anita Rao").first)
    ann.expect("Details")
    keyboard.write(page.get_by_label("What does not look right?"), "I was not there.\nNobody asked me")
    ann.sign_by("Tell the privacy officer", "Say that a look was not right", "Who has looked", is_seen=True)
    expect(page.get_by_text("The privacy officer was told")).to_be_visible()

    with person(browser, at) as stranger:
        is_told_that_it_does_not_fit(stranger)
    make_choice(ann)
    (choice,) = choices(at)
    assert choice.actor is Actor.PATIENT
    expect(page.get_by_text("You decided this on")).to_be_visible()
    keyboard.press(page.get_by_role("link", name="Stop this choice"))
    ann.expect("Stop this choice?")
    ann.sign_by("Yes, stop it", "End a sharing choice", "Who can see your record")
    assert choices(at) == []

    with person(browser, at) as tablet:
        add_device(ann, tablet)
        (key,) = relationship(at).keys
        assert key.kind is KeyKind.DEVICE
        tablet.come("/record", "Open your record")
        tablet.sign_by("Open with my device", "Open your records", "Your record", is_seen=True)
        make_choice(tablet)
        assert [each.actor for each in choices(at)] == [Actor.PATIENT]
        ann.come("/acting-devices", "Devices that act for you")
        ann.sign_by("Remove Tablet", "Stop a device or a helper", "Devices that act for you")
        assert relationship(at).keys == ()
        tablet.come("/record", "Sign in")
    assert not leaked(at, ann, tablet, logged=logged)


def is_told_that_it_does_not_fit(who: Person) -> None:
    """Try to open the record with an authenticator that has no passkey of these devices."""
    page = who.walker.page
    who.walker.sign_in("eleanor", "/record", "Open your record")
    keyboard.press(page.get_by_role("button", name="Open with my device"))
    who.expect("Open your records")
    keyboard.press(page.get_by_role("button", name=APPROVE))
    expect(page.get_by_text("Your passkey was not used. You can try again.")).to_be_visible()
    keyboard.press(page.get_by_role("button", name="Do not approve"))
    who.walker.look("Nothing has changed")
    who.come("/record", "Open your record")


def set_up(who: Person, name: str = "My phone") -> None:
    """Sign in, and go to the signer page to set up a device."""
    who.walker.sign_in("eleanor", "/acting-devices", "Devices that act for you")
    keyboard.write(who.walker.page.get_by_label("What do you call this device?"), name)
    keyboard.press(who.walker.page.get_by_role("button", name="Set up this device"))
    who.expect("Set up this device")


def make_choice(who: Person) -> None:
    """Answer the questions, whose pages another journey looks at, and sign."""
    page = who.walker.page
    page.goto(f"{who.walker.served.origin}/sharing/direction")
    for answer in ("Let people see something", "Everyone who treats me, anywhere", "Everything"):
        keyboard.pick(page.get_by_label(answer, exact=True))
        keyboard.press(page.get_by_role("button", name="Continue"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Until when?")
    keyboard.press(page.get_by_role("button", name="Continue"))
    who.sign_by("Make this choice", "Confirm your sharing choice", "Who can see your record", is_seen=True)


def add_device(first: Person, second: Person) -> None:
    """Set up a second device; the first lets it act by its code, and it accepts."""
    there, page = second.walker, second.walker.page
    set_up(second, "Tablet")
    keyboard.press(page.get_by_role("button", name=APPROVE))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your code")
    code = page.locator(".code").inner_text()
    keyboard.press(page.get_by_role("button", name="Continue"))
    there.look("Devices that act for you")

    first.walker.go("/acting-devices", "Devices that act for you")
    keyboard.press(first.walker.page.get_by_role("button", name="I am on my first device: let it act"))
    keyboard.write(first.walker.page.get_by_label("Type the code"), code)
    first.approve("Let somebody or something act for you", "Devices that act for you")

    there.go("/acting-devices", "Devices that act for you")
    second.sign_by("I am on the new device: finish", "Let this device act", "Devices that act for you")


def choices(at: Served) -> list[consent.Choice]:
    """The patient's choices in force, as the ledger has them."""
    with at.here.node.engine.snapshot() as reader:
        return list(consent.choices(reader, at.here.patient).choices)


def leaked(at: Served, *people: Person, logged: list[object]) -> list[str]:
    """Requests and log lines in which a passkey's secret or a device's share stands in any form."""
    account, devices = at.here.accounts["eleanor"], at.here.portal.devices
    shares = [each.share for each in devices.kept(account, tuple(each.id for each in devices.of(account)))]
    secrets = [*shares, *(prf for who in people for prf in who.prf)]
    assert len(secrets) > 2, "a share, and what each passkey yielded"
    forms = {form for each in secrets for form in (each.hex(), text(each), str(list(each)), str(each))}
    said = [*(each for who in people for each in who.sent), *map(repr, logged)]
    return [each[:80] for each in said if any(form in each for form in forms)]
