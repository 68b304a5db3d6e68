"""One portal and one person with keys for all tests of a module: to come to them takes seconds."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from salus.ledger.identifiers import Pseudonym
from tests.apps.browser import chromium
from tests.contracts.network import key
from tests.portal.signer.signer_tab import HOSPITAL, PRACTICE, Mary, co_signed, enrolled_by_practice, tab
from tests.portal.signer.signer_world import Portal, data, portal_and_signer, text


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for all tests of the signer page."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with portal_and_signer() as made:
        yield made


@pytest.fixture(scope="module")
def mary(browser: Browser, portal: Portal) -> Iterator[Mary]:
    """Create, enrol, take over: the way on which everybody comes to a key."""
    with tab(browser, portal) as opened:
        assert opened.sign("create", []) == []
        (enrolled,) = opened.sign("enrol", [{"custodian": HOSPITAL, "key": text(key("hospital").public)}])
        assert portal.submit(co_signed(enrolled, key("hospital"))) == 0
        practice = Pseudonym(secrets.token_bytes(16))
        held = key("held by the practice")
        assert portal.submit(enrolled_by_practice(portal, practice, held)) == 0
        item = {"custodian": PRACTICE, "pseudonym": text(practice), "key": text(held.public)}
        (taken,) = opened.sign("take-over", [item])
        assert portal.submit(co_signed(taken, held)) == 0
        yield Mary(opened, Pseudonym(data(enrolled["pseudonym"])), practice)
