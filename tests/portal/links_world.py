"""The links of a portal's patients, at a clock that can be moved; and what a patient's own device signs for one."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services import health_links
from salus.node.services.health_links import HealthLinks, MadeLink, WantedLink
from salus.node.services.link_openings import Ask, LinkOpenings, Opened
from salus.node.services.respond import Login, Responder
from tests.portal.portal_world import Hospital

PASSCODE = "heddiw-2026"
WANTED = WantedLink("For Dr Jones", PASSCODE, lasts_s=86_400, tries=3)
FROM = "203.0.113.7"


@dataclasses.dataclass
class Desk:
    """The links of the portal's node, whose clock can be moved."""

    here: Hospital
    later_s: int = 0

    def __post_init__(self) -> None:
        clock = self.here.node.clock
        self.node = dataclasses.replace(self.here.node, clock=lambda: clock() + self.later_s)
        rows = SealedRows(self.node.vault, self.node.chain)
        self.links = HealthLinks(self.node, rows)
        self.openings = self.on(self.node)
        self.count = 0

    def on(self, node: Node) -> LinkOpenings:
        """The openings, as a node has them."""
        rows, collections = SealedRows(node.vault, node.chain), self.here.portal.collections
        links = HealthLinks(node, rows)
        return LinkOpenings(node, rows, Responder(node), links, collections, base="https://portal.example/s")

    def login(self, name: str = "eleanor") -> Login:
        account = self.here.portal.accounts.find(self.here.accounts[name])
        assert account is not None
        return self.here.portal.accounts.login_of(account, self.here.portal.accounts.hold(account)[0])

    def make(self, wanted: WantedLink = WANTED) -> MadeLink:
        return self.links.make(self.login(), self.here.patient, wanted)

    def ask(self, passcode: str = PASSCODE, recipient: str = "Dr Jones") -> Ask:
        self.count += 1
        return Ask(recipient, passcode, f"{FROM}/{self.count}")

    def read(self, made: MadeLink) -> list[dict[str, Any]]:
        """Open a link and return the resources of its document, the Composition first."""
        return self.document(made, self.openings.open(made.secret, self.ask()))

    def document(self, made: MadeLink, opened: Opened) -> list[dict[str, Any]]:
        asyncio.run(self.openings.settle(opened))
        plain = jwe.decrypt_compact(self.openings.file(opened), OctKey.import_key(made.key)).plaintext
        assert plain is not None
        return [each["resource"] for each in json.loads(plain)["entry"]]

    def link(self, made: MadeLink) -> health_links.Link:
        return next(each for each in self.links.of(self.here.patient) if each.name == made.name)

    def refused(self, secret: bytes, passcode: str = PASSCODE) -> Refusal:
        with pytest.raises(Refused) as refused:
            self.openings.open(secret, self.ask(passcode))
        return refused.value.refusal
