"""A person's browser with a virtual passkey, and somebody who has come to keys with it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from salus.contracts import patients
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.identifiers import OrganisationId, Pseudonym
from tests.apps.browser import DESKTOP, TIMEOUT_MS
from tests.contracts.network import CHAIN, key
from tests.portal.signer.signer_world import Device, Portal, data, text

HOSPITAL, PRACTICE = OrganisationId("RX1"), OrganisationId("A81001")
KEEP_PRF = """
for (const name of ["create", "get"]) {
  const asked = navigator.credentials[name].bind(navigator.credentials);
  navigator.credentials[name] = async (options) => {
    const made = await asked(options);
    const first = made.getClientExtensionResults().prf?.results?.first;
    if (first) await window.keepPrf(Array.from(new Uint8Array(first)));
    return made;
  };
}
"""
"""Before the page's own script: what the passkey yields is kept for the test, which cannot know it otherwise."""


@dataclass
class Tab:
    """A person's browser with a passkey of its own."""

    page: Page
    portal: Portal
    device: Device = field(default_factory=Device)
    prf: bytes = b""
    console: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def open(self, kind: str, items: list[dict[str, Any]], **other: Any) -> str:
        """Come to the signer with a request; return its address."""
        address = self.portal.ask(self.portal.request(kind, items, self.device, **other))
        self.page.goto("about:blank")  # from the signer itself, only the part behind the # would change
        self.page.goto(address)
        return address

    def approve(self, address: str) -> dict[str, Any]:
        """Approve what is shown; return the answer that the portal got."""
        self.page.get_by_role("button", name="Approve with your passkey").click()
        expect(self.page).to_have_title("Done")
        return self.portal.answer_to(address)

    def sign(self, kind: str, items: list[dict[str, Any]], **other: Any) -> list[dict[str, Any]]:
        """Approve a request that fits; return the answer's items, and keep the blob as the portal does."""
        answer = self.approve(self.open(kind, items, **other))
        self.keep(answer)
        signed: list[dict[str, Any]] = answer["items"]
        return signed

    def keep(self, answer: dict[str, Any]) -> None:
        """Keep the blob of an answer."""
        if answer["device"] is not None:
            assert answer["device"]["id"] == text(self.device.id)
            self.device.credential, self.device.blob = (data(answer["device"][each]) for each in ("credential", "blob"))

    def lines(self) -> list[str]:
        """What the page says of what is to be signed."""
        expect(self.page.get_by_role("button", name=re.compile("passkey"))).to_be_visible()
        return self.page.get_by_role("listitem").all_inner_texts()

    def problem(self) -> str:
        """The heading that the page shows instead of something to approve."""
        expect(self.page.get_by_role("button", name="Go back to the website")).to_be_visible()
        return self.page.get_by_role("heading", level=1).inner_text()


@contextmanager
def tab(
    browser: Browser, portal: Portal, *, has_prf: bool = True, is_verified: bool = True, script: str = ""
) -> Iterator[Tab]:
    """A browser with a passkey that verifies its user; `script` runs before the page's own, to be another browser."""
    with browser.new_context(viewport=DESKTOP) as context:
        if script:
            context.add_init_script(script)
        yield _tab(context, portal, has_prf=has_prf, is_verified=is_verified)


def _tab(context: BrowserContext, portal: Portal, *, has_prf: bool, is_verified: bool) -> Tab:
    context.add_init_script(KEEP_PRF)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.clock.set_fixed_time(portal.ledger.time_s)
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "ctap2Version": "ctap2_1",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "hasPrf": has_prf,
        "isUserVerified": is_verified,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    made = Tab(page, portal)
    page.expose_function("keepPrf", lambda prf: setattr(made, "prf", bytes(prf)))
    page.on("console", lambda message: made.console.append(message.text))
    page.on("request", lambda request: made.sent.append(f"{request.method} {request.url} {request.post_data}"))
    return made


@dataclass
class Mary:
    """Somebody with a device: enrolled with her own key at the hospital, and once without one at the practice."""

    tab: Tab
    hospital: Pseudonym
    practice: Pseudonym

    def item(self, pseudonym: Pseudonym | None = None, **more: Any) -> dict[str, Any]:
        """An item about one of her relationships, the hospital's if none is named."""
        at = pseudonym or self.hospital
        return {"custodian": HOSPITAL if at == self.hospital else PRACTICE, "pseudonym": text(at)} | more

    def reader(self) -> Any:
        """The ledger's rows."""
        return self.tab.portal.ledger.reader()


def co_signed(signed: dict[str, Any], first: SigningKey) -> bytes:
    """The transaction of a body, signed by whoever signs first and by the page."""
    body = data(signed["body"])
    return transactions.assemble(body, [transactions.sign_body(body, first), data(signed["signature"])])


def enrolled_by_practice(portal: Portal, pseudonym: Pseudonym, held: SigningKey) -> bytes:
    """The transaction by which a custodian enrols somebody who has no device yet."""
    message = patients.Enrol(pseudonym, PRACTICE, held.public, patients.Holder.CUSTODIAN, b"", bytes(32))
    return signed_by([key("practice"), held], message, portal)


def signed_by(keys: list[SigningKey], message: transactions.Message, portal: Portal) -> bytes:
    """A transaction of somebody who has no page."""
    terms = {"chain": CHAIN, "expires_at_s": portal.ledger.time_s + 60, "nonce": secrets.token_bytes(16)}
    return transactions.sign([message], keys=keys, **terms)
