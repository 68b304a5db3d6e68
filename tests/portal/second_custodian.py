"""The practice as a second custodian: its exchange on a real socket, and a patient whose own device holds both keys."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from salus.api.exchange.app import Exchange
from salus.api.exchange.serve import uvicorn_config
from salus.api.exchange.settings import ExchangeSettings
from salus.api.fhir.serve import running
from salus.contracts.provisions import Provision, ProvisionType, RoleClass
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node.assemble import Node
from salus.node.people import NOBODY, HeldSession, held, open_session
from salus.node.services.choices import take_choice, take_withdrawal
from salus.node.services.take_over import take_over
from salus.sdk.wallet import (
    Relationship,
    Wallet,
    begin,
    keep_choice,
    new_wallet,
    relationship,
    sign_choice,
    sign_withdrawal,
    signing_key,
)
from salus.testing.world import PRACTICE, World

EVERY_CLASS = (
    *("AllergyIntolerance", "Binary", "Condition", "DiagnosticReport", "DocumentReference", "Encounter"),
    *("Immunization", "MedicationRequest", "Observation", "Patient"),
)
REFUSED = Provision(type=ProvisionType.DENY, role_classes=(RoleClass.PATIENT_SIDE,))
"""The ledger says no to the patient's side."""
WITHHELD = Provision(type=ProvisionType.DENY, role_classes=(RoleClass.PATIENT_SIDE,), classes=EVERY_CLASS)
"""The ledger permits it, and the custodian keeps every record back."""
MATCH_STEP_MS = 20
LOOK_AGAIN_S = 0.02


class Manner(Enum):
    """How the practice answers."""

    ANSWERS = "answers"
    WAITS = "keeps whoever asks waiting, until its manner changes"
    IS_DOWN = "has a gateway that answers for it: not now"


@dataclass
class Practice:
    """The practice's exchange behind a gateway."""

    app: Starlette
    manner: Manner = Manner.ANSWERS

    @contextmanager
    def being(self, manner: Manner) -> Iterator[None]:
        """Let it answer in another manner until the block ends."""
        self.manner = manner
        try:
            yield
        finally:
            self.manner = Manner.ANSWERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        while self.manner is Manner.WAITS:
            await asyncio.sleep(LOOK_AGAIN_S)
        if self.manner is Manner.IS_DOWN and scope["type"] == "http":
            await PlainTextResponse("Bad Gateway", 502)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


@contextmanager
def practice_on(listener: socket.socket, made: World) -> Iterator[Practice]:
    """Serve the practice's exchange until the block ends."""
    settings = ExchangeSettings(made.folder / PRACTICE.lower(), match_step_ms=MATCH_STEP_MS)
    with closing(Exchange(made.practice, settings)) as exchange:
        practice = Practice(exchange.app())
        with running(uvicorn_config(practice, date_header=False), listener, name="practice"):  # type: ignore[arg-type]
            yield practice


@dataclass(frozen=True)
class OwnDevice:
    """A patient's wallet that has taken over each of their relationships."""

    wallet: Wallet

    def sessions(self, *, from_s: int) -> tuple[HeldSession, ...]:
        """A session with each custodian, as the signer certifies them."""
        return tuple(self._session(each, from_s) for each in self.wallet.relationships)

    @contextmanager
    def choosing(self, node: Node, tree: Provision) -> Iterator[None]:
        """Have a choice at one custodian until the block ends."""
        of = relationship(self.wallet, chain=node.chain, custodian=node.organisation)
        signed = sign_choice(self.wallet, of, tree, time_s=node.clock())
        take_choice(node, signed.raw, signed.message, signed.residual)
        yield
        kept = keep_choice(self.wallet, of, signed, time_s=node.clock())
        of = relationship(kept, chain=node.chain, custodian=node.organisation)
        ended = sign_withdrawal(kept, of, signed.message.choice, time_s=node.clock())
        take_withdrawal(node, ended.raw, ended.message, ended.residual)

    def _session(self, of: Relationship, from_s: int) -> HeldSession:
        custodian = OrganisationId(of.custodian)
        opened = open_session(signing_key(self.wallet, of), NOBODY, custodian=custodian, from_s=from_s)
        return held(opened, custodian, Pseudonym(of.pseudonym))


def own_device(made: World, pseudonyms: Mapping[OrganisationId, Pseudonym]) -> OwnDevice:
    """A device to which every custodian hands its relationship over; sessions come in this order."""
    chain, mine = made.genesis.chain, new_wallet()
    for custodian, pseudonym in pseudonyms.items():
        mine = begin(mine, chain=chain, custodian=custodian, pseudonym=pseudonym)
        take_over(made.nodes[custodian], pseudonym, signing_key(mine, mine.relationships[-1]))
    return OwnDevice(mine)
