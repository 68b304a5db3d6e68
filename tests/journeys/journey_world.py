"""The portal on a real socket with TLS, for people with browsers; and what every page that they meet must be."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from salus.api.exchange.serve import listen, uvicorn_config
from salus.api.fhir.serve import running
from salus.node.listen_settings import SignInProvider
from salus.portal.signer import signer_page
from salus.portal.signer.app import signer_app
from salus.testing.clock import ForwardClock
from salus.testing.world import CHAIN
from tests.apps.browser import TIMEOUT_MS
from tests.journeys import keyboard
from tests.journeys.seen_whole import lost_when_large_or_narrow, unmarked_focus, wait_for_room
from tests.portal.portal_world import PASSWORD, Hospital, portal

HOST, SIGNER = "portal.localhost", "signer.localhost"
AXE = Path(__file__).parents[1] / "apps" / "node_modules" / "axe-core" / "axe.min.js"
# Without `region`: the service manual has the back link above `main`, on its own.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
COLOURS: Sequence[Any] = (
    {"color_scheme": "dark", "forced_colors": "none"},
    {"color_scheme": "light", "forced_colors": "active"},
)
LOOKED: set[str] = set()
"""Markup that was looked at by a journey of this process: of the same, axe finds the same."""
HEADINGS: set[str] = set()
"""What the pages are called that were looked at in all colours, and control by control."""
PASSING = re.compile(
    r'value="(?:[\w-]{20,}|[A-Z2-7]{6}|\d+)"|localhost:\d+|\d{1,2}(?::\d\d)?[ap]m|shlink:/[\w-]+|(?<= src=")data:[^"]*'
    r'|(?<= href=")(?:/|https:|data:)[^"]*'
)
"""What is another each time, in markup of which axe finds the same."""
FIND = """rules =>
    axe.run(document, {runOnly: rules, rules: {region: {enabled: false}}, resultTypes: ["violations"]}).then(found =>
        found.violations.map(each => each.id + ": " + each.nodes.map(node => node.html).join(" ")))"""
MACHINE_WORDS = re.compile(
    r"\b[0-9a-f]{16,}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-|\bblock \d|\btransaction\b|\bhash\b|\bpublic key\b", re.IGNORECASE
)
NOWHERE = ("data:", "blob:", "chrome:", "chrome-extension:")
"""Addresses that no other computer answers; the last two are the browser's own viewer of PDFs."""


@dataclass
class Served:
    """A portal that browsers reach."""

    here: Hospital
    origin: str
    signer: str = ""
    clock: ForwardClock | None = None
    reached: set[str] = field(default_factory=set)

    def later(self, seconds: int, *walkers: Walker) -> None:
        """Let time pass for ledger and nodes, and in these browsers; TLS and cookies keep the machine's time."""
        assert self.clock is not None, "served with a clock that can be set"
        self.clock.advance(seconds)
        for each in walkers:
            each.page.clock.set_fixed_time(self.clock.now_s())


class Recorded:
    """The portal's application, and which of its routes were asked for."""

    def __init__(self, app: ASGIApp, reached: set[str]) -> None:
        self._app = app
        self._reached = reached

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            matches = ((each, each.matches(scope)[0]) for each in self._app.routes)  # type: ignore[attr-defined]
            path = next((each.path for each, match in matches if match is Match.FULL), "")
            self._reached.add(f"{scope['method']} {path}")
        await self._app(scope, receive, send)


