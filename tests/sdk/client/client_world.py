"""A hospital on a real socket, and what an integrator's program has: a base, keys, a token, a trust file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.ledger.verifier import Trust
from salus.node.founding import trust_root
from salus.node.services.accounts import AccountId
from salus.node.services.apps import App, AppKind, NewApp
from salus.node.services.enrol import enrol
from salus.node.services.grants import Wanted, challenge_of
from salus.node.services.store import Write, store
from salus.sdk import wallet
from salus.sdk.client import BackendService
from salus.sdk.wallet import Relationship, Wallet
from salus.testing.world import HOSPITAL
from tests.api.fhir.fhir_world import observation
from tests.api.fhir.served import Backend, Served, served
from tests.api.smart.smart_world import BACK, VERIFIER

NUMBER, BORN = NhsNumber("9990000018"), "1980-02-29"
PATIENT = {
    "resourceType": "Patient",
    "id": "ann",
    "birthDate": BORN,
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER.digits}],
}
SCOPES = ("patient/*.rs", "salus/history", "salus/tickets")


@dataclass
class Integrator:
    """Who writes a program against the hospital; Ann holds her own key."""

    here: Served
    trust: Trust
    mine: Wallet
    ann: Relationship
    token: str

    @property
    def clinical(self) -> BackendService:
        """A service that may read what its staff may."""
        return signing_in(self.here.clinical)


def signing_in(backend: Backend, **more: Any) -> BackendService:
    return BackendService(backend.app, backend.key.as_dict(private=True), **more)


@contextmanager
def integrator(folder: Path) -> Iterator[Integrator]:
    with served(folder) as here:
        node = here.node
        mine = wallet.begin(wallet.new_wallet(), chain=node.chain, custodian=HOSPITAL)
        ann = wallet.relationship(mine, chain=node.chain, custodian=HOSPITAL)
        enrol(node, NUMBER, BORN, key=wallet.signing_key(mine, ann), pseudonym=ann.pseudonym)
        chart = [PATIENT, *(observation(id=f"o{number}") for number in range(5))]
        store(node, [Write(parse(json.dumps(each).encode())) for each in chart])
        smart = Smart(node, SmartSettings(here.base), lambda _pseudonym: "ann")
        account = smart.accounts.add_patient(ann.pseudonym, name="Ann")
        smart.accounts.bring_session(account, *wallet.open_session(mine, ann, time_s=node.clock(), duration_s=3600))
        app = smart.apps.add(NewApp(AppKind.PUBLIC, "Ann's app", [BACK])).app
        yield Integrator(here, trust_root(here.genesis), mine, ann, _token(smart, app, account, ann.pseudonym))
        smart.close()


def _token(smart: Smart, app: App, account: AccountId, patient: bytes) -> str:
    code = smart.grants.begin(Wanted(app, account, SCOPES, patient, BACK, challenge_of(VERIFIER), ""))
    return smart.grants.redeem(app, code, redirect_uri=BACK, verifier=VERIFIER).access
