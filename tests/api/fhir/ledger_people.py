"""Patients who sign in for themselves: one whose key the hospital holds, one with a wallet of their own."""

from dataclasses import dataclass

from salus.clinical.fhir.resources import parse
from salus.contracts.provisions import Purpose, RoleClass
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import Pseudonym
from salus.node.people import NOBODY, open_session
from salus.node.projections import resources
from salus.node.services.enrol import custodian_held_key, enrol
from salus.node.services.respond import Login
from salus.node.services.store import Write, store
from salus.sdk import wallet as wallets
from salus.sdk.wallet import Relationship, Wallet
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL
from tests.api.fhir.fhir_world import Hospital, Someone

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"


def pseudonym_of(here: Hospital, logical_id: str) -> Pseudonym:
    found = resources.find(here.node, "Patient", logical_id)
    assert found is not None
    return found.pseudonym


def signs_in(here: Hospital, name: str, pseudonym: Pseudonym, key: SigningKey) -> None:
    """Let somebody ask with a session that this key certified, bound to one record."""
    session = open_session(key, NOBODY, custodian=HOSPITAL, from_s=here.node.clock())
    login = Login(session, RoleClass.PATIENT_SIDE, Purpose.PATRQT)
    here.tokens.people[name] = Someone(login, patient=pseudonym)


def assisted(here: Hospital, logical_id: str) -> None:
    """Let a patient whose key the hospital holds sign in, by the name of their Patient."""
    pseudonym = pseudonym_of(here, logical_id)
    signs_in(here, logical_id, pseudonym, custodian_held_key(here.node, pseudonym))


@dataclass
class WalletHolder:
    """A patient who holds the key."""

    wallet: Wallet

    @property
    def relationship(self) -> Relationship:
        return wallets.relationship(self.wallet, chain=CHAIN, custodian=HOSPITAL)


def with_wallet(here: Hospital, logical_id: str, number: int) -> WalletHolder:
    """Enrol somebody by a wallet, store their Patient, and let them sign in by its name."""
    holder = WalletHolder(wallets.begin(wallets.new_wallet(), chain=CHAIN, custodian=HOSPITAL))
    nhs_number = kept_nhs_number(number)
    key = wallets.signing_key(holder.wallet, holder.relationship)
    pseudonym = enrol(here.node, nhs_number, "1970-01-01", key=key, pseudonym=holder.relationship.pseudonym)
    identifier = f'[{{"system":"{NHS_NUMBER}","value":"{nhs_number.digits}"}}]'
    body = f'{{"resourceType":"Patient","id":"{logical_id}","birthDate":"1970-01-01","identifier":{identifier}}}'
    store(here.node, [Write(parse(body.encode()))])
    signs_in(here, logical_id, pseudonym, key)
    return holder