@contextlib.contextmanager
def served(
    folder: Path,
    *,
    providers: Sequence[SignInProvider] = (),
    is_joined: bool = False,
    has_device: bool = True,
    has_signer: bool = False,
    clock: ForwardClock | None = None,
    **settings: object,
) -> Iterator[Served]:
    """Serve the portal on loopback until the block ends.

    Args:
        clock: of ledger and nodes, which a journey sets forward with `later`; None for the machine's.
        is_joined: whether the practice is a second custodian that is reached over HTTP; see `portal`.
        has_device: False there: both custodians still sign for her.
        has_signer: whether the signer page is served as well, at a name of its own.
        settings: more of `PortalSettings`.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen("127.0.0.1", 0))
        origin = f"https://{HOST}:{listener.getsockname()[1]}"
        certificate, key = certified(folder)
        signer = stack.enter_context(signer_at(origin, certificate, key)) if has_signer else ""
        here = stack.enter_context(
            portal(
                folder,
                origin=origin,
                providers=providers,
                is_joined=is_joined,
                has_device=has_device,
                clock=clock,
                signer=signer,
                **settings,
            )
        )
        made = Served(here, origin, signer, clock)
        app = Recorded(here.portal.app(), made.reached)
        config = uvicorn_config(app, date_header=True, certificate=str(certificate), key=str(key))  # type: ignore[arg-type]
        stack.enter_context(running(config, listener, name="portal"))
        yield made


@contextlib.contextmanager
def signer_at(portal_origin: str, certificate: Path, key: Path) -> Iterator[str]:
    """Serve the signer page of a portal until the block ends; return its origin."""
    with listen("127.0.0.1", 0) as listener:
        app = signer_app(signer_page(portal=portal_origin, chain=CHAIN))
        config = uvicorn_config(app, date_header=True, certificate=str(certificate), key=str(key))
        with running(config, listener, name="signer"):
            yield f"https://{SIGNER}:{listener.getsockname()[1]}"


def certified(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for the portal's name and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), x509.DNSName(SIGNER)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "portal.pem", folder / "portal.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, format_ = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(form, format_, serialization.NoEncryption()))
    return paths


class Walker:
    """Somebody at a browser, who looks at each page that they come to.

    Each look asks of the page what every page must be: no violation that axe knows (WCAG 2.2 AA), a title of its own,
    nothing that only machines understand (U1), no request to anybody else, whole at 320 pixels and at 200 %;
    and once for each heading, contrast that is enough in dark and in forced colours too, and a focus that one sees.
    """

    def __init__(self, context: BrowserContext, served: Served, *, shots: Path | None = None) -> None:
        self.served = served
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self._devtools = context.new_cdp_session(self.page)
        if served.clock:
            self.page.clock.set_fixed_time(served.clock.now_s())
        self.allowed: tuple[str, ...] = (served.origin, *filter(None, [served.signer]), *NOWHERE)
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        self._shots = shots
        context.on("request", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def go(self, path: str, heading: str, *, shows_receipt: bool = False) -> None:
        """Go to an address of the portal, and look at what is there."""
        self.page.goto(self.served.origin + path)
        self.look(heading, shows_receipt=shows_receipt)

    def sign_in(self, name: str, wanted: str, heading: str) -> None:
        """Ask for a page, and sign in by name and password on the way."""
        self.go(wanted, "Sign in")
        keyboard.write(self.page.get_by_label("Name", exact=True), name)
        keyboard.write(self.page.get_by_label("Password", exact=True), PASSWORD)
        self.press("Sign in", heading)

    def press(self, button: str, heading: str) -> None:
        """Press a button and look at the page to which it leads, which may be the same once more."""
        with self.page.expect_navigation():
            keyboard.press(self.page.get_by_role("button", name=button, exact=True))
        self.look(heading)

    def follow(self, link: str, heading: str) -> None:
        """Follow a link and look at the page to which it leads."""
        keyboard.press(self.page.get_by_role("link", name=link, exact=True).first)
        self.look(heading)

    def look(self, heading: str, *, shows_receipt: bool = False) -> None:
        """Look at the page: it has this heading, and it is what every page must be.

        Args:
            shows_receipt: whether "Check this yourself" was opened, where words of machines may stand.
        """
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)
        self._shoot(heading)
        found = [*self.elsewhere, *self.complaints]
        markup = PASSING.sub("", self.page.content())
        if markup not in LOOKED:
            LOOKED.add(markup)
            found += [*self._violations(heading), *lost_when_large_or_narrow(self.page, self._devtools)]
        if not shows_receipt:
            words = MACHINE_WORDS.findall(self.page.locator("body").inner_text())
            found += [f"words of machines: {each}" for each in words]
        assert not found, f"{self.page.url}: {found}"

    def _violations(self, heading: str) -> list[str]:
        """What axe finds; once for a heading, in dark and in forced colours too (WCAG 1.4.3), and of the focus."""
        self.page.evaluate(AXE.read_text())
        seen = list(self.page.evaluate(FIND, RULES))
        if heading not in HEADINGS:
            HEADINGS.add(heading)
            seen += unmarked_focus(self.page)
            for colours in COLOURS:
                self.page.emulate_media(**colours)
                seen += [f"{colours}: {each}" for each in self.page.evaluate(FIND, CONTRAST)]
            self.page.emulate_media(color_scheme="light", forced_colors="none")
        return seen

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def _note(self, request: Request) -> None:
        if not request.url.startswith(self.allowed):
            self.elsewhere.append(f"asks elsewhere: {request.url}")

    def _shoot(self, heading: str) -> None:
        if self._shots is None:
            return
        name = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
        for width in (1280, 390):
            self.page.set_viewport_size({"width": width, "height": 900})
            wait_for_room(self.page)
            self.page.screenshot(path=self._shots / f"{name}-{width}.png", full_page=True)
        self.page.set_viewport_size({"width": 1280, "height": 900})
